//! The kinds of server, and what differs between them once they run: the protocol, the signal that
//! ends them in good order, how their addresses are written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::session::Protocol;

/// What a running server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MySql,
    PgBouncer,
}

impl Kind {
    /// The name before the server has told its own.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::PgBouncer => "PgBouncer",
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Postgres | Self::PgBouncer => Protocol::Postgres,
            Self::MySql => Protocol::MySql,
        }
    }

    /// Who is asked whether the server is up: user and database.
    pub(crate) fn first_guest(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => ("postgres", "postgres"),
            Self::MySql => ("root", ""),
            // Its console, which answers without a server behind it.
            Self::PgBouncer => ("admin", "pgbouncer"),
        }
    }

    /// User and database of the addresses.
    pub(crate) fn guest(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres | Self::PgBouncer => ("postgres", "postgres"),
            Self::MySql => ("root", "pool"),
        }
    }

    /// The signal for an end in good order that does not wait for clients. `PgBouncer` keeps
    /// nothing, and its signals have changed their meaning between versions.
    pub(crate) fn end(self) -> Signal {
        match self {
            Self::Postgres => Signal::INT,
            Self::MySql => Signal::TERM,
            Self::PgBouncer => Signal::KILL,
        }
    }

    /// The socket in the server's folder.
    pub(crate) fn socket(self, folder: &Path, port: u16) -> PathBuf {
        match self {
            Self::Postgres | Self::PgBouncer => folder.join(format!(".s.PGSQL.{port}")),
            Self::MySql => folder.join("socket"),
        }
    }

    pub(crate) fn url(self, address: SocketAddr) -> String {
        let (user, database) = self.guest();
        match self {
            Self::Postgres | Self::PgBouncer => format!("postgres://{user}@{address}/{database}"),
            // A driver that finds the server on its own machine would go on over the socket, past
            // any proxy.
            Self::MySql => format!("mysql://{user}@{address}/{database}?prefer_socket=false"),
        }
    }

    pub(crate) fn socket_url(self, folder: &Path, port: u16) -> String {
        let (user, database) = self.guest();
        match self {
            Self::Postgres | Self::PgBouncer => {
                let host = folder
                    .to_string_lossy()
                    .replace('%', "%25")
                    .replace('/', "%2F");
                format!("postgres://{user}@{host}:{port}/{database}")
            }
            Self::MySql => {
                let socket = self.socket(folder, port);
                format!(
                    "mysql://{user}@localhost/{database}?socket={}",
                    socket.display()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_user_and_database() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5432));
        assert_eq!(
            Kind::Postgres.url(address),
            "postgres://postgres@127.0.0.1:5432/postgres"
        );
        assert_eq!(
            Kind::MySql.url(address),
            "mysql://root@127.0.0.1:5432/pool?prefer_socket=false"
        );
    }

    #[test]
    fn a_socket_address_is_written_as_the_drivers_read_it() {
        let folder = Path::new("/tmp/pool-1");
        assert_eq!(
            Kind::Postgres.socket_url(folder, 5432),
            "postgres://postgres@%2Ftmp%2Fpool-1:5432/postgres"
        );
        assert_eq!(
            Kind::MySql.socket_url(folder, 3306),
            "mysql://root@localhost/pool?socket=/tmp/pool-1/socket"
        );
    }
}
