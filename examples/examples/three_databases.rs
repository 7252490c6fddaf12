//! One application over three databases: orders in PostgreSQL, a catalogue in MySQL or MariaDB,
//! settings in SQLite; with one look at all of them, and one shutdown.
//!
//! ```sh
//! cargo run -p pool-examples --example three_databases
//! ```
//!
//! `ORDERS_URL` and `CATALOGUE_URL` name servers of yours; without, throw-away ones are started.

#![forbid(unsafe_code)]

use std::time::Duration;

use pool_core::Pools;
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{MySqlManager, Pool as MySqlPool};
use pool_postgres::{PgManager, Pool as PgPool};
use pool_servers::{MySql, Postgres, Server};
use pool_sqlite::{Pool as SqlitePool, SqliteConfig, SqliteManager};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a request needs.
struct Shop {
    orders: PgPool,
    catalogue: MySqlPool,
    settings: SqlitePool,
}

impl Shop {
    /// Buys an article: its price from the catalogue, the discount from the settings.
    async fn buy(&self, article: &str) -> Result<i64, Failure> {
        let mut catalogue = self.catalogue.get().await?;
        let sql = "SELECT price FROM articles WHERE name = ?";
        let price: Option<i64> = catalogue.exec_first(sql, (article,)).await?;
        // Given back before the next one is asked for: who holds one and waits for another may wait
        // for long.
        drop(catalogue);
        let price = price.ok_or("no such article")?;

        let mut settings = self.settings.get().await?;
        let sql = "SELECT value FROM settings WHERE name = 'discount'";
        let discount: i64 = settings
            .interact(move |settings| settings.query_row(sql, [], |row| row.get(0)))
            .await?;
        drop(settings);

        let orders = self.orders.get().await?;
        let paid = price - discount;
        let sql = "INSERT INTO orders (article, paid) VALUES ($1, $2)";
        orders.execute(sql, &[&article, &paid]).await?;
        Ok(paid)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // What was started for this run is removed at its end.
    let mut started = Vec::new();
    let orders = match std::env::var("ORDERS_URL") {
        Ok(url) => url,
        Err(_) => kept(&mut started, Postgres::new().start_async().await?),
    };
    let catalogue = match std::env::var("CATALOGUE_URL") {
        Ok(url) => url,
        Err(_) => kept(&mut started, MySql::new().start_async().await?),
    };
    let orders = PgManager::from_url(&orders)?;
    let catalogue = MySqlManager::from_url(&catalogue)?;
    let shop = Shop {
        orders: PgPool::builder(orders).connect().await?,
        catalogue: MySqlPool::builder(catalogue).connect().await?,
        settings: SqlitePool::builder(SqliteManager::new(SqliteConfig::memory())).build()?,
    };
    fill(&shop).await?;

    let pools = Pools::new();
    pools.insert("orders", shop.orders.clone());
    pools.insert("catalogue", shop.catalogue.clone());
    pools.insert("settings", shop.settings.clone());

    println!("paid {}", shop.buy("kettle").await?);
    println!("paid {}", shop.buy("teapot").await?);
    println!("{:?}", pools.health().status);
    for (name, stats) in pools.stats() {
        println!("{name:<10} {stats}; {} served", stats.acquired);
    }
    for (name, report) in pools.close_timeout(Duration::from_secs(5)).await {
        println!("{name:<10} {report}");
    }
    Ok(())
}

/// The address of a server that has been started.
fn kept(started: &mut Vec<Server>, server: Server) -> String {
    let url = server.url();
    started.push(server);
    url
}

/// Makes the tables.
async fn fill(shop: &Shop) -> Result<(), Failure> {
    let sql = "CREATE TABLE IF NOT EXISTS orders (article text NOT NULL, paid bigint NOT NULL)";
    shop.orders.get().await?.batch_execute(sql).await?;
    let mut catalogue = shop.catalogue.get().await?;
    let sql = "CREATE TABLE IF NOT EXISTS articles (name VARCHAR(50) PRIMARY KEY, price BIGINT)";
    catalogue.query_drop(sql).await?;
    let sql = "REPLACE INTO articles VALUES ('kettle', 4500), ('teapot', 2900)";
    catalogue.query_drop(sql).await?;
    let sql = "CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER);
               INSERT INTO settings VALUES ('discount', 300)";
    let mut settings = shop.settings.get().await?;
    settings
        .interact(move |settings| settings.execute_batch(sql))
        .await?;
    Ok(())
}
