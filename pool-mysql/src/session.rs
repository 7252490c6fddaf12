//! The SQL that makes a session as configured, after connecting and after each reset.
//!
//! `COM_RESET_CONNECTION` sets every session variable to the server's global value, the character
//! set of the handshake included: without a `SET NAMES` after it, a server whose global character set
//! is latin1 stores garbage from then on. It does not go back to the first database either, nor to the
//! roles of the login: whoever took on an administrator's would leave it to the next user.

use std::time::Duration;

use mysql_async::IsolationLevel;

use crate::config::MySqlConfig;
use crate::server::Flavour;

impl MySqlConfig {
    /// What a new connection runs; `None` when nothing is set: the handshake has set the character
    /// set.
    pub(crate) fn sql_after_connect(&self, flavour: Flavour) -> Option<String> {
        let names = self.charset.is_some() || self.collation.is_some();
        let sql = self.sql(flavour, names, None);
        (!sql.is_empty()).then_some(sql)
    }

    /// What a connection runs after `COM_RESET_CONNECTION`.
    pub(crate) fn sql_after_reset(&self, flavour: Flavour, set_role: Option<&str>) -> String {
        let sql = self.sql(flavour, true, self.opts.db_name());
        match set_role {
            // First, for the rest may need its rights.
            Some(set_role) => format!("{set_role};{sql}"),
            None => sql,
        }
    }

    fn sql(&self, flavour: Flavour, names: bool, database: Option<&str>) -> String {
        let mut statements = Vec::new();
        if names {
            statements.push(self.set_names());
        }
        if let Some(database) = database {
            statements.push(format!("USE `{}`", database.replace('`', "``")));
        }
        if let Some(level) = self.isolation {
            statements.push(format!(
                "SET SESSION TRANSACTION ISOLATION LEVEL {}",
                isolation_name(level)
            ));
        }
        let assignments = self.assignments(flavour);
        if !assignments.is_empty() {
            statements.push(format!("SET {assignments}"));
        }
        statements.extend(self.init_sql.clone());
        statements.join(";")
    }

    /// The handshake asks for `utf8mb4_general_ci`; a bare `SET NAMES utf8mb4` would give the
    /// server's default for it, which is another on each version.
    fn set_names(&self) -> String {
        match (&self.charset, &self.collation) {
            (None, None) => "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci".to_owned(),
            (Some(charset), None) => format!("SET NAMES {}", quoted(charset)),
            (charset, Some(collation)) => {
                // A collation begins with the name of its character set.
                let own = || collation.split('_').next().unwrap_or_default();
                let charset = charset.as_deref().unwrap_or_else(own);
                format!(
                    "SET NAMES {} COLLATE {}",
                    quoted(charset),
                    quoted(collation)
                )
            }
        }
    }

    fn assignments(&self, flavour: Flavour) -> String {
        let timeout = self.statement_timeout.map(|timeout| match flavour {
            Flavour::MariaDb => format!("SESSION max_statement_time = {}", seconds(timeout)),
            Flavour::MySql => format!("SESSION max_execution_time = {}", milliseconds(timeout)),
        });
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| format!("SESSION {name} = {value}"));
        timeout
            .into_iter()
            .chain(variables)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

pub(crate) fn isolation_name(level: IsolationLevel) -> &'static str {
    match level {
        IsolationLevel::ReadUncommitted => "READ UNCOMMITTED",
        IsolationLevel::ReadCommitted => "READ COMMITTED",
        IsolationLevel::RepeatableRead => "REPEATABLE READ",
        IsolationLevel::Serializable => "SERIALIZABLE",
    }
}

/// MariaDB counts seconds with six decimals, for up to a year; 0 would mean "no limit".
fn seconds(timeout: Duration) -> String {
    const YEAR: u128 = 365 * 24 * 60 * 60 * 1_000_000;
    let micros = timeout.as_micros().clamp(1, YEAR);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// MySQL counts milliseconds in 32 bits; 0 would mean "no limit".
fn milliseconds(timeout: Duration) -> String {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    millis.clamp(1, u32::MAX.into()).to_string()
}

/// `text` as a literal, whatever `sql_mode` says about backslashes.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MySqlConfig {
        let config = MySqlConfig::from_url("mysql://root@localhost/app").unwrap();
        config.statement_timeout(None)
    }

    #[test]
    fn nothing_set_runs_nothing_after_connecting() {
        assert_eq!(config().sql_after_connect(Flavour::MySql), None);
    }

    #[test]
    fn a_reset_gets_back_the_character_set_of_the_handshake_and_the_database() {
        assert_eq!(
            config().sql_after_reset(Flavour::MariaDb, Some("SET ROLE NONE")),
            "SET ROLE NONE;SET NAMES utf8mb4 COLLATE utf8mb4_general_ci;USE `app`"
        );
    }

    #[test]
    fn the_statement_timeout_is_the_one_the_server_knows() {
        let config = config().statement_timeout(Duration::from_millis(1500));
        assert_eq!(
            config.sql_after_connect(Flavour::MariaDb).unwrap(),
            "SET SESSION max_statement_time = 1.500000"
        );
        assert_eq!(
            config.sql_after_connect(Flavour::MySql).unwrap(),
            "SET SESSION max_execution_time = 1500"
        );
    }

    #[test]
    fn a_timeout_too_short_to_say_is_not_taken_for_none() {
        assert_eq!(seconds(Duration::from_nanos(1)), "0.000001");
        assert_eq!(milliseconds(Duration::from_micros(1)), "1");
    }

    #[test]
    fn all_settings_go_in_two_statements_and_quotes_stay_inside() {
        let config = config()
            .time_zone("+00:00")
            .sql_mode("it's")
            .isolation(IsolationLevel::ReadCommitted)
            .collation("utf8mb4_bin")
            .variable("lock_wait_timeout", "5")
            .init_sql("SET @a = 1");
        assert_eq!(
            config.sql_after_connect(Flavour::MySql).unwrap(),
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin';\
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;\
             SET SESSION time_zone = '+00:00', SESSION sql_mode = 'it''s', \
             SESSION lock_wait_timeout = 5;SET @a = 1"
        );
    }
}
