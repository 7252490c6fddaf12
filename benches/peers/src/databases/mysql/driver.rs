//! The pool of `mysql_async` itself, without the reset it makes by default.

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Driver(Pool);

impl Client for Driver {
    const NAME: &'static str = "mysql_async";
    const VERSION: &'static str = "0.37.1";
    const AT_RETURN: &'static str =
        "ends a transaction the driver knows of; the reset of its default is off";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let constraints = PoolConstraints::new(connections, connections).ok_or("no connections")?;
        let pool = PoolOpts::default()
            .with_constraints(constraints)
            .with_reset_connection(false);
        let options = OptsBuilder::from_opts(Opts::from_url(address)?).pool_opts(pool);
        Ok(Self(Pool::new(options)))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let mut connection = self.0.get_conn().await?;
        let answer = connection.exec_first(QUESTION, ()).await?;
        Ok(answer.ok_or("no row")?)
    }
}
