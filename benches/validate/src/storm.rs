//! Many callers of a server that cannot be reached, through a proxy that counts what arrives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::Pool;
use pool_servers::FaultProxy;
use tokio::task::JoinSet;

use crate::measure::{below_ms, exactly, figure};
use crate::outage::ask_until_answered;
use crate::report::{Check, Finding, Topic};
use crate::subject::{Subject, aside};
use crate::{Failure, MS, SECOND};

/// How the way to the server is broken.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Refuses,
    /// Takes connects, and everything that is sent, without a word.
    Swallows,
}

/// How long it is.
const OUTAGE: Duration = Duration::from_secs(3);

/// Long enough for whatever is not broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs all.
pub(crate) async fn run<S: Subject>(subject: &Arc<S>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (ids, callers, fault) in [
        (["O-1", "O-2"], 100, Fault::Refuses),
        (["O-3", "O-4"], 100, Fault::Swallows),
        (["O-5", "O-6"], 1_000, Fault::Refuses),
        (["O-7", "O-8"], 1_000, Fault::Swallows),
    ] {
        let (rate, recovery) = match storm(subject, callers, fault).await {
            Ok((rate, recovery)) => (Ok(rate), Ok(recovery)),
            Err(error) => (Err(error.to_string().into()), Err(error)),
        };
        let method = match (fault, callers) {
            (Fault::Refuses, 100) => {
                "100 callers, each tries again 10 ms after an error; 3 s of refused connects"
            }
            (Fault::Refuses, _) => {
                "1,000 callers, each tries again 10 ms after an error; 3 s of refused connects"
            }
            (Fault::Swallows, 100) => {
                "100 callers, each tries again 10 ms after an error; 3 s in a black hole"
            }
            (Fault::Swallows, _) => {
                "1,000 callers, each tries again 10 ms after an error; 3 s in a black hole"
            }
        };
        let [rate_id, recovery_id] = ids;
        checks.push(
            Topic {
                id: rate_id,
                title: "connects a second while the server is away",
                target: "<= 10",
                unit: "1/s",
                method,
            }
            .settle(rate),
        );
        checks.push(
            Topic {
                id: recovery_id,
                title: "until all callers are served after its return",
                target: "< 300",
                unit: "ms",
                method,
            }
            .settle(recovery),
        );
    }
    checks.push(
        Topic {
            id: "O-9",
            title: "callers told after acquire_timeout of 5 s, within 50 ms",
            target: "1000",
            unit: "callers",
            method: "1,000 at once, the server in a black hole; each by its own clock",
        }
        .settle(told_in_time(subject).await),
    );
    checks
}

/// How many connects a second there are while the way is broken, and how long after its mending the
/// last caller is served.
async fn storm<S: Subject>(
    subject: &Arc<S>,
    callers: usize,
    fault: Fault,
) -> Result<(Finding, Finding), Failure> {
    let (proxy, pool) = through_a_proxy(&**subject).await?;
    pool.retire_all();
    match fault {
        Fault::Refuses => aside(|| proxy.refuse())?,
        Fault::Swallows => proxy.black_hole(),
    }
    let before = (proxy.attempted(), pool.stats().connect_failures);
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..callers {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        asking.spawn(async move { ask_until_answered(&pool, &*subject).await });
    }
    tokio::time::sleep(OUTAGE).await;
    // A connect that is refused does not reach the proxy.
    let attempts = match fault {
        Fault::Refuses => usize::try_from(pool.stats().connect_failures - before.1)?,
        Fault::Swallows => proxy.attempted() - before.0,
    };
    let down_for = began.elapsed();
    aside(|| proxy.forward())?;
    let back = Instant::now();
    while let Some(asked) = tokio::time::timeout(PATIENCE, asking.join_next()).await? {
        asked?;
    }
    let recovery = back.elapsed();
    pool.close().await;
    let rate = figure(attempts as u64) / down_for.as_secs_f64();
    Ok((
        Finding::Measured(rate, attempts > 0 && rate <= 10.0),
        below_ms(recovery, 300 * MS),
    ))
}

async fn told_in_time<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    const LIMIT: Duration = Duration::from_secs(5);
    let (proxy, pool) = through_a_proxy(&**subject).await?;
    proxy.black_hole();
    pool.retire_all();
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let pool = pool.clone();
        callers.spawn(async move {
            let began = Instant::now();
            let told = pool
                .get_timeout(LIMIT)
                .await
                .is_err_and(|error| error.is_timeout());
            let took = began.elapsed();
            told && took >= LIMIT && took <= LIMIT + 50 * MS
        });
    }
    let in_time = callers
        .join_all()
        .await
        .into_iter()
        .filter(|told| *told)
        .count();
    aside(|| proxy.forward())?;
    pool.close().await;
    Ok(exactly(in_time, 1_000))
}

/// A pool that has answered through a proxy.
async fn through_a_proxy<S: Subject>(
    subject: &S,
) -> Result<(FaultProxy, Pool<S::Manager>), Failure> {
    let (proxy, manager) = aside(|| subject.proxy()).ok_or("no network in between")??;
    let pool = Pool::builder(manager).max_size(10).connect().await?;
    tokio::time::timeout(10 * SECOND, ask_until_answered(&pool, subject)).await?;
    Ok((proxy, pool))
}
