//! Reads a [`MySqlConfig`] from a connection URL.
//!
//! The parameters of this crate are taken out, the rest is the driver's to read. What neither
//! understands is refused: a misspelt setting that does nothing is found in production.

use std::str::FromStr;

use mysql_async::{IsolationLevel, Opts};
use pool_core::duration;
use pool_core::url::{is_plain, scheme, take_parameters};

use crate::config::{MySqlConfig, Recycle};

/// Why a connection URL is not one of a MySQL server. No message shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The driver does not understand it.
    #[error("{0}")]
    Driver(#[source] mysql_async::UrlError),

    /// It is a setting of the pool, not of the connections.
    #[error(
        "`{0}` is a setting of the pool: read the URL with `PoolConfig::from_url_query`, which takes \
         those out"
    )]
    PoolParameter(String),

    /// A setting has a value it cannot have.
    #[error("{name} (`{value}`) must be {rule}")]
    Value {
        /// The setting.
        name: String,
        /// The value given.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },

    /// The parameter needs a feature of this crate.
    #[error("`{0}` needs the feature `rustls` of pool-mysql")]
    Feature(String),
}

impl UrlError {
    fn value(name: &str, value: &str, rule: &'static str) -> Self {
        Self::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            rule,
        }
    }
}

impl MySqlConfig {
    /// Reads a URL: `mysql://user:password@host:3306/database?statement_timeout=30s`.
    /// [`MySqlConfig`] lists the parameters.
    ///
    /// User and password are percent-encoded in a URL; [`password`](Self::password) takes one as it
    /// is.
    ///
    /// # Errors
    ///
    /// For another scheme, a malformed URL, an unknown parameter, a value that is not allowed.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let is_ours = |name: &str| PARAMETERS.contains(&name) || name.starts_with("pool_");
        if scheme(url) != Some("mysql") {
            let scheme = scheme(url).unwrap_or("none");
            let rule = "mysql, as in the URL mysql://app@localhost/shop";
            return Err(UrlError::value("scheme", scheme, rule));
        }
        if may_show_a_password(url) {
            let rule = "one with @ only before the host, and names of parameters of a to z and _ (are \
                        user and password percent-encoded?)";
            return Err(UrlError::value("URL", "…", rule));
        }
        let (ours, url) = take_parameters(url, is_ours);
        let opts = Opts::from_url(&url).map_err(UrlError::Driver)?;
        let of_tls = |(name, _): &(&str, &str)| TLS_PARAMETERS.contains(name);
        if opts.ssl_opts().is_none()
            && let Some((name, value)) = parameters(&url).find(of_tls)
        {
            let rule = "beside require_ssl=true: without it nothing is encrypted";
            return Err(UrlError::value(name, value, rule));
        }
        let mut config = Self::new(opts);
        for (name, value) in ours {
            config = config.set(&name, &value)?;
        }
        Ok(config)
    }

    fn set(self, name: &str, value: &str) -> Result<Self, UrlError> {
        let refuse = |rule| UrlError::value(name, value, rule);
        Ok(match name {
            "recycle" => self.recycle(match value {
                "fast" => Recycle::Fast,
                "verified" => Recycle::Verified,
                "clean" => Recycle::Clean,
                _ => return Err(refuse("fast, verified or clean")),
            }),
            "statement_timeout" => {
                let rule = "a duration such as 500ms, 30s or 5m, or none";
                self.statement_timeout(duration::parse_limit(value).ok_or_else(|| refuse(rule))?)
            }
            "time_zone" => self.time_zone(value),
            "sql_mode" => self.sql_mode(value),
            "charset" => self.charset(value),
            "collation" => self.collation(value),
            "isolation" => self.isolation(match value {
                "read-uncommitted" => IsolationLevel::ReadUncommitted,
                "read-committed" => IsolationLevel::ReadCommitted,
                "repeatable-read" => IsolationLevel::RepeatableRead,
                "serializable" => IsolationLevel::Serializable,
                _ => {
                    return Err(refuse(
                        "read-uncommitted, read-committed, repeatable-read or serializable",
                    ));
                }
            }),
            "validation_query" if value.trim().is_empty() => {
                return Err(refuse("a statement, such as SELECT%201"));
            }
            "validation_query" => self.validation_query(value),
            "kill_abandoned" => self.kill_abandoned(match value {
                "on" | "true" | "1" => true,
                "off" | "false" | "0" => false,
                _ => return Err(refuse("on or off")),
            }),
            #[cfg(feature = "rustls")]
            "tls_ca" => self.tls_ca(value),
            #[cfg(not(feature = "rustls"))]
            "tls_ca" => return Err(UrlError::Feature(name.to_owned())),
            _ => return Err(UrlError::PoolParameter(name.to_owned())),
        })
    }
}

/// Every parameter of this crate, as the table of [`MySqlConfig`] lists them.
const PARAMETERS: [&str; 10] = [
    "recycle",
    "statement_timeout",
    "time_zone",
    "sql_mode",
    "charset",
    "collation",
    "isolation",
    "validation_query",
    "kill_abandoned",
    "tls_ca",
];

/// The driver's parameters that it passes over unless `require_ssl` is on.
const TLS_PARAMETERS: [&str; 3] = ["verify_ca", "verify_identity", "built_in_roots"];

impl FromStr for MySqlConfig {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::from_url(url)
    }
}

/// The names and values of the parameters, as they are written.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let pairs = query.split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether a path or a parameter may be the rest of a password that nobody encoded: the host ends at
/// the first `/`, `?` or `#`, whatever follows, and the pool's name and errors show what does.
fn may_show_a_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let path = rest[host.len()..].split('?').next().unwrap_or_default();
    path.contains('@') || !parameters(url).all(|(name, _)| is_plain(name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn our_parameters_are_taken_out_and_the_drivers_stay() {
        let url = "mysql://u@h/db?stmt_cache_size=7&recycle=clean&statement_timeout=1500ms\
                   &time_zone=%2B02:00&collation=utf8mb4_bin&isolation=serializable\
                   &kill_abandoned=off&sql_mode=ANSI&charset=utf8mb4&validation_query=SELECT%202";
        let config = MySqlConfig::from_url(url).unwrap();
        assert_eq!(config.opts.stmt_cache_size(), 7);
        assert_eq!(config.recycle, Recycle::Clean);
        assert_eq!(config.statement_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(config.time_zone.as_deref(), Some("+02:00"));
        assert_eq!(config.collation.as_deref(), Some("utf8mb4_bin"));
        assert!(matches!(
            config.isolation,
            Some(IsolationLevel::Serializable)
        ));
        assert!(!config.kill_abandoned);
        assert_eq!(config.sql_mode.as_deref(), Some("ANSI"));
        assert_eq!(config.charset.as_deref(), Some("utf8mb4"));
        assert_eq!(config.validation_query.as_deref(), Some("SELECT 2"));
    }

    #[test]
    fn what_nobody_understands_is_refused_and_shows_no_password() {
        for (url, part) in [
            ("mysql://u:hunter2@h/db?recylce=fast", "recylce"),
            (
                "mysql://u:hunter2@h/db?recycle=quick",
                "fast, verified or clean",
            ),
            ("mysql://u:hunter2@h/db?statement_timeout=-1s", "duration"),
            (
                "mysql://u:hunter2@h/db?validation_query=",
                "must be a statement",
            ),
            (
                "mysql://u:hunter2@h/db?pool_max_size=5",
                "PoolConfig::from_url_query",
            ),
            ("postgres://u:hunter2@h/db", "postgres"),
            ("mysql://u:a@b?hunter2@h/db", "percent-encoded"),
            ("mysql://u:?hunter2@h/db", "percent-encoded"),
            ("mysql://u:1?hunter2@h/db", "percent-encoded"),
            ("mysql://u:1/hunter2@h/db", "percent-encoded"),
            ("mysql://u:a@b/hunter2@h/db", "percent-encoded"),
            ("mysql://u:1#hunter2@h/db", "percent-encoded"),
            ("u:hunter2@h/db", "scheme"),
            ("", "URL"),
        ] {
            let error = MySqlConfig::from_url(url).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_said_of_tls_means_tls() {
        for parameter in [
            "verify_ca=true",
            "verify_identity=false",
            "built_in_roots=true",
        ] {
            let url = format!("mysql://h/db?{parameter}");
            let error = MySqlConfig::from_url(&url).unwrap_err();
            assert!(error.to_string().contains("require_ssl=true"), "{error}");
            let config = MySqlConfig::from_url(&format!("{url}&require_ssl=true")).unwrap();
            assert!(config.opts.ssl_opts().is_some());
        }
    }

    #[test]
    fn the_drivers_parameters_that_the_docs_name_are_its_own() {
        let url = "mysql://h/db?socket=/run/s&compression=fast&tcp_keepalive=1000";
        assert!(
            MySqlConfig::from_url(url)
                .unwrap()
                .opts
                .compression()
                .is_some()
        );
    }

    #[test]
    fn a_password_is_taken_as_it_is_or_percent_encoded() {
        let config = MySqlConfig::from_url("mysql://u:a%2Fb%3F@h/db").unwrap();
        assert_eq!(config.opts.pass(), Some("a/b?"));
        assert_eq!(config.password("%2F").opts.pass(), Some("%2F"));
    }

    #[test]
    fn a_statement_timeout_of_zero_is_none() {
        for none in ["0", "0s", "none", "OFF"] {
            let url = format!("mysql://h/?statement_timeout={none}");
            let config = MySqlConfig::from_url(&url).unwrap();
            assert_eq!(config.statement_timeout, None, "{none}");
        }
        let config = MySqlConfig::from_url("mysql://h/").unwrap();
        assert_eq!(
            config.statement_timeout(Duration::ZERO).statement_timeout,
            None
        );
    }
}
