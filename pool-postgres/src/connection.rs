//! One pooled connection: the driver's client, the task that drives it, and what the wire says.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;

use pool_core::{Condition, Interrupter};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::error::PgError;
use crate::statements::Statements;
use crate::target::Target;
use crate::wire::{Session, Watched};

/// A connection to PostgreSQL; it dereferences to [`tokio_postgres::Client`].
pub struct PgConnection {
    client: Client,
    /// Drives the connection; ends after the client is dropped and its farewell is sent.
    driver: JoinHandle<()>,
    session: Arc<Session>,
    target: Target,
    reset_is_wanted: bool,
    /// How many requests had been sent when the session was last known to be fresh.
    fresh_at: u64,
    statements: Arc<Statements>,
}

impl PgConnection {
    pub(crate) async fn open(
        target: Target,
        startup: &tokio_postgres::Config,
        statement_cache: usize,
    ) -> Result<Self, PgError> {
        let stream = target.connect().await?;
        let session = Arc::new(Session::default());
        let watched = Watched::new(stream, Arc::clone(&session));
        let (client, connection) = startup.connect_raw(watched, NoTls).await?;
        let taken_up = Arc::clone(&session);
        let driver = tokio::spawn(async move {
            let mut connection = pin!(connection);
            let driven = poll_fn(|cx| {
                taken_up.take_up();
                connection.as_mut().poll(cx)
            });
            if let Err(error) = driven.await {
                tracing::debug!(%error, "connection to PostgreSQL ended");
            }
        });
        let fresh_at = session.requests();
        Ok(Self {
            client,
            driver,
            session,
            target,
            reset_is_wanted: false,
            fresh_at,
            statements: Arc::new(Statements::new(statement_cache)),
        })
    }

    /// Says that the session was changed in a way the wire does not show (`set_config`, advisory
    /// locks): it is reset when the connection comes back.
    pub fn reset_on_return(&mut self) {
        self.reset_is_wanted = true;
    }

    /// The prepared statements it keeps: to prepare with inside a transaction, too.
    ///
    /// ```no_run
    /// # async fn example(conn: &mut pool_postgres::PgConnection) -> Result<(), tokio_postgres::Error> {
    /// let statements = conn.statements();
    /// let transaction = conn.transaction().await?;
    /// let find = statements.prepare(&transaction, "SELECT paid FROM orders WHERE id = $1").await?;
    /// let row = transaction.query_one(&find, &[&7_i64]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn statements(&self) -> Arc<Statements> {
        Arc::clone(&self.statements)
    }

    /// [`Client::prepare`] through [`statements`](Self::statements).
    ///
    /// # Errors
    ///
    /// When the server refuses the statement.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.statements.prepare(&**self, sql).await
    }

    /// [`Client::query`] with a statement of [`statements`](Self::statements). One whose result
    /// would have another type by now, because a table has changed, is prepared anew.
    ///
    /// # Errors
    ///
    /// When the server refuses the statement, or its execution.
    pub async fn query_cached(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.prepare_cached(sql).await?;
        match self.query(&statement, parameters).await {
            // 0A000, "cached plan must not change result type". A transaction has failed with it.
            Err(error)
                if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
                    && !self.session.is_in_transaction() =>
            {
                self.statements.remove(sql);
                let statement = self.prepare_cached(sql).await?;
                self.query(&statement, parameters).await
            }
            Err(error) => {
                self.statements.remove(sql);
                Err(error)
            }
            answer => answer,
        }
    }

    pub(crate) fn condition(&self, always_reset: bool) -> Condition {
        if self.client.is_closed() {
            Condition::Broken
        } else if (always_reset && !self.is_unused())
            || self.reset_is_wanted
            || self.session.is_busy()
            || self.session.is_in_transaction()
            || self.session.is_changed()
        {
            Condition::NeedsRecycle
        } else {
            Condition::Ready
        }
    }

    /// Whether nothing was sent since the session was fresh.
    fn is_unused(&self) -> bool {
        self.fresh_at == self.session.requests()
    }

    /// Asks the server whether it is there: one round trip, and no use of the session.
    pub(crate) async fn ping(&mut self) -> Result<(), PgError> {
        let was_unused = self.is_unused();
        self.client.simple_query("").await?;
        if was_unused {
            self.fresh_at = self.session.requests();
        }
        Ok(())
    }

    /// Brings the session back to a fresh state; the driver's prepared statements stay.
    pub(crate) async fn reset(&mut self, always: bool) -> Result<(), PgError> {
        if self.session.is_busy() {
            // Whatever runs has no reader any more. Its end is the next answer's beginning.
            self.target.cancel(&self.client.cancel_token()).await;
            let _cancelled = self.client.simple_query("").await;
        }
        if self.session.is_in_transaction() {
            self.client.simple_query("ROLLBACK").await?;
        }
        if always || self.reset_is_wanted || self.session.is_changed() {
            self.client.simple_query(RESET).await?;
            self.session.forget_changes();
            self.reset_is_wanted = false;
            self.fresh_at = self.session.requests();
        }
        let is_clean = !self.session.is_busy() && !self.session.is_in_transaction();
        if is_clean {
            Ok(())
        } else {
            Err(PgError::StillDirty)
        }
    }

    /// Says farewell to the server and waits until it is sent.
    pub(crate) async fn close(self) {
        let Self { client, driver, .. } = self;
        let mut driver = AbortOnDrop(driver);
        drop(client);
        let _ended = (&mut driver.0).await;
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        let (token, target) = (self.client.cancel_token(), self.target.clone());
        Interrupter::new(move || {
            let (token, target) = (token.clone(), target.clone());
            async move { target.cancel(&token).await }
        })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}

/// `DISCARD ALL` without `DEALLOCATE ALL`: the driver still knows its prepared statements.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
                     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; \
                     DISCARD TEMP; DISCARD SEQUENCES";

/// Ends the task when its end is not waited for any more.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Deref for PgConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.session.lend();
        &self.client
    }
}

impl DerefMut for PgConnection {
    fn deref_mut(&mut self) -> &mut Client {
        self.session.lend();
        &mut self.client
    }
}

impl fmt::Debug for PgConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgConnection")
            .field("address", &self.target.to_string())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
