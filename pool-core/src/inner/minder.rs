//! Lets the clocks of pools run down whose runtime is not driven.
//!
//! A runtime of one thread stands still between two calls of `block_on`, and with it the keepers that
//! tick. A clock that ran would show the same time after hours, and what was idle for as long would
//! pass for fresh. So a thread looks at such clocks while there are any that run: one that has not
//! ticked between two looks runs down, and the next checkout reads the real clock.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::clock::{Hand, Nanos, RUN_DOWN};

/// Between two looks; the longest tick is 100 ms.
const PERIOD: Duration = Duration::from_millis(250);

static MINDER: Mutex<Minder> = Mutex::new(Minder { wards: Vec::new() });

/// Looks after a clock that runs, until it has run down.
#[cold]
pub(super) fn mind(coarse: Weak<Hand>) {
    let mut minder = minder();
    let is_first = minder.wards.is_empty();
    minder.take_on(coarse);
    if is_first {
        let thread = thread::Builder::new().name("pool-minder".to_owned());
        if thread.spawn(look_until_all_have_run_down).is_err() {
            // What nobody looks after must not run.
            while !minder.look() {}
        }
    }
}

fn minder() -> MutexGuard<'static, Minder> {
    MINDER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_until_all_have_run_down() {
    loop {
        thread::sleep(PERIOD);
        if minder().look() {
            return;
        }
    }
}

/// The clocks that are looked after.
#[derive(Debug)]
struct Minder {
    wards: Vec<Ward>,
}

#[derive(Debug)]
struct Ward {
    coarse: Weak<Hand>,
    /// The time it showed at the last look.
    seen: Nanos,
}

impl Minder {
    fn take_on(&mut self, coarse: Weak<Hand>) {
        // Between two looks a clock may have run down and been wound up again.
        if !self.wards.iter().any(|ward| ward.coarse.ptr_eq(&coarse)) {
            let seen = RUN_DOWN;
            self.wards.push(Ward { coarse, seen });
        }
    }

    /// Looks at each clock; whether all have run down.
    fn look(&mut self) -> bool {
        self.wards.retain_mut(Ward::runs_on);
        self.wards.is_empty()
    }
}

impl Ward {
    fn runs_on(&mut self) -> bool {
        let Some(coarse) = self.coarse.upgrade() else {
            return false;
        };
        let shown = coarse.load(Relaxed);
        let has_ticked = std::mem::replace(&mut self.seen, shown) != shown;
        // It may tick just now.
        let run_down = || coarse.compare_exchange(shown, RUN_DOWN, Relaxed, Relaxed);
        has_ticked || run_down().is_err()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn showing(now: Nanos) -> Arc<Hand> {
        Arc::new(Hand::new(AtomicU64::new(now)))
    }

    fn minder(clock: &Arc<Hand>) -> Minder {
        let mut minder = Minder { wards: Vec::new() };
        minder.take_on(Arc::downgrade(clock));
        minder
    }

    #[test]
    fn a_clock_that_ticks_goes_on() {
        let clock = showing(1);
        let mut minder = minder(&clock);
        for now in 2..5 {
            assert!(!minder.look());
            clock.store(now, Relaxed);
        }
        assert_eq!(clock.load(Relaxed), 4);
    }

    #[test]
    fn a_clock_that_stands_runs_down() {
        let clock = showing(1);
        let mut minder = minder(&clock);
        assert!(!minder.look());
        assert!(minder.look(), "nothing is left to look at");
        assert_eq!(clock.load(Relaxed), RUN_DOWN);
    }

    #[test]
    fn a_clock_that_is_gone_or_has_run_down_is_left_alone() {
        let clock = showing(RUN_DOWN);
        assert!(minder(&clock).look());
        clock.store(1, Relaxed);
        let mut minder = minder(&clock);
        drop(clock);
        assert!(minder.look());
    }

    #[test]
    fn a_clock_that_was_wound_up_again_is_looked_after_once() {
        let clock = showing(1);
        let mut minder = minder(&clock);
        minder.take_on(Arc::downgrade(&clock));
        assert_eq!(minder.wards.len(), 1);
    }
}
