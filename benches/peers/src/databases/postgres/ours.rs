//! This pool, which hands out the connection returned last, or the one returned first, as the setting says.

use pool_postgres::pool_core::Reuse;
use pool_postgres::{PgConfig, PgManager, Pool};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Ours<const IN_TURN: bool>(Pool);

impl<const IN_TURN: bool> Client for Ours<IN_TURN> {
    const NAME: &'static str = if IN_TURN {
        "pool-postgres, in turn"
    } else {
        "pool-postgres"
    };
    const VERSION: &'static str = "0.1.0";
    const AT_RETURN: &'static str =
        "reads the state of the session from the server's answers; a round trip when it changed";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        // The others have no limit for a statement.
        let config = address.parse::<PgConfig>()?.statement_timeout(None);
        let pool = Pool::builder(PgManager::new(config))
            .reuse(if IN_TURN { Reuse::Fifo } else { Reuse::Lifo })
            .min_size(0)
            .max_size(connections)
            .build()?;
        Ok(Self(pool))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let connection = self.0.get().await?;
        let statement = connection.prepare_cached(QUESTION).await?;
        Ok(connection.query_one(&statement, &[]).await?.get(0))
    }
}
