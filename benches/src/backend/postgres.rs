//! A real PostgreSQL server: the user's, or a throw-away one with room for what is asked for.
//!
//! A question reads one row by its key over a prepared statement's simple form, and compares what
//! it got.

use pool_core::ConfigError;
use pool_postgres::{PgConfig, PgConnection, PgError, PgManager};
use pool_servers::{FaultProxy, Postgres as Builder, Server as ThrowAway, ServerError};

use super::{QueryError, Workload};
use crate::report::Server;
use crate::room::{self, NoRoom, Share};

/// Rows of the table that questions are asked of.
const ROWS: u64 = 1_000;

/// A server with the bench's table in it.
#[derive(Debug)]
pub struct Postgres {
    config: PgConfig,
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
    Database(#[from] PgError),
}

impl Postgres {
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
        let config: PgConfig = url.parse()?;
        if server.is_none() {
            expect_room(&config, connections).await?;
        }
        let version = fill(&config).await?;
        Ok(Self {
            config,
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
            self.config = url.parse()?;
            self.proxy = Some(proxy);
        }
        Ok(self)
    }
}

impl Workload for Postgres {
    type Manager = PgManager;

    fn manager(&self) -> PgManager {
        PgManager::new(self.config.clone())
    }

    async fn query(&self, connection: &mut PgConnection, key: u64) -> Result<(), QueryError> {
        use tokio_postgres::SimpleQueryMessage::Row;

        let key = key % ROWS;
        let sql = format!("SELECT answer FROM pool_load WHERE key = {key}");
        let answers = connection.simple_query(&sql).await?;
        let found = answers.iter().find_map(|message| match message {
            Row(row) => row.get(0),
            _ => None,
        });
        if found == Some(answer(key).as_str()) {
            Ok(())
        } else {
            Err(format!("row {key} says {found:?}").into())
        }
    }

    /// What the throw-away server itself counts.
    fn open_now(&self) -> Option<usize> {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool-postgres'";
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
            name: "PostgreSQL".to_owned(),
            version: self.version.clone(),
            setup: "a query reads one row by its key".to_owned(),
        }
    }
}

/// A server process for each connection, with what it shares counted in parts.
const SHARE: Share = Share {
    bytes: 1_830_000,
    processes: 1,
};

/// Asks the user's server whether it takes so many.
async fn expect_room(config: &PgConfig, connections: usize) -> Result<(), PrepareError> {
    use pool_core::Manager;

    let manager = PgManager::new(config.clone());
    let conn = manager.connect().await?;
    let sql = "SELECT current_setting('max_connections')::int8, \
               current_setting('superuser_reserved_connections')::int8 - 1 \
               + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')";
    let row = conn.query_one(sql, &[]).await.map_err(PgError::from)?;
    let number = |place| usize::try_from(row.get::<_, i64>(place)).unwrap_or(0);
    let how = "ALTER SYSTEM SET max_connections = …, then restart it";
    let room = room::on_server(connections, number(0), number(1), how);
    manager.close(conn).await;
    Ok(room?)
}

/// Writes the rows and says which server it is.
async fn fill(config: &PgConfig) -> Result<String, PgError> {
    use pool_core::Manager;

    let manager = PgManager::new(config.clone());
    let conn = manager.connect().await?;
    conn.batch_execute(&format!(
        "CREATE TABLE IF NOT EXISTS pool_load (key bigint PRIMARY KEY, answer text NOT NULL); \
         INSERT INTO pool_load SELECT key, 'answer ' || key FROM generate_series(0, {ROWS} - 1) key \
         ON CONFLICT DO NOTHING; ANALYZE pool_load"
    ))
    .await?;
    let row = conn.query_one("SHOW server_version", &[]).await?;
    let version = row.get(0);
    manager.close(conn).await;
    Ok(version)
}

/// What the row of `key` says.
fn answer(key: u64) -> String {
    format!("answer {key}")
}
