//! Who a server runs as.
//!
//! PostgreSQL and PgBouncer refuse to be root. A test that runs as root therefore hands the folder
//! to `nobody` and starts the server as `nobody`: the standard library sets both numbers and clears
//! the other groups, so neither an account nor a helper program is needed. A test that does not run
//! as root starts the server as itself.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The number of `nobody` and of its group on Linux.
const NOBODY: u32 = 65534;

/// The account of a server's processes and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// The account of the test.
    Own,
    /// The test is root, the server is not.
    Nobody,
}

impl Account {
    /// The account for a server that must not be root.
    pub(crate) fn unprivileged() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Nobody
        } else {
            Self::Own
        }
    }

    /// Lets `command` run as this account.
    pub(crate) fn apply(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    /// Hands a folder and everything in it to this account.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        if self == Self::Own {
            return Ok(());
        }
        lchown(path, Some(NOBODY), Some(NOBODY))?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        Ok(())
    }

    /// Whether this account can get to `path`: each folder above it is open to others.
    pub(crate) fn reaches(self, path: &Path) -> bool {
        self == Self::Own
            || path
                .ancestors()
                .skip(1)
                .all(|above| fs::metadata(above).is_ok_and(|m| m.permissions().mode() & 0o001 != 0))
    }
}
