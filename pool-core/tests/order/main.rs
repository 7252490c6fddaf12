//! Who is served when, and with what, where managers and holders misbehave.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::testing::{Act, MockError, MockManager, Step};
use pool_core::{Error, Pool, PooledConnection, Reuse, Validation, WhilePaused};

const MS: Duration = Duration::from_millis(1);

type Guard = PooledConnection<MockManager>;
type Getting<'a> = Pin<Box<dyn Future<Output = Result<Guard, Error<MockError>>> + 'a>>;

fn pool(mock: &MockManager, max_size: usize) -> Pool<MockManager> {
    Pool::builder(mock.clone())
        .min_size(0)
        .max_size(max_size)
        .build()
        .expect("valid")
}

fn poll(getting: &mut Getting<'_>) -> Poll<Result<Guard, Error<MockError>>> {
    getting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

async fn hold(pool: &Pool<MockManager>, count: usize) -> Vec<Guard> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.get().await.expect("opened"));
    }
    held
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_served_something_broken_keep_their_order() {
    let mock = MockManager::new();
    let pool = pool(&mock, 2);
    let held = hold(&pool, 2).await;
    let mut waiting: Vec<Getting<'_>> = (0..3).map(|_| Box::pin(pool.get()) as _).collect();
    for getting in &mut waiting {
        assert!(poll(getting).is_pending());
    }
    // The first two are served at once, and what they get breaks on the way.
    mock.always(Step::Connect, Act::SucceedAfter(MS * 5));
    let breakers: Vec<_> = held.iter().map(|conn| conn.breaker()).collect();
    drop(held);
    for break_it in &breakers {
        break_it();
    }
    assert!(poll(&mut waiting[0]).is_pending());
    assert!(poll(&mut waiting[1]).is_pending());
    // Connections come one at a time from now on, and the first goes to who came first.
    pool.resize(0, 1).expect("valid");
    tokio::time::sleep(MS * 20).await;
    let mut turn = Vec::new();
    while !waiting.is_empty() {
        tokio::time::sleep(MS * 20).await;
        let mut served = Vec::new();
        for (number, getting) in waiting.iter_mut().enumerate() {
            if let Poll::Ready(got) = poll(getting) {
                served.push(number);
                drop(got.expect("it is served"));
            }
        }
        for number in served.iter().rev() {
            drop(waiting.remove(*number));
        }
        turn.extend(served);
    }
    assert_eq!(turn[0], 0, "the one who came first is served first");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_while_it_is_validated_is_not_handed_out() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(0)
        .max_size(1)
        .validation(Validation::Always)
        .build()
        .expect("valid");
    let conn = pool.get().await.expect("opened");
    let (first, break_it) = (conn.id(), conn.breaker());
    drop(conn);
    mock.next(Step::Validate, [Act::SucceedAfter(MS * 5)]);
    let mut getting: Getting<'_> = Box::pin(pool.get());
    assert!(poll(&mut getting).is_pending());
    break_it();
    let served = getting.await.expect("another is opened");
    assert_ne!(served.id(), first, "known to be broken");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_holder_panicked_is_not_kept_beyond_its_end() {
    let mock = MockManager::new();
    let pool = pool(&mock, 1);
    let conn = pool.get().await.expect("opened");
    pool.retire_all();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _conn = conn;
        std::panic::resume_unwind(Box::new("the holder panics"));
    }));
    assert!(panicked.is_err());
    tokio::time::sleep(MS).await;
    assert_eq!(mock.open(), 0, "retired while it was held");
}

#[tokio::test(start_paused = true)]
async fn a_connection_retired_while_it_was_opened_is_closed_when_it_is_through() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::SucceedAfter(MS * 5));
    let pool = pool(&mock, 1);
    let mut getting: Getting<'_> = Box::pin(pool.get());
    assert!(poll(&mut getting).is_pending());
    tokio::time::sleep(MS).await;
    pool.retire_all();
    drop(getting);
    tokio::time::sleep(MS * 10).await;
    assert_eq!(mock.count(Step::Connect), 1);
    assert_eq!(mock.open(), 0, "retired before it was open");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_long_is_validated_though_nobody_has_used_it() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone())
        .min_size(1)
        .max_size(1)
        .build()
        .expect("valid");
    tokio::time::sleep(MS * 10_000).await;
    assert_eq!(pool.stats().idle, 1);
    // Handed over from a pause, as a new connection is from its connect.
    pool.pause(WhilePaused::Wait);
    let mut getting: Getting<'_> = Box::pin(pool.get());
    assert!(poll(&mut getting).is_pending());
    pool.resume();
    drop(getting.await.expect("it still works"));
    assert_eq!(mock.count(Step::Validate), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closure_of_retain_that_panics_loses_nothing() {
    let mock = MockManager::new();
    let pool = pool(&mock, 3);
    drop(hold(&pool, 3).await);
    let mut getting: Vec<Getting<'_>> = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut asked = 0;
        pool.retain(|_, _| {
            asked += 1;
            assert!(asked < 2, "the closure panics at the second");
            true
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.stats().idle, mock.open()), (3, 3));
    for _ in 0..3 {
        getting.push(Box::pin(pool.get()));
    }
    for getting in &mut getting {
        assert!(poll(getting).is_ready(), "all are idle still");
    }
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("below a usize")
    }
}

/// One random thing that may happen around a queue; nothing of it makes a connection unusable.
async fn happen(
    dice: &mut Dice,
    pool: &Pool<MockManager>,
    waiting: &mut Vec<Getting<'_>>,
    held: &mut Vec<Guard>,
) {
    match dice.below(40) {
        0..8 if !held.is_empty() => drop(held.swap_remove(dice.below(held.len()))),
        8..10 if !held.is_empty() => {
            let conn = held.swap_remove(dice.below(held.len()));
            match dice.below(4) {
                0 => PooledConnection::invalidate(conn),
                1 => drop(PooledConnection::detach(conn)),
                2 => conn.make_dirty(),
                _ => {
                    let panicked = catch_unwind(AssertUnwindSafe(move || {
                        let _conn = conn;
                        std::panic::resume_unwind(Box::new("the holder panics"));
                    }));
                    assert!(panicked.is_err());
                }
            }
        }
        10..14 if !waiting.is_empty() => drop(waiting.remove(dice.below(waiting.len()))),
        14..18 => tokio::time::advance(MS).await,
        18 => pool.resize(0, 1 + dice.below(4)).expect("valid"),
        19 => pool.retain(|conn, _| conn.id() % 2 == 0),
        20 => pool.pause(WhilePaused::Wait),
        21..24 => pool.resume(),
        24..26 => {
            let got = pool.try_get().expect("not closed");
            assert!(got.is_none() || waiting.is_empty(), "a newcomer overtakes");
            held.extend(got);
        }
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_around_them_waiters_are_served_in_the_order_they_came() {
    let seed = match std::env::var("POOL_RANDOM_SEED").as_deref() {
        Ok("random") => std::process::id().into(),
        Ok(seed) => seed.parse().expect("a number, or `random`"),
        Err(_) => 7,
    };
    println!("to repeat: POOL_RANDOM_SEED={seed}");
    let mut dice = Dice(seed);
    for round in 0..100 {
        let mock = MockManager::new();
        mock.always(Step::Connect, Act::SucceedAfter(MS * 3));
        let pool = Pool::builder(mock)
            .min_size(0)
            .max_size(1 + dice.below(4))
            .acquire_timeout(None)
            .validation(Validation::Never)
            .reuse([Reuse::Lifo, Reuse::Fifo][round % 2])
            .build()
            .expect("valid");
        let mut waiting: Vec<Getting<'_>> = Vec::new();
        let mut held = Vec::new();
        for _ in 0..300 {
            happen(&mut dice, &pool, &mut waiting, &mut held).await;
            if dice.below(3) == 0 {
                waiting.push(Box::pin(pool.get()));
            }
            // What is under way in the background arrives.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            // The last first: one that is served says that all before it are.
            let mut must_be_served = false;
            for place in (0..waiting.len()).rev() {
                match poll(&mut waiting[place]) {
                    Poll::Ready(got) => {
                        must_be_served = true;
                        held.push(got.expect("nothing fails"));
                        drop(waiting.remove(place));
                    }
                    Poll::Pending => assert!(!must_be_served, "overtaken: {}", pool.stats()),
                }
            }
        }
    }
}
