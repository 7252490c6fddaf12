//! This pool.

use pool_sqlite::{Pool, SqliteConfig, SqliteManager};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Ours(Pool);

impl Client for Ours {
    const NAME: &'static str = "pool-sqlite";
    const VERSION: &'static str = "0.1.0";
    const AT_RETURN: &'static str = "knows what changed the session; undoes that, if anything";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let pool = Pool::builder(SqliteManager::new(SqliteConfig::file(address)))
            .min_size(0)
            .max_size(connections)
            .build()?;
        Ok(Self(pool))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let mut connection = self.0.get().await?;
        let answer = connection
            .interact(|sqlite| {
                sqlite
                    .prepare_cached(QUESTION)?
                    .query_row([], |row| row.get(0))
            })
            .await?;
        Ok(answer)
    }
}
