//! A folder that goes with its process, however that ends.
//!
//! Invariant: from the moment the folder exists until it is gone, a shell waits to remove it. It
//! reads from a pipe whose other end only this process holds, until this value is dropped or the
//! process is gone. It is out of the process group, as a server in the folder is, so that a signal to
//! the group (a terminal's interrupt, a test runner's timeout) leaves it to do its work.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::ServerError;

/// A folder that goes when this value or the process goes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    watchdog: Child,
}

impl Scratch {
    /// A new folder in `TMPDIR`, closed to others, whose name begins with `prefix`.
    ///
    /// # Errors
    ///
    /// When the system refuses the folder or the shell that removes it.
    pub fn new(prefix: &str) -> Result<Self, ServerError> {
        Self::within(&env::temp_dir(), prefix)
    }

    /// The same in a folder of one's choice.
    pub(crate) fn within(above: &Path, prefix: &str) -> Result<Self, ServerError> {
        let path = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(above)
            .map_err(ServerError::system(format!(
                "cannot make a folder in {}",
                above.display()
            )))?
            .keep();
        let watchdog = Command::new("sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .arg(&path)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { path, watchdog }),
            Err(source) => {
                let _ = fs::remove_dir(&path);
                Err(ServerError::system(
                    "cannot start the shell of the watchdog",
                )(source))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
