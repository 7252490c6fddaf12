//! Where the programs of servers are: on the path, and where distributions put what only services
//! are meant to start.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ServerError;

/// Finds `program`, or says which package has it.
pub(crate) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, ServerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/libexec"].map(PathBuf::from))
        .chain(postgres_folders(Path::new("/usr/lib/postgresql")))
        .map(|folder| folder.join(program))
        // The real place: servers find their other files from there.
        .find_map(|candidate| {
            candidate
                .canonicalize()
                .ok()
                .filter(|found| found.is_file())
        })
        .ok_or(ServerError::Missing { program, package })
}

/// Debian's folders of PostgreSQL programs, the newest version first.
fn postgres_folders(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .iter()
        .map(|version| root.join(version.to_string()).join("bin"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let error = find("no-such-server", "the package no-such-server")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`no-such-server` is not installed: run scripts/install-servers, \
             or install the package no-such-server"
        );
    }

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "lost+found", "18"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = postgres_folders(root.path());
        let wanted = ["18", "15", "9"].map(|version| root.path().join(version).join("bin"));
        assert_eq!(found, wanted);
    }
}
