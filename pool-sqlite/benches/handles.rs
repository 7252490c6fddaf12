//! What a handle costs: memory, descriptors, time to open, to read first, to close.
//!
//! `cargo bench -p pool-sqlite --bench handles -- [COUNT]` (default 9,900). The SQLite build flags
//! in `.cargo/config.toml` are what this measures; `LIBSQLITE3_FLAGS=" "` in the environment shows
//! SQLite's own.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says where")]

use std::time::Instant;

use pool_core::Manager;
use pool_sqlite::{JournalMode, SqliteConfig, SqliteManager};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let count = arguments
        .iter()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(9_900);
    let dir = tempfile::tempdir().unwrap();
    let file = SqliteConfig::file(dir.path().join("bench.db"));
    let rows = [
        ("file, WAL", file.clone()),
        (
            "file, rollback journal",
            file.journal_mode(JournalMode::Delete),
        ),
        ("memory", SqliteConfig::memory()),
    ];
    for (name, config) in rows {
        if arguments.iter().any(|arg| arg == name) {
            return row(name, config, count).await;
        }
        if arguments
            .iter()
            .all(|arg| !arg.contains(',') && arg != "memory")
        {
            if name == "file, WAL" {
                println!(
                    "{count} handles           open µs  first read  KiB opened  KiB used  \
                     descriptors  close µs"
                );
            }
            // Memory that a row has freed would flatter the next: each is a process of its own.
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args([name, &count.to_string()]).status().unwrap();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
async fn row(name: &str, config: SqliteConfig, count: usize) {
    let manager = SqliteManager::new(config);
    let mut first = manager.connect().await.unwrap();
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)";
    first
        .interact(move |c| c.execute_batch(schema))
        .await
        .unwrap();
    let (rss, fds) = (rss_kib(), descriptors());
    let per = |start: Instant| start.elapsed().as_micros() as f64 / count as f64;

    let start = Instant::now();
    let mut conns = Vec::with_capacity(count);
    for _ in 0..count {
        match manager.connect().await {
            Ok(conn) => conns.push(conn),
            Err(error) => return println!("{name}: after {} handles: {error}", conns.len()),
        }
    }
    let open = per(start);
    let opened = (rss_kib() - rss) as f64 / count as f64;

    let start = Instant::now();
    for conn in &mut conns {
        let read = conn.interact(|c| {
            c.prepare_cached("SELECT v FROM t WHERE id = 1")?
                .query_row([], |row| row.get::<_, i64>(0))
        });
        if let Err(error) = read.await {
            return println!("{name}: {error}");
        }
    }
    let read = per(start);
    let used = (rss_kib() - rss) as f64 / count as f64;
    let each = (descriptors() - fds) as f64 / count as f64;

    let start = Instant::now();
    for conn in conns {
        manager.close(conn).await;
    }
    let close = per(start);
    println!(
        "{name:<24}{open:>8.0}{read:>12.0}{opened:>12.1}{used:>10.1}{each:>13.1}{close:>10.0}"
    );
}

fn rss_kib() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: i64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
