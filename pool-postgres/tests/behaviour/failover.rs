//! The night of the failover: two thousand callers, a primary that is gone in the middle of it, and a
//! standby that is promoted. A commit is acknowledged once the standby has it, so whatever was
//! acknowledged must be there afterwards.

use std::time::Duration;

use pool_postgres::pool_core::{Error, PoolBuilder};
use pool_postgres::{PgError, PgManager, Pool};
use pool_servers::{Callers, Postgres, Server};
use tokio::time::{Instant, sleep, timeout};

use crate::{config, soon, text};

const CALLERS: usize = 2_000;
/// How many of them have been served when the primary goes.
const BEFORE: usize = 500;
const MAX_SIZE: usize = 10;

/// How long a caller gives the server for a statement: a server that hangs does not end it.
const STATEMENT: Duration = Duration::from_secs(1);
/// The whole night, on a machine that does much else.
const NIGHT: Duration = Duration::from_secs(120);

/// A primary, and the standby it waits for at each commit. When the primary is started again, it takes
/// no writes: whoever promotes a standby keeps the old primary from being one.
async fn primary_and_standby() -> (Server, Server) {
    let plan = Postgres::new().replicated();
    let primary = plan.clone().setting("synchronous_standby_names", "*");
    let primary = primary.start_async().await.unwrap();
    let standby = plan.standby_of(&primary).start_async().await.unwrap();
    for sql in [
        "CREATE TABLE served (id int PRIMARY KEY)",
        "ALTER SYSTEM SET default_transaction_read_only = on",
    ] {
        primary.query(sql).unwrap();
    }
    (primary, standby)
}

fn builder(primary: &Server, standby: &Server) -> PoolBuilder<PgManager> {
    let url = format!(
        "postgres://postgres@{},{}/postgres?target_session_attrs=read-write&connect_timeout=1",
        primary.address(),
        standby.address()
    );
    Pool::builder(PgManager::new(config(&url))).max_size(MAX_SIZE)
}

/// Has each caller insert a row of its own, all at once.
fn callers(pool: &Pool) -> Callers {
    let pool = pool.clone();
    Callers::of(CALLERS, move |id| insert(pool.clone(), id))
}

/// Inserts a row, again after each failure, until it is acknowledged. Again is right here: the row has
/// a key, so nothing is written twice.
async fn insert(pool: Pool, id: usize) {
    let sql = "INSERT INTO served VALUES ($1) ON CONFLICT DO NOTHING";
    let id = i32::try_from(id).unwrap();
    loop {
        match pool.get_timeout(NIGHT).await {
            Ok(conn) => match timeout(STATEMENT, conn.execute(sql, &[&id])).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => {
                    let error = PgError::from(error);
                    assert!(error.is_transient(), "{error}");
                }
                Err(_hangs) => {}
            },
            Err(Error::CircuitOpen { retry_after, .. }) => sleep(retry_after).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until `condition` holds.
async fn until(condition: impl FnMut() -> bool) {
    pool_servers::until(NIGHT, condition).await;
}

/// Nothing is lost in the pool, and all that it has are connections to `server`.
async fn is_settled_on(pool: &Pool, server: &Server) {
    until(|| {
        let stats = pool.stats();
        stats.waiting == 0 && stats.idle == stats.total
    })
    .await;
    let stats = pool.stats();
    assert!(stats.total <= MAX_SIZE, "{stats}");
    assert_eq!(stats.acquired, stats.released, "{stats}");
    until(|| sessions(server) == pool.stats().total).await;
}

/// How many sessions of pools a server has.
fn sessions(server: &Server) -> usize {
    number(
        server,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool-postgres'",
    )
}

fn number(server: &Server, sql: &str) -> usize {
    let rows = server.query(sql).unwrap();
    let mut values = rows.into_iter().flatten().flatten();
    values.next().unwrap().parse().unwrap()
}

fn has(server: &Server, ids: &[usize]) -> bool {
    let sql = format!("SELECT count(*) FROM served WHERE id = ANY(ARRAY{ids:?})");
    number(server, &sql) == ids.len()
}

/// Takes all connections that the pool may have: each is one to `server`.
async fn gives_only(pool: &Pool, server: &Server) {
    let mut held = Vec::new();
    for _ in 0..MAX_SIZE {
        held.push(soon(pool.get()).await.unwrap());
    }
    for conn in &held {
        let port = soon(text(conn, "SELECT inet_server_port()::text")).await;
        assert_eq!(port, server.address().port().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_callers_are_served_by_the_standby_that_is_promoted_after_the_primarys_death()
{
    let (old, new) = primary_and_standby().await;
    let pool = builder(&old, &new).build().unwrap();
    let callers = callers(&pool);
    until(|| callers.served().len() >= BEFORE).await;

    old.aside(Server::kill).await.unwrap();
    let died = Instant::now();
    until(|| pool.stats().connect_failures >= 25).await;
    let (failures, away) = (pool.stats().connect_failures, died.elapsed());
    let acknowledged = callers.served();
    new.aside(Server::promote).await.unwrap();
    let promoted = Instant::now();
    callers.are_all_served(NIGHT).await;
    println!(
        "{} served before; away for {away:.1?}: {failures} connects failed; all served {:.1?} after: {}",
        acknowledged.len(),
        promoted.elapsed(),
        pool.stats()
    );

    assert!(acknowledged.len() < CALLERS, "it was too late");
    assert!(
        failures <= 10 * (away.as_secs() + 1),
        "{failures} in {away:?}"
    );
    assert!(has(&new, &acknowledged), "what was acknowledged is lost");
    assert_eq!(number(&new, "SELECT count(*) FROM served"), CALLERS);
    is_settled_on(&pool, &new).await;

    old.aside(Server::restart).await.unwrap();
    pool.retire_all();
    gives_only(&pool, &new).await;
    // A pool that knows of no failure tries the old one first.
    let newcomer = builder(&old, &new).build().unwrap();
    gives_only(&newcomer, &new).await;
    until(|| sessions(&old) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_wait_notice_nothing_but_the_wait_when_the_primary_hangs_and_no_reset_comes() {
    let (old, new) = primary_and_standby().await;
    let builder = builder(&old, &new).breaker_threshold(0);
    let pool = builder
        .close_timeout(Duration::from_secs(1))
        // Less than one host may take, as it comes to be once connects fail.
        .connect_timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let callers = callers(&pool);
    until(|| callers.served().len() >= BEFORE).await;

    old.aside(Server::hang).await.unwrap();
    let hung = Instant::now();
    // The standby has been found to take no writes yet, and the old primary is what takes the time.
    until(|| pool.stats().connect_failures >= 10).await;
    let failures = pool.stats().connect_failures;
    let acknowledged = callers.served();
    new.aside(Server::promote).await.unwrap();
    let promoted = Instant::now();
    callers.are_all_served(NIGHT).await;
    let more = pool.stats().connect_failures - failures;
    println!(
        "{} served before; promoted {:.1?} after: {failures} connects failed; all served {:.1?} later, \
         {more} more failed: {}",
        acknowledged.len(),
        promoted - hung,
        promoted.elapsed(),
        pool.stats()
    );

    assert!(more <= 10, "the standby is not tried");
    assert!(acknowledged.len() < CALLERS, "it was too late");
    assert!(has(&new, &acknowledged), "what was acknowledged is lost");
    assert_eq!(number(&new, "SELECT count(*) FROM served"), CALLERS);
    is_settled_on(&pool, &new).await;
    assert_eq!(pool.stats().rejected, 0);
}
