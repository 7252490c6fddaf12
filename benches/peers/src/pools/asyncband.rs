//! `asyncband`: the caller connects; no timeouts of its own.

use std::sync::Arc;

use asyncband::pool::bounded::{Object, Pool, PoolConfig};
use asyncband::pool::{ManageObject, ObjectStatus};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Asyncband(Arc<Pool<Connects>>);

impl ManageObject for Connects {
    type Object = Connection;
    type Error = Refused;

    async fn create(&self) -> Result<Connection, Refused> {
        self.connect().await
    }

    async fn is_recyclable(&self, _: &mut Connection, _: &ObjectStatus) -> Result<(), Refused> {
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

    async fn get(&self) -> Result<Object<Connects>, Refused> {
        self.0.get().await
    }
}
