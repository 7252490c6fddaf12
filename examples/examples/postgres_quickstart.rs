//! A pool on a PostgreSQL server: connect, ask, look at the figures, close.
//!
//! ```sh
//! DATABASE_URL=postgres://app@localhost/app cargo run -p pool-examples --example postgres_quickstart
//! ```
//!
//! Look at the transaction that is left open: the pool sees it on the wire and rolls it back before
//! anybody else gets the connection.

#![forbid(unsafe_code)]

use pool_postgres::{PgManager, Pool};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "set DATABASE_URL")?;
    let pool = Pool::builder(PgManager::from_url(&url)?)
        .max_size(8)
        .connect()
        .await?;

    let conn = pool.get().await?;
    let row = conn.query_one("SELECT version()", &[]).await?;
    println!("{}", row.get::<_, String>(0));
    conn.batch_execute("BEGIN").await?;
    drop(conn);

    let conn = pool.get().await?;
    let row = conn
        .query_one("SELECT now() = statement_timestamp()", &[])
        .await?;
    println!("outside of a transaction again: {}", row.get::<_, bool>(0));
    drop(conn);

    println!("{}; {} recycled", pool.stats(), pool.stats().recycle.count);
    println!("{}", pool.close().await);
    Ok(())
}
