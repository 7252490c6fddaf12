//! What can go wrong with MySQL and MariaDB, told apart by what to do about it.
//!
//! The server's numbers decide. Its texts, which are translated and change, are asked only where one
//! number means several things, and then for the name of an option, which nobody translates. Codes are
//! those of both manuals; where the two servers differ, the entry says so.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use mysql_async::{DriverError, IoError, ServerError};
use mysql_common::proto::codec::error::PacketCodecError;
use pool_core::{Cause, Severity};

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
///
/// | cause | recognised by | transient |
/// | --- | --- | --- |
/// | [`Refused`](Cause::Refused) | connection refused, no such socket, a full backlog; 2002, 2003 (a proxy's) | yes |
/// | [`Unreachable`](Cause::Unreachable) | no route to the host or its network | yes |
/// | [`Dns`](Cause::Dns) | the host's name cannot be resolved | yes |
/// | [`TimedOut`](Cause::TimedOut) | the system's time limit for packets; 9001 (`ProxySQL` found no server) | yes |
/// | [`Lost`](Cause::Lost) | end of stream, reset; an answer before the question, as MySQL takes leave; 1080, 1081, 1152, 1154 to 1161, 1184, 4031 (MySQL); 2006, 2013 (a proxy's) | yes |
/// | [`Tls`](Cause::Tls) | rustls; a file of certificates that is not there; a server without TLS; 3159 (MySQL) | no |
/// | [`Authentication`](Cause::Authentication) | 1044, 1045, 1130, 1251, 1524, 1698, 1820, 1862; 3118, 3955 (MySQL), 4150, 4151 (MariaDB) | no |
/// | [`Password`](Cause::Password) | the password provider failed | yes |
/// | [`HostBlocked`](Cause::HostBlocked) | 1129 | no |
/// | [`DatabaseMissing`](Cause::DatabaseMissing) | 1049 | no |
/// | [`TooManyConnections`](Cause::TooManyConnections) | 1040, 1203, 1226 by `max_user_connections` | yes |
/// | [`ShuttingDown`](Cause::ShuttingDown) | 1053, 1077, 1079; 3032 (MySQL's offline mode); 1047 by `WSREP` (a Galera node without its cluster) | yes |
/// | [`ReadOnly`](Cause::ReadOnly) | 1290 by `--read-only`, `--super-read-only`; 1836, 1874; see [the crate](crate#when-the-primary-changes) | yes |
/// | [`ReadOnlyTransaction`](Cause::ReadOnlyTransaction) | 1792 | no |
/// | [`StatementTimeout`](Cause::StatementTimeout) | 1969 (MariaDB), 3024 (MySQL) | yes |
/// | [`Interrupted`](Cause::Interrupted) | 1317; 1927 (MariaDB), 3169 (MySQL) | yes |
/// | [`LockConflict`](Cause::LockConflict) | 1205, 1213; 1020 (MariaDB's snapshots); 3101 (of a replication group), 3572 (MySQL) | yes |
/// | [`OutOfDescriptors`](Cause::OutOfDescriptors) | `EMFILE`, `ENFILE` | yes |
/// | [`Dirty`](Cause::Dirty) | a reset, or the SQL for a new connection, left a transaction open | no |
/// | [`Other`](Cause::Other) | everything else | no |
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

/// What an error of the driver means.
pub(crate) fn cause_of(error: &mysql_async::Error) -> Cause {
    match error {
        mysql_async::Error::Server(error) => cause_of_answer(error),
        #[cfg(feature = "rustls")]
        mysql_async::Error::Io(IoError::Io(error)) if matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>()) => {
            Cause::Tls
        }
        mysql_async::Error::Io(IoError::Io(error)) if is_out_of_turn(error) => Cause::Lost,
        mysql_async::Error::Io(IoError::Io(error)) => Cause::of_io(error),
        #[cfg(feature = "rustls")]
        mysql_async::Error::Io(IoError::Tls(_)) => Cause::Tls,
        mysql_async::Error::Driver(error) => match error {
            DriverError::ConnectionClosed => Cause::Lost,
            DriverError::NoClientSslFlagFromServer => Cause::Tls,
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled => Cause::Authentication,
            _ => Cause::Other,
        },
        _ => Cause::Other,
    }
}

fn cause_of_answer(error: &ServerError) -> Cause {
    match error.code {
        1047 if error.message.contains("WSREP") => Cause::ShuttingDown,
        // Other limits are of so many queries or connections an hour.
        1226 if error.message.contains("max_user_connections") => Cause::TooManyConnections,
        1290 if is_about_writing(&error.message) => Cause::ReadOnly,
        code => cause_of_code(code),
    }
}

/// Whether it is the answer to no question. MySQL says so why it closes a connection, and the driver does
/// not read it.
fn is_out_of_turn(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(PacketCodecError::PacketsOutOfSync))
}

/// Whether the option that forbids the statement is one against writing: with the same number
/// `--secure-file-priv` forbids a file.
fn is_about_writing(message: &str) -> bool {
    ["read-only", "read_only"]
        .iter()
        .any(|option| message.contains(option))
}

fn cause_of_code(code: u16) -> Cause {
    match code {
        1040 | 1203 => Cause::TooManyConnections,
        1044 | 1045 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 3955 | 4150 | 4151 => {
            Cause::Authentication
        }
        1129 => Cause::HostBlocked,
        1049 => Cause::DatabaseMissing,
        1053 | 1077 | 1079 | 3032 => Cause::ShuttingDown,
        1080 | 1081 | 1152 | 1154..=1161 | 1184 | 2006 | 2013 | 4031 => Cause::Lost,
        2002 | 2003 => Cause::Refused,
        9001 => Cause::TimedOut,
        1836 | 1874 => Cause::ReadOnly,
        1792 => Cause::ReadOnlyTransaction,
        1969 | 3024 => Cause::StatementTimeout,
        1317 | 1927 | 3169 => Cause::Interrupted,
        1020 | 1205 | 1213 | 3101 | 3572 => Cause::LockConflict,
        3159 => Cause::Tls,
        _ => Cause::Other,
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

    /// A file of the TLS settings cannot be read.
    pub(crate) fn certificate(error: &io::Error, address: &Arc<str>) -> Self {
        let what = format!("a file of certificates or keys: {error}");
        Self::other(Cause::Tls, what).at(address)
    }

    pub(crate) fn password(error: Box<dyn StdError + Send + Sync>, address: &Arc<str>) -> Self {
        Self::other(Cause::Password, error).at(address)
    }

    /// A server that took writes refuses them.
    pub(crate) fn demoted(address: &Arc<str>) -> Self {
        Self::other(Cause::ReadOnly, "it took some before").at(address)
    }

    /// Whether that is why.
    pub(crate) fn is_of_demoted(&self) -> bool {
        self.cause == Cause::ReadOnly && self.as_mysql_async().is_none()
    }

    pub(crate) fn dirty(what: &'static str) -> Self {
        Self::other(Cause::Dirty, what)
    }

    /// What it says about the next attempt to connect.
    pub(crate) fn severity(&self, password_may_change: bool) -> Severity {
        match self.cause {
            Cause::Authentication if password_may_change => Severity::Transient,
            cause => cause.severity(),
        }
    }

    fn other(cause: Cause, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause,
            address: None,
            source: Source::Other(source.into()),
        }
    }

    pub(crate) fn at(mut self, address: &Arc<str>) -> Self {
        self.address = Some(Arc::clone(address));
        self
    }
}

impl From<mysql_async::Error> for MySqlError {
    fn from(error: mysql_async::Error) -> Self {
        Self {
            cause: cause_of(&error),
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
        let detail: &dyn fmt::Display = match &self.source {
            Source::Driver(mysql_async::Error::Server(error)) => error,
            Source::Driver(mysql_async::Error::Io(IoError::Io(error))) => error,
            Source::Driver(error) => error,
            Source::Other(error) => error,
        };
        f.write_str(&self.cause.explain(detail))
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
        said(code, "m")
    }

    fn said(code: u16, message: &str) -> MySqlError {
        MySqlError::from(mysql_async::Error::Server(ServerError {
            code,
            message: message.to_owned(),
            state: "HY000".to_owned(),
        }))
    }

    #[test]
    fn every_code_of_the_table_has_its_cause_and_is_transient_as_the_table_says() {
        for (codes, cause, transient) in [
            (&[1040, 1203][..], Cause::TooManyConnections, true),
            (
                &[1044, 1045, 1130, 1698, 1862, 3118, 3955, 4150, 4151],
                Cause::Authentication,
                false,
            ),
            (&[1129], Cause::HostBlocked, false),
            (&[1049], Cause::DatabaseMissing, false),
            (&[1053, 1077, 1079, 3032], Cause::ShuttingDown, true),
            (&[1158, 2006, 2013, 4031], Cause::Lost, true),
            (&[2002, 2003], Cause::Refused, true),
            (&[9001], Cause::TimedOut, true),
            (&[1836, 1874], Cause::ReadOnly, true),
            (&[1792], Cause::ReadOnlyTransaction, false),
            (&[1969, 3024], Cause::StatementTimeout, true),
            (&[1317, 1927, 3169], Cause::Interrupted, true),
            (&[1020, 1205, 1213, 3101, 3572], Cause::LockConflict, true),
            (&[3159], Cause::Tls, false),
            (
                &[1047, 1062, 1064, 1146, 1153, 1226, 1290],
                Cause::Other,
                false,
            ),
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
    fn an_option_against_writing_is_told_in_every_language_from_other_options() {
        for (message, cause) in [
            ("is running with the --read-only option so", Cause::ReadOnly),
            ("corre con la opción --super-read-only", Cause::ReadOnly),
            ("tidb_restricted_read_only", Cause::ReadOnly),
            ("--secure-file-priv", Cause::Other),
            ("--skip-grant-tables", Cause::Other),
        ] {
            assert_eq!(said(1290, message).cause(), cause, "{message}");
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
