//! The folder of one server: a [`Scratch`] that belongs to the server's account, and the programs that
//! run in it.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::error::ServerError;
use crate::scratch::Scratch;

/// The longest name of a file below the folder that a socket is made at.
const SOCKET_NAME: usize = 24;
/// What `sockaddr_un` has room for, less the final zero.
const SOCKET_PATH: usize = 107;
/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// A server takes some 40 MB to 200 MB; in a container there are often no more than 64.
const ENOUGH_MEMORY: u64 = 2 << 30;

/// Where a folder may be made, the best place first: a file takes a tenth of the time in memory.
fn candidates() -> Vec<PathBuf> {
    let mut all = vec![env::temp_dir(), PathBuf::from("/tmp")];
    if env::var_os("TMPDIR").is_none() && room(MEMORY) >= ENOUGH_MEMORY {
        all.insert(0, PathBuf::from(MEMORY));
    }
    all
}

/// How many bytes may still be written to files in `folder`.
fn room(folder: &str) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |system| system.f_bavail.saturating_mul(system.f_frsize))
}

/// A folder that goes when this value or the process goes.
#[derive(Debug)]
pub(crate) struct Folder {
    scratch: Scratch,
    account: Account,
}

impl Folder {
    /// A new folder, owned by `account` and closed to others.
    pub(crate) fn new(account: Account) -> Result<Self, ServerError> {
        let candidates = candidates();
        let fits = |above: &&PathBuf| {
            above.as_os_str().len() + "/pool-123456/".len() + SOCKET_NAME <= SOCKET_PATH
                && account.reaches(&above.join("folder"))
        };
        let above = candidates
            .iter()
            .find(fits)
            .ok_or_else(|| ServerError::NoFolder {
                tried: candidates.clone(),
            })?;
        let folder = Self {
            scratch: Scratch::within(above, "pool-")?,
            account,
        };
        folder.give()?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Hands what was written into it to its account.
    pub(crate) fn give(&self) -> Result<(), ServerError> {
        let what = format!(
            "cannot hand {} to the account of the server",
            self.path().display()
        );
        self.account
            .give(self.path())
            .map_err(ServerError::system(what))
    }

    /// A command whose number the watchdog knows before it runs, which may open `files` files, and
    /// whose output goes to the log of the folder.
    pub(crate) fn command(&self, program: &Path, files: u64) -> Result<Command, ServerError> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .map_err(ServerError::system("cannot open the log of a server"))?;
        let errors = log
            .try_clone()
            .map_err(ServerError::system("cannot share a log"))?;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "ulimit -S -n \"$1\"; echo $$ >\"$2/server.pid\"; shift 2; exec \"$@\"",
            ])
            .arg("sh")
            .arg(files.to_string())
            .arg(self.path())
            .arg(program)
            .current_dir("/")
            .process_group(0)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        self.account.apply(&mut command);
        Ok(command)
    }

    /// Runs a program to its end; the error holds what it wrote.
    pub(crate) fn run(
        &self,
        server: &'static str,
        program: &Path,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<(), ServerError> {
        let mut command = self.command(program, 4096)?;
        let status = arguments(&mut command)
            .status()
            .map_err(ServerError::system(format!(
                "cannot run {}",
                program.display()
            )))?;
        if status.success() {
            return Ok(());
        }
        let what = format!(
            "could not be set up: {} ended with {status}",
            program.display()
        );
        Err(ServerError::Failed {
            server,
            what,
            log: self.log_tail(),
        })
    }

    /// The last lines written by programs in this folder.
    pub(crate) fn log_tail(&self) -> String {
        const LINES: usize = 20;
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Everything written by programs in this folder.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("log")
    }
}
