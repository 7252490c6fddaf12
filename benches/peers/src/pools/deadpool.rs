//! `deadpool`: the caller connects; without its timeouts, each of which arms a timer at every
//! checkout.

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Deadpool(Pool<Connects>);

impl Manager for Connects {
    type Type = Connection;
    type Error = Refused;

    async fn create(&self) -> Result<Connection, Refused> {
        self.connect().await
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<Refused> {
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

    async fn get(&self) -> Result<Object<Connects>, Refused> {
        self.0.get().await.map_err(|_error| Refused)
    }
}
