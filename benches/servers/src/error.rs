//! What can go wrong with a throw-away server, in the words of somebody who has to fix it: what to
//! install, or the last lines the server wrote.

use std::io;
use std::path::PathBuf;

use crate::session::SessionError;

/// Why a server could not be started, stopped or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A program is not installed.
    #[error("`{program}` is not installed: run scripts/install-servers, or install {package}")]
    Missing {
        /// The program that was looked for on the path and where distributions put it.
        program: &'static str,
        /// What has it.
        package: &'static str,
    },
    /// A folder, file or process could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was tried, and on what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed, or a server ended or never answered.
    #[error("{server} {what}; it wrote:\n{log}")]
    Failed {
        /// Which server.
        server: &'static str,
        /// What it did.
        what: String,
        /// The last lines it wrote.
        log: String,
    },
    /// The server is not running, and what was asked needs it to.
    #[error("{server} is not running: it was stopped or killed; `restart` starts it again")]
    Down {
        /// Which server.
        server: &'static str,
    },
    /// The server has no backend of that number.
    #[error("{server} has no backend {id}")]
    NoBackend {
        /// Which server.
        server: &'static str,
        /// The number asked for.
        id: u32,
    },
    /// No folder is short enough for a socket and open to the account servers run as.
    #[error(
        "no temporary folder fits (tried {tried:?}): the path of a socket may be 107 bytes long, and \
         as root every folder on the way must be open to others; set TMPDIR"
    )]
    NoFolder {
        /// The folders that were tried.
        tried: Vec<PathBuf>,
    },
    /// A statement or a connection on the side failed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl ServerError {
    /// For `map_err`: what was tried when the system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
