//! Reads a [`SqliteConfig`] from a connection string.
//!
//! `sqlite:` is followed by a path, which may be relative and percent-encoded, or by `:memory:`,
//! and then by parameters, one for each setting. What is not understood is refused with the
//! reason: a misspelt setting that does nothing is found in production.

use std::str::FromStr;

use pool_core::url::scheme;
use pool_core::{ConfigError, ConfigProblem, Parameter};

use crate::config::{JournalMode, Location, OpenMode, Reset, SqliteConfig, Synchronous};

/// Every parameter, as the table of [`SqliteConfig`] lists them.
const PARAMETERS: [&str; 13] = [
    "mode",
    "journal_mode",
    "synchronous",
    "busy_timeout",
    "foreign_keys",
    "cache_size",
    "mmap_size",
    "statement_cache",
    "query_timeout",
    "validation_query",
    "workers",
    "spare_workers",
    "reset",
];

impl SqliteConfig {
    /// Reads a connection string: `sqlite:app.db`, `sqlite:///var/lib/app.db?mode=ro`,
    /// `sqlite::memory:`. [`SqliteConfig`] lists the parameters.
    ///
    /// # Errors
    ///
    /// For another scheme, a missing path, an unknown parameter, a value that is not allowed.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        let Some(rest) = strip_scheme(url) else {
            let scheme = scheme(url).unwrap_or("none");
            let rule = "must be sqlite, as in `sqlite:app.db`, `sqlite:///var/lib/app.db?mode=ro` and \
                        `sqlite::memory:`";
            return Err(ConfigProblem::new("scheme", scheme, rule).into());
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode("path", path.strip_prefix("//").unwrap_or(path))?;
        let mut config = match path.as_str() {
            "" => {
                let rule = "must name a file; for a database in memory write `sqlite::memory:`";
                return Err(ConfigProblem::new("path", "", rule).into());
            }
            ":memory:" => Self::memory(),
            path => Self::file(path),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode("name", name)?;
            let value = decode(&name, &value.replace('+', " "))?;
            config.set(&Parameter::new(name, value), &path)?;
        }
        Ok(config)
    }

    fn set(&mut self, parameter: &Parameter, path: &str) -> Result<(), ConfigProblem> {
        let name = parameter.name();
        match name {
            "mode" => match parameter.one_of(&OPEN_MODES)? {
                Some(mode) => self.open_mode = mode,
                None if self.is_memory() => {}
                None => self.location = Location::Memory(Some(path.to_owned())),
            },
            "journal_mode" => self.journal_mode = parameter.one_of(&JOURNAL_MODES)?,
            "synchronous" => self.synchronous = Some(parameter.one_of(&SYNCHRONOUS)?),
            "busy_timeout" => self.busy_timeout = parameter.duration()?,
            "foreign_keys" => self.foreign_keys = parameter.switch()?,
            "cache_size" => {
                let form = "a number of pages or, negative, of KiB";
                self.cache_size = Some(parameter.parse(form)?);
            }
            "mmap_size" => self.mmap_size = Some(parameter.parse("a number of bytes")?),
            "statement_cache" => self.statement_cache = parameter.count()?,
            "query_timeout" => self.query_timeout = parameter.limit()?,
            "validation_query" => parameter.sql()?.clone_into(&mut self.validation_query),
            "workers" => match parameter.count()? {
                0 => return Err(parameter.refuse("must be a number of threads, at least 1")),
                workers => self.workers = workers,
            },
            "spare_workers" => self.spare_workers = parameter.count()?,
            "reset" => self.reset = parameter.one_of(&RESETS)?,
            _ if name.starts_with("pool_") => return Err(parameter.refuse_as_of_pool()),
            _ => {
                let known = PARAMETERS.join(", ");
                let rule = format!("is not a setting; there are: {known}");
                return Err(ConfigProblem::new(name, "…", rule));
            }
        }
        Ok(())
    }
}

impl FromStr for SqliteConfig {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
        Self::from_url(url)
    }
}

/// How a file is opened; `None` where there is none.
const OPEN_MODES: [(&str, Option<OpenMode>); 4] = [
    ("rwc", Some(OpenMode::Create)),
    ("rw", Some(OpenMode::ReadWrite)),
    ("ro", Some(OpenMode::ReadOnly)),
    ("memory", None),
];

/// `keep` is the file's own.
const JOURNAL_MODES: [(&str, JournalMode); 7] = [
    ("wal", JournalMode::Wal),
    ("delete", JournalMode::Delete),
    ("truncate", JournalMode::Truncate),
    ("persist", JournalMode::Persist),
    ("memory", JournalMode::Memory),
    ("off", JournalMode::Off),
    ("keep", JournalMode::Keep),
];

const SYNCHRONOUS: [(&str, Synchronous); 4] = [
    ("off", Synchronous::Off),
    ("normal", Synchronous::Normal),
    ("full", Synchronous::Full),
    ("extra", Synchronous::Extra),
];

const RESETS: [(&str, Reset); 2] = [
    ("when_changed", Reset::WhenChanged),
    ("always", Reset::Always),
];

fn strip_scheme(url: &str) -> Option<&str> {
    let scheme = url.get(..7)?;
    scheme.eq_ignore_ascii_case("sqlite:").then(|| &url[7..])
}

/// `text` without its percent-encoding; `what` is set to it.
fn decode(what: &str, text: &str) -> Result<String, ConfigProblem> {
    let broken = || ConfigProblem::new(what, text, "must be valid percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit().ok_or_else(broken)?, digit().ok_or_else(broken)?);
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| broken())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use std::path::PathBuf;

    fn refused(url: &str) -> String {
        SqliteConfig::from_url(url).unwrap_err().to_string()
    }

    #[test]
    fn a_path_may_be_relative_absolute_and_encoded() {
        for (url, path) in [
            ("sqlite:app.db", "app.db"),
            ("sqlite://app.db", "app.db"),
            ("sqlite:///var/lib/app.db", "/var/lib/app.db"),
            ("SQLITE:/var/lib/my%20app.db?mode=ro", "/var/lib/my app.db"),
        ] {
            let config = SqliteConfig::from_url(url).unwrap();
            assert_eq!(
                config.location,
                Location::File(PathBuf::from(path)),
                "{url}"
            );
        }
    }

    #[test]
    fn memory_databases_are_named_or_not() {
        for (url, name) in [
            ("sqlite::memory:", None),
            ("sqlite://:memory:", None),
            ("sqlite:orders?mode=memory", Some("orders".to_owned())),
        ] {
            let config = SqliteConfig::from_url(url).unwrap();
            assert_eq!(config.location, Location::Memory(name), "{url}");
        }
    }

    #[test]
    fn every_setting_of_the_table_is_a_parameter_and_every_parameter_is_in_the_table() {
        let table: Vec<&str> = include_str!("config.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("/// | [`"))
            .filter_map(|row| row.rsplit_once("| `")?.1.split_once('='))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(table, PARAMETERS);
        for name in PARAMETERS {
            let error = refused(&format!("sqlite:a.db?{name}=%ff"));
            assert!(error.contains("percent-encoded"), "{error}");
            let read = SqliteConfig::from_url(&format!("sqlite:a.db?{name}=x"));
            let told = read.err().map(|error| error.to_string());
            assert!(
                !told.is_some_and(|told| told.contains("is not a setting")),
                "{name}"
            );
        }
    }

    #[test]
    fn settings_are_read_with_their_units() {
        let config = SqliteConfig::from_url(
            "sqlite:a.db?busy_timeout=250ms&query_timeout=none&synchronous=FULL&cache_size=-512\
             &journal_mode=delete&workers=3&validation_query=PRAGMA%20schema_version&reset=always",
        )
        .unwrap();
        assert_eq!(config.busy_timeout, Duration::from_millis(250));
        assert_eq!(config.query_timeout, None);
        assert_eq!(config.synchronous, Some(Synchronous::Full));
        assert_eq!(config.cache_size, Some(-512));
        assert_eq!(config.journal_mode, JournalMode::Delete);
        assert_eq!(config.workers, 3);
        assert_eq!(config.validation_query, "PRAGMA schema_version");
        assert_eq!(config.reset, Reset::Always);
    }

    #[test]
    fn a_query_timeout_of_zero_is_none() {
        for none in ["0", "0s", "none", "OFF"] {
            let url = format!("sqlite:a.db?query_timeout={none}");
            let config = SqliteConfig::from_url(&url).unwrap();
            assert_eq!(config.query_timeout, None, "{none}");
        }
        let config = SqliteConfig::memory().query_timeout(Duration::ZERO);
        assert_eq!(config.query_timeout, None);
    }

    #[test]
    fn a_foreign_scheme_is_refused_without_showing_its_password() {
        let error = refused("postgres://user:secret@host/db");
        let told = "scheme (postgres) must be sqlite, as in";
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(refused("app.db").starts_with("scheme (none) must be"));
    }

    #[test]
    fn a_bad_value_is_refused_with_the_setting_the_value_and_the_rule() {
        assert_eq!(
            refused("sqlite:a.db?mode=write"),
            "mode (write) must be rwc, rw, ro or memory"
        );
        assert_eq!(
            refused("sqlite:a.db?workers=0"),
            "workers (0) must be a number of threads, at least 1"
        );
        for empty in ["", "%20"] {
            let error = refused(&format!("sqlite:a.db?validation_query={empty}"));
            assert!(
                error.ends_with("must be a statement, such as SELECT%201"),
                "{error}"
            );
        }
        assert!(
            refused("sqlite:a.db?buzy_timeout=1s").starts_with("buzy_timeout (…) is not a setting")
        );
        assert!(refused("sqlite:a.db?pool_max_size=1").contains("PoolConfig::from_url_query"));
        assert!(refused("sqlite:").starts_with("path () must name a file"));
        assert!(refused("sqlite:a.db?busy_timeout=-1s").contains("must be a duration"));
    }
}
