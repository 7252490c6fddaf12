//! Which server a connection has reached.

use std::fmt;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use pool_core::Cause;

use crate::error::cause_of;

/// The two families, which differ in settings and error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// MariaDB.
    MariaDb,
    /// MySQL, and what speaks its dialect (Percona, Aurora).
    MySql,
}

/// The server of a connection, as it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    flavour: Flavour,
    version: String,
    /// Host, port: tells servers behind one address from one another.
    identity: String,
}

/// What the driver wants to know of a server; it asks each connection unless its options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `max_allowed_packet`, in bytes.
    pub(crate) packet: usize,
    /// `wait_timeout`, in seconds.
    pub(crate) idle: usize,
}

/// What a server has answered.
pub(crate) struct Answer {
    pub(crate) server: ServerInfo,
    pub(crate) limits: Option<Limits>,
    /// Whether it took writes of accounts without privileges.
    pub(crate) takes_writes: bool,
    /// What gives the session the roles of its login again: a reset leaves those it has.
    pub(crate) set_role: Option<String>,
    /// What came of setting the session up, if that was run.
    pub(crate) set_up: Option<mysql_async::Result<()>>,
}

/// Whether the server had nothing against the account or the moment, but did not know the words.
fn is_not_understood(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Server(_)) && cause_of(error) == Cause::Other
}

impl ServerInfo {
    /// MariaDB or MySQL.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The version in full: `10.11.6-MariaDB-0+deb12u1`, `8.4.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Asks the server of `conn`, and for what the driver asks each connection unless it is told,
    /// and then runs `set_up`: one round trip.
    pub(crate) async fn ask(conn: &mut Conn, set_up: Option<&str>) -> mysql_async::Result<Answer> {
        // A proxy that takes no two statements at once may take one, and one that does not know of
        // roles, or of these variables, is still a server.
        let attempts = [(set_up, true), (None, true), (None, false)];
        for (set_up, in_full) in &attempts[usize::from(set_up.is_none())..] {
            match Self::questioned(conn, *set_up, *in_full).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) if is_not_understood(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // The connection's status is known again, which an error has none of.
        conn.ping().await?;
        Ok(Answer {
            server: Self::greeted(conn),
            limits: None,
            takes_writes: false,
            set_role: None,
            set_up: None,
        })
    }

    /// `None` for an answer that says nothing.
    async fn questioned(
        conn: &mut Conn,
        set_up: Option<&str>,
        in_full: bool,
    ) -> mysql_async::Result<Option<Answer>> {
        // One column: what describes the others would take longer than what is in them.
        let read_only = if in_full { "@@read_only" } else { "''" };
        let roles = in_full && conn.server_version() >= (8, 0, 0);
        let role = if roles { ", CURRENT_ROLE()" } else { "" };
        let mut sql = format!(
            "SELECT CONCAT_WS(' ', @@max_allowed_packet, @@wait_timeout, \
             {read_only}, IFNULL(@@hostname, ''), @@port, @@version{role})"
        );
        if let Some(set_up) = set_up {
            sql.push(';');
            sql.push_str(set_up);
        }
        let mut answer = conn.query_iter(sql).await?;
        let rows = answer.try_collect::<String>().await?;
        let done = answer.drop_result().await;
        let row = rows.into_iter().next().and_then(Result::ok);
        let answer = row.as_deref().and_then(Self::read);
        Ok(answer.map(|answer| Answer {
            set_role: answer.set_role.filter(|_| roles),
            set_up: set_up.map(|_| done),
            ..answer
        }))
    }

    /// Largest packet, longest silence, whether it is read-only, host, port, version, and the roles,
    /// if there are any.
    fn read(row: &str) -> Option<Answer> {
        let mut fields = row.splitn(7, ' ');
        let mut field = || fields.next();
        let limits = Limits {
            packet: field()?.parse().ok()?,
            idle: field()?.parse().ok()?,
        };
        // MariaDB 12 says it in words.
        let takes_writes = ["0", "OFF"].contains(&field()?);
        let identity = format!("{}:{}", field()?, field()?);
        let version = field()?.to_owned();
        let flavour = Flavour::of(&version);
        let server = Self {
            flavour,
            version,
            identity,
        };
        Some(Answer {
            server,
            limits: Some(limits),
            takes_writes,
            set_role: Some(flavour.set_role(fields.next())),
            set_up: None,
        })
    }

    /// What the greeting said. MySQL counts 5, 8, 9; MariaDB went from 5 to 10.
    fn greeted(conn: &Conn) -> Self {
        let (major, minor, patch) = conn.server_version();
        Self {
            flavour: if major >= 10 {
                Flavour::MariaDb
            } else {
                Flavour::MySql
            },
            version: format!("{major}.{minor}.{patch}"),
            identity: String::new(),
        }
    }
}

impl Flavour {
    fn of(version: &str) -> Self {
        if version.to_ascii_lowercase().contains("mariadb") {
            Self::MariaDb
        } else {
            Self::MySql
        }
    }

    /// MariaDB tells the name of one role, MySQL a list as it takes it.
    fn set_role(self, told: Option<&str>) -> String {
        match (self, told) {
            (_, None) => "SET ROLE NONE".to_owned(),
            (Self::MariaDb, Some(role)) => format!("SET ROLE `{}`", role.replace('`', "``")),
            (Self::MySql, Some(roles)) => format!("SET ROLE {roles}"),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}

/// `MariaDB 10.11.6-MariaDB-0+deb12u1`.
impl fmt::Display for ServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flavour, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_set_as_the_server_tells_them() {
        for (told, sql) in [
            ("10.11.6-MariaDB", "SET ROLE NONE"),
            ("10.11.6-MariaDB a `b`", "SET ROLE `a ``b```"),
            ("8.4.3 NONE", "SET ROLE NONE"),
            ("8.4.3 `a b`@`%`,`c`@`%`", "SET ROLE `a b`@`%`,`c`@`%`"),
        ] {
            let row = format!("16777216 28800 0 db 3306 {told}");
            let answer = ServerInfo::read(&row).unwrap();
            assert_eq!(answer.set_role.unwrap(), sql);
        }
    }

    #[test]
    fn a_server_takes_writes_unless_it_says_otherwise() {
        for (told, takes_writes) in [("0", true), ("OFF", true), ("1", false), ("NO_LOCK", false)] {
            let row = format!("16777216 28800 {told} db 3306 12.0.2-MariaDB");
            assert_eq!(ServerInfo::read(&row).unwrap().takes_writes, takes_writes);
        }
    }

    #[test]
    fn a_version_tells_mariadb_from_mysql() {
        assert_eq!(Flavour::of("10.11.6-MariaDB-0+deb12u1"), Flavour::MariaDb);
        assert_eq!(Flavour::of("5.5.5-10.6.1-mariadb"), Flavour::MariaDb);
        assert_eq!(Flavour::of("8.4.3"), Flavour::MySql);
        assert_eq!(Flavour::of("8.0.11-TiDB-v7.5.1"), Flavour::MySql);
    }
}
