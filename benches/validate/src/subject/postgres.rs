//! A throw-away PostgreSQL.

use std::any::Any;
use std::time::Duration;

use pool_benches::options::Backend;
use pool_postgres::tokio_postgres::{self, NoTls};
use pool_postgres::{PgConfig, PgConnection, PgManager};
use pool_servers::{FaultProxy, Postgres as Builder, Server};

use super::{Subject, aside, hold_and_work};
use crate::Failure;

/// What the sessions of this side call themselves: the pool's by default, and so the others'.
const APPLICATION: &str = "pool-postgres";

pub(crate) struct Postgres {
    server: Server,
    config: PgConfig,
}

impl Postgres {
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let server = aside(|| Builder::new().for_connections(1_000).start())?;
        let config = server.url().parse()?;
        Ok(Self { server, config })
    }
}

impl Subject for Postgres {
    type Manager = PgManager;

    fn server(&self) -> String {
        format!("{} {}", self.server.name(), self.server.version())
    }

    fn manager(&self) -> PgManager {
        PgManager::new(self.config.clone())
    }

    async fn bare(&self) -> Result<Box<dyn Any + Send>, Failure> {
        let mut config: tokio_postgres::Config = self.server.url().parse()?;
        config.application_name(APPLICATION);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(Box::new(client))
    }

    async fn query(&self, conn: &mut PgConnection) -> Result<(), Failure> {
        conn.simple_query("SELECT 1").await?;
        Ok(())
    }

    async fn slow_query(&self, conn: &mut PgConnection, time: Duration) -> Result<(), Failure> {
        let sql = format!("SELECT pg_sleep({})", time.as_secs_f64());
        conn.simple_query(&sql).await?;
        Ok(())
    }

    fn proxy(&self) -> Option<Result<(FaultProxy, PgManager), Failure>> {
        let through = || {
            let proxy = FaultProxy::before(&self.server)?;
            let manager = PgManager::from_url(&self.server.url_at(proxy.address()))?;
            Ok((proxy, manager))
        };
        Some(through())
    }

    fn stop(&self) -> Result<(), Failure> {
        Ok(aside(|| self.server.kill())?)
    }

    fn start(&self) -> Result<(), Failure> {
        Ok(aside(|| self.server.restart())?)
    }

    fn open_now(&self) -> Result<usize, Failure> {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{APPLICATION}'"
        );
        super::aside(|| first_number(&self.server, &sql))
    }

    async fn kill(&self, conn: &mut PgConnection) -> Result<(), Failure> {
        let row = conn.query_one("SELECT pg_backend_pid()", &[]).await?;
        let id: i32 = row.get(0);
        aside(|| {
            self.server
                .query(&format!("SELECT pg_terminate_backend({id})"))
        })?;
        Ok(())
    }

    fn refuses_url(&self, url: &str) -> Option<String> {
        url.parse::<PgConfig>().err().map(|error| error.to_string())
    }

    async fn extreme(connections: usize) -> Result<pool_benches::report::Report, Failure> {
        let workload = pool_benches::backend::postgres::Postgres::prepare(None, connections);
        hold_and_work(workload.await?, Backend::Postgres, connections).await
    }
}

/// The first field of the first row.
pub(super) fn first_number(server: &Server, sql: &str) -> Result<usize, Failure> {
    let rows = server.query(sql)?;
    let field = rows.first().and_then(|row| row.first()?.clone());
    Ok(field.ok_or("no answer")?.parse()?)
}
