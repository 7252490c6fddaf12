//! A server that goes away and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::{BreakerState, Error, HealthStatus, Pool};
use tokio::task::JoinSet;

use crate::measure::{below_seconds, until};
use crate::report::Finding;
use crate::subject::Subject;
use crate::{Failure, MS, SECOND};

/// Long enough for whatever is not broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again for a connection and a query until one is answered.
pub(crate) async fn ask_until_answered<S: Subject>(pool: &Pool<S::Manager>, subject: &S) {
    loop {
        if let Ok(mut conn) = pool.get_timeout(SECOND).await
            && subject.query(&mut conn).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(10 * MS).await;
    }
}

/// Takes the server away, so that the pool of it notices: what is idle is closed, and somebody
/// asks.
async fn take_away<S: Subject>(pool: &Pool<S::Manager>, subject: &S) -> Result<(), Failure> {
    subject.stop()?;
    pool.retire_all();
    let gone = |error: &Error<_>| error.is_transient() || error.is_timeout();
    match pool.get_timeout(SECOND).await {
        Err(error) if gone(&error) => Ok(()),
        Err(error) => Err(format!("not taken for an outage: {error}").into()),
        Ok(_) => Err("a connection without a server".into()),
    }
}

/// Scenario 3.
pub(crate) async fn told_by_health<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    take_away(&pool, &**subject).await?;
    let unwell = until(PATIENCE, || pool.health().status != HealthStatus::Healthy).await;
    subject.start()?;
    let began = Instant::now();
    tokio::time::timeout(PATIENCE, ask_until_answered(&pool, &**subject)).await?;
    let well = until(PATIENCE, || pool.health().status == HealthStatus::Healthy).await;
    let took = began.elapsed();
    pool.close().await;
    if unwell.is_none() || well.is_none() {
        return Err("health did not follow".into());
    }
    Ok(below_seconds(took, 30 * SECOND))
}

/// A hundred callers that try again 10 ms after each error: until the last of them is served after
/// the server's return, and how many of them panicked.
pub(crate) async fn ridden_out<S: Subject>(subject: &Arc<S>) -> Result<(Duration, usize), Failure> {
    let pool = subject.builder().connect().await?;
    subject.stop()?;
    pool.retire_all();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        callers.spawn(async move { ask_until_answered(&pool, &*subject).await });
    }
    tokio::time::sleep(3 * SECOND).await;
    subject.start()?;
    let began = Instant::now();
    let mut panicked = 0;
    while let Some(ended) = tokio::time::timeout(PATIENCE, callers.join_next()).await? {
        panicked += usize::from(ended.is_err());
    }
    let took = began.elapsed();
    pool.close().await;
    Ok((took, panicked))
}

/// How long it takes after the server's end until callers are told at once.
pub(crate) async fn breaker_opens<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().min_size(0).connect().await?;
    subject.stop()?;
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let pool = pool.clone();
        callers.spawn(async move { pool.get_timeout(20 * SECOND).await.map(drop).is_err() });
    }
    let opened = until(PATIENCE, || pool.breaker().state() != BreakerState::Closed).await;
    let took = began.elapsed();
    let all_told = callers.join_all().await.into_iter().all(|told| told);
    subject.start()?;
    pool.close().await;
    if opened.is_none() || !all_told {
        return Err("it did not open, or somebody was served".into());
    }
    Ok(below_seconds(took, 5 * SECOND))
}
