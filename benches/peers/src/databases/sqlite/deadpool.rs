//! `deadpool-sqlite`, without deadpool's timeouts.

use deadpool_sqlite::{Config, Manager, Pool, Runtime};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Deadpool(Pool);

impl Client for Deadpool {
    const NAME: &'static str = "deadpool-sqlite";
    const VERSION: &'static str = "0.14.0";
    const AT_RETURN: &'static str =
        "a question of its own on a thread before the next use; cannot be turned off";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let manager = Manager::from_config(&Config::new(address), Runtime::Tokio1);
        Ok(Self(Pool::builder(manager).max_size(connections).build()?))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let connection = self.0.get().await?;
        let answer = connection.interact(|sqlite| {
            sqlite
                .prepare_cached(QUESTION)?
                .query_row([], |row| row.get(0))
        });
        Ok(answer.await.map_err(|error| error.to_string())??)
    }
}
