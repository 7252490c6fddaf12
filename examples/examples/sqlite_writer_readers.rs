//! One writer and many readers: forty tasks write and read the same SQLite file, and none of them
//! ever finds the database locked.
//!
//! ```sh
//! cargo run -p pool-examples --example sqlite_writer_readers
//! ```
//!
//! Look at how long writers waited: in the pool's queue, in order, not for SQLite's lock.

#![forbid(unsafe_code)]

use pool_sqlite::{SqliteConfig, SqliteManager, SqlitePools};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join("pool-writer-readers.db");
    let db = SqlitePools::new(SqliteManager::new(SqliteConfig::file(file)), 8)?;
    let mut writer = db.writer().get().await?;
    writer
        .interact(|sqlite| {
            sqlite.execute_batch("DROP TABLE IF EXISTS t; CREATE TABLE t (task INTEGER)")
        })
        .await?;
    drop(writer);

    let mut tasks = JoinSet::new();
    for task in 0..40 {
        let db = db.clone();
        tasks.spawn(async move {
            for _ in 0..25 {
                let mut writer = db.writer().get().await?;
                writer
                    .interact(move |sqlite| sqlite.execute("INSERT INTO t VALUES (?1)", [task]))
                    .await?;
                drop(writer);
                let mut reader = db.readers().get().await?;
                reader
                    .interact(|sqlite| {
                        sqlite.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
                    })
                    .await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?.map_err(|error| error as Box<dyn std::error::Error>)?;
    }
    println!(
        "writer:  {}; wait {}",
        db.writer().stats(),
        db.writer().stats().wait
    );
    println!(
        "readers: {}; wait {}",
        db.readers().stats(),
        db.readers().stats().wait
    );
    for report in db.close().await {
        println!("{report}");
    }
    Ok(())
}
