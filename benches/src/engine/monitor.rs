//! Watches the pool beside the work: reads its statistics four times a second, shows them, and keeps
//! them for the report.
//!
//! It has a thread of its own, since forty thousand tasks on two threads leave a task little to run
//! on. It takes no lock that a worker takes but those of `stats()`, and no connection.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use pool_core::{Manager, Pool, Stats};
use tokio::task::JoinHandle;

use crate::latency::Summary;
use crate::progress::Progress;
use crate::rates::Rates;
use crate::table::grouped;
use crate::timeline::{Moment, Sample, Timeline};
use crate::view::{Done, Latency, View};

const EVERY: Duration = Duration::from_millis(250);

/// The way to whoever watches. The end of it is the end of the watch.
pub(super) struct Monitor {
    events: Sender<Event>,
    watch: JoinHandle<Timeline>,
}

enum Event {
    Phase(&'static str, Goal),
    Waited(Summary),
}

/// When a phase is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// When that many connections are held.
    Held(usize),
    /// After that time.
    Time(Duration),
}

impl Monitor {
    /// Watches `pool` until [`finish`](Self::finish).
    pub(super) fn watch<M: Manager>(pool: Pool<M>) -> Self {
        let (events, receiver) = channel();
        let watch = tokio::task::spawn_blocking(move || watch(&pool, &receiver));
        Self { events, watch }
    }

    /// A phase begins.
    pub(super) fn phase(&self, name: &'static str, goal: Goal) {
        self.send(Event::Phase(name, goal));
    }

    /// How long checkouts of the last window waited.
    pub(super) fn waited(&self, window: Summary) {
        self.send(Event::Waited(window));
    }

    /// Lets go of the pool. What was seen of it.
    pub(super) async fn finish(self) -> Vec<Sample> {
        drop(self.events);
        let timeline = self.watch.await;
        timeline.map_or_else(|_| Vec::new(), |timeline| timeline.samples())
    }

    fn send(&self, event: Event) {
        // A watch that has ended has panicked; the run goes on without.
        let _ = self.events.send(event);
    }
}

fn watch<M: Manager>(pool: &Pool<M>, events: &Receiver<Event>) -> Timeline {
    let mut watch = Watch::new();
    let mut due = Instant::now() + EVERY;
    loop {
        match events.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Event::Phase(name, goal)) => watch.phase(name, goal),
            Ok(Event::Waited(window)) => {
                watch.waited = Some(window);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => due = Instant::now() + EVERY,
            Err(RecvTimeoutError::Disconnected) => {
                watch.look(&pool.stats());
                watch.progress.finish();
                return watch.timeline;
            }
        }
        watch.look(&pool.stats());
    }
}

struct Watch {
    began: Instant,
    phase: &'static str,
    phase_began: Instant,
    goal: Goal,
    waited: Option<Summary>,
    rates: Rates,
    timeline: Timeline,
    progress: Progress<std::io::Stderr>,
}

impl Watch {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            phase: "",
            phase_began: now,
            goal: Goal::Held(0),
            waited: None,
            rates: Rates::default(),
            timeline: Timeline::default(),
            progress: Progress::new(),
        }
    }

    fn phase(&mut self, name: &'static str, goal: Goal) {
        (self.phase, self.goal) = (name, goal);
        (self.phase_began, self.waited) = (Instant::now(), None);
    }

    fn look(&mut self, stats: &Stats) {
        let moment = Moment {
            at: self.began.elapsed(),
            phase: self.phase,
            idle: stats.idle,
            active: stats.active,
            opening: stats.opening,
            waiting: stats.waiting,
            acquired: stats.acquired,
        };
        self.timeline.add(moment);
        self.rates.observe(moment.at, moment.acquired);
        self.progress.show(&View {
            moment: &moment,
            done: self.goal.done(stats.active, self.phase_began.elapsed()),
            per_second: self.rates.now(),
            past: self.rates.past(),
            latency: self.latency(stats),
        });
    }

    /// While connections are opened, connecting is what takes time; later it is waiting for one.
    fn latency(&self, stats: &Stats) -> Option<Latency> {
        match (self.goal, self.waited) {
            (Goal::Held(_), _) => (stats.connect.count > 0).then(|| Latency {
                of: "connect",
                p50_ns: nanoseconds(stats.connect.p50),
                p99_ns: nanoseconds(stats.connect.p99),
            }),
            (Goal::Time(_), Some(window)) if window.count > 0 => Some(Latency {
                of: "wait",
                p50_ns: window.p50,
                p99_ns: window.p99,
            }),
            (Goal::Time(_), _) => None,
        }
    }
}

impl Goal {
    fn done(self, held: usize, elapsed: Duration) -> Done {
        let (done, whole, words) = match self {
            Self::Held(count) => {
                let words = format!("{} of {} held", grouped(held), grouped(count));
                (held as u128, count as u128, words)
            }
            Self::Time(duration) => {
                let (now, whole) = (elapsed.as_secs_f64(), duration.as_secs_f64());
                let words = if elapsed <= duration {
                    format!("{now:.0} s of {whole} s")
                } else {
                    format!("{now:.0} s, the last answers")
                };
                (elapsed.as_millis(), duration.as_millis(), words)
            }
        };
        let permille = (done * 1_000 / whole.max(1)).min(1_000);
        Done {
            permille: u64::try_from(permille).unwrap_or(1_000),
            words,
        }
    }
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Workload as _;
    use crate::backend::memory::Memory;

    #[test]
    fn a_phase_is_done_by_what_it_is_for() {
        let half = Goal::Held(2_000).done(1_000, Duration::ZERO);
        assert_eq!((half.permille, &*half.words), (500, "1,000 of 2,000 held"));
        let time = Goal::Time(Duration::from_secs(20));
        let tenth = time.done(0, Duration::from_secs(2));
        assert_eq!((tenth.permille, &*tenth.words), (100, "2 s of 20 s"));
        let over = time.done(0, Duration::from_secs(21));
        assert_eq!(
            (over.permille, &*over.words),
            (1_000, "21 s, the last answers")
        );
        assert_eq!(
            Goal::Time(Duration::ZERO).done(0, Duration::ZERO).permille,
            0
        );
    }

    #[tokio::test]
    async fn what_the_pool_did_is_seen_and_the_pool_is_let_go() {
        let pool = Pool::builder(Memory::default().manager())
            .max_size(1)
            .build()
            .unwrap();
        let monitor = Monitor::watch(pool.clone());
        monitor.phase("open", Goal::Held(1));
        let held = pool.get().await.unwrap();
        monitor.phase("work", Goal::Time(Duration::ZERO));
        let samples = monitor.finish().await;
        drop(held);

        let phases: Vec<_> = samples.iter().map(|sample| &*sample.phase).collect();
        assert_eq!(phases[..2], ["open", "work"]);
        assert_eq!(samples.last().map(|sample| sample.active), Some(1));
    }
}
