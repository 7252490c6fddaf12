//! What a user does with a connection, and what of it the driver does not show.
//!
//! The driver calls a connection disconnected from the moment a command is sent until its answer is
//! read. Where it has to clean up first (results nobody read, a transaction dropped) it takes the end
//! of that for the end of the command, and a command given up then does not show. So the commands of
//! [`MySqlConnection`] and of its [`Transaction`](crate::Transaction) are marked here while they are
//! under way. What is done by the driver's own [`Conn`] or [`Connection`] is not seen: the connection is
//! in doubt, and the server is asked at the return; that the session was reset shows by a [`Mark`].

use std::future::Future;
use std::io;
use std::ops::DerefMut;

use mysql_async::{ChangeUserOpts, Conn, Connection, InfileData, Result};
use pool_core::Cause;

use crate::connection::MySqlConnection;
use crate::error::cause_of;
use crate::mark::Mark;

/// Who has sent a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    User,
    Pool,
}

/// What has been done with a connection since it was opened or recycled.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "any of them may be true beside any other"
)]
pub(crate) struct Unseen {
    /// Whose command is under way, or was when its future was dropped.
    pub(crate) under_way: Option<Sender>,
    /// The answer to a command that was given up may be outstanding.
    pub(crate) in_doubt: bool,
    /// The last answer was that to a `prep`, which the driver takes for a status.
    pub(crate) prepared: bool,
    /// A write was refused by a server that takes none.
    pub(crate) refused_write: bool,
    /// The session has other settings than it should, or the driver a file to load.
    reset_is_wanted: bool,
    /// Of the first time the driver's own connection was lent.
    mark: Option<Mark>,
}

impl Unseen {
    /// The driver would read the answer to a command that was given up as that to the next.
    pub(crate) async fn command<T>(
        &mut self,
        command: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if self.under_way.is_some() {
            let what = "this connection broke, or an earlier command on it was given up";
            return Err(io::Error::new(io::ErrorKind::NotConnected, what).into());
        }
        self.under_way = Some(Sender::User);
        let answer = command.await;
        self.under_way = None;
        if let Err(error) = &answer {
            self.refused_write |= cause_of(error) == Cause::ReadOnly;
        }
        answer
    }

    /// A command whose answer is a status.
    pub(crate) async fn statement<T>(
        &mut self,
        command: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = self.command(command).await;
        self.prepared = false;
        answer
    }

    /// What the driver shows of commands that are not seen.
    pub(crate) fn notice(&mut self, conn: &Conn) {
        if conn.is_disconnected() {
            self.under_way = Some(Sender::User);
        }
    }

    fn lent(&mut self, conn: &mut Conn) {
        self.in_doubt = true;
        if !self.reset_is_wanted && self.mark.is_none() {
            self.mark = Mark::left_in(conn);
            self.reset_is_wanted = self.mark.is_none();
        }
    }

    pub(crate) fn wants_reset(&self) -> bool {
        self.reset_is_wanted || self.mark.as_ref().is_some_and(Mark::is_gone)
    }
}

impl MySqlConnection {
    /// [`Conn::reset`]: the session has the server's settings until the connection is returned, when
    /// it gets the configured ones.
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn reset(&mut self) -> Result<bool> {
        let (conn, unseen) = self.in_use();
        unseen.reset_is_wanted = true;
        unseen.command(conn.reset()).await
    }

    /// [`Conn::change_user`]: as [`reset`](Self::reset), and the connection of another account, or of
    /// a database where none is configured, is closed at its return.
    ///
    /// # Errors
    ///
    /// As the driver's.
    pub async fn change_user(&mut self, options: ChangeUserOpts) -> Result<()> {
        let (conn, unseen) = self.in_use();
        unseen.reset_is_wanted = true;
        unseen.command(conn.change_user(options)).await
    }

    /// [`Conn::set_infile_handler`]; nobody else gets what the handler gives.
    pub fn set_infile_handler<T>(&mut self, handler: T)
    where
        T: Future<Output = Result<InfileData>> + Send + Sync + 'static,
    {
        let (conn, unseen) = self.in_use();
        unseen.reset_is_wanted = true;
        conn.set_infile_handler(handler);
    }
}

impl DerefMut for MySqlConnection {
    fn deref_mut(&mut self) -> &mut Conn {
        let (conn, unseen) = self.in_use();
        unseen.lent(conn);
        conn
    }
}

/// For the driver's `Query` trait, `"SELECT 1".first(&mut *conn)`, and for functions that take whatever is
/// a connection, which may send any number of commands.
impl<'a> From<&'a mut MySqlConnection> for Connection<'a, 'static> {
    fn from(conn: &'a mut MySqlConnection) -> Self {
        let (conn, unseen) = conn.in_use();
        unseen.in_doubt = true;
        Connection::from(conn)
    }
}
