//! A real MariaDB or MySQL server: the user's, or a throw-away one with room for what is asked for.
//!
//! A question reads one row by its key over the text protocol, and compares what it got.

use pool_core::ConfigError;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{MySqlConfig, MySqlConnection, MySqlError, MySqlManager};
use pool_servers::{FaultProxy, MySql as Builder, Server as ThrowAway, ServerError};

use super::{QueryError, Workload};
use crate::report::Server;
use crate::room::{self, NoRoom, Share};

/// Rows of the table that questions are asked of.
const ROWS: u64 = 1_000;

/// A server with the bench's table in it.
#[derive(Debug)]
pub struct MySql {
    config: MySqlConfig,
    name: String,
    version: String,
    /// Stopped and removed when the run is over.
    server: Option<ThrowAway>,
    proxy: Option<FaultProxy>,
}

/// The server cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No throw-away server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// So many do not fit the machine or the server.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No proxy.
    #[error("cannot start a proxy: {0}")]
    Proxy(#[from] std::io::Error),
    /// The URL is not one.
    #[error(transparent)]
    Url(#[from] ConfigError),
    /// The server refused.
    #[error(transparent)]
    Database(#[from] MySqlError),
}

impl MySql {
    /// Starts a throw-away server with room for `connections`, or makes the table `pool_load` on the
    /// user's.
    ///
    /// # Errors
    ///
    /// When there is no server, so many do not fit, or it cannot be written to.
    pub async fn prepare(url: Option<&str>, connections: usize) -> Result<Self, PrepareError> {
        let room = u32::try_from(connections)
            .unwrap_or(u32::MAX)
            .saturating_add(20);
        let server = if url.is_none() {
            room::for_throw_away(connections, SHARE)?;
            Some(Builder::new().for_connections(room).start_async().await?)
        } else {
            None
        };
        let throw_away = server.as_ref().map(ThrowAway::socket_url);
        let url = throw_away.as_deref().or(url).unwrap_or_default();
        let config = MySqlConfig::from_url(url)?;
        if server.is_none() {
            expect_room(&config, connections).await?;
        }
        let (name, version) = fill(&config).await?;
        Ok(Self {
            config,
            name,
            version,
            server,
            proxy: None,
        })
    }

    /// The same by way of a proxy whose network can be broken.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn behind_a_proxy(mut self) -> Result<Self, PrepareError> {
        if let Some(server) = &self.server {
            let proxy = FaultProxy::before(server)?;
            let url = server.url_at(proxy.address());
            self.config = MySqlConfig::from_url(&url)?;
            self.proxy = Some(proxy);
        }
        Ok(self)
    }
}

impl Workload for MySql {
    type Manager = MySqlManager;

    fn manager(&self) -> MySqlManager {
        MySqlManager::new(self.config.clone())
    }

    async fn query(&self, connection: &mut MySqlConnection, key: u64) -> Result<(), QueryError> {
        let key = key % ROWS;
        let sql = format!("SELECT answer FROM pool_load WHERE id = {key}");
        let found: Option<String> = connection.query_first(sql).await?;
        if found.as_deref() == Some(&*format!("answer {key}")) {
            Ok(())
        } else {
            Err(format!("row {key} says {found:?}").into())
        }
    }

    /// What the throw-away server itself counts, without the connection that asks.
    fn open_now(&self) -> Option<usize> {
        let sql = "SELECT count(*) - 1 FROM information_schema.processlist WHERE user = 'root'";
        let rows = self.server.as_ref()?.query(sql).ok()?;
        rows.first()?.first()?.as_ref()?.parse().ok()
    }

    fn descriptors_per_connection(&self) -> usize {
        1
    }

    fn breakable(&self) -> Option<(&ThrowAway, &FaultProxy)> {
        Some((self.server.as_ref()?, self.proxy.as_ref()?))
    }

    fn server_memory(&self) -> Option<u64> {
        let memory = self.server.as_ref()?.memory().ok()?;
        Some(memory.proportional_bytes)
    }

    fn server(&self) -> Server {
        Server {
            name: self.name.clone(),
            version: self.version.clone(),
            setup: "a query reads one row by its key".to_owned(),
        }
    }
}

/// A thread of the server for each connection.
const SHARE: Share = Share {
    bytes: 90_000,
    processes: 1,
};

/// Asks the user's server whether it takes so many.
async fn expect_room(config: &MySqlConfig, connections: usize) -> Result<(), PrepareError> {
    use pool_core::Manager;

    let manager = MySqlManager::new(config.clone());
    let mut conn = manager.connect().await?;
    let most = conn.query_first("SELECT @@max_connections").await;
    let used = conn
        .query_first("SHOW STATUS LIKE 'Threads_connected'")
        .await;
    manager.close(conn).await;
    let most: Option<usize> = most.map_err(MySqlError::from)?;
    let used: Option<(String, usize)> = used.map_err(MySqlError::from)?;
    // The one that asks is gone by then.
    let used = used.map_or(0, |(_, used)| used.saturating_sub(1));
    let how = "SET GLOBAL max_connections = …, and in its configuration";
    Ok(room::on_server(
        connections,
        most.unwrap_or(usize::MAX),
        used,
        how,
    )?)
}

/// Writes the rows and says which server it is.
async fn fill(config: &MySqlConfig) -> Result<(String, String), MySqlError> {
    use pool_core::Manager;

    let manager = MySqlManager::new(config.clone());
    let mut conn = manager.connect().await?;
    conn.query_drop(
        "CREATE TABLE IF NOT EXISTS pool_load (id BIGINT PRIMARY KEY, answer TEXT NOT NULL)",
    )
    .await?;
    let rows: Vec<_> = (0..ROWS)
        .map(|key| format!("({key}, 'answer {key}')"))
        .collect();
    let rows = rows.join(", ");
    conn.query_drop(format!("INSERT IGNORE INTO pool_load VALUES {rows}"))
        .await?;
    let server = manager.server();
    manager.close(conn).await;
    let told = server.map(|server| (server.flavour().to_string(), server.version().to_owned()));
    Ok(told.unwrap_or_else(|| ("MySQL".to_owned(), "unknown".to_owned())))
}
