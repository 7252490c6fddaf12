//! What can go wrong with MySQL and MariaDB, told apart by what to do about it.
//!
//! The server's numbers decide, never its texts, which are translated and change. Codes are those of
//! both manuals; where the two servers differ, the entry says so.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use mysql_async::{DriverError, IoError};
use pool_core::Severity;

/// Why a connection could not be opened, checked or reset.
///
/// A query of yours fails with the driver's own error; `MySqlError::from` sorts it too.
///
/// ```
/// use pool_mysql::{Cause, MySqlError, mysql_async};
///
/// fn is_worth_another_try(error: mysql_async::Error) -> bool {
///     let error = MySqlError::from(error);
///     error.cause() == Cause::LockConflict || error.is_transient()
/// }
/// # let _ = is_worth_another_try;
/// ```
#[derive(Debug)]
pub struct MySqlError {
    cause: Cause,
    /// Where to; known when a connection was being opened.
    address: Option<Arc<str>>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Driver(mysql_async::Error),
    Other(Box<dyn StdError + Send + Sync>),
}

/// What an error means.
///
/// | cause | recognised by | transient |
/// | --- | --- | --- |
/// | [`Refused`](Self::Refused) | connection refused, no such socket, a full backlog | yes |
/// | [`Unreachable`](Self::Unreachable) | no route to the host or its network | yes |
/// | [`Dns`](Self::Dns) | the host's name cannot be resolved | yes |
/// | [`TimedOut`](Self::TimedOut) | the system's time limit for packets | yes |
/// | [`Lost`](Self::Lost) | end of stream, reset; 1080, 1081, 1152 to 1161, 1184, 4031 (MySQL) | yes |
/// | [`Tls`](Self::Tls) | rustls; a server without TLS; 3159, 4156 | no |
/// | [`Authentication`](Self::Authentication) | 1044, 1045, 1130, 1251, 1524, 1698, 1820, 1862, 3118, 4151, 3032 | no |
/// | [`Password`](Self::Password) | the password provider failed | yes |
/// | [`HostBlocked`](Self::HostBlocked) | 1129 | no |
/// | [`DatabaseMissing`](Self::DatabaseMissing) | 1049 | no |
/// | [`TooManyConnections`](Self::TooManyConnections) | 1040, 1203, 1226 | yes |
/// | [`ShuttingDown`](Self::ShuttingDown) | 1053, 1077, 1079 | yes |
/// | [`ReadOnly`](Self::ReadOnly) | 1290, 1836 | yes |
/// | [`ReadOnlyTransaction`](Self::ReadOnlyTransaction) | 1792 | no |
/// | [`StatementTimeout`](Self::StatementTimeout) | 1969 (MariaDB), 3024 (MySQL) | yes |
/// | [`Interrupted`](Self::Interrupted) | 1317; 1927 (MariaDB), 3169 (MySQL) | yes |
/// | [`LockConflict`](Self::LockConflict) | 1205, 1213; 1020 (MariaDB's snapshots) | yes |
/// | [`OutOfDescriptors`](Self::OutOfDescriptors) | `EMFILE`, `ENFILE` | yes |
/// | [`Dirty`](Self::Dirty) | a reset left a transaction open | no |
/// | [`Other`](Self::Other) | everything else | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Nobody listens there, or nobody accepts.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// The host's name cannot be resolved.
    Dns,
    /// The other side did not answer in the system's time.
    TimedOut,
    /// The connection broke.
    Lost,
    /// TLS could not be agreed upon, or a certificate is not trusted.
    Tls,
    /// The server does not let this account in.
    Authentication,
    /// The password provider had none.
    Password,
    /// The server has blocked this host after too many failed connects.
    HostBlocked,
    /// There is no such database.
    DatabaseMissing,
    /// The server, or the account, has all connections it may have.
    TooManyConnections,
    /// The server is going down.
    ShuttingDown,
    /// The server takes no writes: it is a replica, perhaps since a moment ago. Give the connection
    /// up with `PooledConnection::invalidate`: a new one may reach the new primary.
    ReadOnly,
    /// A write in a transaction that was begun as read-only.
    ReadOnlyTransaction,
    /// The statement took longer than the statement timeout.
    StatementTimeout,
    /// Somebody killed the statement or its connection.
    Interrupted,
    /// A deadlock, or a lock that was not free in time: roll back and begin again.
    LockConflict,
    /// This process has no file descriptor left.
    OutOfDescriptors,
    /// The connection could not be brought back to a fresh state.
    Dirty,
    /// Anything else.
    Other,
}

impl Cause {
    /// Whether the same call may well succeed when tried again a little later.
    pub fn is_transient(self) -> bool {
        !matches!(
            self,
            Self::Tls
                | Self::Authentication
                | Self::HostBlocked
                | Self::DatabaseMissing
                | Self::ReadOnlyTransaction
                | Self::Dirty
                | Self::Other
        )
    }

    fn of(error: &mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) => Self::of_code(error.code),
            mysql_async::Error::Io(IoError::Io(error)) => Self::of_io(error),
            #[cfg(feature = "rustls")]
            mysql_async::Error::Io(IoError::Tls(_)) => Self::Tls,
            mysql_async::Error::Driver(error) => match error {
                DriverError::ConnectionClosed => Self::Lost,
                DriverError::NoClientSslFlagFromServer => Self::Tls,
                DriverError::UnknownAuthPlugin { .. }
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::CleartextPluginDisabled => Self::Authentication,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    fn of_code(code: u16) -> Self {
        match code {
            1040 | 1203 | 1226 => Self::TooManyConnections,
            1044 | 1045 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3032 | 3118 | 4151 => {
                Self::Authentication
            }
            1129 => Self::HostBlocked,
            1049 => Self::DatabaseMissing,
            1053 | 1077 | 1079 => Self::ShuttingDown,
            1080 | 1081 | 1152..=1161 | 1184 | 4031 => Self::Lost,
            1290 | 1836 => Self::ReadOnly,
            1792 => Self::ReadOnlyTransaction,
            1969 | 3024 => Self::StatementTimeout,
            1317 | 1927 | 3169 => Self::Interrupted,
            1020 | 1205 | 1213 => Self::LockConflict,
            3159 | 4156 => Self::Tls,
            _ => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        #[cfg(feature = "rustls")]
        if matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>()) {
            return Self::Tls;
        }
        if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            return Self::OutOfDescriptors;
        }
        match error.kind() {
            // A Unix socket says `WouldBlock` when its backlog is full.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotFound
            | io::ErrorKind::WouldBlock => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Lost,
            _ => Self::Other,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Refused => "nobody accepts connections there",
            Self::Unreachable => "the host cannot be reached",
            Self::Dns => "the host's name cannot be resolved",
            Self::TimedOut => "no answer in time",
            Self::Lost => "the connection broke",
            Self::Tls => "no agreement on TLS",
            Self::Authentication => "the server does not let this account in",
            Self::Password => "no password from the provider",
            Self::HostBlocked => "the server has blocked this host",
            Self::DatabaseMissing => "there is no such database",
            Self::TooManyConnections => "no connection is left",
            Self::ShuttingDown => "the server is shutting down",
            Self::ReadOnly => "the server takes no writes",
            Self::ReadOnlyTransaction => "a write in a read-only transaction",
            Self::StatementTimeout => "stopped after the statement timeout",
            Self::Interrupted => "killed before it was done",
            Self::LockConflict => "a conflict over locks",
            Self::OutOfDescriptors => "no file descriptor is left",
            Self::Dirty => "the session is not clean",
            Self::Other => "MySQL",
        }
    }

    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Refused => "is the server running, and are host, port or socket right?",
            Self::Unreachable => "check the route and the firewall",
            Self::Dns => "check the host's name and the resolver",
            Self::TimedOut => "check the network and the firewall",
            Self::Tls => {
                "check the server's certificate, its authority (`tls_ca`) and whether the server \
                 has TLS at all"
            }
            Self::Authentication => {
                "check user, password, the host the account is for, and its rights to the database"
            }
            Self::HostBlocked => "find out why connects failed, then run FLUSH HOSTS on the server",
            Self::DatabaseMissing => "create it, or correct its name",
            Self::TooManyConnections => {
                "lower max_size here or raise max_connections (max_user_connections) there"
            }
            Self::ReadOnly => "is this a replica? writes go to the primary",
            Self::StatementTimeout => "raise statement_timeout or make the statement faster",
            Self::LockConflict => "roll back and begin the transaction again",
            Self::OutOfDescriptors => "raise `ulimit -n` or lower max_size",
            _ => return None,
        })
    }
}

impl MySqlError {
    /// What it means.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether the same call may well succeed when tried again a little later; [`Cause`] lists
    /// which.
    pub fn is_transient(&self) -> bool {
        self.cause.is_transient()
    }

    /// The server's number for it, where the server has answered.
    pub fn code(&self) -> Option<u16> {
        match self.as_mysql_async()? {
            mysql_async::Error::Server(error) => Some(error.code),
            _ => None,
        }
    }

    /// The driver's error, where it was one.
    pub fn as_mysql_async(&self) -> Option<&mysql_async::Error> {
        match &self.source {
            Source::Driver(error) => Some(error),
            Source::Other(_) => None,
        }
    }

    pub(crate) fn connecting(error: mysql_async::Error, address: &Arc<str>) -> Self {
        Self::from(error).at(address)
    }

    pub(crate) fn dns(error: io::Error, address: &Arc<str>) -> Self {
        Self::other(Cause::Dns, error).at(address)
    }

    pub(crate) fn password(error: Box<dyn StdError + Send + Sync>, address: &Arc<str>) -> Self {
        Self::other(Cause::Password, error).at(address)
    }

    pub(crate) fn dirty(what: &'static str) -> Self {
        Self::other(Cause::Dirty, what)
    }

    /// What it says about the next attempt to connect.
    pub(crate) fn severity(&self, password_may_change: bool) -> Severity {
        match self.cause {
            Cause::TooManyConnections => Severity::TooManyConnections,
            Cause::Authentication if password_may_change => Severity::Transient,
            Cause::Authentication | Cause::DatabaseMissing | Cause::HostBlocked | Cause::Tls => {
                Severity::Permanent
            }
            _ => Severity::Transient,
        }
    }

    fn other(cause: Cause, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause,
            address: None,
            source: Source::Other(source.into()),
        }
    }

    fn at(mut self, address: &Arc<str>) -> Self {
        self.address = Some(Arc::clone(address));
        self
    }
}

impl From<mysql_async::Error> for MySqlError {
    fn from(error: mysql_async::Error) -> Self {
        Self {
            cause: Cause::of(&error),
            address: None,
            source: Source::Driver(error),
        }
    }
}

impl fmt::Display for MySqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "{address}: ")?;
        }
        write!(f, "{}: ", self.cause.what())?;
        match &self.source {
            Source::Driver(mysql_async::Error::Server(error)) => error.fmt(f)?,
            Source::Driver(mysql_async::Error::Io(IoError::Io(error))) => error.fmt(f)?,
            Source::Driver(error) => error.fmt(f)?,
            Source::Other(error) => error.fmt(f)?,
        }
        match self.cause.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl StdError for MySqlError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match &self.source {
            Source::Driver(error) => error,
            Source::Other(error) => &**error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> MySqlError {
        MySqlError::from(mysql_async::Error::Server(mysql_async::ServerError {
            code,
            message: "m".to_owned(),
            state: "HY000".to_owned(),
        }))
    }

    #[test]
    fn every_code_of_the_table_has_its_cause_and_is_transient_as_the_table_says() {
        for (codes, cause, transient) in [
            (&[1040, 1203, 1226][..], Cause::TooManyConnections, true),
            (
                &[1044, 1045, 1130, 1698, 3118, 4151],
                Cause::Authentication,
                false,
            ),
            (&[1129], Cause::HostBlocked, false),
            (&[1049], Cause::DatabaseMissing, false),
            (&[1053, 1077, 1079], Cause::ShuttingDown, true),
            (&[1158, 4031], Cause::Lost, true),
            (&[1290, 1836], Cause::ReadOnly, true),
            (&[1792], Cause::ReadOnlyTransaction, false),
            (&[1969, 3024], Cause::StatementTimeout, true),
            (&[1317, 1927, 3169], Cause::Interrupted, true),
            (&[1020, 1205, 1213], Cause::LockConflict, true),
            (&[3159, 4156], Cause::Tls, false),
            (&[1062, 1064, 1146], Cause::Other, false),
        ] {
            for &code in codes {
                let error = server(code);
                assert_eq!(error.cause(), cause, "{code}");
                assert_eq!(error.is_transient(), transient, "{code}");
                assert_eq!(error.code(), Some(code));
            }
        }
    }

    #[test]
    fn a_refused_password_is_final_unless_the_next_one_may_be_another() {
        assert_eq!(server(1045).severity(false), Severity::Permanent);
        assert_eq!(server(1045).severity(true), Severity::Transient);
        assert_eq!(server(1203).severity(false), Severity::TooManyConnections);
        assert_eq!(server(1053).severity(false), Severity::Transient);
    }

    #[test]
    fn a_message_names_the_server_what_happened_and_what_to_do() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = MySqlError::connecting(refused.into(), &"mysql://db:3306/app".into());
        let text = error.to_string();
        assert_eq!(
            text,
            "mysql://db:3306/app: nobody accepts connections there: connection refused; \
             is the server running, and are host, port or socket right?"
        );
    }

    #[test]
    fn a_process_without_descriptors_is_told_so() {
        let error = MySqlError::from(mysql_async::Error::from(io::Error::from_raw_os_error(24)));
        assert_eq!(error.cause(), Cause::OutOfDescriptors);
    }
}
