//! Opens connections for one manager, and stops statements from a connection on the side.
//!
//! What all connections share is kept once: the driver's options (a copy of them for each would
//! cost more memory than all else of ours) and what the server said of itself.

use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, IoError, Opts, OptsBuilder, Row};
use pool_core::Cause;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::MySqlConfig;
use crate::error::MySqlError;
use crate::server::{Answer, Flavour, Limits, ServerInfo};

/// How long stopping a statement may take, the connect for it included.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How many connections may be open to stop statements at the same time.
const STOPPING: usize = 2;

pub(crate) struct Connector {
    pub(crate) config: MySqlConfig,
    /// `mysql://host:3306/db`: the pool's name, and what errors name.
    pub(crate) address: Arc<str>,
    /// The options of the last connect, with its password and what was learnt of the server.
    last_opts: Mutex<Opts>,
    /// The server of the last connect.
    last_server: Mutex<Option<Arc<ServerInfo>>>,
    /// [`Answer::set_role`] of the last connect.
    last_set_role: Mutex<Option<String>>,
    /// A server was reached that took writes.
    pub(crate) has_reached_primary: AtomicBool,
    stopping: Semaphore,
    began: Instant,
}

/// A connection, as the server numbers it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: u32,
    pub(crate) server: Arc<ServerInfo>,
    /// [`Connector::now`] when it was opened.
    pub(crate) opened: u32,
}

/// A connection that was opened.
pub(crate) struct Reached {
    pub(crate) conn: Conn,
    pub(crate) server: Arc<ServerInfo>,
    pub(crate) takes_writes: bool,
}

/// What is to be stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// The statement that runs; the connection stays.
    Statement,
    /// The connection and what runs on it.
    Connection,
}

impl Connector {
    pub(crate) fn new(config: MySqlConfig) -> Self {
        Self {
            address: config.address().into(),
            last_opts: Mutex::new(config.opts.clone()),
            last_server: Mutex::new(None),
            last_set_role: Mutex::new(None),
            has_reached_primary: AtomicBool::new(false),
            stopping: Semaphore::new(STOPPING),
            began: Instant::now(),
            config,
        }
    }

    /// The server of the last connect.
    pub(crate) fn server(&self) -> Option<Arc<ServerInfo>> {
        lock(&self.last_server).clone()
    }

    pub(crate) fn sql_after_reset(&self, flavour: Flavour) -> String {
        let set_role = lock(&self.last_set_role);
        self.config.sql_after_reset(flavour, set_role.as_deref())
    }

    /// Opens a connection and learns which server it has reached.
    pub(crate) async fn connect(&self) -> Result<Reached, MySqlError> {
        // Most servers are of the kind of the last: asking and setting up are one round trip then.
        let expected = self.server().map(|server| server.flavour());
        let set_up = expected.and_then(|flavour| self.config.sql_after_connect(flavour));
        let (mut conn, answer) = self.open(set_up.as_deref()).await?;
        self.has_reached_primary
            .fetch_or(answer.takes_writes, Relaxed);
        if answer.set_role.is_some() {
            *lock(&self.last_set_role) = answer.set_role;
        }
        let server = self.shared(answer.server);
        let set_up = match answer.set_up {
            Some(result) if expected == Some(server.flavour()) => result,
            _ => match self.config.sql_after_connect(server.flavour()) {
                Some(sql) => conn.query_drop(sql).await,
                None => Ok(()),
            },
        };
        set_up.map_err(|error| MySqlError::connecting(error, &self.address))?;
        Ok(Reached {
            conn,
            server,
            takes_writes: answer.takes_writes,
        })
    }

    /// The server that was reached, once for all connections to it.
    fn shared(&self, server: ServerInfo) -> Arc<ServerInfo> {
        let mut last = lock(&self.last_server);
        if let Some(known) = &*last
            && **known == server
        {
            return Arc::clone(known);
        }
        tracing::info!(address = %self.address, %server, "connected");
        Arc::clone(last.insert(Arc::new(server)))
    }

    /// Whole seconds, rounded up, since this was made.
    pub(crate) fn now(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_secs() + 1).unwrap_or(u32::MAX)
    }

    /// Stops what runs on a connection. Failing is no error: the statement may have ended by itself,
    /// and the server may be gone.
    pub(crate) async fn stop(&self, target: &Target, what: Stop) {
        let id = target.id;
        let stopped = timeout(STOP_PATIENCE, async {
            let _turn = self.stopping.acquire().await;
            let (mut conn, answer) = self.open(None).await?;
            // Behind one address may be several servers, each with a connection of this number; and a
            // server that was restarted since numbers them from the beginning.
            let is_it =
                answer.server == *target.server && !self.has_restarted(&mut conn, target).await;
            let result = if is_it {
                let sql = match what {
                    Stop::Statement => format!("KILL QUERY {id}"),
                    Stop::Connection => format!("KILL {id}"),
                };
                conn.query_drop(sql).await
            } else {
                tracing::warn!(address = %self.address, id, "not stopped: another server answers");
                Ok(())
            };
            let _quit = conn.disconnect().await;
            result.map_err(MySqlError::from)
        });
        match stopped.await {
            Ok(Ok(())) => tracing::debug!(address = %self.address, id, ?what, "stopped"),
            Ok(Err(error)) => {
                tracing::debug!(address = %self.address, id, ?what, %error, "not stopped");
            }
            Err(_) => tracing::debug!(address = %self.address, id, ?what, "not stopped in time"),
        }
    }

    /// Whether the server of `conn` runs for less time than the connection does.
    async fn has_restarted(&self, conn: &mut Conn, target: &Target) -> bool {
        let seconds = self.began.elapsed().as_secs();
        let age = seconds.saturating_sub(u64::from(target.opened));
        let told = conn.query_first("SHOW GLOBAL STATUS LIKE 'Uptime'").await;
        let told: Option<Row> = told.unwrap_or_default();
        let uptime: Option<u64> = told.and_then(|row| row.get_opt(1)?.ok());
        uptime.is_some_and(|uptime| uptime < age)
    }

    /// Opens a connection, asks the server, and runs `set_up`.
    async fn open(&self, set_up: Option<&str>) -> Result<(Conn, Answer), MySqlError> {
        let opts = self.opts().await?;
        #[cfg(feature = "rustls")]
        if opts.ssl_opts().is_some() {
            choose_provider();
        }
        let mut conn = match Conn::new(opts).await {
            Ok(conn) => conn,
            Err(error) => return Err(self.explained(error).await),
        };
        match ServerInfo::ask(&mut conn, set_up).await {
            Ok(answer) => {
                if let Some(limits) = answer.limits {
                    self.learn(limits);
                }
                Ok((conn, answer))
            }
            Err(error) => Err(MySqlError::connecting(error, &self.address)),
        }
    }

    /// What one connection has learnt the driver need not ask the next: connecting is a round trip
    /// shorter. A setting that was changed on the server takes effect one connection later.
    fn learn(&self, limits: Limits) {
        let given = &self.config.opts;
        let packet = given.max_allowed_packet().or(Some(limits.packet));
        let idle = given.wait_timeout().or(Some(limits.idle));
        let mut last = lock(&self.last_opts);
        if (last.max_allowed_packet(), last.wait_timeout()) != (packet, idle) {
            *last = OptsBuilder::from_opts(last.clone())
                .max_allowed_packet(packet)
                .wait_timeout(idle)
                .into();
        }
    }

    /// The driver's options with the password of now.
    async fn opts(&self) -> Result<Opts, MySqlError> {
        let Some(provider) = &self.config.password_provider else {
            return Ok(lock(&self.last_opts).clone());
        };
        let password = provider
            .ask()
            .await
            .map_err(|error| MySqlError::password(error, &self.address))?;
        let mut last = lock(&self.last_opts);
        if last.pass() != Some(&password) {
            *last = OptsBuilder::from_opts(last.clone())
                .pass(Some(password))
                .into();
        }
        Ok(last.clone())
    }

    /// A name that cannot be resolved has no error kind of its own: it is looked up once more. And
    /// what is not found where there is no socket is a file of the TLS settings.
    async fn explained(&self, error: mysql_async::Error) -> MySqlError {
        let opts = &self.config.opts;
        if let mysql_async::Error::Io(IoError::Io(error)) = &error
            && error.kind() == ErrorKind::NotFound
            && opts.socket().is_none()
        {
            return MySqlError::certificate(error, &self.address);
        }
        let from_system = matches!(
            &error,
            mysql_async::Error::Io(IoError::Io(error)) if error.raw_os_error().is_some()
        );
        let io = matches!(error, mysql_async::Error::Io(_));
        let error = MySqlError::connecting(error, &self.address);
        let over_tcp = opts.socket().is_none() && opts.resolved_ips().is_none();
        if io && !from_system && over_tcp && error.cause() == Cause::Other {
            let host = (opts.ip_or_hostname(), opts.tcp_port());
            if let Err(unresolved) = tokio::net::lookup_host(host).await {
                return MySqlError::dns(unresolved, &self.address);
            }
        }
        error
    }
}

/// rustls panics where two providers are built and none was chosen; the program's choice stands.
#[cfg(feature = "rustls")]
fn choose_provider() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker, which is as good.
        let _chosen = ring::default_provider().install_default();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
