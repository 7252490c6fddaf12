use pool_core::Shedding;
use pool_core::testing::{Act, MockManager, Step};
use tokio::time::sleep;

use crate::lines::Lines;
use crate::{SECOND, builder, getter, open};

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_an_event_with_the_pools_name() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let mock = MockManager::new();
    let pool = builder(&mock, 1, 1).name("orders").build().unwrap();
    let held = pool.get().await.unwrap();
    assert!(lines.has(&["DEBUG", "connection opened", "pool=orders", "connection=1"]));
    sleep(31 * SECOND).await;
    assert!(lines.has(&["WARN", "leak_threshold", "events.rs", "held_for=3"]));
    mock.next(Step::Connect, [Act::Fail]);
    held.break_it();
    drop(held);
    assert!(lines.has(&["INFO", "came back", "connection=1"]));
    assert!(lines.has(&["DEBUG", "connection closed", "reason=broken", "uses=1"]));
    drop(pool.get().await.unwrap());
    assert!(lines.has(&["WARN", "cannot connect", "told to fail", "retry_in"]));
    assert!(lines.has(&["INFO", "connects succeed again", "failures=1"]));
    assert_eq!(lines.count_of("connects succeed again"), 1);
    pool.resize(0, 3).unwrap();
    pool.retire_all();
    pool.close().await;
    for text in [
        "resized",
        "all connections retired",
        "pool closed",
        "pool shut down",
    ] {
        assert!(lines.has(&["INFO", text, "pool=orders"]), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_failed_tells_when_the_next_is_tried() {
    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let pool = builder(&mock, 1, 1).breaker_threshold(0).build().unwrap();
    let retries_of = async |time| {
        let lines = Lines::default();
        let _listening = tracing::subscriber::set_default(lines.clone());
        sleep(time).await;
        let all = lines.count_of("retry_in=");
        let soon = (100..=250).map(|ms| lines.count_of(&format!("retry_in={ms}")));
        (all, soon.sum::<usize>())
    };
    let (all, soon) = retries_of(600 * SECOND).await;
    assert!(soon < all, "nobody waits: up to 16 s");
    let waiting = tokio::spawn(async move { pool.get_timeout(60 * SECOND).await.map(drop) });
    let (all, soon) = retries_of(30 * SECOND).await;
    assert!(all >= 100 && soon == all, "{soon} of {all} at most 250 ms");
    waiting.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_told_once_when_it_begins_and_once_when_it_ends() {
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    let mock = MockManager::new();
    let pool = builder(&mock, 0, 1).shedding(Shedding::Observe);
    let pool = pool.build().unwrap();
    let told = || ["=overloaded: for", "no longer overloaded"].map(|text| lines.count_of(text));
    let held = pool.get().await.unwrap();
    let waiting = getter(&pool);
    sleep(10 * SECOND).await;
    let while_it_lasts = told();
    drop(held);
    waiting.await.unwrap().unwrap();
    sleep(10 * SECOND).await;
    assert_eq!((while_it_lasts, told()), ([1, 0], [1, 1]));
}

#[tokio::test(start_paused = true)]
async fn the_fast_path_is_silent() {
    let mock = MockManager::new();
    let pool = open(&mock, 2, 2).await;
    let lines = Lines::default();
    let _listening = tracing::subscriber::set_default(lines.clone());
    for _ in 0..1_000 {
        drop(pool.get().await.unwrap());
    }
    assert_eq!(lines.count_of(""), 0);
}
