//! A throw-away MariaDB, or the MySQL that `POOL_MYSQLD` names.

use std::any::Any;
use std::time::Duration;

use pool_benches::options::Backend;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::mysql_async::{Conn, Opts, OptsBuilder};
use pool_mysql::{MySqlConfig, MySqlConnection, MySqlManager};
use pool_servers::{FaultProxy, MySql as Builder, Server};

use super::postgres::first_number;
use super::{Subject, aside, hold_and_work};
use crate::Failure;

pub(crate) struct MySql {
    server: Server,
    config: MySqlConfig,
}

impl MySql {
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let server = aside(|| Builder::new().for_connections(1_000).start())?;
        // The bare driver, beside which connections are opened, has no limit for a statement.
        let config = MySqlConfig::from_url(&server.url())?.statement_timeout(None);
        Ok(Self { server, config })
    }
}

impl Subject for MySql {
    type Manager = MySqlManager;

    fn server(&self) -> String {
        format!("{} {}", self.server.name(), self.server.version())
    }

    fn manager(&self) -> MySqlManager {
        MySqlManager::new(self.config.clone())
    }

    async fn bare(&self) -> Result<Box<dyn Any + Send>, Failure> {
        let opts = OptsBuilder::from_opts(Opts::from_url(&self.server.url())?);
        Ok(Box::new(Conn::new(opts.prefer_socket(false)).await?))
    }

    async fn query(&self, conn: &mut MySqlConnection) -> Result<(), Failure> {
        conn.query_drop("SELECT 1").await?;
        Ok(())
    }

    async fn slow_query(&self, conn: &mut MySqlConnection, time: Duration) -> Result<(), Failure> {
        let sql = format!("SELECT SLEEP({})", time.as_secs_f64());
        conn.query_drop(sql).await?;
        Ok(())
    }

    fn proxy(&self) -> Option<Result<(FaultProxy, MySqlManager), Failure>> {
        let through = || {
            let proxy = FaultProxy::before(&self.server)?;
            let config = MySqlConfig::from_url(&self.server.url_at(proxy.address()))?;
            Ok((proxy, MySqlManager::new(config)))
        };
        Some(through())
    }

    fn stop(&self) -> Result<(), Failure> {
        Ok(aside(|| self.server.kill())?)
    }

    fn start(&self) -> Result<(), Failure> {
        Ok(aside(|| self.server.restart())?)
    }

    /// Without the connection that asks.
    fn open_now(&self) -> Result<usize, Failure> {
        let sql = "SELECT count(*) - 1 FROM information_schema.processlist WHERE user = 'root'";
        aside(|| first_number(&self.server, sql))
    }

    async fn kill(&self, conn: &mut MySqlConnection) -> Result<(), Failure> {
        let id = conn.id();
        aside(|| self.server.query(&format!("KILL {id}")))?;
        Ok(())
    }

    fn refuses_url(&self, url: &str) -> Option<String> {
        MySqlConfig::from_url(url)
            .err()
            .map(|error| error.to_string())
    }

    async fn extreme(connections: usize) -> Result<pool_benches::report::Report, Failure> {
        let workload = pool_benches::backend::mysql::MySql::prepare(None, connections);
        hold_and_work(workload.await?, Backend::Mysql, connections).await
    }
}
