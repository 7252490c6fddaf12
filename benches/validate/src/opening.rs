//! Opening many connections, beside a bare loop of the driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_benches::limits;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::measure::{Times, until};
use crate::report::Finding;
use crate::subject::Subject;
use crate::{Failure, SECOND};

const CONNECTIONS: usize = 1_000;
const PARALLEL: usize = 8;
const ROUNDS: usize = 7;

/// How many connections a second the pool opens, as a share of what a loop does that calls the
/// driver in as many tasks at once; by the medians of interleaved rounds.
pub(crate) async fn share_of_the_bare_rate<S: Subject>(
    subject: &Arc<S>,
) -> Result<Finding, Failure> {
    limits::make_room(CONNECTIONS, 1)?;
    let (mut bare, mut pooled) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        all_gone(&**subject).await;
        bare.add(by_a_loop(subject).await?);
        all_gone(&**subject).await;
        pooled.add(by_the_pool(&**subject).await?);
    }
    let share = bare.percentile(50).div_duration_f64(pooled.percentile(50));
    Ok(Finding::Measured(share, share >= 0.9))
}

/// The server ends sessions for a while after their clients are gone, at the cost of whoever comes
/// next.
async fn all_gone<S: Subject>(subject: &S) {
    until(5 * SECOND, || {
        subject.open_now().is_ok_and(|open| open == 0)
    })
    .await;
}

async fn by_a_loop<S: Subject>(subject: &Arc<S>) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut openers = JoinSet::new();
    for _ in 0..PARALLEL {
        let subject = Arc::clone(subject);
        openers.spawn(async move {
            let mut opened = Vec::new();
            for _ in 0..CONNECTIONS / PARALLEL {
                opened.push(subject.bare().await?);
            }
            Ok::<_, Failure>(opened)
        });
    }
    let opened = openers.join_all().await;
    let took = began.elapsed();
    opened.into_iter().try_for_each(|opened| opened.map(drop))?;
    Ok(took)
}

async fn by_the_pool<S: Subject>(subject: &S) -> Result<Duration, Failure> {
    let pool = subject
        .builder()
        .min_size(0)
        .max_size(CONNECTIONS)
        .max_connecting(PARALLEL)
        .build()?;
    let began = Instant::now();
    let all_have_one = Arc::new(Barrier::new(CONNECTIONS));
    let mut holders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (pool, all_have_one) = (pool.clone(), Arc::clone(&all_have_one));
        holders.spawn(async move {
            let held = pool.get().await;
            all_have_one.wait().await;
            let took = began.elapsed();
            held.map(|_| took)
        });
    }
    let mut took = Duration::ZERO;
    for held in holders.join_all().await {
        took = took.max(held?);
    }
    pool.close().await;
    Ok(took)
}
