//! Calls: where they run, how they are cancelled, what a panic costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use pool_core::{Condition, Manager};
use pool_sqlite::rusqlite::{self, Connection};
use pool_sqlite::{SqliteConfig, SqliteConnection, SqliteError, SqliteManager};

use crate::{ENDLESS, Fixture, batch, number, pending, rows, soon, until};

/// A call that says when it has begun, then runs a statement without end.
async fn endless(conn: &mut SqliteConnection, begun: mpsc::Sender<()>) -> Result<i64, SqliteError> {
    conn.interact(move |c| {
        let _ = begun.send(());
        c.query_row(ENDLESS, [], |row| row.get(0))
    })
    .await
}

#[tokio::test]
async fn a_call_runs_on_a_worker_and_returns_what_the_closure_returned() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let thread = conn
        .interact(|_| Ok(std::thread::current().name().map(str::to_owned)))
        .await
        .unwrap();
    assert_eq!(thread.as_deref(), Some("pool-sqlite"));
    assert_eq!(number(&mut conn, "SELECT 6 * 7").await, 42);
    let error = conn
        .interact(|c| c.execute_batch("SELEKT"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("syntax error"), "{error}");
}

#[tokio::test]
async fn a_dropped_call_stops_its_statement_and_the_connection_works_on() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (begun, has_begun) = mpsc::channel();
    let mut call = Box::pin(endless(&mut conn, begun));
    pending(&mut call).await;
    has_begun.recv().unwrap();
    drop(call);

    assert_eq!(soon(number(&mut conn, "SELECT 1")).await, 1);
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
}

#[tokio::test]
async fn a_call_dropped_before_it_began_never_does() {
    let manager = SqliteManager::new(SqliteConfig::memory().workers(1));
    let (mut first, mut second) = (
        manager.connect().await.unwrap(),
        manager.connect().await.unwrap(),
    );
    let (release, released) = mpsc::channel::<()>();
    let mut blocker = Box::pin(first.interact(move |_| {
        let _ = released.recv();
        Ok(())
    }));
    pending(&mut blocker).await;
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let mut call = Box::pin(second.interact(move |_| {
        flag.store(true, Ordering::SeqCst);
        Ok(())
    }));
    pending(&mut call).await;
    drop(call);
    release.send(()).unwrap();
    soon(blocker).await.unwrap();

    assert_eq!(soon(number(&mut second, "SELECT 1")).await, 1);
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_call_past_the_query_timeout_is_stopped_and_counted() {
    let timeout = Duration::from_millis(20);
    let manager = SqliteManager::new(SqliteConfig::memory().query_timeout(timeout));
    let mut conn = manager.connect().await.unwrap();
    let (begun, _has_begun) = mpsc::channel();
    let error = soon(endless(&mut conn, begun)).await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert_eq!(
        error.to_string(),
        "interrupted after the query timeout of 20ms"
    );
    assert_eq!(manager.worker_stats().query_timeouts, 1);

    let answer = conn.interact_timeout(None, |c| {
        c.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(soon(answer).await.unwrap(), 1);
}

#[tokio::test]
async fn an_interrupted_write_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let manager = fixture.manager(|config| config.query_timeout(Duration::from_millis(20)));
    let mut conn = manager.connect().await.unwrap();
    let write = conn.interact(|c| {
        c.execute_batch(
            "BEGIN; INSERT INTO t (v) VALUES (1);
             INSERT INTO t (v) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
             SELECT x FROM c",
        )
    });
    assert!(soon(write).await.unwrap_err().is_timeout());
    manager.recycle(&mut conn).await.unwrap();
    assert_eq!(rows(&mut conn).await, 0);
}

#[tokio::test]
async fn a_connection_whose_call_still_runs_is_handed_out_only_when_it_has_ended() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    // No statement: SQLite's interrupt finds nothing to stop.
    let mut call = Box::pin(conn.interact(move |_| {
        let _ = begun.send(());
        let _ = released.recv();
        Ok(())
    }));
    pending(&mut call).await;
    has_begun.recv().unwrap();
    drop(call);

    assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
    let mut recycle = Box::pin(manager.recycle(&mut conn));
    pending(&mut recycle).await;
    release.send(()).unwrap();
    soon(recycle).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
}

#[tokio::test]
async fn a_closure_between_two_statements_is_stopped_at_the_next() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let mut call = Box::pin(conn.interact(move |c| {
        let _ = begun.send(());
        let _ = released.recv();
        c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
    }));
    pending(&mut call).await;
    has_begun.recv().unwrap();
    // The interrupt of the drop meets no statement, and SQLite forgets it.
    drop(call);
    release.send(()).unwrap();

    soon(manager.recycle(&mut conn)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
}

#[tokio::test]
async fn a_panic_costs_its_connection_and_no_other() {
    let manager = SqliteManager::new(SqliteConfig::memory().workers(1));
    let (mut first, mut second) = (
        manager.connect().await.unwrap(),
        manager.connect().await.unwrap(),
    );
    let error = first
        .interact(|_| -> rusqlite::Result<()> { panic!("of {}", 7) })
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(&error, SqliteError::Panicked(message) if message == "of 7"),
        "{error}"
    );

    assert_eq!(manager.condition(&mut first), Condition::Broken);
    let error = first.interact(|_| Ok(())).await.unwrap_err();
    assert!(matches!(error, SqliteError::Closed), "{error}");
    assert!(manager.validate(&mut first).await.is_err());
    manager.close(first).await;
    assert_eq!(number(&mut second, "SELECT 1").await, 1);
}

#[tokio::test]
async fn the_interrupter_stops_what_somebody_else_runs() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let interrupter = manager.interrupter(&conn).unwrap();
    interrupter.interrupt().await;
    assert_eq!(
        number(&mut conn, "SELECT 1").await,
        1,
        "an idle connection is not harmed"
    );

    let (begun, has_begun) = mpsc::channel();
    let call = tokio::spawn(async move { endless(&mut conn, begun).await });
    until(|| has_begun.try_recv().is_ok()).await;
    // Once is not always enough: the closure may be on its way to the statement.
    until(|| {
        let interrupter = interrupter.clone();
        tokio::spawn(async move { interrupter.interrupt().await });
        call.is_finished()
    })
    .await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, SqliteError::Interrupted), "{error}");
}

/// Runs a call that is interrupted, once, when it waits for that between two statements. Nothing
/// it does must last.
async fn interrupted_between_statements<F>(fixture: &Fixture, call: F) -> Result<(), SqliteError>
where
    F: FnOnce(&mut Connection, &dyn Fn()) -> rusqlite::Result<()> + Send + 'static,
{
    let manager = fixture.manager(|config| config);
    let mut conn = manager.connect().await.unwrap();
    let interrupter = manager.interrupter(&conn).unwrap();
    let (go_on, told) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let mut call = Box::pin(conn.interact(move |c| {
        call(c, &|| {
            let _ = begun.send(());
            let _ = told.recv();
        })
    }));
    pending(&mut call).await;
    has_begun.recv().unwrap();
    let mut interrupt = Box::pin(interrupter.interrupt());
    pending(&mut interrupt).await;
    drop(interrupt);
    go_on.send(()).unwrap();
    let ended = soon(call).await;
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    assert_eq!(rows(&mut conn).await, 0);
    ended
}

#[tokio::test]
async fn an_interrupted_call_prepares_no_more_statements_but_rolls_back() {
    let fixture = Fixture::new().await;
    let ended = interrupted_between_statements(&fixture, |c, interrupted| {
        let transaction = c.transaction()?;
        transaction.execute("INSERT INTO t (v) VALUES (1)", [])?;
        interrupted();
        transaction.execute("INSERT INTO t (v) VALUES (2)", [])?;
        transaction.commit()
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(SqliteError::Interrupted)), "{ended:?}");
}

#[tokio::test]
async fn an_interrupted_call_that_repeats_a_short_prepared_statement_ends_soon() {
    let fixture = Fixture::new().await;
    let ended = interrupted_between_statements(&fixture, |c, interrupted| {
        let mut query = c.prepare("SELECT count(*) FROM t")?;
        interrupted();
        for _ in 0..1_000 {
            query.query_row([], |row| row.get::<_, i64>(0))?;
        }
        Ok(())
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(SqliteError::Interrupted)), "{ended:?}");
}

#[tokio::test]
async fn a_connection_dropped_in_mid_call_is_closed_when_the_call_has_ended() {
    struct Tell(mpsc::Sender<&'static str>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send("closed");
        }
    }
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (tell, told) = mpsc::channel();
    let tell_closed = Tell(tell.clone());
    let (release, released) = mpsc::channel::<()>();
    let mut call = Box::pin(conn.interact(move |c| {
        // Owned by the handle from here on.
        c.commit_hook(Some(move || {
            let _ = &tell_closed;
            false
        }))?;
        let _ = tell.send("begun");
        let _ = released.recv();
        let _ = tell.send("ended");
        Ok(())
    }));
    pending(&mut call).await;
    assert_eq!(told.recv(), Ok("begun"));
    drop(call);
    drop(conn);
    release.send(()).unwrap();

    assert_eq!(told.recv(), Ok("ended"));
    assert_eq!(told.recv(), Ok("closed"));
}

/// Says when it is dropped, and keeps whoever drops it until it is told to go on.
struct Blocks(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Drop for Blocks {
    fn drop(&mut self) {
        let _ = self.0.send(());
        let _ = self.1.recv();
    }
}

/// Registers something that makes the closing of the handle slow.
async fn closes_slowly(conn: &mut SqliteConnection) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begun, has_begun) = mpsc::channel();
    let (go_on, told) = mpsc::channel();
    let blocks = std::sync::Mutex::new(Blocks(begun, told));
    conn.interact(move |c| {
        c.create_collation("slow", move |a, b| {
            let _ = &blocks;
            a.cmp(b)
        })
    })
    .await
    .unwrap();
    (has_begun, go_on)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_up_on_a_slow_close_does_not_block_the_runtime() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (begun, go_on) = closes_slowly(&mut conn).await;
    let mut close = Box::pin(async move { manager.close(conn).await });
    pending(&mut close).await;
    begun.recv().unwrap();
    soon(tokio::spawn(async move { drop(close) }))
        .await
        .unwrap();
    drop(go_on);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupting_a_connection_that_closes_slowly_does_not_block_the_runtime() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (begun, go_on) = closes_slowly(&mut conn).await;
    let interrupter = manager.interrupter(&conn).unwrap();
    let busy = left_behind(&mut conn).await;
    drop(conn);
    drop(busy);
    begun.recv().unwrap();
    let interrupt =
        tokio::spawn(async move { pending(&mut Box::pin(interrupter.interrupt())).await });
    soon(interrupt).await.unwrap();
    drop(go_on);
}

#[tokio::test]
async fn an_unused_connection_may_be_dropped_outside_a_runtime() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let conn = manager.connect().await.unwrap();
    std::thread::spawn(move || drop(conn)).join().unwrap();
}

#[tokio::test]
async fn the_threads_end_with_the_last_connection() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let (tell, told) = mpsc::channel::<()>();
    conn.interact(move |_| {
        thread_local! {
            static AT_THE_END: std::cell::RefCell<Option<mpsc::Sender<()>>> =
                const { std::cell::RefCell::new(None) };
        }
        AT_THE_END.set(Some(tell));
        Ok(())
    })
    .await
    .unwrap();
    drop(manager);
    assert_eq!(
        number(&mut conn, "SELECT 1").await,
        1,
        "a connection needs no manager"
    );
    drop(conn);
    // The sender goes when its thread ends.
    assert!(told.recv().is_err());
}

/// A call that blocks its worker until something is sent, and whose future is dropped meanwhile.
async fn left_behind(conn: &mut SqliteConnection) -> mpsc::Sender<()> {
    let (go_on, told) = mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let call = conn.interact_timeout(None, move |c| {
        c.commit_hook(Some(|| true))?;
        let _ = begun.send(());
        let _ = told.recv();
        Ok(())
    });
    tokio::select! {
        _ = call => panic!("it blocks"),
        begun = has_begun => begun.unwrap(),
    }
    go_on
}

#[tokio::test]
async fn a_reset_that_was_asked_for_while_a_dropped_call_still_ended_is_made() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let go_on = left_behind(&mut conn).await;
    conn.reset_on_return();
    go_on.send(()).unwrap();
    soon(manager.recycle(&mut conn)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    // The hook of the session before would roll it back.
    soon(conn.interact(|c| c.execute_batch("CREATE TABLE t (x)")))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_wait_for_a_call_that_goes_on_is_part_of_the_next_ones_time() {
    let manager = SqliteManager::new(SqliteConfig::memory());
    let mut conn = manager.connect().await.unwrap();
    let go_on = left_behind(&mut conn).await;
    let limit = Duration::from_millis(1);
    let error = soon(conn.interact_timeout(limit, |_| Ok(())))
        .await
        .unwrap_err();
    assert!(matches!(error, SqliteError::Timeout(told) if told == limit));
    drop(go_on);
    soon(conn.interact(|_| Ok(()))).await.unwrap();
}

#[tokio::test]
async fn a_call_dropped_before_it_began_gives_its_connection_back_though_all_workers_are_busy() {
    let manager = SqliteManager::new(SqliteConfig::memory().workers(1));
    let mut busy = manager.connect().await.unwrap();
    let mut idle = manager.connect().await.unwrap();
    let _blocked = left_behind(&mut busy).await;
    let mut call = Box::pin(idle.interact(|_| Ok(())));
    pending(&mut call).await;
    assert_eq!(manager.worker_stats().queued, 1);
    drop(call);
    assert_eq!(manager.condition(&mut idle), Condition::Ready);
    assert_eq!(manager.worker_stats().queued, 0);
}

#[tokio::test]
async fn a_call_interrupted_before_it_began_says_so_though_all_workers_are_busy() {
    let manager = SqliteManager::new(SqliteConfig::memory().workers(1));
    let mut busy = manager.connect().await.unwrap();
    let mut idle = manager.connect().await.unwrap();
    let interrupter = manager.interrupter(&idle).unwrap();
    let _blocked = left_behind(&mut busy).await;
    let mut call = Box::pin(idle.interact(|_| Ok(())));
    pending(&mut call).await;
    soon(interrupter.interrupt()).await;
    let ended = soon(call).await;
    assert!(matches!(ended, Err(SqliteError::Interrupted)), "{ended:?}");
}

#[tokio::test]
async fn busy_workers_are_no_reason_to_think_a_connection_dead() {
    for query in ["SELECT 1", "PRAGMA schema_version"] {
        let config = SqliteConfig::memory().workers(1).validation_query(query);
        let manager = SqliteManager::new(config);
        let mut busy = manager.connect().await.unwrap();
        let mut idle = manager.connect().await.unwrap();
        let _blocked = left_behind(&mut busy).await;
        soon(manager.validate(&mut idle)).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_opened_reset_and_closed_though_all_workers_are_busy() {
    let manager = SqliteManager::new(SqliteConfig::memory().workers(1));
    let mut busy = manager.connect().await.unwrap();
    let mut changed = manager.connect().await.unwrap();
    batch(&mut changed, "CREATE TEMP TABLE x (a); BEGIN").await;
    let _blocked = left_behind(&mut busy).await;
    let opened = soon(manager.connect()).await.unwrap();
    soon(manager.recycle(&mut changed)).await.unwrap();
    soon(manager.close(opened)).await;
}
