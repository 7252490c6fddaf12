//! A pool on a MySQL or MariaDB server: connect, ask, look at the figures, close.
//!
//! ```sh
//! DATABASE_URL=mysql://app@localhost/app cargo run -p pool-examples --example mysql_quickstart
//! ```
//!
//! Without `DATABASE_URL` it starts a throw-away MariaDB from the installed programs. Look at the
//! transaction that is left open: the pool sees it in the server's status and resets the connection
//! before anybody else gets it.

#![forbid(unsafe_code)]

use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{MySqlManager, Pool};
use pool_servers::MySql;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = match std::env::var("DATABASE_URL") {
        Ok(_) => None,
        Err(_) => Some(MySql::new().start_async().await?),
    };
    let url = match &server {
        Some(server) => server.url(),
        None => std::env::var("DATABASE_URL")?,
    };
    let pool = Pool::builder(MySqlManager::from_url(&url)?)
        .max_size(1)
        .connect()
        .await?;

    let mut conn = pool.get().await?;
    let version: Option<String> = conn.query_first("SELECT version()").await?;
    println!("{}", version.unwrap_or_default());
    conn.query_drop("START TRANSACTION").await?;
    drop(conn);

    let mut conn = pool.get().await?;
    let name: Option<String> = conn.query_first("SELECT current_user()").await?;
    println!("{}", name.unwrap_or_default());
    drop(conn);

    println!("{}; {} recycled", pool.stats(), pool.stats().recycle.count);
    println!("{}", pool.close().await);
    Ok(())
}
