//! When callers stop waiting for connects that fail.
//!
//! ```text
//!             threshold reached, or a permanent error
//!   closed ──────────────────────────────────────────▶ open
//!     ▲                                               │    ▲
//!     │ any success              the probe begins     │    │ it fails
//!     └────────────────────────────────────────── half-open
//!
//!   by hand: forced open (no probe), disabled (never opens), and back
//! ```
//!
//! The breaker guards connects only: connections that exist keep serving while it is open. When
//! it is probed is the backoff's affair; the open time is the longest that may take. It grows with
//! each probe that fails, up to a cap (Nygard, "Release It!", 2007, for the pattern).
//!
//! An attempt is judged by the breaker's state when it began: a failure that comes late, of an
//! attempt from before the last change, counts for nothing. A success is always good news. A
//! connection that broke before its first use counts half: the server is there and lets people in,
//! and a restart that costs as many as the threshold is no outage yet.

use crate::inner::clock::Nanos;

/// What a pool's circuit breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum BreakerState {
    /// Connects work, as far as is known.
    #[default]
    Closed,
    /// Connects fail: who would have to wait for one is told at once.
    Open,
    /// Open, and one connect is trying whether they still fail.
    HalfOpen,
    /// Open by hand; nothing is tried until it is reset.
    ForcedOpen,
    /// Switched off: it never opens.
    Disabled,
}

impl BreakerState {
    /// Its name, as messages and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced open",
            Self::Disabled => "disabled",
        }
    }

    /// Whether callers who would have to wait for a connect are told at once that it fails.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::HalfOpen | Self::ForcedOpen)
    }
}

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerLimits {
    /// Failures in a row that open it; 0 for never.
    pub(crate) threshold: u32,
    /// The share of failures within the window that opens it; above 1 for never.
    pub(crate) failure_rate: f64,
    pub(crate) window: Nanos,
    pub(crate) open_time: Nanos,
}

impl BreakerLimits {
    fn at_first(&self) -> BreakerState {
        if self.threshold == 0 {
            BreakerState::Disabled
        } else {
            BreakerState::Closed
        }
    }
}

/// The open time doubles with each failed probe, up to this many times itself.
const GROWTH: u64 = 8;
/// Attempts within the window below which a rate says nothing.
const ENOUGH: u32 = 10;

/// An attempt, with the change of the breaker it began under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    change: u64,
}

/// How much the failure of a connect says about the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It will fail too: this does not mend itself.
    Permanent,
    /// As many in a row as the threshold says are an outage.
    Whole,
    /// Twice as many are.
    Half,
}

impl Weight {
    fn halves(self) -> u32 {
        match self {
            Self::Permanent | Self::Whole => 2,
            Self::Half => 1,
        }
    }
}

/// The breaker of one pool.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: BreakerLimits,
    state: BreakerState,
    /// How often the state has changed.
    change: u64,
    /// Failures in a row, in halves.
    halves: u32,
    window: Window,
    open_until: Nanos,
    failed_probes: u32,
}

impl Breaker {
    pub(crate) fn new(limits: BreakerLimits) -> Self {
        Self {
            state: limits.at_first(),
            limits,
            change: 0,
            halves: 0,
            window: Window::new(limits.window),
            open_until: 0,
            failed_probes: 0,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }

    /// When a connect must have been tried at the latest; `None` when it need not wait.
    pub(crate) fn probe_by(&self) -> Option<Nanos> {
        self.state.is_open().then_some(self.open_until)
    }

    /// Whether a connect may be tried at all.
    pub(crate) fn permits(&self) -> bool {
        self.state != BreakerState::ForcedOpen
    }

    /// A connect begins; in an open breaker it is the probe.
    pub(crate) fn begin(&mut self) -> Attempt {
        if self.state == BreakerState::Open {
            self.enter(BreakerState::HalfOpen);
        }
        self.attempt()
    }

    /// What has been tried in its present state.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            change: self.change,
        }
    }

    /// A connect has succeeded.
    pub(crate) fn on_success(&mut self, now: Nanos) {
        self.halves = 0;
        self.failed_probes = 0;
        self.window.add(now, false);
        if matches!(self.state, BreakerState::Open | BreakerState::HalfOpen) {
            self.window = Window::new(self.limits.window);
            self.enter(BreakerState::Closed);
        }
    }

    /// A connect has failed.
    pub(crate) fn on_failure(&mut self, attempt: Attempt, weight: Weight, now: Nanos) {
        if attempt.change != self.change {
            return;
        }
        self.halves = self.halves.saturating_add(weight.halves());
        self.window.add(now, true);
        match self.state {
            BreakerState::Closed if weight == Weight::Permanent || self.is_too_much(now) => {
                self.open(now);
            }
            BreakerState::HalfOpen => {
                self.failed_probes = self.failed_probes.saturating_add(1);
                self.open(now);
            }
            _ => {}
        }
    }

    /// A probe came to no result.
    pub(crate) fn on_abandoned(&mut self) {
        if self.state == BreakerState::HalfOpen {
            self.enter(BreakerState::Open);
        }
    }

    /// Opens it by hand, until it is reset.
    pub(crate) fn trip(&mut self) {
        self.enter(BreakerState::ForcedOpen);
    }

    /// Puts it by hand into the state it began in.
    pub(crate) fn reset(&mut self) {
        (self.halves, self.failed_probes) = (0, 0);
        self.window = Window::new(self.limits.window);
        self.enter(self.limits.at_first());
    }

    /// Switches it off, until it is reset.
    pub(crate) fn disable(&mut self) {
        self.enter(BreakerState::Disabled);
    }

    fn is_too_much(&self, now: Nanos) -> bool {
        self.halves >= self.limits.threshold.saturating_mul(2)
            || self
                .window
                .rate(now)
                .is_some_and(|rate| rate >= self.limits.failure_rate)
    }

    fn open(&mut self, now: Nanos) {
        let times = 1_u64 << self.failed_probes.min(GROWTH.ilog2());
        self.open_until = now.saturating_add(self.limits.open_time.saturating_mul(times));
        self.enter(BreakerState::Open);
    }

    fn enter(&mut self, state: BreakerState) {
        self.change += 1;
        self.state = state;
    }
}

/// Into how many parts the window is divided.
const PARTS: usize = 10;

/// Successes and failures of the last while, in parts of it.
#[derive(Debug)]
struct Window {
    length: Nanos,
    parts: [Part; PARTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Which tenth since the beginning of time this counts.
    number: u64,
    attempts: u32,
    failures: u32,
}

impl Window {
    fn new(length: Nanos) -> Self {
        Self {
            length: length.max(PARTS as u64),
            parts: [Part::default(); PARTS],
        }
    }

    fn number(&self, now: Nanos) -> u64 {
        now / (self.length / PARTS as u64)
    }

    fn add(&mut self, now: Nanos, is_failure: bool) {
        let number = self.number(now);
        #[expect(clippy::cast_possible_truncation, reason = "below ten")]
        let part = &mut self.parts[(number % PARTS as u64) as usize];
        if part.number != number {
            *part = Part {
                number,
                ..Part::default()
            };
        }
        part.attempts += 1;
        part.failures += u32::from(is_failure);
    }

    /// The share of failures, if there were enough attempts to speak of one.
    fn rate(&self, now: Nanos) -> Option<f64> {
        let number = self.number(now);
        let (mut attempts, mut failures) = (0, 0);
        for part in self
            .parts
            .iter()
            .filter(|part| part.number + PARTS as u64 > number)
        {
            attempts += part.attempts;
            failures += part.failures;
        }
        (attempts >= ENOUGH).then(|| f64::from(failures) / f64::from(attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, BreakerLimits, BreakerState, Weight};

    const SECOND: u64 = 1_000_000_000;

    fn breaker() -> Breaker {
        Breaker::new(BreakerLimits {
            threshold: 5,
            failure_rate: 0.5,
            window: 10 * SECOND,
            open_time: 60 * SECOND,
        })
    }

    fn fail(breaker: &mut Breaker, times: u32, now: u64) {
        fail_by(Weight::Whole, breaker, times, now);
    }

    fn fail_by(weight: Weight, breaker: &mut Breaker, times: u32, now: u64) {
        for _ in 0..times {
            let attempt = breaker.begin();
            breaker.on_failure(attempt, weight, now);
        }
    }

    #[test]
    fn it_opens_at_the_threshold_of_failures_in_a_row() {
        let mut breaker = breaker();
        fail(&mut breaker, 4, 0);
        breaker.on_success(0);
        fail(&mut breaker, 4, 0);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, 1, 0);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.probe_by(), Some(60 * SECOND));
    }

    #[test]
    fn what_counts_half_takes_twice_as_many_to_open_it() {
        let mut breaker = breaker();
        fail_by(Weight::Half, &mut breaker, 9, 0);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail_by(Weight::Half, &mut breaker, 1, 0);
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.reset();
        fail_by(Weight::Half, &mut breaker, 2, 0);
        fail(&mut breaker, 4, 0);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_opens_when_half_of_the_attempts_of_the_window_fail() {
        let mut breaker = breaker();
        for _ in 0..5 {
            breaker.on_success(100 * SECOND);
            fail(&mut breaker, 1, 100 * SECOND);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn it_stays_closed_while_fewer_than_half_of_the_attempts_of_the_window_fail() {
        let mut breaker = breaker();
        (0..6).for_each(|_| breaker.on_success(0));
        fail(&mut breaker, 4, 0);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn what_the_window_has_left_behind_does_not_count() {
        let mut breaker = breaker();
        for _ in 0..9 {
            breaker.on_success(0);
            fail(&mut breaker, 1, 0);
            breaker.reset();
        }
        for _ in 0..4 {
            breaker.on_success(0);
            fail(&mut breaker, 1, 0);
        }
        breaker.on_success(20 * SECOND);
        fail(&mut breaker, 1, 20 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_permanent_failure_opens_it_at_once() {
        let mut breaker = breaker();
        let attempt = breaker.begin();
        breaker.on_failure(attempt, Weight::Permanent, 0);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn the_probe_closes_it_or_opens_it_for_longer() {
        let mut breaker = breaker();
        fail(&mut breaker, 5, 0);
        for (probe, minutes) in [(1, 2), (2, 4), (3, 8), (4, 8)] {
            let attempt = breaker.begin();
            assert_eq!(breaker.state(), BreakerState::HalfOpen, "probe {probe}");
            breaker.on_failure(attempt, Weight::Whole, 0);
            assert_eq!(breaker.probe_by(), Some(minutes * 60 * SECOND));
        }
        breaker.begin();
        breaker.on_success(0);
        assert_eq!(
            (breaker.state(), breaker.probe_by()),
            (BreakerState::Closed, None)
        );
    }

    #[test]
    fn a_late_failure_counts_for_nothing_and_a_late_success_closes() {
        let mut breaker = breaker();
        let late = breaker.begin();
        fail(&mut breaker, 5, 0);
        let probe = breaker.begin();
        breaker.on_failure(late, Weight::Permanent, 0);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.on_success(0);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.on_failure(probe, Weight::Permanent, 0);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_without_result_leaves_it_open() {
        let mut breaker = breaker();
        fail(&mut breaker, 5, 0);
        breaker.begin();
        breaker.on_abandoned();
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn one_that_is_switched_off_by_its_threshold_is_not_switched_on_by_a_reset() {
        let limits = BreakerLimits {
            threshold: 0,
            ..breaker().limits
        };
        let mut breaker = Breaker::new(limits);
        breaker.trip();
        breaker.reset();
        fail(&mut breaker, 100, 0);
        assert_eq!(breaker.state(), BreakerState::Disabled);
    }

    #[test]
    fn by_hand_it_stays_as_it_was_put_until_it_is_reset() {
        let mut breaker = breaker();
        breaker.trip();
        breaker.on_success(0);
        assert!(breaker.state() == BreakerState::ForcedOpen && !breaker.permits());
        breaker.disable();
        fail(&mut breaker, 100, 0);
        assert_eq!(breaker.state(), BreakerState::Disabled);
        breaker.reset();
        fail(&mut breaker, 5, 0);
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}
