//! What the pools are put through. Each run has a runtime and a pool of its own, so that no pool
//! inherits what another one warmed or filled.

mod connecting;
pub(crate) mod contended;
mod cores;
mod crowd;
mod failing;
mod heap;
mod uncontended;
pub(crate) mod waits;

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use self::cores::CORES_USED;
use self::uncontended::{CHECKOUT_AND_RETURN, Held};
use crate::contest::{Contender, Contest, Metric, Values};
use crate::peer::Peer;
use crate::stage::Stage;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// One task checks out and returns an idle connection.
    OneTask,
    /// Two tasks on two threads do; there are connections for both.
    TwoTasks,
    /// Eight tasks on two threads do; there are connections for all.
    EightTasks,
    /// Eight tasks do, each across a yield.
    EightTasksYielding,
    /// 64 tasks on 10 connections, each held across a yield.
    Tasks64On10,
    /// 1,000 tasks on 10 connections, each held across a yield.
    Tasks1000On10,
    /// 10,000 tasks on 100 connections, until all are done.
    Tasks10000On100,
    /// 10,000 idle connections, and 1,000 tasks that wait.
    Held10000,
    /// A connection comes back after 5 ms while the waiter's own connect takes 100 ms.
    SlowConnect,
    /// A caller gives up after 30 ms and tries again, while a connect takes 100 ms.
    Impatient,
    /// Fifty callers at once on five open connections, with connects of 150 ms.
    Spike,
    /// A hundred thousand waits are given up half-way.
    Storm,
    /// The server refuses for 3 s.
    FailingConnect,
}

impl Scenario {
    pub(crate) const ALL: [Self; 13] = [
        Self::OneTask,
        Self::TwoTasks,
        Self::EightTasks,
        Self::EightTasksYielding,
        Self::Tasks64On10,
        Self::Tasks1000On10,
        Self::Tasks10000On100,
        Self::Held10000,
        Self::SlowConnect,
        Self::Impatient,
        Self::Spike,
        Self::Storm,
        Self::FailingConnect,
    ];

    /// The scenario with these contenders.
    pub(crate) fn contest(self, contenders: Vec<Contender>) -> Contest {
        let (key, title, metrics): (_, _, &[Metric]) = match self {
            Self::OneTask => (
                "one_task",
                "one task, checkout and return of an idle connection",
                &[CHECKOUT_AND_RETURN],
            ),
            Self::TwoTasks => (
                "two_tasks",
                "two tasks on two threads, nobody waits",
                &[CHECKOUT_AND_RETURN, CORES_USED],
            ),
            Self::EightTasks => (
                "eight_tasks",
                "eight tasks on two threads and eight connections, nobody waits",
                &[CHECKOUT_AND_RETURN, CORES_USED],
            ),
            Self::EightTasksYielding => (
                "eight_tasks_yielding",
                "the same, each held across a yield, which takes most of it",
                &[CHECKOUT_AND_RETURN, CORES_USED],
            ),
            Self::Tasks64On10 => (
                "64_tasks_on_10",
                "64 tasks on 10 connections, held across a yield",
                &contended::METRICS,
            ),
            Self::Tasks1000On10 => (
                "1000_tasks_on_10",
                "1,000 tasks on 10 connections, held across a yield",
                &contended::METRICS,
            ),
            Self::Tasks10000On100 => (
                "10000_tasks_on_100",
                "10,000 tasks on 100 connections, ten checkouts each, held across a yield",
                &crowd::METRICS,
            ),
            Self::Held10000 => (
                "10000_held",
                "heap: 10,000 idle connections (beyond the connection), 1,000 waiting tasks",
                &heap::METRICS,
            ),
            Self::SlowConnect => (
                "slow_connect",
                "a connection returned after 5 ms, own connect 100 ms",
                &connecting::SLOW_CONNECT,
            ),
            Self::Impatient => (
                "impatient",
                "a caller with 30 ms of patience, connects of 100 ms",
                &connecting::IMPATIENT,
            ),
            Self::Spike => (
                "spike",
                "50 callers at once on 5 open connections, uses of 2 ms, connects of 150 ms",
                &connecting::SPIKE,
            ),
            Self::Storm => (
                "storm",
                "100,000 waits given up half-way, 10 connections",
                &connecting::STORM,
            ),
            Self::FailingConnect => (
                "failing_connect",
                "100 callers, 10 connections, a server that refuses for 3 s",
                &failing::METRICS,
            ),
        };
        Contest {
            key,
            title,
            metrics,
            is_shared: metrics.iter().any(|metric| metric.name == CORES_USED.name),
            set_up: Stage::bare,
            contenders,
        }
    }

    /// Runs it once.
    pub(crate) fn run<P: Peer>(self) -> Values {
        match self {
            Self::OneTask => uncontended::run::<P>(1),
            Self::TwoTasks => cores::on_two(|| uncontended::run::<P>(2)),
            Self::EightTasks => cores::on_two(|| uncontended::many::<P>(Held::NotAtAll)),
            Self::EightTasksYielding => {
                cores::on_two(|| uncontended::many::<P>(Held::AcrossAYield))
            }
            Self::Tasks64On10 => cores::on_two(|| contended::run::<P>(64, 10)),
            Self::Tasks1000On10 => cores::on_two(|| contended::run::<P>(1_000, 10)),
            Self::Tasks10000On100 => cores::on_two(crowd::run::<P>),
            Self::Held10000 => heap::run::<P>(),
            Self::SlowConnect => connecting::slow_connect::<P>(),
            Self::Impatient => connecting::impatient::<P>(),
            Self::Spike => connecting::spike::<P>(),
            Self::Storm => connecting::storm::<P>(),
            Self::FailingConnect => failing::run::<P>(),
        }
    }
}

/// Threads of a runtime.
const THREADS: u32 = 2;

/// A runtime with a thread for each of two cores: what the published figures were taken on.
fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS as usize)
        .enable_all()
        .build();
    runtime.expect("threads can be started")
}

/// Opens `count` connections and returns them, so that they are idle.
async fn warm<P: Peer>(pool: &P, count: usize) {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(pool.served().await);
    }
    drop(held);
    // What the pool does in the background after a return is not what is measured.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

/// Runs on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = runtime();
    let output = runtime.block_on(future);
    // A thread that a pool still blocks ends with the process.
    runtime.shutdown_background();
    output
}
