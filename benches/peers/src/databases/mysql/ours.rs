//! This pool, which hands out the connection returned last, or the one returned first, as the setting says.

use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::pool_core::Reuse;
use pool_mysql::{MySqlConfig, MySqlManager, Pool};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Ours<const IN_TURN: bool>(Pool);

impl<const IN_TURN: bool> Client for Ours<IN_TURN> {
    const NAME: &'static str = if IN_TURN {
        "pool-mysql, in turn"
    } else {
        "pool-mysql"
    };
    const VERSION: &'static str = "0.1.0";
    const AT_RETURN: &'static str =
        "reads the state of the session from the server's answers; a round trip when it changed";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let config = MySqlConfig::from_url(address)?;
        let pool = Pool::builder(MySqlManager::new(config))
            .reuse(if IN_TURN { Reuse::Fifo } else { Reuse::Lifo })
            .min_size(0)
            .max_size(connections)
            .build()?;
        Ok(Self(pool))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let mut connection = self.0.get().await?;
        let answer = connection.exec_first(QUESTION, ()).await?;
        Ok(answer.ok_or("no row")?)
    }
}
