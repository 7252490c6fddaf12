//! The one background task of a pool: it asks the policies what is due, and sees to it.
//!
//! It sleeps until the next thing can be due. A *sweep* looks at every record: idle connections
//! that are too old or not needed are retired, those nobody has heard of for long are pinged,
//! those that will be missed get a successor in time, and holders past the threshold are
//! reported. What happens after a sweep is due no sooner than the shortest of the periods, so no
//! event has to tell the keeper of it. While there are checkouts it also keeps the coarse clock.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::sleep_until;

use crate::inner::Inner;
use crate::inner::care::Care;
use crate::inner::clock::{Nanos, is_paused, nanos};
use crate::inner::entry::Entry;
use crate::inner::exchange::Exchange;
use crate::inner::opener::Purpose;
use crate::inner::record::{Phase, Record};
use crate::manager::Manager;
use crate::policy::codel::Codel;
use crate::policy::scaler::Scaler;
use crate::policy::upkeep::{Due, Limits};
use crate::stats::CloseReason;

/// For how long the coarse clock runs when somebody has wound it up.
const RUN: Duration = Duration::from_secs(1);
/// When to see whether connects for `min_idle` have come to anything.
const NEXT_LOOK: Duration = Duration::from_secs(1);
/// Pings under way at the same time, at most.
const PINGS: usize = 16;
/// When more pings were due than may be under way.
const NEXT_PINGS: Duration = Duration::from_millis(10);

struct Keeper<M: Manager> {
    inner: Arc<Inner<M>>,
    pings: Arc<AtomicUsize>,
}

/// What one look at all records has found.
struct Findings {
    /// Whether an idle connection is to be retired or pinged.
    something_is_due: bool,
    /// How many connections soon end, idle or held.
    ending: usize,
    leaks: Vec<Arc<Record>>,
    /// Connections held past `reclaim_threshold`.
    abandoned: Vec<Arc<Record>>,
    next: Nanos,
}

impl Findings {
    fn look_at_holder(&mut self, record: &Arc<Record>, since: Nanos, limits: &Limits, now: Nanos) {
        let leaked_at = limits.leaked_at(record, since);
        if leaked_at > now {
            self.next = self.next.min(leaked_at);
        } else if !record.is_reported() {
            self.leaks.push(Arc::clone(record));
        }
        let reclaim_at = since
            .saturating_add(limits.reclaim_threshold)
            .max(record.allowed_until());
        if reclaim_at > now {
            self.next = self.next.min(reclaim_at);
        } else {
            self.abandoned.push(Arc::clone(record));
        }
    }
}

impl<M: Manager> Inner<M> {
    /// Makes sure that a keeper runs, if the caller has a runtime for it.
    #[inline]
    pub(crate) fn attend(self: &Arc<Self>) {
        if !self.host.keeper_is_alive() {
            self.start_keeper();
        }
    }

    #[cold]
    fn start_keeper(self: &Arc<Self>) {
        if self.is_shut_down() || !self.host.settle() {
            return;
        }
        self.pace.watch(!is_paused());
        let keeper = Keeper {
            inner: Arc::clone(self),
            pings: Arc::default(),
        };
        self.host.spawn(keeper.run());
        self.replenish();
    }

    /// The time for a checkout that found the coarse clock run down.
    #[cold]
    pub(crate) fn wind_up(self: &Arc<Self>) -> Nanos {
        let now = self.dial.clock.exact();
        self.attend();
        self.host.call.notify_one();
        // The keeper, which looks at each tick, may come too late for this one.
        self.note_active();
        now
    }
}

impl<M: Manager> Drop for Keeper<M> {
    fn drop(&mut self) {
        let inner = &self.inner;
        if !inner.is_shut_down() {
            // The runtime is gone, and others may use the pool from another one. The sockets that were
            // opened on it answer nobody any more.
            inner.dial.next_generation();
        }
        inner.dial.clock.run_down();
        inner.host.keeper_ended();
        inner.stop_holding_back();
        inner.exchange.wake_all();
    }
}

impl<M: Manager> Keeper<M> {
    async fn run(self) {
        let inner = &self.inner;
        let clock = &inner.dial.clock;
        let tick = inner.limits.tick;
        let mut runs_until = 0;
        let mut sweep_at = 0;
        let mut was_paused = false;
        let config = &inner.config;
        let mut codel = Codel::new(
            nanos(config.shedding_target),
            nanos(config.shedding_interval),
        );
        let mut scaler = Scaler::new(config);
        let mut shut_down = std::pin::pin!(inner.shut_down());
        loop {
            let now = clock.exact();
            if runs_until <= now && inner.exchange.waiting().0 == 0 {
                clock.run_down();
            }
            // After the clock: `alarm_is_set` has the reason.
            let alarms = runs_until > 0 && inner.exchange.is_anybody_waiting();
            if alarms {
                runs_until = runs_until.max(now + 1);
            }
            if runs_until > now {
                clock.tick(now, inner.host.is_driven());
            }
            if alarms {
                inner.exchange.ring(now + inner.alarm_margin());
            }
            inner.note_active();
            let headroom_at = self.keep_headroom(now);
            let has_resumed = std::mem::replace(&mut was_paused, inner.exchange.is_paused());
            // What fell due during a pause was kept.
            if sweep_at <= now || (has_resumed && !was_paused) {
                sweep_at = self.sweep(now);
            }
            let watch_at = inner.watch_queue(&mut codel, now);
            let tick_at = if runs_until > now {
                now + tick
            } else {
                Nanos::MAX
            };
            let scale_at = inner.scale(&mut scaler, now, self.pings.load(Relaxed));
            let look_at = inner.release_connects(now);
            let sample_at = inner.take_sample(now);
            let times = [
                sweep_at,
                headroom_at,
                watch_at,
                scale_at,
                look_at,
                sample_at,
                tick_at,
            ];
            let next = times.into_iter().fold(Nanos::MAX, Nanos::min);
            tokio::select! {
                () = &mut shut_down => return,
                () = sleep_until(clock.instant(next)) => {}
                () = inner.host.call.notified() => {
                    let now = clock.exact();
                    let in_real_time = runs_until > now || !is_paused();
                    inner.pace.watch(in_real_time);
                    if in_real_time {
                        runs_until = now + nanos(RUN);
                    }
                    sweep_at = sweep_at.min(now.saturating_add(inner.limits.shortest()));
                }
            }
        }
    }

    /// Looks at everything, and says when to look again.
    fn sweep(&self, now: Nanos) -> Nanos {
        let inner = &self.inner;
        let findings = self.look(now);
        for record in &findings.leaks {
            inner.report_leak(record, now);
        }
        let mut next = findings.next;
        for record in &findings.abandoned {
            next = next.min(inner.reclaim(record, now));
        }
        // Before those that are due are closed: what is counted here is still there.
        self.find_successors(findings.ending);
        if findings.something_is_due {
            next = next.min(self.tend_idle(findings.ending, now));
        }
        self.inner.replenish();
        // Many connections are due one after another: then a look is for several of them.
        let pause = 1_000_000 + 10_000 * inner.registry().records().len() as u64;
        next.max(now + pause)
    }

    fn look(&self, now: Nanos) -> Findings {
        let inner = &*self.inner;
        let limits = &inner.limits;
        let generation = inner.dial.generation();
        let registry = inner.registry();
        let mut found = Findings {
            something_is_due: false,
            ending: 0,
            leaks: Vec::new(),
            abandoned: Vec::new(),
            next: match registry.records() {
                [] => Nanos::MAX,
                _ => now.saturating_add(limits.shortest()),
            },
        };
        for record in registry.records() {
            let (phase, since) = record.phase();
            match phase {
                Phase::Idle => {
                    let due = limits.due(record, generation, since, now);
                    found.something_is_due |= due != Due::Nothing;
                    found.next = found.next.min(limits.next_due(record, since, now));
                }
                Phase::Held => found.look_at_holder(record, since, limits, now),
                Phase::Opening | Phase::Busy => continue,
            }
            let succession_at = limits.succession_at(record);
            if succession_at > now {
                found.next = found.next.min(succession_at);
            } else {
                found.ending += 1;
            }
        }
        found
    }

    /// Retires and pings what is due among the idle, when so many end soon; says when to look for the
    /// rest.
    fn tend_idle(&self, ending: usize, now: Nanos) -> Nanos {
        let inner = &*self.inner;
        let generation = inner.dial.generation();
        let mut spare = self.spare(ending);
        let mut pings = self.pings_to_begin();
        let mut next = Nanos::MAX;
        let mut due_for = Vec::new();
        let (picked, spared) = inner.exchange.shards.extract(|entry| {
            let record = &entry.slot.record;
            let since = record.phase().1;
            let due = inner.limits.due(record, generation, since, now);
            let (due, picked) = match due {
                Due::Nothing => (due, false),
                Due::Retire(_) => (due, true),
                Due::RetireIfSpare if spare > 0 => {
                    spare -= 1;
                    (due, true)
                }
                // It stays, and must not be forgotten by the server meanwhile.
                Due::RetireIfSpare | Due::Ping => {
                    let silent_until = inner.limits.next_ping(record);
                    let pinged = silent_until <= now && pings > 0;
                    pings -= usize::from(pinged);
                    next = next.min(silent_until.max(now + nanos(NEXT_PINGS)));
                    (Due::Ping, pinged)
                }
            };
            if picked {
                due_for.push(due);
            }
            picked
        });
        for entry in spared {
            if let Err(refused) = Exchange::release(entry) {
                Inner::close_refused(refused);
            }
        }
        for (entry, due) in picked.into_iter().zip(due_for) {
            match due {
                Due::Retire(reason) => Inner::close_entry(entry, reason),
                Due::RetireIfSpare => Inner::close_entry(entry, CloseReason::IdleTimeout),
                Due::Nothing | Due::Ping => self.ping(entry),
            }
        }
        next
    }

    /// How many may be pinged now: at most half of those at rest, but one, so that a pool at rest
    /// has something to give meanwhile.
    fn pings_to_begin(&self) -> usize {
        let under_way = self.pings.load(Relaxed);
        let at_rest = self.inner.exchange.shards.count() + under_way;
        (at_rest / 2).clamp(1, PINGS).saturating_sub(under_way)
    }

    /// How many idle connections the pool can do without, when so many end soon: what has taken their
    /// place makes no other spare.
    fn spare(&self, ending: usize) -> usize {
        let inner = &*self.inner;
        let (live, floor) = inner.exchange.read_capacity(|c| (c.live(), c.floor()));
        let idle = inner.exchange.shards.count();
        live.saturating_sub(floor + ending)
            .min(idle.saturating_sub(inner.config.min_idle))
    }

    fn ping(&self, entry: Box<Entry<M>>) {
        let (_, idle_since) = entry.slot.record.phase();
        let under_way = UnderWay::new(&self.pings);
        self.inner.host.spawn(async move {
            let pinged = Inner::tend(entry, Care::Validate).await;
            drop(under_way);
            if let Ok(entry) = pinged {
                Inner::release_pinged(entry, idle_since);
            }
        });
    }

    /// Opens successors for connections that end soon, as far as the pool would miss them.
    fn find_successors(&self, ending: usize) {
        let inner = &self.inner;
        let missing = |live: usize, min: usize| min.saturating_sub(live.saturating_sub(ending));
        if ending == 0 {
            return;
        }
        for _ in 0..inner
            .exchange
            .take_capacity(|c| missing(c.live(), c.floor()))
        {
            inner.begin_connect(Purpose::Ahead);
        }
    }

    /// Opens what is missing to `min_idle`; says when to see whether that has come to anything.
    fn keep_headroom(&self, now: Nanos) -> Nanos {
        let inner = &self.inner;
        let wanted = inner.config.min_idle;
        let idle = inner.exchange.shards.count();
        if idle >= wanted {
            return Nanos::MAX;
        }
        if inner.exchange.waiting().0 == 0 {
            let missing = |opening: usize| wanted.saturating_sub(idle + opening);
            for _ in 0..inner.exchange.take_capacity(|c| missing(c.opening())) {
                inner.begin_connect(Purpose::Ahead);
            }
        }
        now + nanos(NEXT_LOOK)
    }
}

/// One ping that is under way.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(pings: &Arc<AtomicUsize>) -> Self {
        pings.fetch_add(1, Relaxed);
        Self(Arc::clone(pings))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
