//! Commands whose futures are dropped: the server is told to stop them, and nobody else may get their
//! answers, also where the driver does not show it.
//!
//! What may answer yet is given up after one poll, after two, and so on, until it ends by itself.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use pool_core::{Condition, Manager};
use pool_mysql::mysql_async::prelude::{Query, Queryable};
use pool_mysql::mysql_async::{Conn, Connection, Error, TxOpts};
use pool_mysql::{
    Cause, MySqlConnection, MySqlError, MySqlManager, Pool, PooledConnection, Recycle,
};

use crate::{aside, config, connected, dropped_when, one, pool_of_one, server, soon, until};

const GIVEN_UP: &str = "SELECT 'given up'";

const SLEEPING: &str = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep(60)' AND info \
     NOT LIKE '%processlist%'";

/// What is left behind by what was done before a command.
#[derive(Debug, Clone, Copy)]
enum Left {
    Rows,
    Transaction,
    /// One that ended by itself, as it does with a `CREATE TABLE`: the driver rolls it back all the
    /// same.
    EndedTransaction,
}

const EVERYTHING: [Left; 3] = [Left::Rows, Left::Transaction, Left::EndedTransaction];

/// Polls `future` so many times, and drops it; whether it has ended.
async fn polled(future: impl Future, polls: usize) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn leave(conn: &mut MySqlConnection, left: Left) {
    if let Left::Rows = left {
        leave_rows(conn).await;
    } else {
        let begun = soon(conn.start_transaction(TxOpts::default())).await;
        leave_transaction(begun.unwrap(), left).await;
    }
}

async fn leave_by_the_driver(conn: &mut Conn, left: Left) {
    if let Left::Rows = left {
        leave_rows(conn).await;
    } else {
        let begun = soon(conn.start_transaction(TxOpts::default())).await;
        leave_transaction(begun.unwrap(), left).await;
    }
}

async fn leave_rows(conn: &mut impl Queryable) {
    drop(soon(conn.query_iter("SELECT 1; SELECT 2")).await.unwrap());
}

async fn leave_transaction(mut transaction: impl Queryable, left: Left) {
    if let Left::EndedTransaction = left {
        soon(transaction.query_drop("COMMIT")).await.unwrap();
    }
}

/// Has `use_it` poll a command more and more often, until it ends; after each time the next user
/// asks.
async fn nobody_gets_the_answer(
    recycle: Recycle,
    use_it: impl AsyncFn(&mut PooledConnection, usize) -> bool,
) {
    let pool = pool_of_one(config().recycle(recycle.clone())).await;
    for polls in 1..20 {
        let mut conn = soon(pool.get()).await.unwrap();
        let ended = use_it(&mut conn, polls).await;
        drop(conn);
        let mut next = soon(pool.get()).await.unwrap();
        for mine in ["first", "second", "third"] {
            let answer = soon(next.query_first(format!("SELECT '{mine}'"))).await;
            let answer: Option<String> = answer.unwrap();
            assert_eq!(answer.as_deref(), Some(mine), "{recycle:?}, {polls} polls");
        }
        if ended {
            break;
        }
    }
    soon(pool.close()).await;
}

fn policies() -> [Recycle; 4] {
    let custom = Recycle::Custom("DO 1".to_owned());
    [Recycle::Fast, Recycle::Verified, Recycle::Clean, custom]
}

#[tokio::test]
async fn a_query_whose_future_was_dropped_is_killed_and_its_connection_closed() {
    let pool = pool_of_one(config()).await;
    let mut conn = soon(pool.get()).await.unwrap();
    let id = conn.id();
    dropped_when(conn.query_drop("DO sleep(60)"), server(), SLEEPING, "1").await;
    drop(conn);

    until(server(), SLEEPING, "0").await;
    let mut next = soon(pool.get()).await.unwrap();
    assert_ne!(next.id(), id);
    assert_eq!(one::<i64>(&mut next, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_query_that_is_not_to_be_killed_runs_on_without_its_connection() {
    const SLEEPING: &str = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE \
                            '%sleep(59)' AND info NOT LIKE '%processlist%'";
    let pool = pool_of_one(config().kill_abandoned(false)).await;
    let mut conn = soon(pool.get()).await.unwrap();
    let id = conn.id();
    dropped_when(conn.query_drop("DO sleep(59)"), server(), SLEEPING, "1").await;
    drop(conn);

    assert_ne!(soon(pool.get()).await.unwrap().id(), id);
    assert_eq!(aside(server(), SLEEPING), "1");
    aside(server(), &format!("KILL {id}"));
}

#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_after_something_that_was_dropped() {
    for left in EVERYTHING {
        nobody_gets_the_answer(Recycle::Fast, async |conn, polls| {
            leave(conn, left).await;
            polled(conn.query_drop(GIVEN_UP), polls).await
        })
        .await;
        nobody_gets_the_answer(Recycle::Fast, async |conn, polls| {
            leave(conn, left).await;
            polled(GIVEN_UP.ignore(&mut **conn), polls).await
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_on_the_drivers_own_connection() {
    for recycle in policies() {
        for left in EVERYTHING {
            nobody_gets_the_answer(recycle.clone(), async |conn, polls| {
                let driver: &mut Conn = conn;
                leave_by_the_driver(driver, left).await;
                polled(driver.query_drop(GIVEN_UP), polls).await
            })
            .await;
        }
    }
}

/// As a function has it that takes whatever is a connection.
#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_after_another_of_the_same_loan() {
    for recycle in policies() {
        nobody_gets_the_answer(recycle.clone(), async |conn, polls| {
            let begun = soon(conn.start_transaction(TxOpts::default())).await;
            let mut transaction = begun.unwrap();
            let mut loan = Connection::from(&mut transaction);
            leave_rows(&mut loan).await;
            let ended = polled(loan.query_drop(GIVEN_UP), polls).await;
            // The driver shows nothing of it, so that may seem to succeed.
            let _committed = soon(transaction.commit()).await;
            ended
        })
        .await;
        nobody_gets_the_answer(recycle, async |conn, polls| {
            let mut loan = Connection::from(&mut **conn);
            leave_rows(&mut loan).await;
            polled(loan.query_drop(GIVEN_UP), polls).await
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_inside_a_transaction_with_rows_unread() {
    for recycle in policies() {
        nobody_gets_the_answer(recycle, async |conn, polls| {
            let begun = soon(conn.start_transaction(TxOpts::default())).await;
            let mut transaction = begun.unwrap();
            leave_rows(&mut transaction).await;
            polled(transaction.query_drop(GIVEN_UP), polls).await
        })
        .await;
    }
}

/// As after a timeout that is taken lightly.
#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_before_another_of_the_same_holder() {
    for recycle in policies() {
        nobody_gets_the_answer(recycle.clone(), async |conn, polls| {
            let ended = polled(conn.query_drop(GIVEN_UP), polls).await;
            asks_again(conn, ended).await;
            ended
        })
        .await;
        nobody_gets_the_answer(recycle, async |conn, polls| {
            let driver: &mut Conn = conn;
            let ended = polled(driver.query_drop(GIVEN_UP), polls).await;
            asks_again(conn, ended).await;
            ended
        })
        .await;
    }
}

/// Twice, to be answered or refused.
async fn asks_again(conn: &mut MySqlConnection, is_answered: bool) {
    for _ in 0..2 {
        let answer: Result<Option<String>, Error> = soon(conn.query_first("SELECT 'mine'")).await;
        match answer {
            Ok(answer) => assert_eq!(answer.as_deref(), is_answered.then_some("mine")),
            Err(error) => {
                assert!(!is_answered, "{error}");
                assert_eq!(MySqlError::from(error).cause(), Cause::Lost);
            }
        }
    }
}

#[tokio::test]
async fn nobody_gets_the_answer_to_a_rollback_after_a_statement_that_ended_its_transaction() {
    for recycle in policies() {
        nobody_gets_the_answer(recycle, async |conn, polls| {
            let begun = soon(conn.start_transaction(TxOpts::default())).await;
            let mut transaction = begun.unwrap();
            let sql = "CREATE TABLE IF NOT EXISTS ending (n INT)";
            let ended = polled(transaction.query_drop(sql), polls).await;
            let rolled_back = soon(transaction.rollback()).await;
            assert_eq!(rolled_back.is_ok(), ended);
            ended
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_after_a_transaction_that_ended_under_rows() {
    for recycle in policies() {
        nobody_gets_the_answer(recycle, async |conn, polls| {
            let begun = soon(conn.start_transaction(TxOpts::default())).await;
            let mut transaction = begun.unwrap();
            let rows = soon(transaction.query_iter("SELECT 1; COMMIT; SELECT 2")).await;
            drop(rows.unwrap());
            polled(transaction.query_drop(GIVEN_UP), polls).await
        })
        .await;
    }
}

/// As a timeout that is unwrapped does.
#[tokio::test]
async fn nobody_gets_the_answer_to_a_query_given_up_by_a_task_that_panicked() {
    let pool = pool_of_one(config()).await;
    for polls in 1..20 {
        let user = pool.clone();
        let task = tokio::spawn(async move {
            let mut conn = soon(user.get()).await.unwrap();
            let ended = polled(conn.query_drop(GIVEN_UP), polls).await;
            std::panic::resume_unwind(Box::new(ended));
        });
        let panicked = task.await.unwrap_err().into_panic();
        let mut next = soon(pool.get()).await.unwrap();
        for mine in ["first", "second", "third"] {
            let answer = one::<String>(&mut next, &format!("SELECT '{mine}'")).await;
            assert_eq!(answer, mine, "{polls} polls");
        }
        if panicked.downcast_ref() == Some(&true) {
            break;
        }
    }
}

#[tokio::test]
async fn a_query_given_up_by_a_task_that_panicked_is_killed_and_costs_no_other_connection() {
    const SLEEPING: &str = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE \
                            '%sleep(56)' AND info NOT LIKE '%processlist%'";
    let builder = Pool::builder(MySqlManager::new(config()));
    let pool = soon(builder.min_size(2).max_size(2).connect())
        .await
        .unwrap();
    let mut conn = soon(pool.get()).await.unwrap();
    let other = soon(pool.get()).await.unwrap();
    let id = other.id();
    drop(other);
    let task = tokio::spawn(async move {
        dropped_when(conn.query_drop("DO sleep(56)"), server(), SLEEPING, "1").await;
        std::panic::resume_unwind(Box::new(()));
    });
    task.await.unwrap_err();
    until(server(), SLEEPING, "0").await;
    let (first, second) = (
        soon(pool.get()).await.unwrap(),
        soon(pool.get()).await.unwrap(),
    );
    assert!(first.id() == id || second.id() == id);
}

#[tokio::test]
async fn a_query_given_up_after_a_dropped_transaction_is_killed() {
    const SLEEPING: &str = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE \
                            '%sleep(57)' AND info NOT LIKE '%processlist%'";
    for left in EVERYTHING {
        let pool = pool_of_one(config()).await;
        let mut conn = soon(pool.get()).await.unwrap();
        leave(&mut conn, left).await;
        dropped_when(conn.query_drop("DO sleep(57)"), server(), SLEEPING, "1").await;
        drop(conn);
        let mut next = soon(pool.get()).await.unwrap();
        assert_eq!(one::<i64>(&mut next, "SELECT 1").await, 1);
        until(server(), SLEEPING, "0").await;
    }
}

#[tokio::test]
async fn what_was_dropped_before_other_queries_costs_no_connection() {
    let (manager, mut conn) = connected(config()).await;
    for left in EVERYTHING {
        leave(&mut conn, left).await;
        soon(conn.query_drop("SELECT 1")).await.unwrap();
        assert_eq!(manager.condition(&mut conn), Condition::Ready, "{left:?}");
    }
}

#[tokio::test]
async fn the_drivers_own_connection_costs_a_round_trip_and_no_connection() {
    let (manager, mut conn) = connected(config()).await;
    soon(conn.query_drop("SET @kept = 7")).await.unwrap();
    let driver: &mut Conn = &mut conn;
    soon(driver.query_drop("SELECT * FROM absent"))
        .await
        .unwrap_err();
    assert_eq!(manager.condition(&mut conn), Condition::NeedsRecycle);
    soon(manager.recycle(&mut conn)).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    assert_eq!(one::<i64>(&mut conn, "SELECT @kept").await, 7);
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
}
