use pool_core::testing::{Act, MockManager, Step};
use tokio::time::sleep;

use crate::lines::Lines;
use crate::{SECOND, builder, open};

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
