//! Where the server is, and how each session is set up.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use pool_core::PasswordProvider;
use tokio_postgres::config::{self, Host};

use crate::error::PgError;
use crate::tls::{SslMode, Tls};

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
    pub(crate) tls: Tls,
    pub(crate) password_provider: Option<PasswordProvider>,
    pub(crate) statement_cache: usize,
}

/// Prepared statements that a connection keeps, unless told otherwise.
const STATEMENT_CACHE: usize = 100;

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

    /// Asked for the password before each connect, for credentials that rotate.
    ///
    /// Its time counts against `connect_timeout`; an error fails the connect, which is tried again.
    ///
    /// ```
    /// # use pool_postgres::PgConfig;
    /// let config: PgConfig = "postgres://app@localhost/shop".parse()?;
    /// let config = config.password_provider(|| async { std::fs::read_to_string("/run/secrets/pg") });
    /// # Ok::<(), pool_postgres::PgError>(())
    /// ```
    pub fn password_provider<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.password_provider = Some(PasswordProvider::new(provider));
        self
    }

    /// How many prepared statements a connection keeps ([`Statements`](crate::Statements)); 100 by
    /// default, 0 for none.
    ///
    /// In a URL `statement_cache=100`.
    pub fn statement_cache(mut self, statements: usize) -> Self {
        self.statement_cache = statements;
        self
    }

    /// Whether and how the way to the server is encrypted; [`SslMode::Prefer`] by default. Needs the
    /// feature `rustls`.
    ///
    /// In a URL `sslmode=verify-full`.
    pub fn ssl_mode(mut self, mode: SslMode) -> Self {
        self.tls.mode = mode;
        self
    }

    /// A PEM file of the authorities that are trusted, in place of those that Mozilla trusts.
    ///
    /// In a URL `sslrootcert=/etc/ssl/db-ca.pem`.
    pub fn ssl_root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.root = Some(file.into());
        self
    }

    /// PEM files of the certificate shown to the server and of its key.
    ///
    /// In a URL `sslcert=…&sslkey=…`.
    pub fn ssl_client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls.certificate = Some(certificate.into());
        self.tls.key = Some(key.into());
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
            // The server takes 0 for no limit at all.
            let milliseconds = limit.as_micros().div_ceil(1000).max(1);
            ("statement_timeout".to_owned(), format!("{milliseconds}ms"))
        });
        for (name, value) in timeout.iter().chain(&self.session) {
            // A backslash protects blanks and itself there.
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            let _ = write!(options, " -c {name}={value}");
        }
        if !options.is_empty() {
            driver.options(options.trim());
        }
        // The stream the driver gets is encrypted already, or is not to be.
        driver.ssl_mode(config::SslMode::Disable);
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
}

impl From<tokio_postgres::Config> for PgConfig {
    fn from(driver: tokio_postgres::Config) -> Self {
        let tls = Tls {
            mode: match driver.get_ssl_mode() {
                config::SslMode::Disable => SslMode::Disable,
                config::SslMode::Prefer => SslMode::Prefer,
                // Whatever else the driver may learn to ask for is no less than that.
                _ => SslMode::Require,
            },
            ..Tls::default()
        };
        Self {
            driver,
            statement_timeout: Some(Duration::from_secs(60)),
            session: Vec::new(),
            recycle: Recycle::default(),
            tls,
            password_provider: None,
            statement_cache: STATEMENT_CACHE,
        }
    }
}

impl FromStr for PgConfig {
    type Err = PgError;

    fn from_str(text: &str) -> Result<Self, PgError> {
        let (for_driver, own) = split(text);
        let driver: tokio_postgres::Config = for_driver.parse()?;
        let mut config = Self::from(driver);
        for (name, value) in own {
            config.set(name, value)?;
        }
        if config.tls.certificate.is_some() != config.tls.key.is_some() {
            return Err(PgError::Setting {
                setting: "sslcert",
                value: format!("{:?}", config.tls.certificate),
                rule: "and sslkey are given together or not at all",
            });
        }
        Ok(config)
    }
}

impl PgConfig {
    /// Takes a parameter that is not the driver's; the pool's are passed over.
    fn set(&mut self, name: &str, value: &str) -> Result<(), PgError> {
        let value = percent_decode_str(value).decode_utf8_lossy();
        let file = || Some(PathBuf::from(value.as_ref()));
        match name {
            "sslmode" => {
                self.tls.mode = value.parse().map_err(|()| PgError::Setting {
                    setting: "sslmode",
                    value: value.to_string(),
                    rule: "must be disable, prefer, require, verify-ca or verify-full",
                })?;
            }
            "statement_cache" => {
                self.statement_cache = value.parse().map_err(|_| PgError::Setting {
                    setting: "statement_cache",
                    value: value.to_string(),
                    rule: "must be a whole number, 0 for none",
                })?;
            }
            "sslrootcert" => self.tls.root = file(),
            "sslcert" => self.tls.certificate = file(),
            "sslkey" => self.tls.key = file(),
            _ => {}
        }
        Ok(())
    }
}

/// What the driver understands, and the parameters it does not.
fn split(text: &str) -> (String, Vec<(&str, &str)>) {
    const OWN: [&str; 5] = [
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "statement_cache",
    ];
    let mut own = Vec::new();
    let is_url = text.contains("://");
    let (server, parameters) = match text.split_once('?') {
        Some((server, query)) if is_url => (Some(server), query),
        _ if is_url => return (text.to_owned(), own),
        _ => (None, text),
    };
    let separator = if is_url { "&" } else { " " };
    let mut others = Vec::new();
    for part in parameters.split(separator) {
        match part.split_once('=') {
            Some((name, value)) if name.starts_with("pool_") || OWN.contains(&name) => {
                own.push((name, value));
            }
            _ => others.push(part),
        }
    }
    let others = others.join(separator);
    let for_driver = match server {
        Some(server) if others.is_empty() => server.to_owned(),
        Some(server) => format!("{server}?{others}"),
        None => others,
    };
    (for_driver, own)
}

impl fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.session.iter().map(|(name, _)| name).collect();
        f.debug_struct("PgConfig")
            .field("server", &self.name())
            .field("user", &self.driver.get_user())
            .field("statement_timeout", &self.statement_timeout)
            // The values may be secrets.
            .field("session", &names)
            .field("recycle", &self.recycle)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::PgConfig;
    use crate::tls::SslMode;

    #[test]
    fn nothing_that_is_printed_shows_the_password() {
        let config: PgConfig = "postgres://app:hunter2@db1:6000,db2:6001/orders"
            .parse()
            .unwrap();
        assert_eq!(config.name(), "postgres://db1:6000,db2:6001/orders");
        let config = config.session("app.secret", "hunter2");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains("app.secret"));
    }

    #[test]
    fn a_timeout_too_short_to_say_is_not_taken_for_none() {
        let config: PgConfig = "postgres://db/app".parse().unwrap();
        let config = config.statement_timeout(std::time::Duration::from_micros(500));
        let startup = config.startup();
        assert_eq!(startup.get_options(), Some("-c statement_timeout=1ms"));
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

    #[test]
    fn the_way_is_encrypted_as_libpq_would_be_told() {
        let url = "postgres://app@db/orders?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem";
        let config: PgConfig = url.parse().unwrap();
        assert_eq!(config.tls.mode, SslMode::VerifyFull);
        assert_eq!(config.tls.root.unwrap().to_str(), Some("/etc/ca.pem"));
        let pairs = "host=db user=app sslmode=disable password='a  b'";
        let config: PgConfig = pairs.parse().unwrap();
        assert_eq!(config.tls.mode, SslMode::Disable);
        assert_eq!(config.driver.get_password(), Some(&b"a  b"[..]));
        let config: PgConfig = "host=db user=app".parse().unwrap();
        assert_eq!(config.tls.mode, SslMode::Prefer);
    }

    #[test]
    fn what_breaks_a_rule_is_named_with_it() {
        for (parameters, says) in [
            ("sslmode=full", "sslmode (full) must be disable"),
            ("sslcert=/x.pem", "sslkey are given together"),
            ("ssl_mode=require", "ssl_mode"),
            (
                "statement_cache=many",
                "statement_cache (many) must be a whole number",
            ),
        ] {
            let error = format!("postgres://db/app?{parameters}")
                .parse::<PgConfig>()
                .unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
