//! `bb8`: a background task connects, again and again until it succeeds; it cannot do without its
//! timeout, which is 30 s.

use bb8::{ManageConnection, Pool, PooledConnection};

use crate::peer::{Connection, Connects, Peer, Refused};

#[derive(Clone)]
pub(crate) struct Bb8(Pool<Connects>);

impl ManageConnection for Connects {
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self) -> Result<Connection, Refused> {
        Connects::connect(self).await
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Refused> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

impl Peer for Bb8 {
    const NAME: &'static str = "bb8";
    const VERSION: &'static str = "0.9.1";

    type Guard<'a> = PooledConnection<'a, Connects>;

    fn new(max_size: usize, connects: Connects) -> Self {
        let max_size = u32::try_from(max_size).unwrap_or(u32::MAX);
        let builder = Pool::builder().max_size(max_size).test_on_check_out(false);
        Self(builder.build_unchecked(connects))
    }

    async fn get(&self) -> Result<PooledConnection<'_, Connects>, Refused> {
        self.0.get().await.map_err(|_error| Refused)
    }
}
