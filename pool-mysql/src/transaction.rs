//! A transaction whose commands are marked as those of its connection are.

use std::fmt;
use std::ops::Deref;

use mysql_async::{Conn, Connection, Result, TxOpts};

use crate::commands::Unseen;
use crate::connection::MySqlConnection;

/// The driver's [`Transaction`](mysql_async::Transaction), of a pooled connection.
///
/// Queries go by the driver's [`Queryable`](mysql_async::prelude::Queryable). Unless it is committed it is
/// rolled back, at the latest when the connection is returned.
///
/// ```no_run
/// use pool_mysql::mysql_async::TxOpts;
/// use pool_mysql::mysql_async::prelude::Queryable;
///
/// # async fn example(pool: pool_mysql::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = pool.get().await?;
/// let mut transaction = conn.start_transaction(TxOpts::default()).await?;
/// transaction.exec_drop("UPDATE account SET balance = balance - ?", (10,)).await?;
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
///
/// # Cancel safety
///
/// As of [`MySqlConnection`]: after a query whose future was dropped everything
/// else fails, the commit and the rollback, too.
#[must_use = "it is rolled back unless it is committed"]
pub struct Transaction<'a> {
    transaction: mysql_async::Transaction<'a>,
    unseen: &'a mut Unseen,
}

impl MySqlConnection {
    /// [`Conn::start_transaction`].
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn start_transaction(&mut self, options: TxOpts) -> Result<Transaction<'_>> {
        let (conn, unseen) = self.in_use();
        let transaction = unseen.statement(conn.start_transaction(options)).await?;
        Ok(Transaction {
            transaction,
            unseen,
        })
    }
}

impl<'a> Transaction<'a> {
    /// Makes what it did last.
    ///
    /// # Errors
    ///
    /// As the driver's. It is rolled back then, unless the answer of the server was lost.
    pub async fn commit(self) -> Result<()> {
        let (transaction, unseen) = self.into_use();
        unseen.statement(transaction.commit()).await
    }

    /// Undoes what it did.
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn rollback(self) -> Result<()> {
        let (transaction, unseen) = self.into_use();
        unseen.statement(transaction.rollback()).await
    }

    fn into_use(self) -> (mysql_async::Transaction<'a>, &'a mut Unseen) {
        self.unseen.notice(&self.transaction);
        (self.transaction, self.unseen)
    }

    pub(crate) fn in_use(&mut self) -> (&mut mysql_async::Transaction<'a>, &mut Unseen) {
        self.unseen.notice(&self.transaction);
        (&mut self.transaction, self.unseen)
    }
}

impl Deref for Transaction<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.transaction
    }
}

/// As of a [`MySqlConnection`].
impl<'a, 't: 'a> From<&'a mut Transaction<'t>> for Connection<'a, 't> {
    fn from(transaction: &'a mut Transaction<'t>) -> Self {
        let (transaction, unseen) = transaction.in_use();
        unseen.in_doubt = true;
        Connection::from(transaction)
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("connection", &self.transaction.id())
            .finish_non_exhaustive()
    }
}
