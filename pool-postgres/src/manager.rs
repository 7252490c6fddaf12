//! What the pool asks of PostgreSQL.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pool_core::{Cause, Condition, ConfigError, Interrupter, Manager, Severity};
use tokio_postgres::config::TargetSessionAttrs;

use crate::config::PgConfig;
use crate::connection::PgConnection;
use crate::error::PgError;
use crate::hosts::Hosts;
use crate::target::{Target, within};

/// Opens, checks and resets connections to one PostgreSQL database.
#[derive(Clone)]
pub struct PgManager {
    config: PgConfig,
    startup: tokio_postgres::Config,
    hosts: Arc<Hosts>,
    name: String,
}

impl PgManager {
    /// A manager for the database of `config`. Connects to nothing yet.
    pub fn new(config: PgConfig) -> Self {
        Self {
            startup: config.startup(),
            hosts: Arc::new(Hosts::new(&config)),
            name: config.name(),
            config,
        }
    }

    /// A manager for the database of a URL; see [`PgConfig`].
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        url.parse().map(Self::new)
    }

    /// A session on one server, if it is of the kind that is wanted.
    async fn open(
        &self,
        target: &Target,
        startup: &tokio_postgres::Config,
    ) -> Result<PgConnection, PgError> {
        let mut conn = PgConnection::open(target, startup, &self.config).await?;
        let made = async {
            conn.initialise(&self.config).await?;
            conn.must_be(startup.get_target_session_attrs()).await
        };
        match made.await {
            Ok(()) => Ok(conn),
            Err(error) => {
                conn.close().await;
                Err(error)
            }
        }
    }

    /// Whether a server is of no use that takes no writes. One that has begun to take them goes on
    /// to be read from.
    fn wants_writes(&self) -> bool {
        self.startup.get_target_session_attrs() == TargetSessionAttrs::ReadWrite
    }

    /// Whether the server of this connection may take no writes any more, though they are wanted.
    fn is_suspect(&self, conn: &PgConnection) -> bool {
        self.wants_writes() && conn.has_refused_write()
    }

    /// Whether another server would say the same to this user; another's certificate may be in order.
    fn is_final(&self, error: &PgError) -> bool {
        self.severity(error) == Severity::Permanent && error.cause() != Cause::Tls
    }

    /// The driver's settings with the password of now.
    async fn startup_now(&self) -> Result<Cow<'_, tokio_postgres::Config>, PgError> {
        let Some(provider) = &self.config.password_provider else {
            return Ok(Cow::Borrowed(&self.startup));
        };
        let password = provider.ask().await.map_err(|error| PgError::Password {
            address: self.name.clone(),
            error,
        })?;
        let mut startup = self.startup.clone();
        startup.password(password);
        Ok(Cow::Owned(startup))
    }
}

impl Manager for PgManager {
    type Connection = PgConnection;
    type Error = PgError;

    async fn connect(&self) -> Result<PgConnection, PgError> {
        if let Some(problem) = self.config.problem() {
            return Err(ConfigError::from(problem).into());
        }
        let startup = self.startup_now().await?;
        let (limit, mut failed) = (self.hosts.limit(), None);
        for host in self.hosts.in_order() {
            let try_of_host = self.hosts.begin(host);
            let targets = match within(limit, host, self.hosts.targets(host)).await {
                Ok(targets) => targets,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for target in targets {
                let try_of_target = self.hosts.begin(&target);
                match within(limit, &target, self.open(&target, &startup)).await {
                    Ok(conn) => {
                        try_of_target.succeed();
                        try_of_host.succeed();
                        return Ok(conn);
                    }
                    Err(error) if self.is_final(&error) => return Err(error),
                    Err(error) => failed = Some(error),
                }
            }
        }
        Err(failed.unwrap_or_else(|| PgError::Unreachable {
            address: self.name.clone(),
            error: std::io::ErrorKind::AddrNotAvailable.into(),
        }))
    }

    async fn validate(&self, conn: &mut PgConnection) -> Result<(), PgError> {
        if self.wants_writes() {
            conn.must_be(TargetSessionAttrs::ReadWrite).await
        } else {
            conn.ping().await
        }
    }

    async fn recycle(&self, conn: &mut PgConnection) -> Result<(), PgError> {
        let is_suspect = self.is_suspect(conn);
        conn.reset(&self.config).await?;
        if is_suspect {
            conn.must_be(TargetSessionAttrs::ReadWrite).await?;
        }
        Ok(())
    }

    fn condition(&self, conn: &mut PgConnection) -> Condition {
        match conn.condition(&self.config.recycle) {
            Condition::Ready if self.is_suspect(conn) => Condition::NeedsRecycle,
            condition => condition,
        }
    }

    async fn close(&self, conn: PgConnection) {
        conn.close().await;
    }

    fn interrupter(&self, conn: &PgConnection) -> Option<Interrupter> {
        Some(conn.interrupter())
    }

    fn severity(&self, error: &PgError) -> Severity {
        match error.cause() {
            // The next password may be another.
            Cause::Authentication if self.config.password_provider.is_some() => Severity::Transient,
            cause => cause.severity(),
        }
    }

    /// A switchover does not break the connections to the server that was the primary.
    fn concerns_all(&self, error: &PgError) -> bool {
        error.cause() == Cause::ReadOnly
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

impl fmt::Debug for PgManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgManager")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
