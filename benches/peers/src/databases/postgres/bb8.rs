//! `bb8-postgres`. It keeps no statements, so each question is prepared and asked in one round trip,
//! which is the fastest the driver offers without.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8::Pool;
use bb8_postgres::tokio_postgres::NoTls;

use super::QUESTION;
use crate::databases::client::{Client, Failure};

#[derive(Clone)]
pub(super) struct Bb8(Pool<PostgresConnectionManager<NoTls>>);

impl Client for Bb8 {
    const NAME: &'static str = "bb8-postgres";
    const VERSION: &'static str = "0.9.0";
    const AT_RETURN: &'static str =
        "asks the driver whether the connection is closed; statements are not kept";

    fn open(address: &str, connections: usize) -> Result<Self, Failure> {
        let manager = PostgresConnectionManager::new_from_stringlike(address, NoTls)?;
        let builder = Pool::builder()
            .max_size(u32::try_from(connections)?)
            .test_on_check_out(false);
        Ok(Self(builder.build_unchecked(manager)))
    }

    async fn select_one(&self) -> Result<i64, Failure> {
        let connection = self.0.get().await?;
        let rows = connection.query_typed(QUESTION, &[]).await?;
        Ok(rows.first().ok_or("no row")?.get(0))
    }
}
