//! What a report's figures were measured on: two reports compare only where this is the same.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine and the compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores the process may use.
    pub cores: usize,
    /// The processor's name, where the system tells.
    pub processor: Option<String>,
    /// Bytes of memory, where the system tells.
    pub memory_bytes: Option<u64>,
    /// The operating system and its version.
    pub os: String,
    /// The compiler that built the bench.
    pub rustc: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory_bytes: field("/proc/meminfo", "MemTotal")
                .and_then(|total| total.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .map(|kibibytes| kibibytes * 1024),
            os: os(),
            rustc: env!("POOL_BENCHES_RUSTC").to_owned(),
        }
    }
}

/// The project's version, with the commit where it is built from a repository.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
            "--exclude=*",
        ])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    match commit.as_deref().map(str::trim) {
        Some(commit) if !commit.is_empty() => format!("{version}+{commit}"),
        _ => version.to_owned(),
    }
}

fn os() -> String {
    let name = fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|release| {
            let name = release
                .lines()
                .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    match (name, kernel) {
        (Some(name), Some(kernel)) => format!("{name}, Linux {}", kernel.trim()),
        (Some(name), None) => name,
        (None, Some(kernel)) => format!("Linux {}", kernel.trim()),
        (None, None) => format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

/// The value of a `name : value` line.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.trim() == name)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_and_a_compiler() {
        let machine = Machine::this();
        assert!(machine.cores >= 1);
        assert!(machine.rustc.starts_with("rustc "), "{machine:?}");
        assert!(!machine.os.is_empty());
    }

    #[test]
    fn the_version_begins_with_that_of_the_package() {
        assert!(version().starts_with(env!("CARGO_PKG_VERSION")));
    }
}
