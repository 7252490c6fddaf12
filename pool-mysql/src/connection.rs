//! One pooled connection, and what is known of it without asking the server.
//!
//! Every answer of the server carries a status: whether a transaction is open, whether autocommit is
//! on. The driver keeps the last one, and whether rows wait to be read; and a command is marked while
//! it is under way ([`commands`](crate::commands)), which is how a dropped future shows. A used
//! connection is therefore one of:
//!
//! ```text
//!   a command under way ───── broken: closed, and what runs on it is killed
//!   in doubt ──────────────── the server is asked, and the connection closed unless it answers that
//!   rows wait to be read ──── read on, for a moment, or closed
//!   no status known ───────── the server is asked (the last answer was an error, or no status)
//!   in a transaction ──────── COM_RESET_CONNECTION, or closed
//!   none of these ─────────── as new
//! ```
//!
//! A question is one that nobody else asks: whoever gets another answer has got somebody else's. A
//! ping would take any.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, OkPacket, QueryResult, Row, TextProtocol};
use pool_core::{Condition, Interrupter, Recycle};
use tokio::time::timeout;

use crate::commands::{Sender, Unseen};
use crate::connector::{Connector, Reached, Stop, Target};
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
/// conn.exec_drop("INSERT INTO t VALUES (?)", (42,)).await?;
/// # Ok(()) }
/// ```
///
/// Queries go by the driver's [`Queryable`], as with a `Conn`. A function that takes a `&mut Conn` or a
/// [`Connection`](mysql_async::Connection) can be given one, too, and so can the driver's `Query`
/// (`"SELECT 1".first(&mut *conn)`); what is done there is not seen, so the server is asked at the return,
/// a round trip. After a `&mut Conn`, where the driver's options have a `local_infile_handler`, the
/// session is reset as well.
///
/// The [`Debug`](fmt::Debug) of the driver's `Conn` prints the password; that of this type does not.
///
/// # Cancel safety
///
/// A query whose future is dropped leaves the connection unusable for the holder, too: whatever is asked
/// next fails as on a connection that broke ([`Cause::Lost`](crate::Cause::Lost)), but for what goes by
/// the driver's own `Conn` or `Connection`, which take the next answer for theirs. At the return it is
/// closed and the server told to stop the statement (see
/// [`kill_abandoned`](crate::MySqlConfig::kill_abandoned)).
pub struct MySqlConnection {
    conn: Conn,
    connector: Arc<Connector>,
    server: Arc<ServerInfo>,
    /// [`Connector::now`] of then.
    opened: u32,
    /// Whether the session began with autocommit on.
    autocommit: bool,
    /// Whether the server took writes then.
    took_writes: bool,
    /// Whether somebody could have used it since it was opened or recycled.
    used: bool,
    unseen: Unseen,
}

/// What the last answer says of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Unknown,
    Fresh,
}

impl MySqlConnection {
    pub(crate) async fn open(connector: Arc<Connector>) -> Result<Self, MySqlError> {
        let Reached {
            conn,
            server,
            takes_writes,
        } = connector.connect().await?;
        let opened = connector.now();
        if status(&conn).is_some_and(is_open) {
            let what = "the SQL for a new connection left a transaction";
            return Err(MySqlError::dirty(what).at(&connector.address));
        }
        let autocommit = has_autocommit(&conn);
        Ok(Self {
            conn,
            connector,
            server,
            opened,
            autocommit,
            took_writes: takes_writes,
            used: false,
            unseen: Unseen::default(),
        })
    }

    /// The server's flavour and version.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Stops the statement that runs on this connection, from anywhere, by `KILL QUERY` over a
    /// connection of its own. The statement fails with error 1317, the connection stays.
    pub fn interrupter(&self) -> Interrupter {
        let (connector, target) = (Arc::clone(&self.connector), self.target());
        Interrupter::new(move || {
            let (connector, target) = (Arc::clone(&connector), target.clone());
            async move { connector.stop(&target, Stop::Statement).await }
        })
    }

    fn target(&self) -> Target {
        Target {
            id: self.conn.id(),
            server: Arc::clone(&self.server),
            opened: self.opened,
        }
    }

    /// The driver's connection, of one that was detached from its pool.
    pub fn into_inner(self) -> Conn {
        self.conn
    }

    /// The driver's connection, and what is noted of its use, for a command of the user's.
    pub(crate) fn in_use(&mut self) -> (&mut Conn, &mut Unseen) {
        self.used = true;
        self.unseen.notice(&self.conn);
        (&mut self.conn, &mut self.unseen)
    }

    pub(crate) async fn validate(&mut self) -> Result<(), MySqlError> {
        self.unseen.under_way = Some(Sender::Pool);
        let connector = Arc::clone(&self.connector);
        match &connector.config.validation_query {
            Some(sql) => {
                self.conn.query_drop(sql).await?;
                self.roll_back().await?;
                if !self.is_as_opened() {
                    let what = "the SQL for validating changed the session";
                    return Err(MySqlError::dirty(what));
                }
            }
            None => match self.conn.ping().await {
                // The error of an earlier result that nobody has read; the driver had it put by.
                Err(mysql_async::Error::Server(_)) => self.conn.ping().await?,
                pinged => pinged?,
            },
        }
        self.unseen.under_way = None;
        Ok(())
    }

    pub(crate) fn condition(&mut self) -> Condition {
        let under_way = self.conn.is_disconnected() || self.unseen.under_way.is_some();
        if under_way || self.is_somebody_elses() || self.is_left_behind() {
            return Condition::Broken;
        }
        if !self.used {
            return Condition::Ready;
        }
        if self.connector.config.recycle == Recycle::Fast
            && !self.unseen.in_doubt
            && !self.is_demoted()
            && !self.unseen.wants_reset()
            && !self.has_rows_pending()
            && self.standing() == Standing::Fresh
        {
            self.used = false;
            return Condition::Ready;
        }
        Condition::NeedsRecycle
    }

    /// Whether its server took writes when it was opened, and has refused one since.
    fn is_demoted(&self) -> bool {
        self.unseen.refused_write && self.took_writes
    }

    /// Whether it leads to a server that took no writes when it was opened, either, though others lead
    /// to the primary, or did: the name may lead there by now.
    fn is_left_behind(&self) -> bool {
        let has_reached_primary = &self.connector.has_reached_primary;
        self.unseen.refused_write && !self.took_writes && has_reached_primary.load(Relaxed)
    }

    /// Whether it has logged in as another account since, or to a database where none is configured
    /// (`change_user`): no reset undoes that.
    fn is_somebody_elses(&self) -> bool {
        let (now, configured) = (self.conn.opts(), &self.connector.config.opts);
        now.user() != configured.user()
            || (configured.db_name().is_none() && now.db_name().is_some())
    }

    pub(crate) async fn recycle(&mut self) -> Result<(), MySqlError> {
        if self.is_demoted() {
            return Err(MySqlError::demoted(&self.connector.address));
        }
        self.unseen.under_way = Some(Sender::Pool);
        let connector = Arc::clone(&self.connector);
        let policy = &connector.config.recycle;
        let renews = *policy == Recycle::Clean || self.unseen.wants_reset();
        if self.has_rows_pending() {
            self.drain().await?;
        } else if self.unseen.in_doubt
            || *policy == Recycle::Verified
            || (self.standing() == Standing::Unknown && !renews)
        {
            self.ask().await?;
        }
        if renews || !self.is_as_opened() {
            self.renew().await?;
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
        Ok(())
    }

    /// Says goodbye to the server. What is under way is not waited for: it is stopped.
    pub(crate) async fn close(mut self) {
        let is_theirs = self.unseen.under_way != Some(Sender::Pool) || self.unseen.in_doubt;
        if self.conn.is_disconnected() || self.unseen.under_way == Some(Sender::User) {
            let kills = self.connector.config.kill_abandoned;
            if is_theirs && kills && self.is_under_way().await {
                let target = self.target();
                self.connector.stop(&target, Stop::Connection).await;
            }
        } else if self.has_rows_pending() {
            // To say goodbye the driver would read all rows first.
            self.is_under_way().await;
        }
        if let Err(error) = self.conn.disconnect().await {
            tracing::debug!(address = %self.connector.address, %error, "closed without goodbye");
        }
    }

    fn standing(&self) -> Standing {
        match self.status() {
            Some(status) if is_open(status) => Standing::Open,
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

    /// The status that came with the last answer, if there was one.
    fn status(&self) -> Option<StatusFlags> {
        status(&self.conn).filter(|_| !self.unseen.prepared)
    }

    /// Whether the session is in no transaction, and autocommit as it was: after an answer that
    /// carries a status.
    fn is_as_opened(&self) -> bool {
        self.status().is_some_and(|status| !is_open(status))
            && has_autocommit(&self.conn) == self.autocommit
    }

    /// Asks what nobody else asks, which brings a status; what is unread is read on first.
    async fn ask(&mut self) -> Result<(), MySqlError> {
        const FIRST: u32 = 3_141_592_653;
        let answered = match self.question(FIRST).await {
            // The error of an earlier result that nobody has read. If it was that of a command given
            // up, the next answer is the one to the first question.
            Err(mysql_async::Error::Server(_)) => self.question(FIRST + 1).await?,
            asked => asked?,
        };
        self.unseen.prepared = false;
        if answered {
            Ok(())
        } else {
            Err(MySqlError::dirty("the last command was given up"))
        }
    }

    /// Whether the server answers with this number, which no character set of a session changes.
    async fn question(&mut self, number: u32) -> mysql_async::Result<bool> {
        let answer: Option<Row> = self.conn.query_first(format!("SELECT {number}")).await?;
        let answer = answer.and_then(|row| row.get_opt(0)?.ok());
        Ok(answer == Some(number))
    }

    /// Reads on what nobody has read.
    async fn drain(&mut self) -> Result<(), MySqlError> {
        match timeout(DRAIN_PATIENCE, self.ask()).await {
            Ok(drained) => drained,
            Err(_) => Err(MySqlError::dirty("too many rows were left unread")),
        }
    }

    async fn renew(&mut self) -> Result<(), MySqlError> {
        if self.status().is_none() {
            self.ask().await?;
        }
        // A reset on MariaDB leaves a prepared XA transaction half there, and says nothing: no statement
        // can write from then on. This is refused, and the connection closed.
        self.roll_back().await?;
        if !self.conn.reset().await? {
            // Before MySQL 5.7.3 and MariaDB 10.2.4.
            self.conn.change_user(ChangeUserOpts::default()).await?;
        }
        let sql = self.connector.sql_after_reset(self.server.flavour());
        self.conn.query_drop(sql).await?;
        if self.is_as_opened() {
            Ok(())
        } else {
            Err(MySqlError::dirty("a transaction is open after a reset"))
        }
    }

    /// Ends the transaction that is open, if one is.
    async fn roll_back(&mut self) -> Result<(), MySqlError> {
        if self.status().is_some_and(is_open) {
            self.conn.query_drop("ROLLBACK").await?;
        }
        Ok(())
    }

    /// Whether an answer is outstanding on a connection that is not broken. Afterwards the driver
    /// does without a goodbye, unless the answer had come.
    async fn is_under_way(&mut self) -> bool {
        let mut ping = self.conn.ping();
        poll_fn(|cx| Poll::Ready(ping.as_mut().poll(cx).is_pending())).await
    }
}

fn status(conn: &Conn) -> Option<StatusFlags> {
    conn.last_ok_packet().map(OkPacket::status_flags)
}

fn has_autocommit(conn: &Conn) -> bool {
    status(conn).is_some_and(|status| status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT))
}

/// Whether more is to come, of a transaction or of the answer.
fn is_open(status: StatusFlags) -> bool {
    status.intersects(
        StatusFlags::SERVER_STATUS_IN_TRANS
            | StatusFlags::SERVER_STATUS_IN_TRANS_READONLY
            | StatusFlags::SERVER_MORE_RESULTS_EXISTS
            | StatusFlags::SERVER_STATUS_CURSOR_EXISTS,
    )
}

impl Deref for MySqlConnection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
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
