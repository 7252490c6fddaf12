//! A connection without a driver, for what a test asks on the side: create a role, count backends,
//! pause a bouncer.
//!
//! It speaks just enough of the two protocols: a login without a password, statements as text,
//! results as text. Every call waits at most ten seconds. A driver of its own keeps this crate quick
//! to build, and what the tests of a driver's pool find is not explained with the same driver.

mod mysql;
mod postgres;
mod stream;

use std::io;

pub(crate) use stream::Endpoint;
use stream::Stream;

/// A row of a result: each value as text, `None` where it is `NULL`.
pub type Row = Vec<Option<String>>;

/// Why a connection on the side failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The connection could not be made, broke, or was silent for ten seconds.
    #[error("no answer from the server: {0}")]
    Io(#[from] io::Error),
    /// The server refused.
    #[error("the server refused: {code}: {message}")]
    Refused {
        /// `SQLSTATE`, or the number of the error where the server has only that.
        code: String,
        /// What it said.
        message: String,
    },
    /// The server asked for what this connection cannot do, such as a password.
    #[error("the server asked for {0}, which a connection on the side does not know")]
    Unknown(String),
}

/// Which protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Postgres,
    MySql,
}

/// What a server says of itself at the login.
#[derive(Debug, Default)]
struct Greeting {
    version: String,
    id: u32,
}

/// A connection on the side, as the superuser of a throw-away server.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    protocol: Protocol,
    greeting: Greeting,
}

impl Session {
    pub(crate) fn open(
        protocol: Protocol,
        endpoint: &Endpoint,
        user: &str,
        database: &str,
    ) -> Result<Self, SessionError> {
        let mut stream = Stream::connect(endpoint)?;
        let greeting = match protocol {
            Protocol::Postgres => postgres::login(&mut stream, user, database)?,
            Protocol::MySql => mysql::login(&mut stream, user, database)?,
        };
        Ok(Self {
            stream,
            protocol,
            greeting,
        })
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// When the server refuses it or does not answer.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, SessionError> {
        match self.protocol {
            Protocol::Postgres => postgres::query(&mut self.stream, sql),
            Protocol::MySql => mysql::query(&mut self.stream, sql),
        }
    }

    /// The number of the backend that serves this connection, as
    /// [`Server::kill_backend`](crate::Server::kill_backend) takes it.
    pub fn id(&self) -> u32 {
        self.greeting.id
    }

    /// The version the server named at the login.
    pub(crate) fn version(&self) -> &str {
        &self.greeting.version
    }
}
