//! There for the directory it gets: `OUT_DIR` lies in the target directory, outlives a test process
//! and goes with `cargo clean`, so the templates of data directories are kept there.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
