//! What can go wrong with PostgreSQL, told apart by what to do about it.
//!
//! The server's SQLSTATE decides (manual, appendix A), never its texts, which are translated.

use std::io;
use std::time::Duration;

use pool_core::{Cause, ConfigError};
use thiserror::Error;

/// Why a connection could not be opened, checked or brought back.
///
/// A query of yours fails with the driver's own error; `PgError::from` sorts it too.
///
/// | cause | recognised by | transient |
/// | --- | --- | --- |
/// | [`Refused`](Cause::Refused) | connection refused, no such socket, a full backlog | yes |
/// | [`Unreachable`](Cause::Unreachable) | no route to the host or its network | yes |
/// | [`Dns`](Cause::Dns) | the host's name cannot be resolved | yes |
/// | [`TimedOut`](Cause::TimedOut) | `connect_timeout` of one host, the system's limit for packets | yes |
/// | [`Lost`](Cause::Lost) | end of stream, reset; class 08, 57P05, 25P03, 25P04 | yes |
/// | [`Tls`](Cause::Tls) | the handshake; a server without TLS; a build without the feature; nothing to bind to | no |
/// | [`Authentication`](Cause::Authentication) | 28000, 28P01, 42501; no password and the server asks for one; a way to log in that the driver has not; a server that does not know the password | no |
/// | [`Password`](Cause::Password) | the password provider failed | yes |
/// | [`DatabaseMissing`](Cause::DatabaseMissing) | 3D000 | no |
/// | [`TooManyConnections`](Cause::TooManyConnections) | 53300 | yes |
/// | [`ShuttingDown`](Cause::ShuttingDown) | 57P01, 57P02, 57P03 | yes |
/// | [`ReadOnly`](Cause::ReadOnly) | 25006; no host that `target_session_attrs` asks for | yes |
/// | [`Interrupted`](Cause::Interrupted) | 57014: cancelled, or longer than `statement_timeout` | yes |
/// | [`LockConflict`](Cause::LockConflict) | 40001, 40P01, 55P03 | yes |
/// | [`OutOfDescriptors`](Cause::OutOfDescriptors) | `EMFILE`, `ENFILE` | yes |
/// | [`Dirty`](Cause::Dirty) | a reset left a transaction open | no |
/// | [`Setting`](Cause::Setting) | a setting that breaks its rule | no |
/// | [`Other`](Cause::Other) | everything else | no |
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PgError {
    /// A host could not be reached.
    #[error("{address}: {}", self.cause().explain(error))]
    #[non_exhaustive]
    Unreachable {
        /// The last host that was tried.
        address: String,
        /// Why it could not.
        #[source]
        error: io::Error,
    },
    /// A host's name cannot be resolved.
    #[error("{address}: {}", self.cause().explain(error))]
    #[non_exhaustive]
    Dns {
        /// The host.
        address: String,
        /// Why it could not.
        #[source]
        error: io::Error,
    },
    /// A host did not let us in within its `connect_timeout`.
    #[error("{address}: {}", self.cause().explain(format_args!("{after:?}")))]
    #[non_exhaustive]
    TimedOut {
        /// The host.
        address: String,
        /// The time it had.
        after: Duration,
    },
    /// No server of the kind that `target_session_attrs` asks for.
    #[error("{address}: not a server that target_session_attrs asks for (read-write or read-only)")]
    #[non_exhaustive]
    ReadOnly {
        /// The last host that was tried.
        address: String,
    },
    /// The server or the driver said no.
    #[error("{}", describe(.0))]
    Driver(#[from] tokio_postgres::Error),
    /// The driver gave the login up: the server asks for a password and there is none, or for what the
    /// driver cannot do, or it does not prove that it knows the password itself.
    #[error("{address}: {}", self.cause().explain(describe(.error)))]
    #[non_exhaustive]
    Login {
        /// The server.
        address: String,
        /// What was missing.
        #[source]
        error: tokio_postgres::Error,
    },
    /// TLS is asked for, and this build has none.
    #[error("sslmode asks for TLS: build pool-postgres with the feature `rustls` or `native-tls`")]
    TlsUnsupported,
    /// TLS is asked for, and the server has none.
    #[error("{address} does not speak TLS, and sslmode asks for it")]
    #[non_exhaustive]
    TlsRefused {
        /// The server.
        address: String,
    },
    /// The encryption could not begin: a certificate that nobody trusts, of another host, or a file
    /// that cannot be read.
    #[error("no TLS with {address}: {error} (check sslmode, sslrootcert, sslcert and sslkey)")]
    #[non_exhaustive]
    Tls {
        /// The server.
        address: String,
        /// Why not.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `channel_binding=require`, and there is nothing to bind the login to.
    #[error("{address}: channel_binding (require) cannot be had: {reason}")]
    #[non_exhaustive]
    ChannelBinding {
        /// The server.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// The password provider failed.
    #[error("no password for {address}: {error}")]
    #[non_exhaustive]
    Password {
        /// The server.
        address: String,
        /// What the provider says.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting breaks its rule.
    #[error("{0}")]
    Setting(#[from] ConfigError),
    /// A recycled connection is still in a transaction.
    #[error("the session could not be brought back to a fresh state")]
    StillDirty,
}

impl PgError {
    /// What it means.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Unreachable { error, .. } => Cause::of_io(error),
            Self::Dns { .. } => Cause::Dns,
            Self::TimedOut { .. } => Cause::TimedOut,
            Self::ReadOnly { .. } => Cause::ReadOnly,
            Self::TlsUnsupported
            | Self::TlsRefused { .. }
            | Self::Tls { .. }
            | Self::ChannelBinding { .. } => Cause::Tls,
            Self::Password { .. } => Cause::Password,
            Self::Login { .. } => Cause::Authentication,
            Self::Setting(_) => Cause::Setting,
            Self::StillDirty => Cause::Dirty,
            Self::Driver(error) => cause_of(error),
        }
    }

    /// Whether the same call may well succeed when tried again a little later.
    pub fn is_transient(&self) -> bool {
        self.cause().is_transient()
    }
}

/// Whether it was the driver that could not go on with a login, neither the server nor the network.
pub(crate) fn is_of_the_login(error: &tokio_postgres::Error, is_asked_to_prove: bool) -> bool {
    let Some(source) = std::error::Error::source(error) else {
        return false;
    };
    match source.downcast_ref() {
        // What the server proves is told as an error of input, and so is what nobody can read.
        Some(error) => is_asked_to_prove && Cause::of_io(error) == Cause::Other,
        None => error.code().is_none(),
    }
}

fn cause_of(error: &tokio_postgres::Error) -> Cause {
    let Some(state) = error.code() else {
        let io = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        return match io {
            Some(error) => Cause::of_io(error),
            None if error.is_closed() => Cause::Lost,
            None => Cause::Other,
        };
    };
    match state.code() {
        "28000" | "28P01" | "42501" => Cause::Authentication,
        "3D000" => Cause::DatabaseMissing,
        "53300" => Cause::TooManyConnections,
        "57P01" | "57P02" | "57P03" => Cause::ShuttingDown,
        "57P05" | "25P03" | "25P04" => Cause::Lost,
        "25006" => Cause::ReadOnly,
        "57014" => Cause::Interrupted,
        "40001" | "40P01" | "55P03" => Cause::LockConflict,
        state if state.starts_with("08") => Cause::Lost,
        _ => Cause::Other,
    }
}

/// The server's own words, its SQLSTATE, and what to do.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let source = std::error::Error::source(error);
        return source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    };
    let (message, code) = (db.message(), db.code().code());
    cause_of(error).advise(format_args!("{message} (SQLSTATE {code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_server_what_happened_and_what_to_do() {
        let error = PgError::Unreachable {
            address: "db:5432".to_owned(),
            error: io::ErrorKind::ConnectionRefused.into(),
        };
        assert_eq!(
            error.to_string(),
            "db:5432: nobody accepts connections there: connection refused; \
             is the server running, and are host, port or socket right?"
        );
    }
}
