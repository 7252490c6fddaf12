//! What can go wrong with the server, in words an operator can act on.

use std::io;

use pool_core::Severity;
use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why a connection could not be opened, checked or brought back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PgError {
    /// No host could be reached.
    #[error("cannot reach {address}: {error} (is the server running, and the address right?)")]
    #[non_exhaustive]
    Unreachable {
        /// The last host that was tried.
        address: String,
        /// Why it could not.
        #[source]
        error: io::Error,
    },
    /// No server of the kind that `target_session_attrs` asks for.
    #[error("{address} is read-only, and a server that can be written to is wanted")]
    #[non_exhaustive]
    ReadOnly {
        /// The last host that was tried.
        address: String,
    },
    /// The server or the driver said no.
    #[error("{}", describe(.0))]
    Driver(#[from] tokio_postgres::Error),
    /// TLS is asked for, and this build has none.
    #[error("sslmode asks for TLS: build pool-postgres with the feature `rustls`")]
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
    /// A parameter of the URL breaks its rule.
    #[error("{setting} ({value}) {rule}")]
    #[non_exhaustive]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it was to be.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A recycled connection is still in a transaction.
    #[error("the session could not be brought back to a fresh state")]
    StillDirty,
}

/// What kind of trouble an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No server answers at the address.
    Unreachable,
    /// The password or the user is wrong, or `pg_hba.conf` does not let them in.
    Authentication,
    /// The database does not exist.
    DatabaseMissing,
    /// The server takes no more connections.
    TooManyConnections,
    /// The server is starting or shutting down.
    ShuttingDown,
    /// The server cannot be written to.
    ReadOnly,
    /// Encryption is wanted and cannot be had.
    Tls,
    /// The server stopped the statement because it took too long.
    Timeout,
    /// The connection broke.
    Disconnected,
    /// Something else, as the message says.
    Other,
}

impl PgError {
    /// What kind of trouble it is, by the server's SQLSTATE (manual, appendix A).
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::ReadOnly { .. } => ErrorKind::ReadOnly,
            Self::TlsUnsupported | Self::TlsRefused { .. } | Self::Tls { .. } => ErrorKind::Tls,
            Self::StillDirty | Self::Setting { .. } | Self::Password { .. } => ErrorKind::Other,
            Self::Driver(error) => kind_of(error),
        }
    }

    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self.kind(),
            ErrorKind::Authentication | ErrorKind::DatabaseMissing | ErrorKind::Tls
        )
    }

    pub(crate) fn severity(&self) -> Severity {
        match self.kind() {
            ErrorKind::TooManyConnections => Severity::TooManyConnections,
            _ if self.is_transient() => Severity::Transient,
            _ => Severity::Permanent,
        }
    }
}

fn kind_of(error: &tokio_postgres::Error) -> ErrorKind {
    let Some(state) = error.code() else {
        return if error.is_closed() {
            ErrorKind::Disconnected
        } else {
            ErrorKind::Other
        };
    };
    match state {
        // 28000, 28P01
        s if *s == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            || *s == SqlState::INVALID_PASSWORD =>
        {
            ErrorKind::Authentication
        }
        // 3D000
        s if *s == SqlState::INVALID_CATALOG_NAME => ErrorKind::DatabaseMissing,
        // 53300
        s if *s == SqlState::TOO_MANY_CONNECTIONS => ErrorKind::TooManyConnections,
        // 57P01, 57P02, 57P03
        s if *s == SqlState::ADMIN_SHUTDOWN
            || *s == SqlState::CRASH_SHUTDOWN
            || *s == SqlState::CANNOT_CONNECT_NOW =>
        {
            ErrorKind::ShuttingDown
        }
        // 25006
        s if *s == SqlState::READ_ONLY_SQL_TRANSACTION => ErrorKind::ReadOnly,
        // 57014
        s if *s == SqlState::QUERY_CANCELED => ErrorKind::Timeout,
        _ => ErrorKind::Other,
    }
}

/// The server's own words, its SQLSTATE, and what to do.
fn describe(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let source = std::error::Error::source(error);
        return source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    };
    let advice = match kind_of(error) {
        ErrorKind::Authentication => " (check user, password and pg_hba.conf)",
        ErrorKind::DatabaseMissing => " (create the database, or check its name)",
        ErrorKind::TooManyConnections => {
            " (all pools of all processes together must stay below max_connections)"
        }
        _ => "",
    };
    format!("{} (SQLSTATE {}){advice}", db.message(), db.code().code())
}
