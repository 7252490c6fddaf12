//! How far apart the cores are at this moment.
//!
//! A virtual machine's two processors may be two halves of one core now and two cores far apart a
//! minute later. Measured: a number goes from one thread to the other in 25 ns or in 220, and all
//! pools are 2.5 to 3 times slower contended in the second case. Figures of the two do not mix.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use serde::Serialize;

/// Where two threads of the process are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cores {
    /// They share what is cached.
    Near,
    /// What one writes has to travel to the other.
    Far,
}

impl Cores {
    /// Below this many nanoseconds they are near: between the two clusters seen.
    const LIMIT_NS: f64 = 80.0;

    /// Where they are now.
    pub(crate) fn now() -> Self {
        if pass_between_threads() < Self::LIMIT_NS {
            Self::Near
        } else {
            Self::Far
        }
    }
}

const PASSES: u32 = 100_000;

/// Nanoseconds until one thread sees what another one wrote: a number two threads increment in turn.
fn pass_between_threads() -> f64 {
    let number = AtomicU32::new(0);
    let in_turn = |first: u32| {
        let mut half = Instant::now();
        for turn in (first..PASSES).step_by(2) {
            while number.load(Ordering::Acquire) != turn {
                spin_loop();
            }
            number.store(turn + 1, Ordering::Release);
            if turn / 2 == PASSES / 4 {
                // Until here the other thread may not have run yet.
                half = Instant::now();
            }
        }
        half.elapsed().as_secs_f64() * 1e9 / f64::from(PASSES / 2)
    };
    thread::scope(|threads| {
        threads.spawn(|| in_turn(1));
        in_turn(0)
    })
}
