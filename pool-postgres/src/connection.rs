//! One pooled connection: the driver's client, the task that drives it, and what the wire says.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use pool_core::{Condition, Interrupter, Recycle};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};

use crate::config::PgConfig;
use crate::driver::Driver;
use crate::error::{PgError, is_of_the_login};
use crate::messages::{Messages, Notifications};
use crate::statements::Statements;
use crate::target::Target;
use crate::tls::{self, Begun};
use crate::wire::{Session, Watched};

/// A connection to PostgreSQL; it dereferences to [`tokio_postgres::Client`].
pub struct PgConnection {
    client: Client,
    driver: Arc<Driver>,
    /// Ends after the client is dropped and its farewell is sent.
    task: JoinHandle<()>,
    session: Arc<Session>,
    messages: Arc<Messages>,
    target: Target,
    server_version: Box<str>,
    reset_is_wanted: bool,
    /// What is under way could not be ended.
    cannot_be_ended: bool,
    /// How many requests had been sent when the session was last known to be fresh.
    fresh_at: u64,
    statements: Arc<Statements>,
}

impl PgConnection {
    pub(crate) async fn open(
        target: &Target,
        startup: &tokio_postgres::Config,
        config: &PgConfig,
    ) -> Result<Self, PgError> {
        let stream = target.connect().await?;
        let startup = tls::settings(startup, &stream, target)?;
        let session = Arc::new(Session::default());
        let watched = Watched::new(stream, Arc::clone(&session));
        let begun = startup.connect_raw(watched, Begun).await;
        let (client, connection) = begun.map_err(|error| {
            if is_of_the_login(&error, session.is_asked_to_prove()) {
                let address = target.to_string();
                PgError::Login { address, error }
            } else {
                error.into()
            }
        })?;
        let server_version = connection.parameter("server_version").unwrap_or_default();
        let server_version = server_version.into();
        let messages = Arc::new(Messages::new(config.on_notice.clone()));
        let (driver, task) = Driver::start(connection, Arc::clone(&session), Arc::clone(&messages));
        // The login tells of each setting.
        session.forget_changes();
        let fresh_at = session.requests();
        let statements = Statements::new(config.statement_cache, Arc::clone(&session));
        Ok(Self {
            client,
            driver,
            task,
            session,
            messages,
            target: target.clone(),
            server_version,
            reset_is_wanted: false,
            cannot_be_ended: false,
            fresh_at,
            statements: Arc::new(statements),
        })
    }

    /// The server's version in its own words, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// What the server notifies this connection of, after a `LISTEN`, from now on; an earlier
    /// receiver gets no more.
    ///
    /// ```no_run
    /// # async fn example(conn: &pool_postgres::PgConnection) -> Result<(), tokio_postgres::Error> {
    /// let mut news = conn.notifications();
    /// conn.batch_execute("LISTEN orders").await?;
    /// while let Some(notification) = news.recv().await {
    ///     println!("{}", notification.payload());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Who listens for long keeps the connection for long:
    /// [`PooledConnection::detach`](crate::PooledConnection) takes it out of the pool.
    pub fn notifications(&self) -> Notifications {
        // The next user's are none of this one's business.
        self.session.note_change();
        self.messages.subscribe()
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
    ///
    /// # Cancel safety
    ///
    /// As [`Statements::prepare`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.statements.prepare(&**self, sql).await
    }

    /// [`Client::prepare_typed`] through [`statements`](Self::statements).
    ///
    /// # Errors
    ///
    /// When the server refuses the statement.
    ///
    /// # Cancel safety
    ///
    /// As [`Statements::prepare`].
    pub async fn prepare_typed_cached(
        &self,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, tokio_postgres::Error> {
        self.statements.prepare_typed(&**self, sql, types).await
    }

    /// [`Client::query`] with a statement of [`statements`](Self::statements). One that the server
    /// has forgotten, or whose result would have another type by now, because a table has changed,
    /// is prepared anew; nothing is run twice.
    ///
    /// # Errors
    ///
    /// When the server refuses the statement, or its execution.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the answer, not the connection. What was sent goes on: the statement
    /// may take effect or not. When the connection is returned, what still runs after 20 ms is
    /// cancelled.
    pub async fn query_cached(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.prepare_cached(sql).await?;
        let parameters = || parameters.iter().copied();
        let rows = match self.query_raw(&statement, parameters()).await {
            // Refused before it was run, and forgotten here; but a transaction has failed with it.
            Err(error) if is_outdated(&error) && !self.session.is_in_transaction() => {
                let statement = self.prepare_cached(sql).await?;
                self.query_raw(&statement, parameters()).await?
            }
            begun => begun?,
        };
        rows.try_collect().await
    }

    /// Runs the user's SQL for a fresh session, which what it does belongs to.
    pub(crate) async fn initialise(&mut self, config: &PgConfig) -> Result<(), PgError> {
        if let Some(sql) = &config.init_sql {
            self.client.simple_query(sql).await?;
            self.session.forget_changes();
            self.fresh_at = self.session.requests();
        }
        if self.session.is_in_transaction() {
            return Err(PgError::StillDirty);
        }
        Ok(())
    }

    pub(crate) fn condition(&self, recycle: &Recycle) -> Condition {
        // First, for it may find out more.
        let is_busy = self.is_busy();
        if self.client.is_closed() || self.session.is_out_of_step() {
            Condition::Broken
        } else if is_busy
            || (*recycle != Recycle::Fast && !self.is_unused())
            || self.is_changed()
            || self.session.is_in_transaction()
        {
            Condition::NeedsRecycle
        } else {
            Condition::Ready
        }
    }

    /// Whether a request is without its answer, or may be about to be sent, or the driver is held up.
    fn is_busy(&self) -> bool {
        self.session.is_busy() || {
            self.driver.catch_up();
            self.session.is_busy() || self.session.is_held_up()
        }
    }

    fn is_changed(&self) -> bool {
        self.reset_is_wanted || self.session.is_changed()
    }

    /// Whether nothing was sent since the session was fresh.
    fn is_unused(&self) -> bool {
        self.fresh_at == self.session.requests()
    }

    /// Asks the server whether it is there.
    pub(crate) async fn ping(&mut self) -> Result<(), PgError> {
        self.ask("").await.map(drop)
    }

    /// Fails unless the session is of the kind that is wanted.
    pub(crate) async fn must_be(&mut self, wanted: TargetSessionAttrs) -> Result<(), PgError> {
        let wants_read_only = match wanted {
            TargetSessionAttrs::ReadWrite => false,
            TargetSessionAttrs::ReadOnly => true,
            _ => return Ok(()),
        };
        let answer = self.ask("SHOW transaction_read_only").await?;
        let is_read_only = answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
            _ => false,
        });
        if is_read_only == wants_read_only {
            return Ok(());
        }
        Err(PgError::ReadOnly {
            address: self.target.to_string(),
        })
    }

    /// Whether a write was refused because the transaction was read-only: by its user's wish, or
    /// because the server is not the primary any more.
    pub(crate) fn has_refused_write(&self) -> bool {
        self.session.has_refused_write()
    }

    /// One round trip, and no use of the session.
    async fn ask(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, PgError> {
        let was_unused = self.is_unused();
        let answer = self.client.simple_query(sql).await?;
        if was_unused {
            self.fresh_at = self.session.requests();
        }
        Ok(answer)
    }

    /// Brings the session back to a fresh state; the driver's prepared statements stay.
    pub(crate) async fn reset(&mut self, config: &PgConfig) -> Result<(), PgError> {
        let recycle = &config.recycle;
        if self.is_busy() && !self.end_requests().await {
            self.cannot_be_ended = true;
            return Err(PgError::StillDirty);
        }
        if self.session.is_in_transaction() {
            self.client.simple_query("ROLLBACK").await?;
        }
        if self.is_changed() || *recycle == Recycle::Clean {
            let prepared = deallocations(&self.client.simple_query(RESET).await?);
            if !prepared.is_empty() {
                self.client.simple_query(&prepared).await?;
            }
            self.messages.unsubscribe();
            self.session.forget_changes();
            self.reset_is_wanted = false;
            self.initialise(config).await?;
        }
        match recycle {
            Recycle::Verified => drop(self.client.simple_query("").await?),
            Recycle::Custom(sql) => drop(self.client.simple_query(sql).await?),
            Recycle::Fast | Recycle::Clean => {}
        }
        self.fresh_at = self.session.requests();
        let session = &self.session;
        if self.is_busy() || session.is_in_transaction() || session.is_out_of_step() {
            return Err(PgError::StillDirty);
        }
        // What the SQL of the user changed belongs to a fresh session.
        self.session.forget_changes();
        Ok(())
    }

    /// Waits for the end of what has no reader any more; what takes long is cancelled. False when that
    /// may yet hit what runs next.
    async fn end_requests(&self) -> bool {
        let mut end = pin!(self.end_of_requests());
        if timeout(GRACE, &mut end).await.is_ok() {
            return true;
        }
        if self.is_stuck() || !self.target.cancel(&self.client.cancel_token()).await {
            return false;
        }
        while timeout(GRACE, &mut end).await.is_err() {
            if self.is_stuck() || self.session.is_out_of_step() {
                return false;
            }
        }
        true
    }

    /// Waits for the answers to what was sent, and asks nothing.
    async fn end_of_requests(&self) {
        let session = &self.session;
        let is_over = || self.client.is_closed() || session.is_out_of_step() || !self.is_busy();
        self.driver.until(is_over).await;
        if session.is_out_of_step() {
            // How many answers are to come nobody can tell; behind the last is the one to this.
            let _answer = self.client.simple_query("").await;
        }
    }

    /// Whether what is under way ends by nobody's hand but the user's, who keeps rows unread or has more
    /// of them to `COPY`.
    fn is_stuck(&self) -> bool {
        self.session.is_stalled() || self.session.awaits_rows()
    }

    /// Says farewell to the server and waits until it is sent; what still runs is ended before.
    pub(crate) async fn close(self) {
        let _if_not_waited_for = AbortOnDrop(self.task.abort_handle());
        if self.is_busy() && (self.cannot_be_ended || !self.end_requests().await) {
            // Its end need not ever come, nor that of a server that takes no cancel request.
            return;
        }
        let Self { client, task, .. } = self;
        drop(client);
        let _ended = task.await;
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        let (token, target) = (self.client.cancel_token(), self.target.clone());
        Interrupter::new(move || {
            let (token, target) = (token.clone(), target.clone());
            async move {
                target.cancel(&token).await;
            }
        })
    }
}

/// How long what was given up may go on by itself: a rollback or the end of a `COPY` is on its way, and
/// a cancel request costs a connect.
const GRACE: Duration = Duration::from_millis(20);

/// Whether a statement must be prepared anew: "cached plan must not change result type", or no such
/// statement, after a `DEALLOCATE ALL`.
fn is_outdated(error: &tokio_postgres::Error) -> bool {
    let codes = [
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INVALID_SQL_STATEMENT_NAME,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// `DISCARD ALL` without `DEALLOCATE ALL`: the driver still knows its prepared statements. Those that
/// were prepared by SQL it does not know, and they are asked for.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
                     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; \
                     DISCARD TEMP; DISCARD SEQUENCES; \
                     SELECT 'DEALLOCATE ' || pg_catalog.quote_ident(name) AS deallocate \
                     FROM pg_catalog.pg_prepared_statements WHERE from_sql";

/// The SQL that drops what [`RESET`] has found prepared.
fn deallocations(answer: &[SimpleQueryMessage]) -> String {
    let found = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get("deallocate").ok().flatten(),
        _ => None,
    });
    found.collect::<Vec<_>>().join(";")
}

/// Ends the task when its end is not waited for any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Deref for PgConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for PgConnection {
    fn deref_mut(&mut self) -> &mut Client {
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
