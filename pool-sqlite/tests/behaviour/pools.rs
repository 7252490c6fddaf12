use std::time::Duration;

use pool_sqlite::{Pool, SqliteConfig, SqliteError, SqliteManager, SqlitePools};
use tokio::task::JoinSet;

use crate::{ENDLESS, Fixture, batch, number, rows, soon, until};

fn pool(fixture: &Fixture, max_size: usize) -> Pool {
    let manager = fixture.manager(|config| config);
    Pool::builder(manager)
        .min_size(0)
        .max_size(max_size)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkouts_and_calls_cancelled_at_any_moment_lose_nothing() {
    let fixture = Fixture::new().await;
    let pool = pool(&fixture, 4);
    let mut tasks = JoinSet::new();
    for task in 0..16_u64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for round in 0..60_u64 {
                let patience = Duration::from_micros((task * 131 + round * 379) % 3_000);
                let _cancelled = tokio::time::timeout(patience, async {
                    let mut conn = pool.get().await.unwrap();
                    let sql = "BEGIN; INSERT INTO t (v) VALUES (1); DELETE FROM t; COMMIT";
                    conn.interact(move |c| c.execute_batch(sql)).await
                })
                .await;
            }
        });
    }
    soon(tasks.join_all()).await;
    until(|| pool.stats().active == 0).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut conn = pool.get().await.unwrap();
        assert_eq!(rows(&mut conn).await, 0, "no half of a transaction is left");
        all.push(conn);
    }
    drop(all);
    assert!(pool.close().await.is_complete());
}

#[tokio::test]
async fn a_transaction_left_open_is_gone_for_the_next_user() {
    let fixture = Fixture::new().await;
    let pool = pool(&fixture, 1);
    batch(
        &mut pool.get().await.unwrap(),
        "BEGIN; INSERT INTO t (v) VALUES (1)",
    )
    .await;
    assert_eq!(rows(&mut pool.get().await.unwrap()).await, 0);
    assert_eq!(pool.stats().connects, 1, "recycled, not replaced");
}

#[tokio::test]
async fn closing_interrupts_what_does_not_end_by_itself() {
    let fixture = Fixture::new().await;
    let pool = pool(&fixture, 1);
    let endless = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut conn = pool.get().await.unwrap();
            conn.interact(|c| c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0)))
                .await
        }
    });
    until(|| pool.stats().active == 1).await;
    let report = soon(pool.close_timeout(Duration::from_millis(50))).await;
    assert!(report.is_complete() && report.interrupted == 1, "{report}");
    let error = endless.await.unwrap().unwrap_err();
    assert!(matches!(error, SqliteError::Interrupted), "{error:?}");
}

#[tokio::test]
async fn a_memory_database_outlives_each_of_its_connections() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let pool = Pool::builder(manager)
        .min_size(0)
        .max_size(2)
        .build()
        .unwrap();
    batch(
        &mut pool.get().await.unwrap(),
        "CREATE TABLE t (v); INSERT INTO t VALUES (7)",
    )
    .await;
    pool.retire_all();
    until(|| pool.stats().total == 0).await;
    assert_eq!(
        number(&mut pool.get().await.unwrap(), "SELECT v FROM t").await,
        7
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_queue_for_the_one_writer_and_none_finds_the_database_locked() {
    let fixture = Fixture::new().await;
    let db = SqlitePools::new(fixture.manager(|c| c.busy_timeout(Duration::ZERO)), 4).unwrap();
    db.ready().await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..40 {
        let db = db.clone();
        tasks.spawn(async move {
            let mut conn = db.writer().get().await.unwrap();
            batch(
                &mut conn,
                "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1); COMMIT",
            )
            .await;
            drop(conn);
            rows(&mut db.readers().get().await.unwrap()).await
        });
    }
    for seen in soon(tasks.join_all()).await {
        assert!(seen >= 1, "a reader sees what was committed before");
    }
    assert_eq!(rows(&mut db.readers().get().await.unwrap()).await, 40);
    assert_eq!(db.writer().stats().max_size, 1);
    assert_ne!(db.writer().name(), db.readers().name());
    assert!(
        db.close()
            .await
            .iter()
            .all(pool_sqlite::pool_core::CloseReport::is_complete)
    );
}

#[tokio::test]
async fn readers_read_while_a_write_is_open_and_cannot_write() {
    let fixture = Fixture::new().await;
    let db = SqlitePools::new(fixture.manager(|c| c), 2).unwrap();
    let mut writer = db.writer().get().await.unwrap();
    batch(&mut writer, "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1)").await;
    let mut reader = db.readers().get().await.unwrap();
    assert_eq!(rows(&mut reader).await, 0);
    let refused = reader
        .interact(|c| c.execute("INSERT INTO t (v) VALUES (2)", []))
        .await;
    assert!(refused.unwrap_err().to_string().contains("readonly"));
    batch(&mut writer, "COMMIT").await;
    assert_eq!(rows(&mut reader).await, 1);
}
