//! The processes of one server, from start to end: the machinery under [`Server`](crate::Server).
//!
//! `launch` is the only place that starts a process, and the child behind the lock is its only
//! record: whoever holds the lock knows what runs. Numbers of processes are used only while the
//! first one is not reaped, so they cannot have been given to somebody else.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::certificates::Certificates;
use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::processes;
use crate::session::{Endpoint, Session, SessionError};

/// How long a server may take to answer, on a machine that does much else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to end in good order.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What to run: all that `launch` needs, for the first time and every other.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// How many files it may have open.
    pub(crate) files: u64,
    pub(crate) certificates: Option<Certificates>,
}

/// One server, up or down. Dropping it kills what runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) recipe: Recipe,
    /// Its port for as long as this value lives.
    pub(crate) port: u16,
    /// The name and the version the server gave when it first answered.
    pub(crate) identity: OnceLock<(&'static str, String)>,
    /// The first process. `None`: down.
    child: Mutex<Option<Child>>,
    /// Last: removed after the drop of this value has ended the processes.
    pub(crate) folder: Arc<Folder>,
}

impl Running {
    /// A server that is down, on what `recipe` says.
    pub(crate) fn down(recipe: Recipe, port: u16, folder: Arc<Folder>) -> Self {
        Self {
            recipe,
            port,
            identity: OnceLock::new(),
            child: Mutex::new(None),
            folder,
        }
    }

    /// The first process, for one call at a time.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> &'static str {
        self.recipe.kind.name()
    }

    /// The file of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.recipe.kind.socket(self.folder.path(), self.port)
    }

    /// A connection on the side, as this user to this database.
    pub(crate) fn session(&self, (user, database): (&str, &str)) -> Result<Session, SessionError> {
        let endpoint = Endpoint::Socket(self.socket());
        Session::open(self.recipe.kind.protocol(), &endpoint, user, database)
    }

    /// The number of the first process, when there is one.
    pub(crate) fn first(&self, child: Option<&Child>) -> Result<Pid, ServerError> {
        child.map(Pid::from_child).ok_or(ServerError::Down {
            server: self.name(),
        })
    }

    /// The process of one connection.
    pub(crate) fn backend(&self, id: u32) -> Result<Pid, ServerError> {
        let first = self.first(self.lock().as_ref())?;
        processes::child(first, id).ok_or(ServerError::NoBackend {
            server: self.name(),
            id,
        })
    }

    /// Starts the process and waits until it answers.
    pub(crate) fn launch(&self, child: &mut Option<Child>) -> Result<(), ServerError> {
        let mut command = self
            .folder
            .command(&self.recipe.program, self.recipe.files)?;
        command.args(&self.recipe.arguments);
        let what = format!("cannot start {}", self.recipe.program.display());
        let running = child.insert(command.spawn().map_err(ServerError::system(what))?);

        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            let unanswered = match self.session(self.recipe.kind.first_guest()) {
                Ok(session) => {
                    self.identity
                        .get_or_init(|| identify(self.recipe.kind, session));
                    return Ok(());
                }
                Err(error) => error,
            };
            let ended = running
                .try_wait()
                .map_err(ServerError::system("cannot wait"))?;
            let what = match ended {
                Some(status) => format!("ended before it answered ({})", describe(status)),
                None if Instant::now() > deadline => {
                    format!("did not answer within {ANSWERS_WITHIN:?} ({unanswered})")
                }
                None => {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                }
            };
            if ended.is_some() {
                *child = None;
            }
            Self::kill(child);
            let log = self.folder.log_tail();
            return Err(ServerError::Failed {
                server: self.name(),
                what,
                log,
            });
        }
    }

    /// Ends what runs in good order, if anything does.
    pub(crate) fn stop(&self, child: &mut Option<Child>) -> Result<(), ServerError> {
        let Some(running) = child.as_mut() else {
            return Ok(());
        };
        let first = Pid::from_child(running);
        let all = processes::tree(first);
        processes::signal(first, self.recipe.kind.end());
        processes::resume(first);
        let deadline = Instant::now() + ENDS_WITHIN;
        while running
            .try_wait()
            .map_err(ServerError::system("cannot wait"))?
            .is_none()
        {
            if Instant::now() > deadline {
                Self::kill(child);
                return Err(ServerError::Failed {
                    server: self.name(),
                    what: format!("did not end within {ENDS_WITHIN:?}"),
                    log: self.folder.log_tail(),
                });
            }
            thread::sleep(Duration::from_millis(1));
        }
        processes::gone(&all);
        *child = None;
        Ok(())
    }

    /// Kills what runs, if anything does.
    pub(crate) fn kill(child: &mut Option<Child>) {
        let Some(mut running) = child.take() else {
            return;
        };
        processes::kill(Pid::from_child(&running));
        let _ = running.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self
            .child
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Self::kill(&mut { child });
    }
}

/// What the server calls itself.
fn identify(kind: Kind, mut session: Session) -> (&'static str, String) {
    match kind {
        Kind::PgBouncer => {
            let shown = session.query("SHOW VERSION").unwrap_or_default();
            let version = shown
                .into_iter()
                .flatten()
                .flatten()
                .next()
                .unwrap_or_default();
            (
                kind.name(),
                version.trim_start_matches("PgBouncer ").to_owned(),
            )
        }
        Kind::MySql if session.version().contains("MariaDB") => {
            ("MariaDB", session.version().to_owned())
        }
        Kind::MySql | Kind::Postgres => {
            let version = session.version().split(' ').next().unwrap_or_default();
            (kind.name(), version.to_owned())
        }
    }
}

fn describe(status: ExitStatus) -> String {
    status.signal().map_or_else(
        || status.to_string(),
        |signal| format!("killed by signal {signal}"),
    )
}
