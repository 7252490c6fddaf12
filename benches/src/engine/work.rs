//! The working phase: many tasks, each asking again when it was answered, until the time is over.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pool_core::Pool;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::chaos;
use super::monitor::Monitor;
use super::request::{Tally, request};
use crate::backend::Workload;
use crate::latency::{Measured, Recorder};
use crate::plan::{ACQUIRE_TIMEOUT, Plan};
use crate::report::{Fault, Served, Window};
use crate::timeline::per_second;

/// What the working phase found.
pub(super) struct Work {
    pub(super) tally: Tally,
    pub(super) served: Served,
    pub(super) measured: Measured,
    pub(super) over_time: Vec<Window>,
    /// From the start of the first task to the end of the last.
    pub(super) elapsed: Duration,
    /// Tasks that had not ended long after every checkout should have timed out.
    pub(super) unanswered: usize,
    /// The most connections the pool counted, at the ends of the windows.
    pub(super) open_peak: usize,
    pub(super) faults: Vec<Fault>,
}

/// A task that has not ended this long after the last checkout's timeout never will.
const GRACE: Duration = Duration::from_secs(10);

/// Rows of `over_time` at most.
const WINDOWS: u32 = 60;

/// Works the pool as the plan says.
pub(super) async fn work<W: Workload>(
    plan: &Plan,
    pool: &Pool<W::Manager>,
    workload: &Arc<W>,
    recorder: &Arc<Recorder>,
    monitor: &Monitor,
) -> Work {
    let calm = Arc::new(OnceLock::new());
    let mut tasks = spawn(plan, pool, workload, recorder, &calm).await;
    let began = Instant::now();
    let chaos = plan.chaos.map(|seed| {
        let workload = Arc::clone(workload);
        tokio::spawn(chaos::run(workload, seed, plan.duration, calm))
    });
    let mut work = Work {
        tally: Tally::default(),
        served: Served {
            least: u64::MAX,
            most: 0,
        },
        measured: Measured::default(),
        over_time: Vec::new(),
        elapsed: Duration::ZERO,
        unanswered: 0,
        open_peak: 0,
        faults: Vec::new(),
    };
    let width = (plan.duration / WINDOWS)
        .max(Duration::from_secs(1))
        .min(plan.duration);
    let mut ticks = interval(width.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await; // the first one comes at once
    let patience = plan.duration + plan.hold + ACQUIRE_TIMEOUT + GRACE;
    let (mut window_began, mut working) = (began, true);

    while !tasks.is_empty() {
        tokio::select! {
            biased;
            _ = ticks.tick(), if working => {
                let window = recorder.drain_into(&mut work.measured);
                work.window(&window, began, window_began);
                window_began = Instant::now();
                working = began.elapsed() < plan.duration;
                work.open_peak = work.open_peak.max(pool.stats().total);
                monitor.waited(window.wait.summary_ns());
            }
            joined = tasks.join_next() => match joined {
                Some(Ok(tally)) => work.task_ended(tally),
                Some(Err(panic)) => work.tally.panicked(&panic),
                None => break,
            },
            () = tokio::time::sleep(patience.saturating_sub(began.elapsed())) => {
                work.unanswered = tasks.len();
                tasks.shutdown().await;
            }
        }
    }
    work.elapsed = began.elapsed();
    if let Some(chaos) = chaos {
        match chaos.await {
            Ok(Ok(faults)) => work.faults = faults,
            Ok(Err(error)) => work.tally.broken(&error),
            Err(panic) => work.tally.panicked(&panic),
        }
    }
    work.served.least = work.served.least.min(work.served.most);
    let rest = recorder.drain_into(&mut work.measured);
    if window_began.elapsed() > width / 2 {
        work.window(&rest, began, window_began);
    }
    work
}

/// Starts the tasks, all at the same moment.
async fn spawn<W: Workload>(
    plan: &Plan,
    pool: &Pool<W::Manager>,
    workload: &Arc<W>,
    recorder: &Arc<Recorder>,
    calm: &Arc<OnceLock<Instant>>,
) -> JoinSet<Tally> {
    let start = Arc::new((Barrier::new(plan.workers + 1), OnceLock::new()));
    let (duration, hold) = (plan.duration, plan.hold);
    let patience = plan.chaos.map(|_| chaos::QUERY_PATIENCE);
    let mut tasks = JoinSet::new();
    for number in 0..plan.workers {
        let (pool, workload) = (pool.clone(), Arc::clone(workload));
        let (recorder, start) = (Arc::clone(recorder), Arc::clone(&start));
        let calm = Arc::clone(calm);
        tasks.spawn(async move {
            let (barrier, began) = &*start;
            barrier.wait().await;
            let began: Instant = *began.get_or_init(Instant::now);
            let (mut tally, mut key) = (Tally::default(), number as u64);
            // Each asks at least once: with a short time and many tasks, too, everybody is served.
            // And where things are broken, until it is answered after that.
            let mut answered_at_last = patience.is_none();
            loop {
                let is_calm = calm.get().is_some();
                let connection =
                    request(&pool, &*workload, key, patience, &recorder, &mut tally).await;
                answered_at_last |= is_calm && connection.is_some();
                if connection.is_none() {
                    // A pool that refuses at once must not turn the bench into a spinning loop.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                } else if !hold.is_zero() {
                    tokio::time::sleep(hold).await;
                }
                drop(connection);
                key = key.wrapping_add(1);
                if began.elapsed() >= duration && answered_at_last {
                    return tally;
                }
            }
        });
    }
    start.0.wait().await;
    tasks
}

impl Work {
    fn task_ended(&mut self, tally: Tally) {
        self.served.least = self.served.least.min(tally.answered);
        self.served.most = self.served.most.max(tally.answered);
        self.tally.merge(tally);
    }

    fn window(&mut self, window: &Measured, began: Instant, window_began: Instant) {
        let checkout_ns = window.checkout.summary_ns();
        let seconds = window_began.elapsed().as_secs_f64();
        self.over_time.push(Window {
            at_seconds: began.elapsed().as_secs_f64(),
            checkouts_per_second: per_second(checkout_ns.count, seconds),
            checkout_ns,
        });
    }
}
