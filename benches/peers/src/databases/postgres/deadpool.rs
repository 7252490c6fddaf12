//! `deadpool-postgres`, without deadpool's timeouts.

use deadpool_postgres::tokio_postgres::NoTls;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Deadpool(Pool);

impl Client for Deadpool {
    const NAME: &'static str = "deadpool-postgres";
    const VERSION: &'static str = "0.14.2";
    const AT_RETURN: &'static str = "asks the driver whether the connection is closed";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(address.parse()?, NoTls, config);
        Ok(Self(Pool::builder(manager).max_size(connections).build()?))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let connection = self.0.get().await?;
        let statement = connection.prepare_cached(QUESTION).await?;
        Ok(connection.query_one(&statement, &[]).await?.get(0))
    }
}
