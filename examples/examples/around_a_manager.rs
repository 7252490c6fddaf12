//! A manager around another: what other pools have hooks for.
//!
//! ```sh
//! cargo run -p pool-examples --example around_a_manager
//! ```
//!
//! `connect`, `condition`, `recycle` and `close` are the steps of a connection's life, so whatever is to be
//! done at one of them is done there, before or after the other manager's. An error of yours has the
//! consequences of one of its own. Hand on all methods: those left out would have their defaults.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::time::Instant;

use pool_core::{Condition, Interrupter, Manager, Pool, Severity};
use pool_sqlite::{SqliteConfig, SqliteManager};

/// Tells of each step.
struct Told<M>(M);

impl<M: Manager> Manager for Told<M> {
    type Connection = M::Connection;
    type Error = M::Error;

    /// The rest of it runs after each connect, and is bounded by `connect_timeout` with it.
    async fn connect(&self) -> Result<M::Connection, M::Error> {
        let began = Instant::now();
        let conn = self.0.connect().await?;
        println!("opened in {:?}", began.elapsed());
        Ok(conn)
    }

    async fn validate(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        self.0.validate(conn).await
    }

    /// After a return, if `condition` asks for it, and before somebody else gets the connection.
    async fn recycle(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        println!("brought back to a fresh state");
        self.0.recycle(conn).await
    }

    /// At each checkout and each return, on the fast path: a look at a flag, no more.
    fn condition(&self, conn: &mut M::Connection) -> Condition {
        self.0.condition(conn)
    }

    async fn close(&self, conn: M::Connection) {
        println!("closing");
        self.0.close(conn).await;
    }

    fn interrupter(&self, conn: &M::Connection) -> Option<Interrupter> {
        self.0.interrupter(conn)
    }

    fn severity(&self, error: &M::Error) -> Severity {
        self.0.severity(error)
    }

    fn concerns_all(&self, error: &M::Error) -> bool {
        self.0.concerns_all(error)
    }

    fn name(&self) -> Cow<'_, str> {
        self.0.name()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manager = Told(SqliteManager::new(SqliteConfig::memory()));
    let pool = Pool::builder(manager)
        .min_size(1)
        .max_size(1)
        .connect()
        .await?;
    for _ in 0..2 {
        let mut conn = pool.get().await?;
        // Gone when the next one gets the connection.
        conn.interact(|sqlite| sqlite.execute_batch("CREATE TEMP TABLE mine (n)"))
            .await?;
    }
    println!("{}", pool.stats());
    pool.close().await;
    Ok(())
}
