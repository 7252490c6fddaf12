//! `sqlx`, on a driver of its own.

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Sqlx(MySqlPool);

impl Client for Sqlx {
    const NAME: &'static str = "sqlx";
    const VERSION: &'static str = "0.9.0";
    const AT_RETURN: &'static str = "a ping, by a task of its own; cannot be turned off";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let options = MySqlPoolOptions::new()
            .max_connections(u32::try_from(connections)?)
            .test_before_acquire(false);
        Ok(Self(options.connect_lazy(address)?))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        Ok(sqlx::query_scalar(QUESTION).fetch_one(&self.0).await?)
    }
}
