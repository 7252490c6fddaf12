//! Runs one scenario on a pool and a workload.
//!
//! ```text
//! open       hold all connections, each having answered;  memory and descriptors are read here
//!   |
//!   |-- basic:     return them, and hold all once more     (again: this is measured)
//!   '-- others:    return them, and let the tasks work     (work: this is measured)
//!   |
//! audit      did everything come back?
//! close      is anything open?
//! ```
//!
//! This is the only module that uses the pool.

mod audit;
mod chaos;
mod hold;
mod monitor;
mod request;
mod work;

use std::sync::Arc;
use std::time::Duration;

use pool_core::{ConfigError, Pool};

use self::hold::{Held, hold_all};
use self::monitor::{Goal, Monitor};
use self::request::Tally;
use self::work::{Work, work};
use crate::backend::Workload;
use crate::footprint;
use crate::latency::{Measured, Recorder, Summary};
use crate::machine::{Machine, version};
use crate::options::Scenario;
use crate::plan::{ACQUIRE_TIMEOUT, MAX_CONNECTING, Plan};
use crate::report::{Audit, Distribution, Fault, Phase, Report, Served};
use crate::timeline::{Sample, per_second};
use crate::verdict;

/// Tasks that open connections: more than connect at once, so that the pool always has a demand.
const OPENERS: usize = 64;

/// Runs the scenario and says what it found. What went wrong on the way is in the report.
///
/// # Errors
///
/// When the pool refuses its configuration.
pub async fn run<W: Workload>(plan: &Plan, workload: &Arc<W>) -> Result<Report, ConfigError> {
    footprint::forget_peak();
    let mut audit = Audit {
        descriptors_before: footprint::open_descriptors(),
        ..Audit::default()
    };
    let resident_before = footprint::resident_bytes();
    let server_before = workload.server_memory();
    let pool = pool(plan, workload)?;
    let recorder = Arc::new(Recorder::new());
    let monitor = Monitor::watch(pool.clone());

    monitor.phase("open", Goal::Held(plan.connections));
    let openers = plan.workers.min(OPENERS);
    let held = hold_all(&pool, workload, plan.connections, openers, &recorder).await;
    let mut run = Run::new(&held);
    let connections = held.connections.len();
    run.bytes_per_connection =
        per_connection(resident_before, footprint::resident_bytes(), connections);
    run.server_bytes_per_connection =
        per_connection(server_before, workload.server_memory(), connections);
    run.open_peak = pool.stats().total;
    audit.backend_open_while_held = workload.open_now();
    audit.descriptors_while_held = footprint::open_descriptors();
    drop(held);

    if run.tally.first_failure.is_none() {
        // What was recorded of opening stands in `phases` and `connect_ms`.
        recorder.drain_into(&mut Measured::default());
        match plan.scenario {
            Scenario::Basic => {
                monitor.phase("again", Goal::Held(plan.connections));
                let again = hold_all(&pool, workload, plan.connections, openers, &recorder);
                run.again(again.await, &recorder);
            }
            Scenario::Sustained | Scenario::Extreme => {
                monitor.phase("work", Goal::Time(plan.duration));
                let work = work(plan, &pool, workload, &recorder, &monitor);
                run.work(work.await, &mut audit);
                audit.server_agrees(&pool, &**workload).await;
            }
        }
    }

    run.timeline = monitor.finish().await;
    audit.after_work::<W>(&pool).await;
    let connect_ms = milliseconds(&pool.stats().connect);
    let close = audit.after_close(pool, &**workload).await;
    run.phases.push(Phase {
        name: "close".into(),
        seconds: close.as_secs_f64(),
        checkouts: 0,
    });
    Ok(run.report(plan, &**workload, audit, connect_ms))
}

fn pool<W: Workload>(plan: &Plan, workload: &Arc<W>) -> Result<Pool<W::Manager>, ConfigError> {
    // The rest is as users have it. Holding all connections for a while is what the bench is for,
    // no leak.
    Pool::builder(workload.manager())
        .min_size(0)
        .max_size(plan.max_size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_connecting(MAX_CONNECTING)
        .leak_threshold(Duration::ZERO)
        .build()
}

/// What is known so far.
struct Run {
    tally: Tally,
    held_peak: usize,
    open_peak: usize,
    bytes_per_connection: Option<u64>,
    server_bytes_per_connection: Option<u64>,
    phases: Vec<Phase>,
    measured: Measured,
    checkouts: u64,
    elapsed: Duration,
    served: Option<Served>,
    over_time: Vec<crate::report::Window>,
    timeline: Vec<Sample>,
    faults: Vec<Fault>,
}

impl Run {
    fn new<W: Workload>(held: &Held<W>) -> Self {
        let seconds = held.elapsed.as_secs_f64();
        Self {
            tally: held.tally.clone(),
            held_peak: held.connections.len(),
            open_peak: 0,
            bytes_per_connection: None,
            server_bytes_per_connection: None,
            phases: vec![Phase {
                name: "open".into(),
                seconds,
                checkouts: held.tally.answered,
            }],
            measured: Measured::default(),
            checkouts: 0,
            elapsed: Duration::ZERO,
            served: None,
            over_time: Vec::new(),
            timeline: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn again<W: Workload>(&mut self, held: Held<W>, recorder: &Recorder) {
        recorder.drain_into(&mut self.measured);
        self.held_peak = self.held_peak.max(held.connections.len());
        self.measured_phase("again", held.elapsed, held.tally);
    }

    fn work(&mut self, work: Work, audit: &mut Audit) {
        audit.unanswered = work.unanswered;
        self.open_peak = self.open_peak.max(work.open_peak);
        self.served = Some(work.served);
        self.measured = work.measured;
        self.over_time = work.over_time;
        self.faults = work.faults;
        self.measured_phase("work", work.elapsed, work.tally);
    }

    fn measured_phase(&mut self, name: &'static str, elapsed: Duration, tally: Tally) {
        self.elapsed = elapsed;
        self.checkouts = tally.answered;
        self.phases.push(Phase {
            name: name.into(),
            seconds: elapsed.as_secs_f64(),
            checkouts: tally.answered,
        });
        self.tally.merge(tally);
    }

    fn report<W: Workload>(
        self,
        plan: &Plan,
        workload: &W,
        audit: Audit,
        connect_ms: Summary,
    ) -> Report {
        let seconds = self.elapsed.as_secs_f64();
        let mut report = Report {
            scenario: plan.scenario.to_string(),
            backend: plan.backend.to_string(),
            server: workload.server(),
            connections_requested: plan.connections,
            connections_open_peak: self.open_peak,
            connections_held_at_once_peak: self.held_peak,
            checkouts: self.checkouts,
            errors: self.tally.errors,
            timeouts: self.tally.timeouts,
            leaked: audit.leaked(),
            seconds,
            checkouts_per_second: per_second(self.checkouts, seconds),
            checkout_ns: self.measured.checkout.summary_ns(),
            wait_ns: self.measured.wait.summary_ns(),
            query_ns: self.measured.query.summary_ns(),
            distribution: Distribution {
                checkout_ns: self.measured.checkout.distribution_ns(),
                wait_ns: self.measured.wait.distribution_ns(),
            },
            connect_ms,
            bytes_per_connection: self.bytes_per_connection,
            server_bytes_per_connection: self.server_bytes_per_connection,
            rss_peak_bytes: footprint::resident_peak_bytes(),
            served: self.served,
            phases: self.phases,
            over_time: self.over_time,
            timeline: self.timeline,
            faults: self.faults,
            audit,
            problems: Vec::new(),
            config: plan.config(),
            machine: Machine::this(),
            version: version(),
        };
        report.problems = verdict::problems(&report, self.tally.first_failure.as_deref());
        report
    }
}

/// Memory that came with the connections, for each; the rest of the process is older than they.
fn per_connection(before: Option<u64>, after: Option<u64>, connections: usize) -> Option<u64> {
    let grown = after?.saturating_sub(before?);
    grown.checked_div(connections as u64)
}

/// The pool's summary of durations in milliseconds.
fn milliseconds(latency: &pool_core::LatencySummary) -> Summary {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    Summary {
        count: latency.count,
        p50: milliseconds(latency.p50),
        p95: milliseconds(latency.p95),
        p99: milliseconds(latency.p99),
        p999: milliseconds(latency.p999),
        max: milliseconds(latency.max),
        mean: milliseconds(latency.mean),
    }
}
