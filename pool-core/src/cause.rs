//! What the errors of database servers mean, in words that their backends share.

use std::fmt;
use std::io;

use crate::Severity;

/// What an error means, and so what to do about it. Backends with a network in between sort their
/// errors into these; each says by which codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Nobody listens there, or nobody accepts.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// The host's name cannot be resolved.
    Dns,
    /// The other side did not answer in time.
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
    /// The server is starting or going down.
    ShuttingDown,
    /// The server takes no writes: it is a replica, perhaps since a moment ago. The backends say when
    /// they replace its connections by themselves; else give it up with
    /// [`PooledConnection::invalidate`](crate::PooledConnection::invalidate): a new one may reach the
    /// new primary.
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
    /// A setting breaks its rule.
    Setting,
    /// Anything else.
    Other,
}

impl Cause {
    /// Whether the same call may well succeed when tried again a little later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        !self.is_permanent()
            && !matches!(self, Self::ReadOnlyTransaction | Self::Dirty | Self::Other)
    }

    /// What it says about the next attempt to connect.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::TooManyConnections => Severity::TooManyConnections,
            _ if self.is_permanent() => Severity::Permanent,
            _ => Severity::Transient,
        }
    }

    /// Whether nobody can connect until somebody changes something.
    fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::Tls
                | Self::Authentication
                | Self::HostBlocked
                | Self::DatabaseMissing
                | Self::Setting
        )
    }

    /// What an error of the network means, by its kind and the system's number.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            return Self::OutOfDescriptors;
        }
        match error.kind() {
            // A Unix socket says `WouldBlock` when its backlog is full.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotFound
            | io::ErrorKind::WouldBlock => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Lost,
            _ => Self::Other,
        }
    }

    /// What has happened, for a message.
    #[must_use]
    pub fn what(self) -> &'static str {
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
            Self::ShuttingDown => "the server is starting or shutting down",
            Self::ReadOnly => "the server takes no writes",
            Self::ReadOnlyTransaction => "a write in a read-only transaction",
            Self::StatementTimeout => "stopped after the statement timeout",
            Self::Interrupted => "stopped before it was done",
            Self::LockConflict => "a conflict over locks",
            Self::OutOfDescriptors => "no file descriptor is left",
            Self::Dirty => "the session is not clean",
            Self::Setting => "a setting is wrong",
            Self::Other => "the database failed",
        }
    }

    /// A message: what has happened, what an error says of it, and what an operator can do.
    ///
    /// ```
    /// use pool_core::Cause;
    ///
    /// let message = Cause::Dns.explain("no such name");
    /// assert!(message.starts_with("the host's name cannot be resolved: no such name; check "));
    /// ```
    #[must_use]
    pub fn explain(self, detail: impl fmt::Display) -> String {
        self.advise(format_args!("{}: {detail}", self.what()))
    }

    /// A message that says already what has happened, and what an operator can do.
    #[must_use]
    pub fn advise(self, message: impl fmt::Display) -> String {
        match self.advice() {
            Some(advice) => format!("{message}; {advice}"),
            None => message.to_string(),
        }
    }

    /// What an operator can do, for a message.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Refused => "is the server running, and are host, port or socket right?",
            Self::Unreachable => "check the route and the firewall",
            Self::Dns => "check the host's name and the resolver",
            Self::TimedOut => "check the network, the firewall and the server's load",
            Self::Tls => {
                "check the server's certificate, the authorities trusted here, and whether the \
                 server has TLS at all"
            }
            Self::Authentication => {
                "check user, password, the hosts the account is for, and its rights to the database"
            }
            Self::HostBlocked => "find out why connects failed, then run FLUSH HOSTS on the server",
            Self::DatabaseMissing => "create it, or correct its name",
            Self::TooManyConnections => {
                "the pools of all processes together must stay below the limits of server and \
                 account: lower max_size here, or raise max_connections there"
            }
            Self::ReadOnly => "is this a replica? writes go to the primary",
            Self::StatementTimeout => "raise statement_timeout or make the statement faster",
            Self::LockConflict => "roll back and begin the transaction again",
            Self::OutOfDescriptors => "raise `ulimit -n` or lower max_size",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_errors_have_their_causes() {
        for (error, cause) in [
            (io::Error::from_raw_os_error(24), Cause::OutOfDescriptors),
            (io::ErrorKind::ConnectionRefused.into(), Cause::Refused),
            (io::ErrorKind::NetworkUnreachable.into(), Cause::Unreachable),
            (io::ErrorKind::TimedOut.into(), Cause::TimedOut),
            (io::ErrorKind::BrokenPipe.into(), Cause::Lost),
            (io::Error::other("?"), Cause::Other),
        ] {
            assert_eq!(Cause::of_io(&error), cause);
        }
    }

    #[test]
    fn each_cause_has_its_own_words_and_advice_where_there_is_something_to_do() {
        let all = [
            (Cause::Refused, true),
            (Cause::Unreachable, true),
            (Cause::Dns, true),
            (Cause::TimedOut, true),
            (Cause::Lost, false),
            (Cause::Tls, true),
            (Cause::Authentication, true),
            (Cause::Password, false),
            (Cause::HostBlocked, true),
            (Cause::DatabaseMissing, true),
            (Cause::TooManyConnections, true),
            (Cause::ShuttingDown, false),
            (Cause::ReadOnly, true),
            (Cause::ReadOnlyTransaction, false),
            (Cause::StatementTimeout, true),
            (Cause::Interrupted, false),
            (Cause::LockConflict, true),
            (Cause::OutOfDescriptors, true),
            (Cause::Dirty, false),
            (Cause::Setting, false),
            (Cause::Other, false),
        ];
        let mut words = std::collections::HashSet::new();
        for (cause, can_be_mended) in all {
            assert!(words.insert(cause.what()), "{cause:?}");
            assert_eq!(cause.advice().is_some(), can_be_mended, "{cause:?}");
            assert!(cause.advice().is_none_or(|advice| words.insert(advice)));
        }
    }

    #[test]
    fn what_is_permanent_is_not_tried_again_and_what_may_pass_is() {
        for (cause, transient, severity) in [
            (Cause::Authentication, false, Severity::Permanent),
            (
                Cause::TooManyConnections,
                true,
                Severity::TooManyConnections,
            ),
            (Cause::ShuttingDown, true, Severity::Transient),
            // Of an error that nobody knows a caller cannot say that it will pass; the pool tries.
            (Cause::Other, false, Severity::Transient),
        ] {
            assert_eq!(cause.is_transient(), transient, "{cause:?}");
            assert_eq!(cause.severity(), severity, "{cause:?}");
        }
    }
}
