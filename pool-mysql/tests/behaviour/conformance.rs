//! The rules that every manager keeps, with the server killed, hung and cut off.

use std::sync::Arc;
use std::time::Duration;

use pool_core::testing::conformance::{Subject, check};
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{MySqlConfig, MySqlConnection, MySqlManager, Recycle};
use pool_servers::{FaultProxy, MySql, Server};

use crate::soon;

#[derive(Debug, Clone, Copy)]
enum Outage {
    Killed,
    Hung,
    CutOff,
}

struct Real {
    server: Arc<Server>,
    proxy: FaultProxy,
    outage: Outage,
    recycle: Recycle,
}

impl Real {
    fn new(outage: Outage, recycle: Recycle) -> Self {
        let server = MySql::new().start().unwrap();
        server
            .query("CREATE USER app@'%' IDENTIFIED BY 'hunter2'")
            .unwrap();
        server.query("GRANT ALL ON *.* TO app@'%'").unwrap();
        server.query("CREATE TABLE pool.t (n INT)").unwrap();
        Self {
            proxy: FaultProxy::before(&server).unwrap(),
            server: Arc::new(server),
            outage,
            recycle,
        }
    }

    async fn aside(&self, act: impl FnOnce(&Server) + Send + 'static) {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || act(&server))
            .await
            .unwrap();
    }
}

impl Subject for Real {
    type Manager = MySqlManager;

    fn manager(&self) -> MySqlManager {
        let url = self.server.url_at(self.proxy.address());
        let url = url.replace("root@", "app:hunter2@");
        MySqlManager::new(
            MySqlConfig::from_url(&url)
                .unwrap()
                .recycle(self.recycle.clone()),
        )
    }

    async fn exercise(&self, conn: &mut MySqlConnection) -> Result<(), String> {
        match conn.query_first::<i64, _>("SELECT count(*) FROM t").await {
            Ok(Some(0)) => Ok(()),
            Ok(other) => Err(format!("{other:?} rows")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn soil(&self, conn: &mut MySqlConnection) -> bool {
        let sql = "BEGIN; INSERT INTO t VALUES (1)";
        conn.query_drop(sql).await.is_ok()
    }

    async fn is_clean(&self, conn: &mut MySqlConnection) -> bool {
        let rows = conn.query_first::<i64, _>("SELECT count(*) FROM t").await;
        matches!(rows, Ok(Some(0)))
    }

    async fn occupy(&self, conn: &mut MySqlConnection) -> bool {
        let _ended = conn.query_drop("SELECT SLEEP(60)").await;
        true
    }

    async fn break_server(&self) -> bool {
        match self.outage {
            Outage::Killed => self.aside(|server| server.kill().unwrap()).await,
            Outage::Hung => self.aside(|server| server.hang().unwrap()).await,
            Outage::CutOff => {
                self.proxy.refuse().unwrap();
                self.proxy.cut();
            }
        }
        true
    }

    async fn restore_server(&self) {
        match self.outage {
            Outage::Killed => self.aside(|server| server.restart().unwrap()).await,
            Outage::Hung => self.aside(|server| server.resume().unwrap()).await,
            Outage::CutOff => self.proxy.forward().unwrap(),
        }
    }

    fn patience(&self) -> Duration {
        match self.outage {
            Outage::Hung => Duration::from_millis(300),
            _ => Duration::from_secs(2),
        }
    }

    fn secret(&self) -> Option<String> {
        Some("hunter2".to_owned())
    }
}

async fn every_rule_is_kept(outage: Outage, recycle: Recycle) {
    let kept = soon(check(&Real::new(outage, recycle))).await;
    assert_eq!(kept.unwrap().len(), 10, "{outage:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_the_server_is_killed() {
    every_rule_is_kept(Outage::Killed, Recycle::Fast).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_the_server_hangs() {
    every_rule_is_kept(Outage::Hung, Recycle::Verified).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_it_is_cut_off() {
    every_rule_is_kept(Outage::CutOff, Recycle::Clean).await;
}
