//! Everything at once on several threads, for a few seconds; in the end nothing is lost.
//!
//! The order in which threads meet is the machine's, so a failure does not repeat exactly. The
//! choices of each task do: `POOL_RANDOM_SEED` sets them (a number, or `random`), and the seed is
//! printed. `POOL_STRESS_SECONDS` runs longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pool_core::testing::{Act, MockError, MockManager, Step};
use pool_core::{Error, Pool, PooledConnection, Reuse, Validation};

const MS: Duration = Duration::from_millis(1);

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn size(&mut self, from: usize, to: usize) -> usize {
        from + usize::try_from(self.below((to - from + 1) as u64)).expect("small")
    }
}

const LARGEST: usize = 8;

fn seed() -> u64 {
    match std::env::var("POOL_RANDOM_SEED").as_deref() {
        Ok("random") => std::process::id().into(),
        Ok(seed) => seed
            .parse()
            .expect("POOL_RANDOM_SEED is a number, or `random`"),
        Err(_) => 7,
    }
}

fn time_to_run() -> Duration {
    let seconds = std::env::var("POOL_STRESS_SECONDS").map_or(1, |seconds| {
        seconds.parse().expect("POOL_STRESS_SECONDS is a number")
    });
    Duration::from_secs(seconds)
}

/// What the tasks of one run share.
struct World {
    mock: MockManager,
    pool: Pool<MockManager>,
    over: AtomicBool,
    checkouts: AtomicUsize,
    held: AtomicUsize,
}

impl World {
    /// One checkout, and something that may happen to a connection.
    async fn use_one(&self, dice: &mut Dice) {
        let got = match dice.below(20) {
            0 => self.pool.try_get().expect("not closed"),
            1 => {
                // Cancelled at some point of its way.
                let patience = Duration::from_micros(dice.below(300));
                tokio::time::timeout(patience, self.pool.get())
                    .await
                    .ok()
                    .and_then(Result::ok)
            }
            2 => served(
                self.pool
                    .get_timeout(Duration::from_micros(dice.below(3000)))
                    .await,
            ),
            _ => served(self.pool.get().await),
        };
        let Some(conn) = got else { return };
        self.checkouts.fetch_add(1, Relaxed);
        let held = self.held.fetch_add(1, Relaxed) + 1;
        assert!(held <= LARGEST, "{held} held at once");
        match dice.below(60) {
            0..10 => tokio::task::yield_now().await,
            10 => tokio::time::sleep(Duration::from_micros(dice.below(500))).await,
            _ => {}
        }
        self.held.fetch_sub(1, Relaxed);
        match dice.below(200) {
            0 => PooledConnection::invalidate(conn),
            1 => conn.break_it(),
            2..5 => conn.make_dirty(),
            5 => drop(PooledConnection::detach(conn)),
            6 => {
                let panicked = catch_unwind(AssertUnwindSafe(move || {
                    let _conn = conn;
                    std::panic::resume_unwind(Box::new("a holder panics"));
                }));
                assert!(panicked.is_err());
            }
            7 => {
                // On a thread without a runtime.
                std::thread::spawn(move || drop(conn))
                    .join()
                    .expect("a return does not panic");
            }
            _ => drop(conn),
        }
    }

    /// What an operator and a bad day do.
    async fn disturb(&self, dice: &mut Dice) {
        match dice.below(200) {
            0..10 => {
                let max = dice.size(1, LARGEST);
                self.pool.resize(dice.size(0, max), max).expect("valid");
            }
            10..14 => self.pool.retire_all(),
            14..20 => self.pool.retain(|conn, _| conn.id() % 3 != 0),
            // The pause after a failure is 100 ms at least, so this is rare.
            20 => self.mock.next(Step::Connect, [Act::Fail, Act::Panic]),
            21..25 => self
                .mock
                .next(Step::Validate, [Act::Fail, Act::SucceedAfter(MS)]),
            25..29 => self
                .mock
                .next(Step::Recycle, [Act::Panic, Act::SucceedAfter(MS)]),
            29..33 => self
                .mock
                .next(Step::Close, [Act::SucceedAfter(MS), Act::Panic]),
            _ => {}
        }
        tokio::time::sleep(Duration::from_micros(dice.below(2000))).await;
    }

    fn check(&self) {
        let stats = self.pool.stats();
        assert_eq!(
            stats.total,
            stats.idle + stats.active + stats.opening,
            "{stats:?}"
        );
        assert!(stats.total <= LARGEST, "{stats:?}");
        assert!(stats.released <= stats.acquired, "{stats:?}");
        assert!(self.mock.open() <= LARGEST, "{} open", self.mock.open());
    }
}

type Guard = PooledConnection<MockManager>;

/// Nobody may be told anything worse than to come again.
fn served(got: Result<Guard, Error<MockError>>) -> Option<Guard> {
    match got {
        Ok(conn) => Some(conn),
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            None
        }
    }
}

async fn run(reuse: Reuse, validation: Validation, seed: u64) {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(1)
        .max_size(LARGEST / 2)
        .acquire_timeout(MS * 2000)
        .connect_timeout(MS * 100)
        .max_lifetime(MS * 200)
        .idle_timeout(MS * 50)
        .keepalive(MS * 10)
        .breaker_threshold(0)
        .reuse(reuse)
        .validation(validation)
        .build()
        .expect("valid");
    let world = Arc::new(World {
        mock: mock.clone(),
        pool: pool.clone(),
        over: AtomicBool::new(false),
        checkouts: AtomicUsize::new(0),
        held: AtomicUsize::new(0),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..24 {
        let world = Arc::clone(&world);
        let mut dice = Dice(seed.wrapping_add(task));
        tasks.spawn(async move {
            while !world.over.load(Relaxed) {
                match task {
                    0 => world.disturb(&mut dice).await,
                    1 => {
                        world.check();
                        tokio::task::yield_now().await;
                    }
                    _ => {
                        world.use_one(&mut dice).await;
                        // A fast path never yields by itself.
                        if dice.below(8) == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
            }
        });
    }
    tokio::time::sleep(time_to_run()).await;
    world.over.store(true, Relaxed);
    let began = Instant::now();
    tasks.join_all().await;
    assert!(
        began.elapsed() < MS * 3000,
        "somebody was forgotten: {:?}",
        pool.stats()
    );
    println!(
        "{} checkouts, {reuse:?}, {validation:?}",
        world.checkouts.load(Relaxed)
    );

    // The bad day is over, and every slot is there.
    for step in [Step::Connect, Step::Validate, Step::Recycle, Step::Close] {
        mock.forget(step);
    }
    pool.resize(0, LARGEST).expect("valid");
    let mut all = Vec::new();
    for _ in 0..LARGEST {
        all.push(pool.get().await.expect("no slot was lost"));
    }
    let stats = pool.stats();
    assert_eq!((stats.active, stats.waiting), (LARGEST, 0), "{stats:?}");
    assert_eq!(stats.acquired - stats.released, LARGEST as u64);
    drop((all, world));
    let report = pool.close().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(mock.open(), 0);
    assert!(mock.peak_open() <= LARGEST, "{} at once", mock.peak_open());
}

fn stress(workers: usize, reuse: Reuse, validation: Validation) {
    let seed = seed();
    println!("to repeat: POOL_RANDOM_SEED={seed}");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Mocks panic on purpose.
        let of_the_mock = info
            .location()
            .is_some_and(|at| at.file().ends_with("mock.rs"));
        if !of_the_mock {
            hook(info);
        }
    }));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(run(reuse, validation, seed));
}

#[test]
fn two_threads_that_do_everything_at_once_lose_nothing() {
    stress(2, Reuse::Lifo, Validation::Never);
}

#[test]
fn four_threads_that_do_everything_at_once_lose_nothing() {
    stress(4, Reuse::Lifo, Validation::WhenIdleFor(MS));
}

#[test]
fn four_threads_at_one_shared_queue_lose_nothing() {
    stress(4, Reuse::Fifo, Validation::Always);
}
