//! Reads a [`MySqlConfig`] from a connection URL.
//!
//! The parameters of this crate are taken out, the rest is the driver's to read. What neither
//! understands is refused: a misspelt setting that does nothing is found in production.

use std::str::FromStr;

use mysql_async::{IsolationLevel, Opts};
use pool_core::url::{is_plain, scheme, take_parameters};
use pool_core::{ConfigError, ConfigProblem, Parameter, Recycle};

use crate::config::MySqlConfig;

impl MySqlConfig {
    /// Reads a URL: `mysql://user:password@host:3306/database?statement_timeout=30s`.
    /// [`MySqlConfig`] lists the parameters.
    ///
    /// User and password are percent-encoded in a URL; [`password`](Self::password) takes one as it
    /// is.
    ///
    /// # Errors
    ///
    /// For another scheme, a malformed URL, an unknown parameter, a value that is not allowed. No message
    /// shows a password.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        let is_ours = |name: &str| PARAMETERS.contains(&name) || name.starts_with("pool_");
        if scheme(url) != Some("mysql") {
            let scheme = scheme(url).unwrap_or("none");
            let rule = "must be mysql, as in the URL mysql://app@localhost/shop";
            return Err(ConfigProblem::new("scheme", scheme, rule).into());
        }
        if may_show_a_password(url) {
            let rule = "must be one with @ only before the host, and names of parameters of a to z and _ \
                        (are user and password percent-encoded?)";
            return Err(ConfigProblem::new("URL", "…", rule).into());
        }
        let (ours, url) = take_parameters(url, is_ours);
        let opts = Opts::from_url(&url)
            .map_err(|error| ConfigProblem::new("URL", "…", format!("cannot be read: {error}")))?;
        let of_tls = |(name, _): &(&str, &str)| TLS_PARAMETERS.contains(name);
        if opts.ssl_opts().is_none()
            && let Some((name, value)) = parameters(&url).find(of_tls)
        {
            let rule = "must be beside require_ssl=true: without it nothing is encrypted";
            return Err(ConfigProblem::new(name, value, rule).into());
        }
        let mut config = Self::new(opts);
        for parameter in ours.into_iter().map(Parameter::from) {
            config = config.set(&parameter)?;
        }
        Ok(config)
    }

    fn set(self, parameter: &Parameter) -> Result<Self, ConfigProblem> {
        let value = parameter.value();
        Ok(match parameter.name() {
            "recycle" => self.recycle(parameter.one_of(&Recycle::NAMED)?),
            "statement_timeout" => self.statement_timeout(parameter.limit()?),
            "time_zone" => self.time_zone(value),
            "sql_mode" => self.sql_mode(value),
            "charset" => self.charset(value),
            "collation" => self.collation(value),
            "isolation" => self.isolation(parameter.one_of(&[
                ("read-uncommitted", IsolationLevel::ReadUncommitted),
                ("read-committed", IsolationLevel::ReadCommitted),
                ("repeatable-read", IsolationLevel::RepeatableRead),
                ("serializable", IsolationLevel::Serializable),
            ])?),
            "validation_query" => self.validation_query(parameter.sql()?),
            "kill_abandoned" => self.kill_abandoned(parameter.switch()?),
            #[cfg(feature = "rustls")]
            "tls_ca" => self.tls_ca(value),
            #[cfg(not(feature = "rustls"))]
            "tls_ca" => return Err(parameter.refuse("needs the feature `rustls` of pool-mysql")),
            _ => return Err(parameter.refuse_as_of_pool()),
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
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
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
        assert_eq!(config.collation.as_deref(), Some("utf8mb4_bin"));
        assert!(matches!(
            config.isolation,
            Some(IsolationLevel::Serializable)
        ));
        assert!(!config.kill_abandoned);
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (zone, mode) = (
            variable("time_zone", "'+02:00'"),
            variable("sql_mode", "'ANSI'"),
        );
        assert_eq!(config.variables, [zone, mode]);
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
