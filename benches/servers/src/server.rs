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
//! processes and removes its folder.
//!
//! Calls block, most of them for milliseconds, `restart` for up to a quarter of a second (and longer
//! on a busy machine). In a task, [`Server::aside`] runs one without holding the runtime up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;

use rustix::process::Signal;

use crate::certificates::Certificates;
use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::memory::{self, Memory};
use crate::port;
use crate::processes;
use crate::running::{Recipe, Running};
use crate::session::{Endpoint, Row, Session, SessionError};

/// How often a new port is drawn when another process took the last one.
const PORTS: usize = 5;

/// A throw-away server. Dropping it ends it and removes what it wrote.
#[derive(Debug)]
pub struct Server {
    running: Arc<Running>,
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
            let running = Running::down(recipe, port, Arc::clone(&folder));
            let launched = running.launch(&mut running.lock());
            attempts -= 1;
            match launched {
                Ok(()) => {
                    return Ok(Self {
                        running: Arc::new(running),
                    });
                }
                Err(error) if attempts == 0 || port::is_free(port) => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// What it is: `PostgreSQL`, `MariaDB`, `MySQL` or `PgBouncer`.
    pub fn name(&self) -> &'static str {
        self.running
            .identity
            .get()
            .map_or(self.running.recipe.kind.name(), |(name, _)| name)
    }

    /// Its version, as it tells it: `15.4`, `10.11.6-MariaDB`.
    pub fn version(&self) -> &str {
        self.running
            .identity
            .get()
            .map_or("", |(_, version)| version)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.running.recipe.kind
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        port::local(self.running.port)
    }

    /// For a driver, over TCP. The user may do everything and needs no password.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// For a driver, over TCP to another address: that of a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.running.recipe.kind.url(address)
    }

    /// For a driver, over the socket.
    pub fn socket_url(&self) -> String {
        self.running
            .recipe
            .kind
            .socket_url(self.running.folder.path(), self.running.port)
    }

    /// The file of the socket.
    pub fn socket(&self) -> PathBuf {
        self.running.socket()
    }

    /// What clients need for TLS; `None` when the server was started without.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.running.recipe.certificates.as_ref()
    }

    /// Everything the server has written to its log.
    pub fn log(&self) -> String {
        self.running.folder.log()
    }

    /// The number of its first process; `None` when it is down.
    pub fn id(&self) -> Option<u32> {
        self.running.lock().as_ref().map(Child::id)
    }

    /// A connection on the side, over the socket.
    ///
    /// # Errors
    ///
    /// When the server is down or does not let it in.
    pub fn session(&self) -> Result<Session, SessionError> {
        self.running.session(self.running.recipe.kind.guest())
    }

    /// A connection on the side, over TCP to this address: the server's own or that of a proxy.
    ///
    /// # Errors
    ///
    /// When the server is down or does not let it in.
    pub fn session_at(&self, address: SocketAddr) -> Result<Session, SessionError> {
        let kind = self.running.recipe.kind;
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
        self.running.session(self.running.recipe.kind.first_guest())
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
        self.running.stop(&mut self.running.lock())
    }

    /// Kills every process of the server at once, as an outage of its machine would; returns when
    /// none of them can act any more.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn kill(&self) -> Result<(), ServerError> {
        let mut child = self.running.lock();
        self.running.first(child.as_ref())?;
        Running::kill(&mut child);
        Ok(())
    }

    /// Stops the server if it is up and starts it on the same data, port and socket; returns when it
    /// answers.
    ///
    /// # Errors
    ///
    /// When it does not come up; the error holds what it wrote.
    pub fn restart(&self) -> Result<(), ServerError> {
        let mut child = self.running.lock();
        self.running.stop(&mut child)?;
        self.running.launch(&mut child)
    }

    /// Stops every process of the server where it is (`SIGSTOP`): connects succeed, as the system
    /// takes them, but nothing is answered.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn hang(&self) -> Result<(), ServerError> {
        processes::stop(self.running.first(self.running.lock().as_ref())?);
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
        processes::stop_each(&[self.running.first(self.running.lock().as_ref())?]);
        Ok(())
    }

    /// Stops the process that serves one connection of PostgreSQL.
    ///
    /// # Errors
    ///
    /// When the server is down, or has no such process.
    pub fn hang_backend(&self, id: u32) -> Result<(), ServerError> {
        processes::stop_each(&[self.running.backend(id)?]);
        Ok(())
    }

    /// Lets everything that hangs go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn resume(&self) -> Result<(), ServerError> {
        processes::resume(self.running.first(self.running.lock().as_ref())?);
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
        if self.running.recipe.kind == Kind::MySql {
            self.query(&format!("KILL {id}"))?;
            return Ok(());
        }
        processes::signal(self.running.backend(id)?, Signal::KILL);
        Ok(())
    }

    /// What its processes take of the machine's memory. Takes about half a millisecond a process.
    ///
    /// # Errors
    ///
    /// When the server is down.
    pub fn memory(&self) -> Result<Memory, ServerError> {
        let first = self.running.first(self.running.lock().as_ref())?;
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
            running: Arc::clone(&self.running),
        };
        off_the_runtime(move || call(&shared)).await
    }
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
