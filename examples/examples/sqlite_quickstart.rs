//! A pool on a SQLite file: open, write, read, look at the figures, close.
//!
//! ```sh
//! cargo run -p pool-examples --example sqlite_quickstart
//! ```
//!
//! Look at the call that is given up after 50 ms: its statement has no end, and really stops.

#![forbid(unsafe_code)]

use std::time::Duration;

use pool_sqlite::{Pool, SqliteConfig, SqliteManager};

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join("pool-quickstart.db");
    let pool = Pool::builder(SqliteManager::new(SqliteConfig::file(&file)))
        .max_size(8)
        .build()?;

    let mut conn = pool.get().await?;
    conn.interact(|sqlite| {
        sqlite.execute_batch(
            "CREATE TABLE IF NOT EXISTS visits (at INTEGER);
             INSERT INTO visits VALUES (unixepoch())",
        )
    })
    .await?;
    let visits: i64 = conn
        .interact(|sqlite| sqlite.query_row("SELECT count(*) FROM visits", [], |row| row.get(0)))
        .await?;
    println!("this program was run {visits} times on {}", file.display());

    let endless = conn.interact(|sqlite| sqlite.query_row(ENDLESS, [], |row| row.get::<_, i64>(0)));
    if tokio::time::timeout(Duration::from_millis(50), endless)
        .await
        .is_err()
    {
        println!("given up after 50 ms; the connection goes back and is reset");
    }
    drop(conn);

    println!("{}", pool.stats());
    println!("{}", pool.close().await);
    Ok(())
}
