//! Reads a [`PgConfig`] from a connection URL, or from `host=… user=…`.
//!
//! The parameters of this crate are taken out, the rest is the driver's to read. What neither
//! understands is refused: a misspelt setting that does nothing is found in production.

use std::str::FromStr;

use pool_core::url::{has_plain_names, is_plain, scheme, take_parameters};
use pool_core::{ConfigError, ConfigProblem, Parameter, Recycle};

use crate::config::PgConfig;
use crate::error::describe;
use crate::tls::SslMode;

/// Every parameter of this crate, as the table of [`PgConfig`] lists them.
const PARAMETERS: [&str; 7] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "statement_cache",
    "statement_timeout",
    "recycle",
];

impl FromStr for PgConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let is_ours = |name: &str| PARAMETERS.contains(&name) || name.starts_with("pool_");
        let is_url = matches!(scheme(text), Some("postgres" | "postgresql"));
        let (ours, for_driver) = match scheme(text) {
            Some(scheme) if !is_url => {
                let rule = "must be postgres or postgresql";
                return Err(ConfigProblem::new("scheme", scheme, rule).into());
            }
            Some(_) if !has_plain_names(text) => {
                let rule = "must be of a to z and _ (are user and password percent-encoded?)";
                return Err(ConfigProblem::new("name", "…", rule).into());
            }
            Some(_) if has_stray_at(text) => {
                let rule = "has an @ too many (in user, password and database it is written %40)";
                return Err(ConfigProblem::new("URL", "…", rule).into());
            }
            Some(_) => take_parameters(text, is_ours),
            None => take_pairs(text, is_ours)?,
        };
        let driver: tokio_postgres::Config = for_driver.parse().map_err(|error| {
            ConfigProblem::new(
                "connection string",
                "…",
                format!("cannot be read: {}", describe(&error)),
            )
        })?;
        let mut config = Self::from(driver);
        for parameter in ours.into_iter().map(Parameter::from) {
            config = config.set(&parameter)?;
        }
        match config.problem() {
            Some(problem) => Err(problem.into()),
            None => Ok(config),
        }
    }
}

/// Whether the driver takes an `@` for the end of the credentials that stands within them, or far
/// behind them: it would have a part of a password for a host, and messages name those.
fn has_stray_at(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (credentials, rest) = rest.split_once('@').unwrap_or_default();
    let place = rest.split('?').next().unwrap_or_default();
    let user = credentials.split(':').next().unwrap_or_default();
    user.contains(['/', '?']) || place.contains('@')
}

impl PgConfig {
    fn set(mut self, parameter: &Parameter) -> Result<Self, ConfigProblem> {
        Ok(match parameter.name() {
            "sslmode" => self.ssl_mode(parameter.one_of(&SslMode::NAMED)?),
            "sslrootcert" => self.ssl_root_certificate(parameter.value()),
            "sslcert" => {
                self.tls.certificate = Some(parameter.value().into());
                self
            }
            "sslkey" => {
                self.tls.key = Some(parameter.value().into());
                self
            }
            "statement_cache" => self.statement_cache(parameter.count()?),
            "statement_timeout" => self.statement_timeout(parameter.limit()?),
            "recycle" => self.recycle(parameter.one_of(&Recycle::NAMED)?),
            _ => return Err(parameter.refuse_as_of_pool()),
        })
    }
}

type Parameters = Vec<(String, String)>;

/// The pairs of `host=… password='a b'` whose names `is_ours` accepts, and the text without them.
///
/// A value ends at a blank, unless it is in single quotes; a backslash takes away the meaning of
/// what follows it (manual, "Keyword/Value Connection Strings").
fn take_pairs(
    text: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(Parameters, String), ConfigProblem> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = read_value(after.trim_start());
        if !is_plain(name.trim()) {
            return Err(ConfigProblem::new("name", "…", "must be of a to z and _"));
        }
        if is_ours(name.trim()) {
            ours.push((name.trim().to_owned(), value));
        } else {
            others.push(rest[..rest.len() - after.len()].trim_end());
        }
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        let rule = "must be of the form name=value";
        return Err(ConfigProblem::new("pair", "…", rule));
    }
    Ok((ours, others.join(" ")))
}

/// The value that `text` begins with, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted => return (value, &text[at + 1..]),
            _ if !quoted && letter.is_whitespace() => return (value, &text[at..]),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> PgConfig {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        text.parse::<PgConfig>().unwrap_err().to_string()
    }

    #[test]
    fn our_parameters_are_taken_out_and_the_drivers_stay() {
        let config = read(
            "postgres://app@db/orders?statement_timeout=1500ms&connect_timeout=3&recycle=clean",
        );
        assert_eq!(config.statement_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(config.recycle, Recycle::Clean);
        assert_eq!(
            config.driver.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
    }

    #[test]
    fn the_way_is_encrypted_as_libpq_would_be_told() {
        let config =
            read("postgres://app@db/orders?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem");
        assert_eq!(config.tls.mode, SslMode::VerifyFull);
        assert_eq!(config.tls.root.unwrap().to_str(), Some("/etc/ca.pem"));
        assert_eq!(read("host=db user=app").tls.mode, SslMode::Prefer);
    }

    #[test]
    fn pairs_may_be_quoted_and_are_not_percent_decoded() {
        let config = read(
            r"host=db sslmode = disable password='a  b sslmode=x\'' sslrootcert='/my certs/100%25.pem' user=a\ b",
        );
        assert_eq!(config.tls.mode, SslMode::Disable);
        assert_eq!(
            config.tls.root.unwrap().to_str(),
            Some("/my certs/100%25.pem")
        );
        assert_eq!(config.driver.get_password(), Some(&b"a  b sslmode=x'"[..]));
        assert_eq!(config.driver.get_user(), Some("a b"));
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
            (
                "statement_timeout=-1s",
                "statement_timeout (-1s) must be a duration",
            ),
            ("recycle=quick", "recycle (quick) must be fast"),
            (
                "pool_max_size=3",
                "pool_max_size (3) is a setting of the pool",
            ),
            (
                "sslnegotiation=direct",
                "sslnegotiation (direct) needs sslmode=require",
            ),
            (
                "hostaddr=1.2.3.4,1.2.3.5",
                "hostaddr (2 addresses) must be one for each host",
            ),
        ] {
            let told = refused(&format!("postgres://app:hunter2@db/app?{parameters}"));
            assert!(told.contains(says), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        for text in ["postgres://db/app?ssl_mode=require", "host=db port=many"] {
            let told = refused(text);
            assert!(
                told.starts_with("connection string (…) cannot be"),
                "{told}"
            );
        }
        let told = refused("host=a,b,c port=1,2");
        assert!(told.contains("port (2 ports) must be one"), "{told}");
        for text in [
            "host=db hunter2",
            "host=db password=a hunter2 b=c",
            "mysql://app:hunter2@db/app",
            "postgresql+driver://app:hunter2@db/app",
            "app:hunter2@db/app?x=y",
            "postgres://app:a@b?hunter2@db/app",
            "postgres://app:a@hunter2@db/app",
            "postgres://app:a@b/hunter2@db/app",
            "postgres://db/app?user=app&password=a@hunter2",
        ] {
            let told = format!("{} {:?}", refused(text), text.parse::<PgConfig>());
            assert!(!told.contains("hunter2"), "{told}");
        }
        for (url, password) in [
            (
                "postgres://app:a?hunter2@db/app?connect_timeout=3",
                "a?hunter2",
            ),
            (
                "postgres://me%40corp:a%40b@db/app?application_name=me@corp",
                "a@b",
            ),
        ] {
            assert_eq!(read(url).driver.get_password(), Some(password.as_bytes()));
        }
        assert!(refused("mysql://db").contains("scheme (mysql) must be postgres"));
    }
}
