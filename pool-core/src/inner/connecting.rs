//! What the connects of one pool share: how they went, when the next may begin, and what callers
//! are told meanwhile.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::Inner;
use super::bounded::Failure;
use super::clock::{Nanos, nanos};
use crate::config::PoolConfig;
use crate::error::Error;
use crate::health::ConnectFailure;
use crate::manager::{Manager, Severity};
use crate::policy::backoff::Backoff;
use crate::policy::breaker::{Attempt, Breaker, BreakerLimits, BreakerState, Weight};
use crate::policy::patience::Patience;
use crate::policy::random::Random;
use crate::policy::recovery::Recovery;
use crate::stats::count;

/// For how long a checkout that was told at once counts as somebody who waits.
const ASKED_FOR: Nanos = 1_000_000_000;
/// For how long a pool makes do with what it has when the server has no room for more.
const MAKE_DO_FOR: Duration = Duration::from_secs(10);

/// The shared state of a pool's connects.
#[derive(Debug)]
pub(crate) struct Connecting {
    state: Mutex<State>,
    /// Whether the last connect failed, for those who join the queue; written with `state` locked.
    failing: AtomicBool,
    /// Whether the breaker is open, for those who find nothing idle; written with `state` locked.
    is_open: AtomicBool,
    /// Whether the last connection that went straight to a waiter was broken before it was used: then an
    /// open connection is not yet a success.
    is_doubted: AtomicBool,
    /// When a checkout was last told at once that connects fail.
    asked_at: AtomicU64,
    /// Somebody wants a connection now: the pause before the next attempt is to be shortened.
    pub(super) demand: Notify,
}

#[derive(Debug)]
struct State {
    backoff: Backoff,
    recovery: Recovery,
    patience: Patience,
    breaker: Breaker,
    random: Random,
    /// Why a connect last failed, and when.
    last_failure: Option<(Arc<str>, Nanos)>,
    /// Whether none has succeeded since.
    has_failed: bool,
}

impl State {
    /// A connect has failed because of this.
    fn note_error(&mut self, error: &Arc<str>, now: Nanos) {
        self.last_failure = Some((Arc::clone(error), now));
        self.has_failed = true;
    }

    /// When the next attempt may begin, by what has failed before; `None` while none may.
    fn next_at(&self, somebody_waits: bool) -> Option<Nanos> {
        let by_backoff = self.backoff.next_at(somebody_waits);
        let by_breaker = self.breaker.probe_by().unwrap_or(Nanos::MAX);
        self.breaker.permits().then_some(by_backoff.min(by_breaker))
    }
}

impl Connecting {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        let threshold = config.breaker_threshold.unwrap_or(0);
        let limits = BreakerLimits {
            threshold: u32::try_from(threshold).unwrap_or(u32::MAX),
            failure_rate: match config.breaker_window {
                Some(_) => config.breaker_failure_rate,
                None => f64::INFINITY,
            },
            window: config.breaker_window.map_or(Nanos::MAX, nanos),
            open_time: config.breaker_open_time.map_or(Nanos::MAX, nanos),
        };
        Self {
            state: Mutex::new(State {
                backoff: Backoff::new(Random::new()),
                recovery: Recovery::new(config.recovery_rate),
                patience: Patience::default(),
                breaker: Breaker::new(limits),
                random: Random::new(),
                last_failure: None,
                has_failed: false,
            }),
            failing: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            is_doubted: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            demand: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last connect failed, unless one has succeeded since.
    pub(crate) fn last_error(&self) -> Option<Arc<str>> {
        let state = self.state();
        let last = state.last_failure.as_ref();
        let last = last.filter(|_| state.has_failed);
        last.map(|(error, _)| Arc::clone(error))
    }

    /// Why a connect last failed, whether or not one has succeeded since.
    pub(crate) fn last_failure(&self, now: Nanos) -> Option<ConnectFailure> {
        let state = self.state();
        let (error, at) = state.last_failure.as_ref()?;
        Some(ConnectFailure {
            error: error.to_string(),
            ago: super::between(*at, now),
        })
    }

    /// Whether the last connect failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    /// Whether connections prove themselves by their first use only.
    pub(crate) fn is_doubted(&self) -> bool {
        self.is_doubted.load(Relaxed)
    }

    pub(crate) fn breaker_state(&self) -> BreakerState {
        self.state().breaker.state()
    }

    /// Somebody has begun to wait.
    pub(crate) fn on_demand(&self) {
        if self.is_failing() {
            self.demand.notify_one();
        }
    }

    /// A number from 0 to 1, for the jitter of a lifetime.
    pub(super) fn jitter(&self) -> f64 {
        self.state().random.unit()
    }

    /// How long a connect that begins now may take, if less than usual.
    pub(super) fn patience(&self, now: Nanos) -> Option<Duration> {
        self.state().patience.limit(now)
    }

    /// A connect took so long.
    pub(super) fn note_time(&self, took: Duration) {
        self.state().patience.note(took);
    }

    /// When the next connect may begin; `None` while none may. One that may at this moment is taken to
    /// begin.
    pub(super) fn admit(&self, somebody_waits: bool, now: Nanos) -> Option<Nanos> {
        let mut state = self.state();
        let at = state.next_at(somebody_waits)?;
        let at = at.max(state.recovery.next_at());
        if at <= now {
            state.recovery.take(now);
        }
        Some(at)
    }

    /// Whether somebody was told within the last second that connects fail.
    pub(super) fn was_asked(&self, now: Nanos) -> bool {
        let asked_at = self.asked_at.load(Relaxed);
        asked_at > 0 && now.saturating_sub(asked_at) < ASKED_FOR
    }
}

/// A change of the breaker.
#[derive(Debug, Clone, Copy)]
struct Change {
    from: BreakerState,
    to: BreakerState,
}

/// A pool that makes do; dropped, with the runtime if need be, it no longer does.
struct MakingDo<M: Manager>(Arc<Inner<M>>);

impl<M: Manager> Drop for MakingDo<M> {
    fn drop(&mut self) {
        let inner = &self.0;
        let ((), connects) = inner.exchange.with_capacity(|c| c.ceiling = None);
        inner.begin_connects(connects);
    }
}

impl<M: Manager> Inner<M> {
    /// What to tell a checkout that finds nothing idle, when it need not wait to be told.
    pub(crate) fn refusal(self: &Arc<Self>) -> Option<Error<M::Error>> {
        if !self.connecting.is_open.load(Relaxed) || !self.exchange.is_hopeless() {
            return None;
        }
        let now = self.dial.clock.exact();
        let connecting = &self.connecting;
        connecting.asked_at.store(now.max(1), Relaxed);
        count(&self.counters.rejected);
        let next_at = connecting.state().next_at(true);
        if next_at.is_some() {
            self.open_ahead();
            connecting.demand.notify_one();
        }
        let last_error = connecting
            .last_error()
            .unwrap_or_else(|| "opened by hand".into());
        let retry_at = next_at.unwrap_or_else(|| {
            now.saturating_add(self.config.breaker_open_time.map_or(ASKED_FOR, nanos))
        });
        Some(Error::CircuitOpen {
            pool: Arc::clone(&self.name),
            retry_after: super::between(now, retry_at),
            last_error,
        })
    }

    /// Those who wait while the breaker is open and no connection is left are told at once.
    pub(crate) fn tell_the_hopeless(&self) {
        if self.connecting.is_open.load(Relaxed) {
            self.exchange.dismiss_hopeless();
        }
    }

    /// A connect begins.
    pub(super) fn begin_attempt(&self) -> Attempt {
        let (attempt, change) = self.with_breaker(&mut self.connecting.state(), Breaker::begin);
        self.tell_of(change, None);
        attempt
    }

    /// A connect that has begun came to no result.
    pub(super) fn abandon_attempt(&self) {
        let ((), change) = self.with_breaker(&mut self.connecting.state(), Breaker::on_abandoned);
        self.tell_of(change, None);
    }

    /// A connect has succeeded.
    pub(super) fn note_success(&self) {
        let now = self.dial.clock.exact();
        let (failures, change) = {
            let mut state = self.connecting.state();
            let failures = state.backoff.failures();
            state.has_failed = false;
            state.backoff.on_success();
            state.patience.on_success();
            state.recovery.on_success(now, self.exchange.limits().1);
            let ((), change) = self.with_breaker(&mut state, |breaker| breaker.on_success(now));
            self.connecting.failing.store(false, Relaxed);
            self.exchange.connects_succeed();
            (failures, change)
        };
        if failures > 0 {
            tracing::info!(pool = %self.name, failures, "connects succeed again");
        }
        self.tell_of(change, None);
    }

    /// A new connection is fit to be used by the waiter it went to.
    #[cold]
    pub(crate) fn note_proof(&self) {
        self.connecting.is_doubted.store(false, Relaxed);
        self.note_success();
    }

    /// A new connection was broken when the waiter it went to was to use it: its connect has failed,
    /// and those that follow are no successes until one is used.
    #[cold]
    pub(crate) fn note_stillbirth(self: &Arc<Self>, opened_at: Nanos) {
        self.connecting.is_doubted.store(true, Relaxed);
        let attempt = self.connecting.state().breaker.attempt();
        self.note_failure(attempt, opened_at, &Failure::Broken);
    }

    /// A connect has failed that began then.
    pub(super) fn note_failure(
        self: &Arc<Self>,
        attempt: Attempt,
        begun_at: Nanos,
        failure: &Failure<M::Error>,
    ) {
        if matches!(failure, Failure::Closed) {
            return self.abandon_attempt();
        }
        count(&self.counters.connect_failures);
        if matches!(failure, Failure::TimedOut(_)) {
            count(&self.counters.connect_timeouts);
        }
        let severity = match failure {
            Failure::Failed(error) => self.severity_of(error),
            _ => Severity::Transient,
        };
        let weight = match (failure, severity) {
            (_, Severity::Permanent) => Weight::Permanent,
            (Failure::Broken, _) => Weight::Half,
            _ => Weight::Whole,
        };
        let now = self.dial.clock.exact();
        let error: Arc<str> = failure.told().into();
        if severity == Severity::TooManyConnections && self.exchange.make_do() {
            self.connecting.state().note_error(&error, now);
            return self.make_do(&error);
        }
        let (failures, retry_at, change) = {
            let mut state = self.connecting.state();
            state.backoff.on_failure(begun_at);
            state.patience.on_failure(now);
            state.recovery.on_failure(begun_at);
            state.note_error(&error, now);
            self.connecting.failing.store(true, Relaxed);
            self.exchange.connects_fail();
            let ((), change) = self.with_breaker(&mut state, |breaker| {
                breaker.on_failure(attempt, weight, now);
            });
            let somebody_waits = self.exchange.waiting().0 > 0 || self.connecting.was_asked(now);
            (
                state.backoff.failures(),
                state.backoff.next_at(somebody_waits),
                change,
            )
        };
        let retry_in = super::between(now, retry_at);
        tracing::warn!(pool = %self.name, %error, failures, ?retry_in, "cannot connect");
        self.tell_of(change, Some(&error));
        self.tell_the_hopeless();
    }

    /// The server has no room for more connections: for a while the pool wants none.
    fn make_do(self: &Arc<Self>, error: &str) {
        self.abandon_attempt();
        tracing::warn!(
            pool = %self.name,
            %error,
            "the server takes no more connections: making do with those there are for 10 s"
        );
        let making_do = MakingDo(Arc::clone(self));
        self.host.spawn(async move {
            tokio::select! {
                () = sleep(MAKE_DO_FOR) => {}
                () = making_do.0.shut_down() => {}
            }
        });
    }

    /// Changes the breaker by hand.
    pub(crate) fn change_breaker(self: &Arc<Self>, change: impl FnOnce(&mut Breaker)) {
        let ((), change) = {
            let mut state = self.connecting.state();
            let changed = self.with_breaker(&mut state, change);
            let permits = state.breaker.permits();
            if permits {
                state.backoff.on_success();
            }
            // While the state is locked: who finds that none may begin does not plan it anew.
            self.exchange.bar_connects(!permits);
            changed
        };
        self.tell_of(change, None);
        self.tell_the_hopeless();
        self.attend();
        self.replenish();
        self.connecting.demand.notify_one();
    }

    fn severity_of(&self, error: &M::Error) -> Severity {
        super::bounded::caught_now(|| self.manager.severity(error)).unwrap_or(Severity::Transient)
    }

    fn with_breaker<R>(
        &self,
        state: &mut State,
        change: impl FnOnce(&mut Breaker) -> R,
    ) -> (R, Option<Change>) {
        let from = state.breaker.state();
        let result = change(&mut state.breaker);
        let to = state.breaker.state();
        self.connecting.is_open.store(to.is_open(), Relaxed);
        (result, (from != to).then_some(Change { from, to }))
    }

    fn tell_of(&self, change: Option<Change>, error: Option<&str>) {
        let Some(Change { from, to: state }) = change else {
            return;
        };
        let pool = &self.name;
        count(&self.counters.breaker_changes);
        match (from.is_open(), state.is_open()) {
            (false, true) => {
                count(&self.counters.breaker_opened);
                let error = error.map(tracing::field::display);
                tracing::warn!(%pool, %state, error, "circuit breaker opened");
            }
            // A probe, or its failure: of that there is a warning already.
            (true, true) => tracing::debug!(%pool, %state, "circuit breaker changed"),
            (_, false) => tracing::info!(%pool, %state, "circuit breaker changed"),
        }
    }
}
