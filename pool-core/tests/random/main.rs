//! Random operations against a reference model: a million steps, repeatable.
//!
//! Each round is a pool with random settings and some hundred random steps: checkouts that are
//! polled, cancelled at a random poll or served, returns, returns in a panic, invalidations,
//! detachments, resizes, retirements, pauses, time that passes, and managers that fail, hang, panic or are slow at every
//! step. After each step what must always hold is checked; after each round the pool is closed and
//! everything is counted.
//!
//! The seed is fixed. `POOL_RANDOM_SEED=random`, or a number that a failure has printed, runs
//! another; `POOL_RANDOM_STEPS` runs more.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::testing::{Act, MockConnection, MockError, MockManager, Step};
use pool_core::{Error, Pool, PooledConnection, Reuse, Validation, WhilePaused};

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("below a usize")
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

type Guard = PooledConnection<MockManager>;
type Getting = Pin<Box<dyn Future<Output = Result<Guard, Error<MockError>>>>>;

/// A pool, and what is known of it from outside.
struct World {
    mock: MockManager,
    pool: Pool<MockManager>,
    guards: Vec<Guard>,
    getting: Vec<Getting>,
    /// How many of them were dropped.
    cancelled: u64,
    detached: Vec<MockConnection>,
    /// The largest maximum so far: lowering it closes nothing that is held.
    largest: usize,
    /// Slots that were reclaimed may exceed the maximum until their connections are back.
    max: usize,
}

const MS: Duration = Duration::from_millis(1);

impl World {
    fn new(dice: &mut Dice) -> Self {
        let mock = MockManager::new();
        let max = 1 + dice.below(6);
        let time = |dice: &mut Dice, from: &[u32]| {
            Some(MS * dice.pick(from)).filter(|time| !time.is_zero())
        };
        let mut builder = Pool::builder(mock.clone())
            .min_size(dice.below(max + 1))
            .max_size(max)
            .min_idle(if dice.one_in(4) {
                dice.below(max + 1)
            } else {
                0
            })
            .max_connecting(1 + dice.below(4))
            .acquire_timeout(time(dice, &[0, 5, 100, 3000]))
            .connect_timeout(time(dice, &[20, 1000]))
            .validate_timeout(time(dice, &[10, 500]))
            .recycle_timeout(time(dice, &[10, 500]))
            .close_timeout(time(dice, &[10, 500]))
            .drain_timeout(MS * 1000)
            .max_lifetime(time(dice, &[0, 50, 5000]))
            .idle_timeout(time(dice, &[0, 50, 5000]))
            .keepalive(time(dice, &[0, 30, 2000]))
            .leak_threshold(time(dice, &[0, 100]))
            .max_uses(dice.pick(&[0, 1, 3, 100]))
            .breaker_threshold(dice.pick(&[0, 1, 5]))
            .reuse(dice.pick(&[Reuse::Lifo, Reuse::Fifo]))
            .validation(dice.pick(&[
                Validation::Always,
                Validation::Never,
                Validation::WhenIdleFor(MS * 20),
            ]));
        if dice.one_in(3) {
            builder = builder.max_waiting(dice.below(4));
        }
        let pool = builder.build().expect("these settings break no rule");
        let (guards, getting, detached) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            mock,
            pool,
            guards,
            getting,
            cancelled: 0,
            detached,
            largest: max,
            max,
        }
    }

    async fn step(&mut self, dice: &mut Dice) {
        match dice.below(100) {
            0..22 => {
                let pool = self.pool.clone();
                self.getting.push(match dice.below(3) {
                    0 => Box::pin(async move { pool.get_timeout(MS * 7).await }),
                    _ => Box::pin(async move { pool.get().await }),
                });
                self.poll(self.getting.len() - 1);
            }
            22..40 if !self.getting.is_empty() => {
                let at = dice.below(self.getting.len());
                self.poll(at);
            }
            40..48 if !self.getting.is_empty() => {
                drop(self.getting.swap_remove(dice.below(self.getting.len())));
                self.cancelled += 1;
            }
            48..66 if !self.guards.is_empty() => {
                let guard = self.take_guard(dice);
                self.give_up(guard, dice);
            }
            66..70 => {
                if let Ok(Some(guard)) = self.pool.try_get() {
                    self.guards.push(guard);
                }
            }
            70..82 => tokio::time::advance(MS * dice.pick(&[0, 1, 5, 30, 400])).await,
            82..90 => tokio::task::yield_now().await,
            90..96 => self.change_the_weather(dice),
            96 => {
                self.max = 1 + dice.below(6);
                self.largest = self.largest.max(self.max);
                self.pool
                    .resize(dice.below(self.max + 1), self.max)
                    .expect("a valid size");
            }
            97 => match dice.below(3) {
                0 => self.pool.retire_all(),
                1 => self.pool.retain(|conn, _| conn.id() % 3 != 0),
                _ => self.pool.breaker().reset(),
            },
            98 if dice.one_in(2) => {
                self.pool
                    .pause(dice.pick(&[WhilePaused::Wait, WhilePaused::Fail]));
            }
            _ => self.pool.resume(),
        }
    }

    fn poll(&mut self, at: usize) {
        let polled = self.getting[at]
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(result) = polled {
            drop(self.getting.swap_remove(at));
            self.guards.extend(result);
        }
    }

    fn take_guard(&mut self, dice: &mut Dice) -> Guard {
        self.guards.swap_remove(dice.below(self.guards.len()))
    }

    fn give_up(&mut self, guard: Guard, dice: &mut Dice) {
        match dice.below(12) {
            0 => guard.break_it(),
            1 | 2 => guard.make_dirty(),
            3 if dice.one_in(4) => guard.make_condition_panic(),
            4 => return PooledConnection::invalidate(guard),
            5 if self.detached.len() < 3 => {
                return self.detached.push(PooledConnection::detach(guard));
            }
            6 if dice.one_in(2) => {
                let panicked = catch_unwind(AssertUnwindSafe(move || {
                    let _guard = guard;
                    std::panic::resume_unwind(Box::new("a user panics"));
                }));
                assert!(panicked.is_err());
                return;
            }
            _ => {}
        }
        drop(guard);
    }

    fn change_the_weather(&mut self, dice: &mut Dice) {
        let step = dice.pick(&[Step::Connect, Step::Validate, Step::Recycle, Step::Close]);
        let act = dice.pick(&[
            Act::Succeed,
            Act::Succeed,
            Act::Succeed,
            Act::SucceedAfter(MS * 3),
            Act::Fail,
            Act::Hang,
            Act::Panic,
        ]);
        if dice.one_in(2) {
            self.mock.next(step, [act]);
        } else {
            self.mock.always(step, act);
        }
    }

    /// What holds at any moment.
    fn check(&self) {
        let stats = self.pool.stats();
        assert_eq!(
            stats.total,
            stats.idle + stats.active + stats.opening,
            "{stats:?}"
        );
        assert!(
            stats.active >= self.guards.len(),
            "{} guards: {stats:?}",
            self.guards.len()
        );
        let pooled = self.mock.open() - self.detached.len();
        assert!(
            pooled <= self.largest,
            "{pooled} open, at most {}",
            self.largest
        );
        assert!(stats.total <= self.largest, "{stats:?}");
        assert!(stats.waiting <= self.getting.len(), "{stats:?}");
        assert_eq!(stats.cancelled, self.cancelled, "{stats:?}");
        assert_eq!(
            stats.acquired - stats.released,
            self.guards.len() as u64,
            "{stats:?}"
        );
        if stats.waiting > 0 && !self.pool.is_paused() {
            assert_eq!(
                stats.idle, 0,
                "somebody waits while a connection is idle: {stats:?}"
            );
        }
    }

    /// The weather clears, and everything must be as if nothing had been.
    async fn recover_and_close(mut self, dice: &mut Dice) {
        for step in [Step::Connect, Step::Validate, Step::Recycle, Step::Close] {
            self.mock.forget(step);
        }
        self.getting.clear();
        self.pool.resume();
        self.pool.breaker().reset();
        self.guards.clear();
        tokio::time::sleep(MS * 60_000).await;
        let mut all = Vec::new();
        for _ in 0..self.max {
            let patience = Duration::from_secs(60);
            let served = self.pool.get_timeout(patience).await;
            all.push(served.expect("no slot was lost"));
        }
        assert_eq!(self.pool.stats().active, self.max);
        match dice.below(3) {
            0 => {
                drop(all);
                self.pool.close().await;
            }
            1 => {
                self.pool.close_timeout(MS).await;
                drop(all);
            }
            _ => {
                drop(self.pool);
                drop(all);
            }
        }
        tokio::time::sleep(MS * 60_000).await;
        assert_eq!(
            self.mock.open(),
            self.detached.len(),
            "a connection was left open"
        );
    }
}

const STEPS_OF_A_ROUND: u64 = 200;

async fn rounds(seed: u64, steps: u64) {
    for round in 0..steps / STEPS_OF_A_ROUND {
        let seed = seed.wrapping_add(round);
        println!("to repeat: POOL_RANDOM_SEED={seed} POOL_RANDOM_STEPS={STEPS_OF_A_ROUND}");
        let mut dice = Dice(seed);
        let mut world = World::new(&mut dice);
        for _ in 0..STEPS_OF_A_ROUND {
            world.step(&mut dice).await;
            world.check();
        }
        world.recover_and_close(&mut dice).await;
    }
}

#[test]
fn a_million_random_steps_lose_nothing() {
    let seed = match std::env::var("POOL_RANDOM_SEED").as_deref() {
        Ok("random") => std::process::id().into(),
        Ok(seed) => seed
            .parse()
            .expect("POOL_RANDOM_SEED is a number, or `random`"),
        Err(_) => 7,
    };
    let steps = std::env::var("POOL_RANDOM_STEPS").map_or(1_000_000, |steps| {
        steps.parse().expect("POOL_RANDOM_STEPS is a number")
    });
    // Mocks panic on purpose, a few ten thousand times.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let of_the_mock = info
            .location()
            .is_some_and(|at| at.file().ends_with("mock.rs"));
        if !of_the_mock {
            hook(info);
        }
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(rounds(seed, steps));
}
