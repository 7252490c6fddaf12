//! What the pool asks of MySQL and MariaDB.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pool_core::{Condition, ConfigError, Interrupter, Manager, Severity};

use crate::config::MySqlConfig;
use crate::connection::MySqlConnection;
use crate::connector::Connector;
use crate::error::MySqlError;
use crate::server::ServerInfo;

/// Opens, checks and resets connections to one server.
///
/// Clones share what they know of it.
#[derive(Clone)]
pub struct MySqlManager {
    connector: Arc<Connector>,
}

impl MySqlManager {
    /// A manager for the server of `config`: a [`MySqlConfig`], or the driver's `Opts`. Connects to
    /// nothing yet.
    pub fn new(config: impl Into<MySqlConfig>) -> Self {
        Self {
            connector: Arc::new(Connector::new(config.into())),
        }
    }

    /// A manager for the server of a URL such as `mysql://app@localhost/shop`; see
    /// [`MySqlConfig::from_url`].
    ///
    /// # Errors
    ///
    /// If it is not the URL of a MySQL server.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        MySqlConfig::from_url(url).map(Self::new)
    }

    /// The server that the last connect has reached; `None` before the first.
    pub fn server(&self) -> Option<Arc<ServerInfo>> {
        self.connector.server()
    }
}

impl Manager for MySqlManager {
    type Connection = MySqlConnection;
    type Error = MySqlError;

    async fn connect(&self) -> Result<MySqlConnection, MySqlError> {
        MySqlConnection::open(Arc::clone(&self.connector)).await
    }

    async fn validate(&self, conn: &mut MySqlConnection) -> Result<(), MySqlError> {
        conn.validate().await
    }

    async fn recycle(&self, conn: &mut MySqlConnection) -> Result<(), MySqlError> {
        conn.recycle().await
    }

    fn condition(&self, conn: &mut MySqlConnection) -> Condition {
        conn.condition()
    }

    async fn close(&self, conn: MySqlConnection) {
        conn.close().await;
    }

    fn interrupter(&self, conn: &MySqlConnection) -> Option<Interrupter> {
        Some(conn.interrupter())
    }

    fn severity(&self, error: &MySqlError) -> Severity {
        error.severity(self.connector.config.password_provider.is_some())
    }

    /// A switchover does not break the connections to the server that was the primary.
    fn concerns_all(&self, error: &MySqlError) -> bool {
        error.is_of_demoted()
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.connector.address)
    }
}

impl fmt::Debug for MySqlManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlManager")
            .field("config", &self.connector.config)
            .field("server", &self.server())
            .finish()
    }
}
