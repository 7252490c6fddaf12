//! `qp`: the caller connects; no timeouts and no upkeep.
//!
//! A waiter whose permit somebody else took before it ran does not queue again (`Acquire` in its
//! `sync.rs` queues once), so contended scenarios hang and end as "never".

use mobc::async_trait;
use qp::resource::Manage;
use qp::{Pool, Pooled};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Qp(Pool<Connects>);

#[async_trait]
impl Manage for Connects {
    type Output = Connection;
    type Error = Refused;

    async fn try_create(&self) -> Result<Connection, Refused> {
        self.connect().await
    }
}

impl Peer for Qp {
    const NAME: &'static str = "qp";
    const VERSION: &'static str = "0.2.1";

    type Guard<'a> = Pooled<'a, Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        Self(Pool::new(connects, max_size))
    }

    async fn get(&self) -> Result<Pooled<'_, Connects>, Refused> {
        self.0.acquire_unchecked().await
    }
}
