//! Locks: nobody who could end a wait ever stands behind those who wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pool_core::{Condition, Manager};
use pool_sqlite::rusqlite::Connection;
use pool_sqlite::{JournalMode, SqliteConfig, SqliteConnection, SqliteError, SqliteManager};
use tokio::task::JoinSet;

use crate::{Fixture, PATIENCE, batch, number, pending, rows, soon, until};

const WAITERS: usize = 24;

/// Fewer threads than there are waiters: two to work, one spare, one for upkeep, two for those who
/// hold a lock.
fn few_threads(config: SqliteConfig) -> SqliteConfig {
    config.workers(2).spare_workers(1).busy_timeout(PATIENCE)
}

const MOST_THREADS: usize = 2 + 1 + 1 + 2;

/// Starts [`WAITERS`] connections that each want to write, and waits until as many as possible do.
async fn start_waiters(manager: &SqliteManager, first: &'static str) -> JoinSet<()> {
    let before = manager.worker_stats().waiting_for_lock;
    // Opening needs a worker, too.
    let mut conns = Vec::new();
    for _ in 0..WAITERS {
        let mut conn = manager.connect().await.unwrap();
        batch(&mut conn, first).await;
        conns.push(conn);
    }
    let mut waiters = JoinSet::new();
    for mut conn in conns {
        waiters.spawn(async move {
            batch(&mut conn, "INSERT INTO t (v) VALUES (2)").await;
            if !first.is_empty() {
                batch(&mut conn, "COMMIT").await;
            }
        });
    }
    // Two workers and one set aside wait; the others have no thread to wait on.
    until(|| {
        let stats = manager.worker_stats();
        stats.waiting_for_lock >= before + 3 && stats.queued >= WAITERS - 4
    })
    .await;
    waiters
}

async fn finish(mut waiters: JoinSet<()>) {
    while let Some(done) = soon(waiters.join_next()).await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_never_queues_behind_those_who_wait_for_its_lock() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(few_threads);
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1)").await;
    let waiters = start_waiters(&manager, "").await;

    soon(batch(&mut holder, "COMMIT")).await;
    finish(waiters).await;
    assert_eq!(rows(&mut holder).await, 1 + i64::try_from(WAITERS).unwrap());
    let stats = manager.worker_stats();
    assert!(stats.peak_threads <= MOST_THREADS, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_that_waits_for_a_lock_does_not_take_the_lane_of_its_holder() {
    let fixture = Fixture::new().await;
    let writes = Arc::new(AtomicBool::new(false));
    let manager = fixture.manager(|config| {
        let writes = Arc::clone(&writes);
        let hook = move |c: &mut Connection| {
            if writes.load(Ordering::SeqCst) {
                c.execute_batch("INSERT INTO t (v) VALUES (2)")?;
            }
            Ok(())
        };
        few_threads(config)
            .workers(1)
            .spare_workers(0)
            .on_connect(hook)
    });
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1)").await;
    writes.store(true, Ordering::SeqCst);
    let mut connects = JoinSet::new();
    for _ in 0..WAITERS {
        let manager = manager.clone();
        connects.spawn(async move { drop(manager.connect().await.unwrap()) });
    }
    until(|| manager.worker_stats().waiting_for_lock >= 2).await;

    soon(batch(&mut holder, "COMMIT")).await;
    finish(connects).await;
    let stats = manager.worker_stats();
    assert!(stats.peak_threads <= 1 + 1 + 2, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_only_declared_does_not_take_the_lane_of_one_that_holds_the_lock() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(few_threads);
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1)").await;
    let waiters = start_waiters(&manager, "BEGIN").await;

    soon(batch(&mut holder, "INSERT INTO t (v) VALUES (1); COMMIT")).await;
    finish(waiters).await;
    let stats = manager.worker_stats();
    assert!(stats.peak_threads <= MOST_THREADS, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_rollback_journal_the_reader_a_commit_waits_for_can_finish() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| few_threads(config).journal_mode(JournalMode::Delete));
    let mut reader = manager.connect().await.unwrap();
    batch(&mut reader, "BEGIN DEFERRED; SELECT count(*) FROM t").await;
    let mut writer = manager.connect().await.unwrap();
    batch(&mut writer, "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES (1)").await;
    let waiters = start_waiters(&manager, "").await;
    let commit = tokio::spawn(async move { batch(&mut writer, "COMMIT").await });
    until(|| manager.worker_stats().waiting_for_lock >= 4).await;

    soon(batch(&mut reader, "COMMIT")).await;
    soon(commit).await.unwrap();
    finish(waiters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_for_a_lock_do_not_keep_readers_from_working() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| few_threads(config).workers(1).spare_workers(1));
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE").await;
    let mut waiter = manager.connect().await.unwrap();
    let waiting =
        tokio::spawn(async move { batch(&mut waiter, "INSERT INTO t (v) VALUES (2)").await });
    until(|| manager.worker_stats().waiting_for_lock == 1).await;

    let mut reader = manager.connect().await.unwrap();
    assert_eq!(soon(rows(&mut reader)).await, 0);
    soon(batch(&mut holder, "COMMIT")).await;
    soon(waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_lock_ends_at_once_when_its_call_is_dropped() {
    let fixture = Fixture::new().await;
    let hour = Duration::from_secs(3600);
    let manager = fixture.manager(|config| config.busy_timeout(hour));
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE").await;
    let mut waiter = manager.connect().await.unwrap();
    let mut waiting = Box::pin(batch(&mut waiter, "INSERT INTO t (v) VALUES (2)"));
    pending(&mut waiting).await;
    until(|| manager.worker_stats().waiting_for_lock == 1).await;
    drop(waiting);

    soon(manager.recycle(&mut waiter)).await.unwrap();
    assert_eq!(manager.condition(&mut waiter), Condition::Ready);
    assert_eq!(manager.worker_stats().waiting_for_lock, 0);
}

#[tokio::test]
async fn a_lock_held_longer_than_the_busy_timeout_is_an_error_of_its_own() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.busy_timeout(Duration::from_millis(5)));
    let mut holder = manager.connect().await.unwrap();
    batch(&mut holder, "BEGIN IMMEDIATE").await;
    let mut other = manager.connect().await.unwrap();
    let error = other
        .interact(|c| c.execute("INSERT INTO t (v) VALUES (2)", []))
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, SqliteError::Busy(_)) && error.is_transient(),
        "{error}"
    );
    assert_eq!(manager.condition(&mut other), Condition::Ready);
}

#[tokio::test]
async fn a_read_transaction_that_comes_too_late_to_write_says_so() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config);
    let mut late = manager.connect().await.unwrap();
    batch(&mut late, "BEGIN DEFERRED; SELECT count(*) FROM t").await;
    let mut other = manager.connect().await.unwrap();
    batch(&mut other, "INSERT INTO t (v) VALUES (1)").await;
    let error = late
        .interact(|c| c.execute("INSERT INTO t (v) VALUES (2)", []))
        .await;
    let error = error.unwrap_err();
    assert!(matches!(error, SqliteError::StaleSnapshot(_)), "{error}");
}

#[tokio::test]
async fn a_transaction_of_the_driver_begins_immediate() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.busy_timeout(Duration::ZERO));
    let mut conn = manager.connect().await.unwrap();
    let mut other = manager.connect().await.unwrap();
    batch(&mut other, "BEGIN IMMEDIATE").await;
    let begin = conn.interact(|c| c.transaction().map(drop)).await;
    assert!(matches!(begin, Err(SqliteError::Busy(_))), "{begin:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_share_few_threads() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(few_threads);
    let mut conns: Vec<SqliteConnection> = Vec::new();
    for _ in 0..300 {
        conns.push(manager.connect().await.unwrap());
    }
    let mut work = JoinSet::new();
    for mut conn in conns {
        work.spawn(async move {
            batch(&mut conn, "INSERT INTO t (v) VALUES (1)").await;
            number(&mut conn, "SELECT count(*) > 0 FROM t").await;
        });
    }
    finish(work).await;
    let stats = manager.worker_stats();
    assert!(stats.peak_threads <= MOST_THREADS, "{stats:?}");
}

#[tokio::test]
async fn a_connection_dropped_with_its_lock_is_closed_before_those_who_wait_for_that() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.workers(2).spare_workers(0));
    let mut holder = manager.connect().await.unwrap();
    let insert =
        |c: &mut pool_sqlite::rusqlite::Connection| c.execute_batch("INSERT INTO t (v) VALUES (1)");
    holder
        .interact(|c| c.execute_batch("BEGIN IMMEDIATE"))
        .await
        .unwrap();
    let mut writers = Vec::new();
    for _ in 0..2 {
        let mut conn = manager.connect().await.unwrap();
        writers.push(tokio::spawn(async move { conn.interact(insert).await }));
    }
    until(|| manager.worker_stats().waiting_for_lock == 2).await;
    drop(holder);
    for writer in writers {
        soon(writer).await.unwrap().unwrap();
    }
}
