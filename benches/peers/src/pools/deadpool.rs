//! `deadpool`: the caller connects; without its timeouts, each of which arms a timer at every
//! checkout.

use std::convert::Infallible;

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};

use crate::peer::{Connection, Connects, Peer};

#[derive(Clone)]
pub(crate) struct Deadpool(Pool<Connects>);

impl Manager for Connects {
    type Type = Connection;
    type Error = Infallible;

    async fn create(&self) -> Result<Connection, Infallible> {
        self.connect().await
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

impl Peer for Deadpool {
    const NAME: &'static str = "deadpool";
    const VERSION: &'static str = "0.13.1";

    type Guard<'a> = Object<Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        let pool = Pool::builder(connects).max_size(max_size).build();
        Self(pool.expect("only timeouts without a runtime are refused"))
    }

    async fn get(&self) -> Object<Connects> {
        self.0
            .get()
            .await
            .expect("connects do not fail and the pool is open")
    }
}
