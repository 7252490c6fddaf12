//! A running throw-away server: its addresses, its end, its outages.
//!
//! ```text
//!            restart            hang
//!   down  ───────────>  up  ──────────>  hanging
//!         <───────────      <──────────
//!          stop, kill          resume
//! ```
//!
//! Port, socket and data stay the same over all of it; dropping the server, in any state, kills its
//! processes and removes its folder. `launch` is the only place that starts a process and the child
//! behind the lock is its only record, so whoever holds the lock knows what runs.
//!
//! Calls block, most of them for milliseconds, `restart` for up to a quarter of a second (and longer
//! on a busy machine). In a task, [`Server::aside`] runs one without holding the runtime up.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::certificates::Certificates;
use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::memory::{self, Memory};
use crate::port;
use crate::processes;
use crate::session::{Endpoint, Row, Session, SessionError};

/// How long a server may take to answer, on a machine that does much else.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to end in good order.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How often a new port is drawn when another process took the last one.
const PORTS: usize = 5;

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

/// A throw-away server. Dropping it ends it and removes what it wrote.
#[derive(Debug)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recipe: Recipe,
    port: u16,
    /// The name and the version the server gave when it first answered.
    identity: OnceLock<(&'static str, String)>,
    /// The first process. `None`: down.
    child: Mutex<Option<Child>>,
    /// Last: removed after the drop of this value has ended the processes.
    folder: Arc<Folder>,
}

impl Server {
    /// Starts what `recipe` says on a port nobody has.
    pub(crate) fn start(
        folder: Folder,
        recipe: impl Fn(&Folder, u16) -> Result<Recipe, ServerError>,
    ) -> Result<Self, ServerError> {
        let folder = Arc::new(folder);
        let mut attempts = PORTS;
        loop {
            let port = port::draw();
            let recipe = recipe(&folder, port)?;
            folder.give()?;
            let inner = Inner {
                recipe,
                port,
                identity: OnceLock::new(),
                child: Mutex::new(None),
                folder: Arc::clone(&folder),
            };
            let launched = inner.launch(&mut inner.lock());
            attempts -= 1;
            match launched {
                Ok(()) => {
                    return Ok(Self {
                        inner: Arc::new(inner),
                    });
                }
                Err(error) if attempts == 0 || port::is_free(port) => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// What it is: `PostgreSQL`, `MariaDB`, `MySQL` or `PgBouncer`.
    pub fn name(&self) -> &'static str {
        self.inner
            .identity
            .get()
            .map_or(self.inner.recipe.kind.name(), |(name, _)| name)
    }

    /// Its version, as it tells it: `15.4`, `10.11.6-MariaDB`.
    pub fn version(&self) -> &str {
        self.inner.identity.get().map_or("", |(_, version)| version)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        port::local(self.inner.port)
    }

    /// For a driver, over TCP. The user may do everything and needs no password.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// For a driver, over TCP to another address: that of a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.inner.recipe.kind.url(address)
    }

    /// For a driver, over the socket.
    pub fn socket_url(&self) -> String {
        self.inner
            .recipe
            .kind
            .socket_url(self.inner.folder.path(), self.inner.port)
    }

    /// The file of the socket.
    pub fn socket(&self) -> PathBuf {
        self.inner.socket()
    }

    /// What clients need for TLS; `None` when the server was started without.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.inner.recipe.certificates.as_ref()
    }

    /// Everything the server has written to its log.
    pub fn log(&self) -> String {
        self.inner.folder.log()
    }

    /// The number of its first process; `None` when it is down.
    pub fn id(&self) -> Option<u32> {
        self.inner.lock().as_ref().map(Child::id)
    }

    /// A connection on the side, over the socket.
    ///
    /// # Errors
    ///
    /// When the server is down or does not let it in.
    pub fn session(&self) -> Result<Session, SessionError> {
        self.inner.session(self.inner.recipe.kind.guest())
    }

    /// A connection on the side, over TCP to this address: the server's own or that of a proxy.
    ///
    /// # Errors
    ///
    /// When the server is down or does not let it in.
    pub fn session_at(&self, address: SocketAddr) -> Result<Session, SessionError> {
        let kind = self.inner.recipe.kind;
        let (user, database) = kind.guest();
        Session::open(kind.protocol(), &Endpoint::Address(address), user, database)
    }

    /// The console of `PgBouncer`, which takes `PAUSE`, `RESUME` or `SHOW POOLS`. Of another server,
    /// the same as [`session`](Self::session).
    ///
    /// # Errors
    ///
    /// When the server is down or does not let it in.
    pub fn console(&self) -> Result<Session, SessionError> {
        self.inner.session(self.inner.recipe.kind.first_guest())
    }

    /// Runs one statement on a connection of its own.
    ///
    /// # Errors
    ///
    /// When the server is down or refuses the statement.
    pub fn query(&self, sql: &str) -> Result<Vec<Row>, SessionError> {
        self.session()?.query(sql)
    }

    /// Ends the server in good order: clients are told, data are complete. A server that is down
    /// stays down; a hanging one is resumed first.
    ///
    /// # Errors
    ///
    /// When it has not ended within a minute; then it is killed.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.inner.stop(&mut self.inner.lock())
    }

    /// Kills every process of the server at once, as an outage of its machine would; returns when
    /// none of them can act any more.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn kill(&self) -> Result<(), ServerError> {
        let mut child = self.inner.lock();
        self.inner.first(&child)?;
        self.inner.kill(&mut child);
        Ok(())
    }

    /// Stops the server if it is up and starts it on the same data, port and socket; returns when it
    /// answers.
    ///
    /// # Errors
    ///
    /// When it does not come up; the error holds what it wrote.
    pub fn restart(&self) -> Result<(), ServerError> {
        let mut child = self.inner.lock();
        self.inner.stop(&mut child)?;
        self.inner.launch(&mut child)
    }

    /// Stops every process of the server where it is (`SIGSTOP`): connects succeed, as the system
    /// takes them, but nothing is answered.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn hang(&self) -> Result<(), ServerError> {
        processes::stop(self.inner.first(&self.inner.lock())?);
        Ok(())
    }

    /// Stops only the process that takes new connections: they hang in the login while those that
    /// exist go on. `MySql` and `PgBouncer` are one process, so there it is the same as
    /// [`hang`](Self::hang).
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn hang_logins(&self) -> Result<(), ServerError> {
        processes::stop_each(&[self.inner.first(&self.inner.lock())?]);
        Ok(())
    }

    /// Stops the process that serves one connection of PostgreSQL.
    ///
    /// # Errors
    ///
    /// When the server is down, or has no such process.
    pub fn hang_backend(&self, id: u32) -> Result<(), ServerError> {
        processes::stop_each(&[self.inner.backend(id)?]);
        Ok(())
    }

    /// Lets everything that hangs go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn resume(&self) -> Result<(), ServerError> {
        processes::resume(self.inner.first(&self.inner.lock())?);
        Ok(())
    }

    /// Kills one connection from the server's side. PostgreSQL takes the death of a process as a
    /// crash: it ends all other connections too and answers again a moment later. MariaDB and MySQL
    /// end only the one.
    ///
    /// # Errors
    ///
    /// When the server is down, or has no such connection.
    pub fn kill_backend(&self, id: u32) -> Result<(), ServerError> {
        if self.inner.recipe.kind == Kind::MySql {
            self.query(&format!("KILL {id}"))?;
            return Ok(());
        }
        processes::signal(self.inner.backend(id)?, Signal::KILL);
        Ok(())
    }

    /// What its processes take of the machine's memory.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn memory(&self) -> Result<Memory, ServerError> {
        let first = self.inner.first(&self.inner.lock())?;
        Ok(memory::of(&processes::tree(first)))
    }

    /// Runs a call that blocks aside from the runtime:
    ///
    /// ```no_run
    /// # async fn example(server: pool_servers::Server) -> Result<(), pool_servers::ServerError> {
    /// use pool_servers::Server;
    ///
    /// server.aside(Server::kill).await?;
    /// server.aside(Server::restart).await
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// A call that has begun goes on to its end; the server lives at least as long.
    ///
    /// # Panics
    ///
    /// When the call does, and outside of a runtime.
    pub async fn aside<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let shared = Self {
            inner: Arc::clone(&self.inner),
        };
        off_the_runtime(move || call(&shared)).await
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> &'static str {
        self.recipe.kind.name()
    }

    fn socket(&self) -> PathBuf {
        self.recipe.kind.socket(self.folder.path(), self.port)
    }

    fn session(&self, (user, database): (&str, &str)) -> Result<Session, SessionError> {
        let endpoint = Endpoint::Socket(self.socket());
        Session::open(self.recipe.kind.protocol(), &endpoint, user, database)
    }

    fn first(&self, child: &Option<Child>) -> Result<Pid, ServerError> {
        child
            .as_ref()
            .map(Pid::from_child)
            .ok_or(ServerError::Down {
                server: self.name(),
            })
    }

    fn backend(&self, id: u32) -> Result<Pid, ServerError> {
        let first = self.first(&self.lock())?;
        processes::child(first, id).ok_or(ServerError::NoBackend {
            server: self.name(),
            id,
        })
    }

    /// Starts the process and waits until it answers.
    fn launch(&self, child: &mut Option<Child>) -> Result<(), ServerError> {
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
                    self.identity.get_or_init(|| self.identity(session));
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
            self.kill(child);
            let log = self.folder.log_tail();
            return Err(ServerError::Failed {
                server: self.name(),
                what,
                log,
            });
        }
    }

    /// What the server calls itself.
    fn identity(&self, mut session: Session) -> (&'static str, String) {
        match self.recipe.kind {
            Kind::PgBouncer => {
                let shown = session.query("SHOW VERSION").unwrap_or_default();
                let version = shown
                    .into_iter()
                    .flatten()
                    .flatten()
                    .next()
                    .unwrap_or_default();
                (
                    self.name(),
                    version.trim_start_matches("PgBouncer ").to_owned(),
                )
            }
            Kind::MySql if session.version().contains("MariaDB") => {
                ("MariaDB", session.version().to_owned())
            }
            Kind::MySql | Kind::Postgres => {
                let version = session.version().split(' ').next().unwrap_or_default();
                (self.name(), version.to_owned())
            }
        }
    }

    fn stop(&self, child: &mut Option<Child>) -> Result<(), ServerError> {
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
                self.kill(child);
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
    fn kill(&self, child: &mut Option<Child>) {
        let Some(mut running) = child.take() else {
            return;
        };
        processes::kill(Pid::from_child(&running));
        let _ = running.wait();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let child = self
            .child
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.kill(&mut { child });
    }
}

fn describe(status: ExitStatus) -> String {
    status.signal().map_or_else(
        || status.to_string(),
        |signal| format!("killed by signal {signal}"),
    )
}

/// Runs a call that blocks on a thread for such calls.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the runtime ended: {error}"),
        },
    }
}
