//! What the pool asks of PostgreSQL.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pool_core::{Condition, Interrupter, Manager, Severity};
use tokio_postgres::config::TargetSessionAttrs;

use crate::config::{PgConfig, Recycle};
use crate::connection::PgConnection;
use crate::error::{ErrorKind, PgError};
use crate::target::Target;
use crate::tls::Tls;

/// Opens, checks and resets connections to one PostgreSQL database.
#[derive(Clone)]
pub struct PgManager {
    config: PgConfig,
    startup: tokio_postgres::Config,
    tls: Arc<Tls>,
    name: String,
}

impl PgManager {
    /// A manager for the database of `config`. Connects to nothing yet.
    pub fn new(config: PgConfig) -> Self {
        Self {
            startup: config.startup(),
            tls: Arc::new(config.tls.clone()),
            name: config.name(),
            config,
        }
    }

    /// A manager for the database of a URL; see [`PgConfig`].
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn from_url(url: &str) -> Result<Self, PgError> {
        url.parse().map(Self::new)
    }

    fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        let ports = self.startup.get_ports();
        self.startup
            .get_hosts()
            .iter()
            .enumerate()
            .map(move |(place, host)| {
                let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
                Target::new(host, port, &self.tls)
            })
    }

    /// Whether the server at the other end is of the kind that is wanted.
    async fn is_wanted(&self, conn: &PgConnection) -> Result<bool, PgError> {
        let read_only = match self.startup.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => false,
            TargetSessionAttrs::ReadOnly => true,
            _ => return Ok(true),
        };
        let answer = conn.simple_query("SHOW transaction_read_only").await?;
        let is_read_only = answer.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
            _ => false,
        });
        Ok(is_read_only == read_only)
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

    fn always_resets(&self) -> bool {
        self.config.recycle == Recycle::Always
    }
}

impl Manager for PgManager {
    type Connection = PgConnection;
    type Error = PgError;

    async fn connect(&self) -> Result<PgConnection, PgError> {
        let startup = self.startup_now().await?;
        let mut failed = None;
        for target in self.targets() {
            match PgConnection::open(target, &startup, self.config.statement_cache).await {
                Ok(conn) if self.is_wanted(&conn).await? => return Ok(conn),
                Ok(conn) => {
                    failed = Some(PgError::ReadOnly {
                        address: conn.target().to_string(),
                    });
                }
                // Another host will say the same to this user.
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| PgError::Unreachable {
            address: "no host".to_owned(),
            error: std::io::ErrorKind::AddrNotAvailable.into(),
        }))
    }

    async fn validate(&self, conn: &mut PgConnection) -> Result<(), PgError> {
        conn.ping().await
    }

    async fn recycle(&self, conn: &mut PgConnection) -> Result<(), PgError> {
        conn.reset(self.always_resets()).await
    }

    fn condition(&self, conn: &mut PgConnection) -> Condition {
        conn.condition(self.always_resets())
    }

    async fn close(&self, conn: PgConnection) {
        conn.close().await;
    }

    fn interrupter(&self, conn: &PgConnection) -> Option<Interrupter> {
        Some(conn.interrupter())
    }

    fn severity(&self, error: &PgError) -> Severity {
        match error.severity() {
            // The next password may be another.
            Severity::Permanent
                if error.kind() == ErrorKind::Authentication
                    && self.config.password_provider.is_some() =>
            {
                Severity::Transient
            }
            severity => severity,
        }
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
