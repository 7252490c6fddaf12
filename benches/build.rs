//! Tells the reports which compiler built the bench: figures of two compilers are two things.

use std::process::Command;

fn main() {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(compiler).arg("--version").output();
    let version = version
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    println!(
        "cargo:rustc-env=POOL_BENCHES_RUSTC={}",
        version.as_deref().map_or("", str::trim)
    );
    println!("cargo:rerun-if-changed=build.rs");
}
