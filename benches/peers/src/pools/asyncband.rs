//! `asyncband`: the caller connects; no timeouts of its own.

use std::convert::Infallible;
use std::sync::Arc;

use asyncband::pool::bounded::{Object, Pool, PoolConfig};
use asyncband::pool::{ManageObject, ObjectStatus};

use crate::peer::{Connection, Connects, Peer};

#[derive(Clone)]
pub(crate) struct Asyncband(Arc<Pool<Connects>>);

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

impl Peer for Asyncband {
    const NAME: &'static str = "asyncband";
    const VERSION: &'static str = "0.7.4";

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
