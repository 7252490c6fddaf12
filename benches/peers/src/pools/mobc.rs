//! `mobc`: the caller connects, and a task of its own brings each connection back; without its timeout,
//! which arms a timer at every checkout.

use mobc::{Manager, Pool, async_trait};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Mobc(Pool<Connects>);

#[async_trait]
impl Manager for Connects {
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self) -> Result<Connection, Refused> {
        Connects::connect(self).await
    }

    async fn check(&self, connection: Connection) -> Result<Connection, Refused> {
        Ok(connection)
    }
}

impl Peer for Mobc {
    const NAME: &'static str = "mobc";
    const VERSION: &'static str = "0.9.0";

    type Guard<'a> = mobc::Connection<Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        let max_size = max_size as u64;
        let builder = Pool::builder()
            .max_open(max_size)
            .max_idle(max_size)
            .test_on_check_out(false)
            .get_timeout(None);
        Self(builder.build(connects))
    }

    async fn get(&self) -> Result<mobc::Connection<Connects>, Refused> {
        self.0.get().await.map_err(|_error| Refused)
    }
}
