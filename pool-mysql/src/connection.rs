//! One pooled connection, and what is known of it without asking the server.
//!
//! Every answer of the server carries a status: whether a transaction is open, whether autocommit is
//! on. The driver keeps the last one, and whether rows wait to be read; and it calls a connection
//! disconnected from the moment a command is sent until its answer is read, which is how a dropped
//! future shows. A used connection is therefore one of:
//!
//! ```text
//!   disconnected ──────────── broken: closed, and what runs on it is killed
//!   in doubt ──────────────── asked a question of ours, and closed unless that is answered
//!   rows wait to be read ──┐
//!   in a transaction ──────┼─ COM_RESET_CONNECTION, or closed
//!   no status known ───────── the server is asked (the last answer was an error, or no status)
//!   none of these ─────────── as new
//! ```
//!
//! In doubt is one whose driver had to clean up (rows nobody read, a transaction dropped) before it
//! sent a user's command: it takes the end of the clean-up for the end of the command, and does not
//! show that the command's future was dropped.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{
    ChangeUserOpts, Conn, Connection, InfileData, OkPacket, QueryResult, Row, TextProtocol,
    Transaction, TxOpts,
};
use pool_core::{Condition, Interrupter};
use tokio::time::timeout;

use crate::config::Recycle;
use crate::connector::{Connector, Stop};
use crate::error::MySqlError;
use crate::server::ServerInfo;

/// How long rows that nobody wanted are read on before the connection is closed instead.
const DRAIN_PATIENCE: Duration = Duration::from_millis(250);

/// A connection to MySQL or MariaDB; it dereferences to the driver's [`Conn`].
///
/// ```no_run
/// use pool_mysql::mysql_async::prelude::*;
///
/// # async fn example(pool: pool_mysql::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = pool.get().await?;
/// conn.query_drop("CREATE TABLE IF NOT EXISTS t (n INT)").await?;
/// "INSERT INTO t VALUES (?)".with((42,)).ignore(&mut *conn).await?;
/// # Ok(()) }
/// ```
///
/// The [`Debug`](fmt::Debug) of the driver's `Conn` prints the password; that of this type does not.
///
/// # Cancel safety
///
/// A query whose future is dropped leaves the connection unusable for the holder, too
/// ([`Conn::is_disconnected`]). At the return it is closed and the server told to stop the statement
/// (see [`kill_abandoned`](crate::MySqlConfig::kill_abandoned)).
pub struct MySqlConnection {
    conn: Conn,
    connector: Arc<Connector>,
    server: Arc<ServerInfo>,
    /// Whether the session began with autocommit on.
    autocommit: bool,
    /// Whether somebody could have used it since it was opened or recycled.
    used: bool,
    unseen: Unseen,
    /// Whether a command of ours is under way, or was when its future was dropped.
    tended: bool,
}

/// What the user has done with the connection and the driver does not show.
#[derive(Default)]
struct Unseen {
    /// A transaction of the driver's was begun, and may not have ended yet.
    begun: bool,
    /// An answer may be outstanding that the driver does not know of.
    in_doubt: bool,
    /// The session has other settings than it should, or the driver a file to load.
    reset_is_wanted: bool,
}

/// What the driver knows of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Broken,
    RowsPending,
    InTransaction,
    Unknown,
    Fresh,
}

impl MySqlConnection {
    pub(crate) async fn open(connector: Arc<Connector>) -> Result<Self, MySqlError> {
        let (conn, server) = connector.connect().await?;
        let autocommit = has_autocommit(&conn);
        Ok(Self {
            conn,
            connector,
            server,
            autocommit,
            used: false,
            unseen: Unseen::default(),
            tended: false,
        })
    }

    /// The server's flavour and version.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Stops the statement that runs on this connection, from anywhere, by `KILL QUERY` over a
    /// connection of its own. The statement fails with error 1317, the connection stays.
    pub fn interrupter(&self) -> Interrupter {
        let (connector, server) = (Arc::clone(&self.connector), Arc::clone(&self.server));
        let id = self.conn.id();
        Interrupter::new(move || {
            let (connector, server) = (Arc::clone(&connector), Arc::clone(&server));
            async move { connector.stop(id, &server, Stop::Statement).await }
        })
    }

    /// [`Conn::start_transaction`].
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn start_transaction(
        &mut self,
        options: TxOpts,
    ) -> mysql_async::Result<Transaction<'_>> {
        self.note_use();
        self.unseen.begun = true;
        self.conn.start_transaction(options).await
    }

    /// [`Conn::reset`]: the session has the server's settings until the connection is returned, when
    /// it gets the configured ones.
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn reset(&mut self) -> mysql_async::Result<bool> {
        self.note_use();
        self.unseen.reset_is_wanted = true;
        self.conn.reset().await
    }

    /// [`Conn::change_user`]: as [`reset`](Self::reset), and the connection of another account is
    /// closed at its return.
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn change_user(&mut self, options: ChangeUserOpts) -> mysql_async::Result<()> {
        self.note_use();
        self.unseen.reset_is_wanted = true;
        self.conn.change_user(options).await
    }

    /// [`Conn::set_infile_handler`]; nobody else gets what the handler gives.
    pub fn set_infile_handler<T>(&mut self, handler: T)
    where
        T: Future<Output = mysql_async::Result<InfileData>> + Send + Sync + 'static,
    {
        self.note_use();
        self.unseen.reset_is_wanted = true;
        self.conn.set_infile_handler(handler);
    }

    /// The driver's connection, of one that was detached from its pool.
    pub fn into_inner(self) -> Conn {
        self.conn
    }

    pub(crate) async fn validate(&mut self) -> Result<(), MySqlError> {
        self.tended = true;
        let connector = Arc::clone(&self.connector);
        match &connector.config.validation_query {
            Some(sql) => self.conn.query_drop(sql).await?,
            None => self.ask().await?,
        }
        self.tended = false;
        Ok(())
    }

    pub(crate) fn condition(&mut self) -> Condition {
        if self.conn.is_disconnected() || self.is_somebody_elses() {
            return Condition::Broken;
        }
        if !self.used {
            return Condition::Ready;
        }
        if self.connector.config.recycle == Recycle::Fast
            && !self.unseen.in_doubt
            && !self.unseen.reset_is_wanted
            && self.standing() == Standing::Fresh
        {
            self.used = false;
            return Condition::Ready;
        }
        Condition::NeedsRecycle
    }

    /// Whether it has logged in as another account since (`change_user`): no reset undoes that.
    fn is_somebody_elses(&self) -> bool {
        self.conn.opts().user() != self.connector.config.opts.user()
    }

    pub(crate) async fn recycle(&mut self) -> Result<(), MySqlError> {
        self.tended = true;
        let connector = Arc::clone(&self.connector);
        let policy = &connector.config.recycle;
        if self.unseen.in_doubt {
            self.resolve_doubt().await?;
        }
        match self.standing() {
            _ if *policy == Recycle::Clean || self.unseen.reset_is_wanted => self.renew().await?,
            Standing::RowsPending | Standing::InTransaction => self.renew().await?,
            Standing::Fresh if *policy != Recycle::Verified => {}
            _ => {
                self.ask().await?;
                if !self.is_as_opened() {
                    self.renew().await?;
                }
            }
        }
        if let Recycle::Custom(sql) = policy {
            self.conn.query_drop(sql).await?;
            if !self.is_as_opened() {
                return Err(MySqlError::dirty(
                    "the SQL for recycling left a transaction",
                ));
            }
        }
        self.used = false;
        self.unseen = Unseen::default();
        self.tended = false;
        Ok(())
    }

    /// Says goodbye to the server. What is under way is not waited for: it is stopped.
    pub(crate) async fn close(mut self) {
        if self.conn.is_disconnected() {
            let config = &self.connector.config;
            let is_theirs = !self.tended || self.unseen.in_doubt;
            if is_theirs && config.kill_abandoned && self.is_under_way().await {
                let id = self.conn.id();
                self.connector
                    .stop(id, &self.server, Stop::Connection)
                    .await;
            }
        } else if self.has_rows_pending() {
            // To say goodbye the driver would read all rows first.
            self.is_under_way().await;
        }
        if let Err(error) = self.conn.disconnect().await {
            tracing::debug!(address = %self.connector.address, %error, "closed without goodbye");
        }
    }

    fn standing(&mut self) -> Standing {
        if self.conn.is_disconnected() {
            return Standing::Broken;
        }
        if self.has_rows_pending() {
            return Standing::RowsPending;
        }
        match status(&self.conn) {
            Some(status) if status.intersects(in_transaction()) => Standing::InTransaction,
            // The answer to a `prep` passes for a status, mostly one without this flag.
            Some(status)
                if self.autocommit && status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT) =>
            {
                Standing::Fresh
            }
            _ => Standing::Unknown,
        }
    }

    fn has_rows_pending(&mut self) -> bool {
        !QueryResult::<TextProtocol>::new(&mut self.conn).is_empty()
    }

    /// Whether the session is in no transaction, and autocommit as it was: after an answer that
    /// carries a status.
    fn is_as_opened(&self) -> bool {
        status(&self.conn).is_some_and(|status| !status.intersects(in_transaction()))
            && has_autocommit(&self.conn) == self.autocommit
    }

    /// Pings, which brings a status.
    async fn ask(&mut self) -> Result<(), MySqlError> {
        match self.conn.ping().await {
            // The error of an earlier result that nobody has read; the driver had it put by.
            Err(mysql_async::Error::Server(_)) => Ok(self.conn.ping().await?),
            asked => Ok(asked?),
        }
    }

    /// Whoever is about to get the driver's connection can leave something behind.
    fn note_use(&mut self) {
        self.used = true;
        let may_be_open = |status: StatusFlags| status.intersects(in_transaction());
        self.unseen.begun &= status(&self.conn).is_none_or(may_be_open);
        self.unseen.in_doubt |= self.unseen.begun || self.has_rows_pending();
    }

    /// Asks what nobody else asks: another answer is somebody else's.
    async fn resolve_doubt(&mut self) -> Result<(), MySqlError> {
        const QUESTION: &str = "SELECT 'the pool asks'";
        if self.has_rows_pending() {
            self.drain().await?;
        }
        let answer = self.conn.query_first::<Row, _>(QUESTION);
        let own: Option<String> = match timeout(DRAIN_PATIENCE, answer).await {
            Ok(Ok(Some(row))) => row.get_opt(0).and_then(Result::ok),
            _ => None,
        };
        if own.as_deref() != Some("the pool asks") {
            return Err(MySqlError::dirty("the last command was given up"));
        }
        self.unseen.in_doubt = false;
        Ok(())
    }

    /// Reads on what nobody has read, the error of a later result included.
    async fn drain(&mut self) -> Result<(), MySqlError> {
        match timeout(DRAIN_PATIENCE, self.ask()).await {
            Ok(drained) => drained,
            Err(_) => Err(MySqlError::dirty("too many rows were left unread")),
        }
    }

    async fn renew(&mut self) -> Result<(), MySqlError> {
        if self.has_rows_pending() || status(&self.conn).is_none() {
            self.drain().await?;
        }
        if status(&self.conn).is_some_and(|status| status.intersects(in_transaction())) {
            // A reset on MariaDB leaves a prepared XA transaction half there, and says nothing: no
            // statement can write from then on. This is refused, and the connection closed.
            self.conn.query_drop("ROLLBACK").await?;
        }
        if !self.conn.reset().await? {
            // Before MySQL 5.7.3 and MariaDB 10.2.4.
            self.conn.change_user(ChangeUserOpts::default()).await?;
        }
        let sql = self.connector.config.sql_after_reset(self.server.flavour());
        self.conn.query_drop(sql).await?;
        if self.is_as_opened() {
            Ok(())
        } else {
            Err(MySqlError::dirty("a transaction is open after a reset"))
        }
    }

    /// Whether an answer is outstanding on a connection that is not broken. Afterwards the driver
    /// does without a goodbye, unless the answer had come.
    async fn is_under_way(&mut self) -> bool {
        let mut ping = self.conn.ping();
        poll_fn(|cx| Poll::Ready(ping.as_mut().poll(cx).is_pending())).await
    }
}

/// The status that came with the last answer, if there was one.
fn status(conn: &Conn) -> Option<StatusFlags> {
    conn.last_ok_packet().map(OkPacket::status_flags)
}

fn has_autocommit(conn: &Conn) -> bool {
    status(conn).is_some_and(|status| status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT))
}

fn in_transaction() -> StatusFlags {
    StatusFlags::SERVER_STATUS_IN_TRANS
        | StatusFlags::SERVER_STATUS_IN_TRANS_READONLY
        | StatusFlags::SERVER_MORE_RESULTS_EXISTS
        | StatusFlags::SERVER_STATUS_CURSOR_EXISTS
}

impl Deref for MySqlConnection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for MySqlConnection {
    fn deref_mut(&mut self) -> &mut Conn {
        self.note_use();
        &mut self.conn
    }
}

/// For the driver's `Query` trait: `"SELECT 1".first(&mut *conn)`.
impl<'a> From<&'a mut MySqlConnection> for Connection<'a, 'static> {
    fn from(conn: &'a mut MySqlConnection) -> Self {
        Connection::from(&mut **conn)
    }
}

impl fmt::Debug for MySqlConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlConnection")
            .field("id", &self.conn.id())
            .field("address", &self.connector.address)
            .field("server", &self.server)
            .field("disconnected", &self.conn.is_disconnected())
            .finish_non_exhaustive()
    }
}
