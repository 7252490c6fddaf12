//! Smoke.
use pool_core::*; use pool_core::testing::*; use std::time::Duration;
#[tokio::test]
async fn smoke() {
    let mock = MockManager::new();
    let pool = Pool::builder(mock.clone()).max_size(3usize).build().unwrap();
    let a = pool.get().await.unwrap();
    let b = pool.get().await.unwrap();
    let c = pool.get().await.unwrap();
    let e = pool.get_timeout(Duration::from_millis(50)).await.unwrap_err();
    println!("{e}");
    drop(a); drop(b); drop(c);
    println!("{:#?}", pool.stats());
    println!("{:?}", pool.close().await);
    assert_eq!(mock.open(), 0);
}
