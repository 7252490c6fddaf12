//! The night of the failover: two thousand callers, a primary that is gone in the middle of it, a
//! replica that is promoted, and an address that moves to it. A commit is acknowledged once the replica
//! has it (semi-synchronous replication), so whatever was acknowledged must be there afterwards.

use std::time::Duration;

use pool_core::{Error, PoolBuilder};
use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::{MySqlError, MySqlManager, Pool};
use pool_servers::{Callers, FaultProxy, MySql, Server};
use tokio::time::{Instant, sleep, timeout};

use crate::{aside, soon, until};

const CALLERS: usize = 2_000;
/// How many of them have been served when the primary goes.
const BEFORE: usize = 500;
const MAX_SIZE: usize = 10;

/// How long a caller gives the server for a statement: a server that hangs does not end it.
const STATEMENT: Duration = Duration::from_secs(1);
/// The whole night, on a machine that does much else.
const NIGHT: Duration = Duration::from_secs(120);

/// How many sessions of pools a server has.
const SESSIONS: &str = "SELECT count(*) FROM information_schema.processlist WHERE user = 'app'";

/// A primary, and the replica it waits for at each commit.
fn primary_and_replica() -> (Server, Server) {
    let plan = MySql::new().replicated();
    let primary = plan.start().unwrap();
    let replica = plan.setting("rpl-semi-sync-slave-enabled", "ON");
    let replica = replica.replica_of(&primary).start().unwrap();
    for sql in [
        "SET GLOBAL rpl_semi_sync_master_timeout = 600000",
        "SET GLOBAL rpl_semi_sync_master_enabled = ON",
        "CREATE TABLE served (id int PRIMARY KEY)",
        "CREATE USER app@'127.0.0.1'",
        "GRANT ALL ON pool.* TO app@'127.0.0.1'",
    ] {
        primary.query(sql).unwrap();
    }
    (primary, replica)
}

/// A pool that knows the address only.
fn builder(address: &FaultProxy) -> PoolBuilder<MySqlManager> {
    let url = format!("mysql://app@{}/pool?prefer_socket=false", address.address());
    Pool::builder(MySqlManager::from_url(&url).unwrap()).max_size(MAX_SIZE)
}

/// Has each caller insert a row of its own, all at once.
fn callers(pool: &Pool) -> Callers {
    let pool = pool.clone();
    Callers::of(CALLERS, move |id| insert(pool.clone(), id))
}

/// Inserts a row, again after each failure, until it is acknowledged. Again is right here: the row has
/// a key, so nothing is written twice.
async fn insert(pool: Pool, id: usize) {
    let sql = format!("INSERT IGNORE INTO served VALUES ({id})");
    loop {
        match pool.get_timeout(NIGHT).await {
            Ok(mut conn) => match timeout(STATEMENT, conn.query_drop(&sql)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    let error = MySqlError::from(error);
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
async fn wait_for(condition: impl FnMut() -> bool) {
    pool_servers::until(NIGHT, condition).await;
}

/// Nothing is lost in the pool, and all that it has are connections to `server`.
async fn is_settled_on(pool: &Pool, server: &Server) {
    wait_for(|| {
        let stats = pool.stats();
        stats.waiting == 0 && stats.idle == stats.total
    })
    .await;
    let stats = pool.stats();
    assert!(stats.total <= MAX_SIZE, "{stats}");
    assert_eq!(stats.acquired, stats.released, "{stats}");
    until(server, SESSIONS, &stats.total.to_string()).await;
}

/// Every row is there, those of `acknowledged` included.
fn has_all(server: &Server, acknowledged: &[usize]) {
    assert!(acknowledged.len() < CALLERS, "it was too late");
    let ids: Vec<_> = acknowledged.iter().map(usize::to_string).collect();
    let there = format!(
        "SELECT count(*) FROM served WHERE id IN ({})",
        ids.join(",")
    );
    assert_eq!(aside(server, &there), ids.len().to_string());
    assert_eq!(
        aside(server, "SELECT count(*) FROM served"),
        CALLERS.to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_callers_are_served_by_the_replica_that_is_promoted_after_the_primarys_death()
{
    let (old, new) = primary_and_replica();
    let address = FaultProxy::before(&old).unwrap();
    let pool = builder(&address).build().unwrap();
    let callers = callers(&pool);
    wait_for(|| callers.served().len() >= BEFORE).await;

    old.aside(Server::kill).await.unwrap();
    let (died, before) = (Instant::now(), address.attempted());
    wait_for(|| address.attempted() >= before + 25).await;
    let (attempts, away) = (address.attempted() - before, died.elapsed());
    let acknowledged = callers.served();
    new.aside(Server::promote).await.unwrap();
    address.redirect(&new);
    let moved = Instant::now();
    callers.are_all_served(NIGHT).await;
    println!(
        "{} served before; away for {away:.1?}: {attempts} connects; all served {:.1?} after: {}",
        acknowledged.len(),
        moved.elapsed(),
        pool.stats()
    );

    let seconds = usize::try_from(away.as_secs()).unwrap() + 1;
    assert!(attempts <= 10 * seconds, "{attempts} in {away:?}");
    has_all(&new, &acknowledged);
    is_settled_on(&pool, &new).await;

    old.aside(Server::restart).await.unwrap();
    pool.retire_all();
    drop(soon(pool.get()).await.unwrap());
    is_settled_on(&pool, &new).await;
    assert_eq!(aside(&old, SESSIONS), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_wait_notice_nothing_but_the_wait_when_the_primary_hangs_and_no_reset_comes() {
    let (old, new) = primary_and_replica();
    let address = FaultProxy::before(&old).unwrap();
    let builder = builder(&address).breaker_threshold(0);
    let pool = builder
        .connect_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let callers = callers(&pool);
    wait_for(|| callers.served().len() >= BEFORE).await;

    old.aside(Server::hang).await.unwrap();
    let hung = Instant::now();
    let acknowledged = callers.served();
    new.aside(Server::promote).await.unwrap();
    address.redirect(&new);
    callers.are_all_served(NIGHT).await;
    println!(
        "{} served before; all served {:.1?} after: {}",
        acknowledged.len(),
        hung.elapsed(),
        pool.stats()
    );

    has_all(&new, &acknowledged);
    is_settled_on(&pool, &new).await;
    assert_eq!(pool.stats().rejected, 0);
}
