//! `fastpool`: the caller connects; no timeouts of its own.

use std::convert::Infallible;
use std::sync::Arc;

use fastpool::bounded::{Object, Pool, PoolConfig};
use fastpool::{ManageObject, ObjectStatus};

use crate::peer::{Connection, Connects, Peer};

#[derive(Clone)]
pub(crate) struct Fastpool(Arc<Pool<Connects>>);

impl ManageObject for Connects {
    type Object = Connection;
    type Error = Infallible;

    async fn create(&self) -> Result<Connection, Infallible> {
        self.connect().await
    }

    async fn is_recyclable(&self, _: &mut Connection, _: &ObjectStatus) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Peer for Fastpool {
    const NAME: &'static str = "fastpool";
    const VERSION: &'static str = "1.1.2";

    type Guard<'a> = Object<Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        Self(Pool::new(PoolConfig::new(max_size), connects))
    }

    async fn get(&self) -> Object<Connects> {
        match self.0.get().await {
            Ok(object) => object,
        }
    }
}
