//! This pool, with its default settings: timeouts, upkeep, leak watch and statistics are on.

use pool_core::{Manager, Pool, PooledConnection};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Ours(Pool<Connects>);

impl Manager for Connects {
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self) -> Result<Connection, Refused> {
        Connects::connect(self).await
    }

    async fn validate(&self, _: &mut Connection) -> Result<(), Refused> {
        Ok(())
    }
}

impl Peer for Ours {
    const NAME: &'static str = "pool-core";
    const VERSION: &'static str = "0.1.0";

    type Guard<'a> = PooledConnection<Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        // The others open nothing before it is asked for.
        let pool = Pool::builder(connects)
            .min_size(0)
            .max_size(max_size)
            .build();
        Self(pool.expect("these settings break no rule"))
    }

    async fn get(&self) -> Result<PooledConnection<Connects>, Refused> {
        self.0.get().await.map_err(|_error| Refused)
    }
}
