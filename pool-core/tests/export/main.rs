//! What monitoring systems are told, as they understand it.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[cfg(feature = "dashboard")]
mod actions;
#[cfg(feature = "dashboard")]
mod browser;
#[cfg(feature = "dashboard")]
mod dashboard;
mod files;
mod http;
mod messages;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod prometheus;
#[cfg(feature = "prometheus-client")]
mod prometheus_client;
mod real_prometheus;

use std::time::Duration;

use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, Pools};

/// A registry with a pool that has served, one who waited among them, leaked nothing and holds one of two connections, and one
/// whose database cannot be reached, under a name that needs escaping.
async fn pools() -> (Pools, pool_core::PooledConnection<MockManager>) {
    let orders = Pool::builder(MockManager::new())
        .min_size(2)
        .max_size(2)
        .connect()
        .await
        .unwrap();
    let (first, held) = (orders.get().await.unwrap(), orders.get().await.unwrap());
    let (waited, ()) = tokio::join!(orders.get(), async { drop(first) });
    drop(waited.unwrap());
    orders.resize(2, 4).unwrap();

    let mock = MockManager::new();
    mock.always(Step::Connect, Act::Fail);
    let dead = Pool::builder(mock)
        .breaker_threshold(1)
        .acquire_timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    dead.get().await.unwrap_err();

    let pools = Pools::new();
    pools.insert("orders", orders);
    pools.insert("a \"dead\"\\one\n", dead);
    (pools, held)
}
