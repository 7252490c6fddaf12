//! One pooled connection: calls go to a worker thread, answers come back.
//!
//! A call moves the handle into a task, runs the closure there and brings the handle home before it
//! answers. If the caller goes away or the query timeout passes, the call is cancelled: SQLite's
//! interrupt stops the statement, waits for locks end, and the handle comes home as soon as the
//! closure returns. Until then nobody gets the connection: [`Slot`] has no way to hand it out.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use pool_core::{Condition, Interrupter};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::config::{OpenMode, Reset};
use crate::database::Database;
use crate::error::SqliteError;
use crate::lock_wait;
use crate::session::Session;
use crate::slot::{Loan, Place, Slot};
use crate::workers::{Class, Released, Turn};

/// For how long an interrupter tries to hit a call.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a timed-out call may take to stop before the caller is told anyway.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A connection to a SQLite database, used through [`interact`](Self::interact).
///
/// # What a returned connection leaves behind
///
/// | what a session can change | seen by itself | undone by |
/// | --- | --- | --- |
/// | open transaction, savepoint | yes | rollback |
/// | attached databases; temporary tables, views, triggers, indices | yes | a new handle |
/// | pragmas, by SQL or by the driver's `pragma_update` | yes | a new handle |
/// | extensions loaded and tokenizers registered by SQL; a replaced authorizer | yes | a new handle |
/// | busy handler and busy timeout, default transaction behaviour | not needed | set anew before each call |
/// | functions, collations, modules, hooks, tracing, limits, `set_db_config`, `load_extension` of the driver | no: SQLite cannot be asked | a new handle, after [`reset_on_return`](Self::reset_on_return) or with [`Reset::Always`] |
/// | `last_insert_rowid()`, `changes()`, `total_changes()` | no | a new handle, as above; they mean something only after one's own statement |
///
/// The new handle takes the place of the old one at the return; the pool does not count it as a
/// connect.
pub struct SqliteConnection {
    slot: Arc<Slot>,
    database: Arc<Database>,
    mode: OpenMode,
    /// Whether a closure of a user has run since the last reset.
    used: bool,
    /// Whether the user wants the session replaced.
    reset_wanted: bool,
}

impl SqliteConnection {
    pub(crate) async fn open(database: Arc<Database>, mode: OpenMode) -> Result<Self, SqliteError> {
        let mut conn = Self {
            slot: Arc::new(Slot::new()),
            database,
            mode,
            used: false,
            reset_wanted: false,
        };
        let database = Arc::clone(&conn.database);
        conn.run(Class::Upkeep, None, move |loan| {
            loan.install(database.open(mode, loan.cancel_flag())?);
            Ok(())
        })
        .await?;
        Ok(conn)
    }

    /// Runs `call` with the driver's connection on a worker thread and awaits its result.
    ///
    /// The closure owns what it needs and returns what the caller wants; a transaction that begins
    /// and ends in one closure costs one trip. Transactions begin IMMEDIATE unless told otherwise
    /// (DEFERRED on a read-only connection).
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example(conn: &mut pool_sqlite::SqliteConnection) -> Result<(), pool_sqlite::SqliteError> {
    /// let id = 7;
    /// let name: String = conn
    ///     .interact(move |c| {
    ///         c.prepare_cached("SELECT name FROM users WHERE id = ?1")?
    ///             .query_row([id], |row| row.get(0))
    ///     })
    ///     .await?;
    /// # let _ = name; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returned; [`SqliteError::Timeout`] after the query timeout;
    /// [`SqliteError::Interrupted`] when somebody else interrupted it, the pool as it closes for
    /// instance; [`SqliteError::Panicked`] if the closure panicked, and [`SqliteError::NoThread`] if
    /// there was none to run it on, each of which closes this connection only; [`SqliteError::Closed`]
    /// after that.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timers enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call: a closure that has not begun never does, a running
    /// statement is interrupted (an interrupted write rolls its transaction back), a wait for a lock
    /// ends, and the next statement fails with `SQLITE_INTERRUPT` or `SQLITE_AUTH`. Code of the closure
    /// between statements cannot be stopped; the connection is busy until it ends, and the next call
    /// waits for that.
    #[doc(alias = "call")]
    pub async fn interact<F, T>(&mut self, call: F) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.used = true;
        let timeout = self.database.config.query_timeout;
        self.ask(Class::Call, timeout, call).await
    }

    /// [`interact`](Self::interact) with a query timeout of its own; `None` waits as long as it
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`interact`](Self::interact).
    ///
    /// # Panics
    ///
    /// As [`interact`](Self::interact).
    ///
    /// # Cancel safety
    ///
    /// As [`interact`](Self::interact).
    pub async fn interact_timeout<F, T>(
        &mut self,
        timeout: impl Into<Option<Duration>>,
        call: F,
    ) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.used = true;
        self.ask(Class::Call, timeout.into(), call).await
    }

    /// Has the session replaced by a fresh one at the return, for changes that cannot be seen: see
    /// the table above.
    pub fn reset_on_return(&mut self) {
        self.reset_wanted = true;
    }

    /// Interrupts the call that runs on this connection, from anywhere, and does nothing to one made
    /// after it.
    ///
    /// The call stays interrupted, however many statements its closure still tries: new ones are
    /// refused, and prepared ones end after 1,000 steps of SQLite's machine. Its transaction may be
    /// rolled back still, or committed. Where the closure or
    /// [`on_connect`](crate::SqliteConfig::on_connect) has replaced the progress handler or the
    /// authorizer, or with [`Reset::Always`], a closure of many short statements may be missed; it is
    /// tried for up to 5 s.
    pub fn interrupter(&self) -> Interrupter {
        let (slot, database) = (Arc::downgrade(&self.slot), Arc::downgrade(&self.database));
        Interrupter::new(move || {
            let (slot, database) = (slot.clone(), database.clone());
            async move {
                if let (Some(slot), Some(database)) = (slot.upgrade(), database.upgrade()) {
                    slot.cancel(&database.workers);
                    drop(database);
                    let _ = tokio::time::timeout(INTERRUPT_PATIENCE, slot.stopped()).await;
                }
            }
        })
    }

    pub(crate) async fn ask<F, T>(
        &mut self,
        class: Class,
        timeout: Option<Duration>,
        call: F,
    ) -> Result<T, SqliteError>
    where
        F: FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let limit = timeout.map(Limit::new);
        self.wait_for_last(limit).await?;
        let mode = self.mode;
        self.run(class, limit, move |loan| {
            let session = loan.session().ok_or(SqliteError::Closed)?;
            session.begin_call(mode)?;
            call(&mut session.conn).map_err(|error| session.judge(error))
        })
        .await
    }

    /// What is known without asking SQLite.
    pub(crate) fn condition(&self) -> Condition {
        match &*self.slot.place() {
            Place::Home(session) if session.is_suspect() => Condition::Broken,
            Place::Home(session) => {
                if self.is_to_be_replaced() || session.is_changed() || session.in_transaction() {
                    Condition::NeedsRecycle
                } else {
                    Condition::Ready
                }
            }
            // A cancelled call has not ended yet: recycling waits for it.
            Place::Away { .. } => Condition::NeedsRecycle,
            Place::Gone => Condition::Broken,
        }
    }

    /// Whether the handle's file was moved, deleted or replaced; not known during a call.
    pub(crate) fn has_lost_its_file(&self) -> bool {
        match &*self.slot.place() {
            Place::Home(session) => session.has_lost_its_file(),
            Place::Away { .. } | Place::Gone => false,
        }
    }

    /// Gives the connection the session of a new one.
    pub(crate) async fn reset(&mut self) -> Result<(), SqliteError> {
        self.cancel();
        self.slot.stopped().await;
        match self.condition() {
            Condition::Ready => return Ok(()),
            Condition::Broken => return Err(SqliteError::Closed),
            Condition::NeedsRecycle => {}
        }
        let (database, mode) = (Arc::clone(&self.database), self.mode);
        let replace = self.is_to_be_replaced();
        self.run(Class::Upkeep, None, move |loan| {
            let session = loan.session().ok_or(SqliteError::Closed)?;
            session.begin_call(mode)?;
            if !session.conn.is_autocommit() {
                session.conn.execute_batch("ROLLBACK")?;
            }
            session.end_call();
            if replace || session.is_changed() || session.in_transaction() {
                // Opened before the old one closes: the last connection to close would fold the
                // write-ahead log into the file.
                loan.install(database.open(mode, loan.cancel_flag())?);
            }
            Ok(())
        })
        .await?;
        (self.used, self.reset_wanted) = (false, false);
        Ok(())
    }

    fn is_to_be_replaced(&self) -> bool {
        let always = self.database.config.reset == Reset::Always;
        self.reset_wanted || self.used && always
    }

    /// Waits until a call that was cancelled has ended.
    async fn wait_for_last(&self, limit: Option<Limit>) -> Result<(), SqliteError> {
        let stopped = self.slot.stopped();
        let Some(limit) = limit else {
            stopped.await;
            return Ok(());
        };
        limit.bound(stopped).await.map_err(|_| {
            self.database.workers.count_query_timeout();
            SqliteError::Timeout(limit.length)
        })
    }

    /// Closes the handle on a worker and waits until that is done.
    pub(crate) async fn close(mut self) {
        self.cancel();
        self.slot.stopped().await;
        let closed = self.run(Class::Upkeep, None, |loan| {
            let Some(session) = loan.take() else {
                return Ok(());
            };
            session
                .conn
                .close()
                .map_err(|(_, error)| SqliteError::from(error))
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, database = %self.database.name, "a connection did not close in order");
        }
    }

    fn cancel(&self) {
        if self.slot.is_away() {
            self.slot.cancel(&self.database.workers);
        }
    }

    /// Takes the handle out of the connection for good.
    pub(crate) fn take_home(&self) -> Option<Box<Session>> {
        self.slot.take_home()
    }

    /// Lends the handle to `work` on a worker thread.
    ///
    /// The handle is not away: the caller has waited for that.
    async fn run<T, W>(
        &mut self,
        class: Class,
        limit: Option<Limit>,
        work: W,
    ) -> Result<T, SqliteError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Loan) -> Result<T, SqliteError> + Send + 'static,
    {
        let class = match &*self.slot.place() {
            Place::Home(session) => session.next_task(class),
            Place::Away { .. } | Place::Gone => class,
        };
        let (answer, answered) = oneshot::channel();
        let busy_timeout = self.database.config.busy_timeout;
        let mut loan = self.slot.lend();
        let task = Box::new(move |turn| {
            if turn == Turn::Withdrawn || loan.is_cancelled() {
                loan.give_back();
                let _ = answer.send(Err(SqliteError::Interrupted));
                return Released::No;
            }
            let scope = lock_wait::Scope::enter(loan.cancel_flag(), busy_timeout);
            let result = catch_unwind(AssertUnwindSafe(|| work(&mut loan)));
            drop(scope);
            let (result, released) = match result {
                Ok(result) => {
                    let released = loan.session().map_or(Released::Yes, Session::end_call);
                    loan.give_back();
                    (result, released)
                }
                Err(payload) => {
                    // What the closure left half done goes with the handle.
                    drop(loan);
                    (Err(SqliteError::panicked(&*payload)), Released::Yes)
                }
            };
            // Nobody listens to a cancelled call.
            let _ = answer.send(result);
            released
        });
        let pending = Pending {
            conn: self,
            armed: true,
        };
        let workers = &pending.conn.database.workers;
        workers
            .submit(task, Some(pending.conn.slot.owner()), class)
            .map_err(SqliteError::NoThread)?;
        pending.answer(answered, limit).await
    }
}

/// How long a call may take, and until when.
#[derive(Clone, Copy)]
struct Limit {
    length: Duration,
    /// `None` for a time that never comes.
    until: Option<Instant>,
}

impl Limit {
    fn new(length: Duration) -> Self {
        let until = Instant::now().checked_add(length);
        Self { length, until }
    }

    async fn bound<F: Future>(self, work: F) -> Result<F::Output, Elapsed> {
        match self.until {
            None => Ok(work.await),
            Some(until) => tokio::time::timeout_at(until, work).await,
        }
    }
}

/// A call under way. Dropped before the answer has come, it cancels the call.
struct Pending<'a> {
    conn: &'a mut SqliteConnection,
    armed: bool,
}

impl Pending<'_> {
    async fn answer<T>(
        mut self,
        answered: oneshot::Receiver<Result<T, SqliteError>>,
        limit: Option<Limit>,
    ) -> Result<T, SqliteError> {
        let answer = match limit {
            None => answered.await,
            Some(limit) => match limit.bound(answered).await {
                Ok(answer) => answer,
                Err(_) => return self.time_out(limit.length).await,
            },
        };
        self.armed = false;
        // The task was dropped unrun: the worker set is gone with the process.
        answer.unwrap_or(Err(SqliteError::Closed))
    }

    async fn time_out<T>(mut self, limit: Duration) -> Result<T, SqliteError> {
        self.armed = false;
        self.conn.cancel();
        self.conn.database.workers.count_query_timeout();
        // Most calls stop within a millisecond; the next call or the pool waits for the others.
        let _ = tokio::time::timeout(STOP_PATIENCE, self.conn.slot.stopped()).await;
        Err(SqliteError::Timeout(limit))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.conn.cancel();
        }
    }
}

impl Drop for SqliteConnection {
    fn drop(&mut self) {
        self.cancel();
        if let Some(session) = self.slot.abandon() {
            // Closing may write a checkpoint: not on the caller's thread. If no thread is to be
            // had, `submit` drops the task, and with it the session, right here.
            let class = session.next_task(Class::Upkeep);
            let task = Box::new(move |_| {
                drop(session);
                Released::Yes
            });
            let _ = self.database.workers.submit(task, None, class);
        }
    }
}

impl fmt::Debug for SqliteConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConnection")
            .field("database", &self.database.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
