use pool_core::testing::conformance::{Subject, check};
use pool_postgres::{PgConnection, PgManager};
use pool_servers::{FaultProxy, Server};

use crate::{config, server};

/// How the server is broken.
enum Breaks {
    Killed,
    Hung,
    CutOff,
}

struct Database {
    server: Server,
    proxy: FaultProxy,
    breaks: Breaks,
}

impl Subject for Database {
    type Manager = PgManager;

    fn manager(&self) -> PgManager {
        PgManager::new(config(&self.server.url_at(self.proxy.address())))
    }

    async fn exercise(&self, conn: &mut PgConnection) -> Result<(), String> {
        let row = conn
            .query_one("SELECT 6 * 7", &[])
            .await
            .map_err(|error| error.to_string())?;
        if row.get::<_, i32>(0) == 42 {
            Ok(())
        } else {
            Err("a wrong answer".to_owned())
        }
    }

    async fn soil(&self, conn: &mut PgConnection) -> bool {
        conn.batch_execute("SET work_mem = '64kB'; BEGIN")
            .await
            .is_ok()
    }

    async fn is_clean(&self, conn: &mut PgConnection) -> bool {
        // A second BEGIN in a transaction is a warning; a savepoint outside of one an error.
        let in_transaction = conn.batch_execute("SAVEPOINT s").await.is_ok();
        let row = conn.query_one("SHOW work_mem", &[]).await;
        !in_transaction && row.is_ok_and(|row| row.get::<_, &str>(0) != "64kB")
    }

    async fn occupy(&self, conn: &mut PgConnection) -> bool {
        let _ended = conn.batch_execute("SELECT pg_sleep(60)").await;
        true
    }

    async fn break_server(&self) -> bool {
        match self.breaks {
            Breaks::Killed => self.server.aside(Server::kill).await.unwrap(),
            Breaks::Hung => self.server.aside(Server::hang).await.unwrap(),
            Breaks::CutOff => {
                self.proxy.cut();
                self.proxy.refuse().unwrap();
            }
        }
        true
    }

    async fn restore_server(&self) {
        match self.breaks {
            Breaks::Killed => self.server.aside(Server::restart).await.unwrap(),
            Breaks::Hung => self.server.aside(Server::resume).await.unwrap(),
            Breaks::CutOff => self.proxy.forward().unwrap(),
        }
    }
}

async fn keeps_every_rule(breaks: Breaks) {
    let server = server().await;
    let proxy = FaultProxy::before(&server).unwrap();
    let kept = check(&Database {
        server,
        proxy,
        breaks,
    })
    .await;
    assert_eq!(kept.map(|kept| kept.len()), Ok(9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_its_server_is_killed() {
    keeps_every_rule(Breaks::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_its_server_hangs() {
    keeps_every_rule(Breaks::Hung).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_keeps_every_rule_when_it_is_cut_off() {
    keeps_every_rule(Breaks::CutOff).await;
}
