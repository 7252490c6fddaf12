//! Where the server is, and how each session is set up.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use crate::error::PgError;

/// A server, a database and the settings of the sessions there.
///
/// Parsed from `postgres://user:password@host:port/database?application_name=…` or
/// `host=… user=…`, in the words of [`tokio_postgres::Config`], or made from one. Parameters that
/// begin with `pool_` are the pool's and are passed over here.
#[derive(Clone)]
#[must_use]
pub struct PgConfig {
    pub(crate) driver: tokio_postgres::Config,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) session: Vec<(String, String)>,
    pub(crate) recycle: Recycle,
}

/// When a returned connection is given a fresh session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Recycle {
    /// When something was seen to be left behind: a clean return costs nothing.
    #[default]
    WhenChanged,
    /// At every return: one round trip, and nothing of the session survives but the driver's
    /// prepared statements.
    Always,
}

impl PgConfig {
    /// How long the server lets a statement run; 60 s by default, `None` for the server's own limit.
    pub fn statement_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.statement_timeout = limit.into();
        self
    }

    /// A setting of every session, as `SET name = value` makes it; it survives a recycling.
    pub fn session(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.session.push((name.into(), value.into()));
        self
    }

    /// When a returned connection is given a fresh session.
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// The options of the startup packet: the session's settings, so that `RESET ALL` keeps them.
    pub(crate) fn startup(&self) -> tokio_postgres::Config {
        let mut driver = self.driver.clone();
        let mut options = driver.get_options().unwrap_or_default().to_owned();
        let timeout = self.statement_timeout.map(|limit| {
            (
                "statement_timeout".to_owned(),
                format!("{}ms", limit.as_millis()),
            )
        });
        for (name, value) in timeout.iter().chain(&self.session) {
            // A backslash protects blanks and itself there.
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            let _ = write!(options, " -c {name}={value}");
        }
        if !options.is_empty() {
            driver.options(options.trim());
        }
        if driver.get_application_name().is_none() {
            driver.application_name("pool-postgres");
        }
        driver
    }

    /// The server without the user's secrets, as `postgres://host:port/database`.
    pub(crate) fn name(&self) -> String {
        let hosts = self.driver.get_hosts();
        let ports = self.driver.get_ports();
        let mut name = "postgres://".to_owned();
        for (place, host) in hosts.iter().enumerate() {
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
            let comma = if place == 0 { "" } else { "," };
            let _ = match host {
                Host::Tcp(host) => write!(name, "{comma}{host}:{port}"),
                Host::Unix(folder) => write!(name, "{comma}{}:{port}", folder.display()),
            };
        }
        let database = self
            .driver
            .get_dbname()
            .or(self.driver.get_user())
            .unwrap_or_default();
        name + "/" + database
    }

    pub(crate) fn check(&self) -> Result<(), PgError> {
        match self.driver.get_ssl_mode() {
            SslMode::Disable | SslMode::Prefer => Ok(()),
            _ => Err(PgError::TlsUnsupported),
        }
    }
}

impl From<tokio_postgres::Config> for PgConfig {
    fn from(driver: tokio_postgres::Config) -> Self {
        Self {
            driver,
            statement_timeout: Some(Duration::from_secs(60)),
            session: Vec::new(),
            recycle: Recycle::default(),
        }
    }
}

impl FromStr for PgConfig {
    type Err = PgError;

    fn from_str(text: &str) -> Result<Self, PgError> {
        let driver: tokio_postgres::Config = without_pool_settings(text).parse()?;
        Ok(driver.into())
    }
}

/// The URL without the parameters that are the pool's.
fn without_pool_settings(url: &str) -> String {
    let Some((server, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let kept: Vec<_> = query
        .split('&')
        .filter(|part| !part.starts_with("pool_"))
        .collect();
    if kept.is_empty() {
        server.to_owned()
    } else {
        format!("{server}?{}", kept.join("&"))
    }
}

impl fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgConfig")
            .field("server", &self.name())
            .field("user", &self.driver.get_user())
            .field("statement_timeout", &self.statement_timeout)
            .field("session", &self.session)
            .field("recycle", &self.recycle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::PgConfig;

    #[test]
    fn nothing_that_is_printed_shows_the_password() {
        let config: PgConfig = "postgres://app:hunter2@db1:6000,db2:6001/orders"
            .parse()
            .unwrap();
        assert_eq!(config.name(), "postgres://db1:6000,db2:6001/orders");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn the_pools_parameters_are_passed_over() {
        let url = "postgres://app@db/orders?pool_max_size=3&connect_timeout=3&pool_name=x";
        let config: PgConfig = url.parse().unwrap();
        assert_eq!(
            config
                .driver
                .get_connect_timeout()
                .map(std::time::Duration::as_secs),
            Some(3)
        );
        assert!(
            "postgres://app@db/orders?pool_max_size=3"
                .parse::<PgConfig>()
                .is_ok()
        );
    }
}
