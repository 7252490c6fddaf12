//! Reads a [`SqliteConfig`] from a connection string.
//!
//! `sqlite:` is followed by a path, which may be relative and percent-encoded, or by `:memory:`,
//! and then by parameters, one for each setting. What is not understood is refused with the
//! reason: a misspelt setting that does nothing is found in production.

use std::str::FromStr;

use pool_core::{duration, url::scheme};

use crate::config::{JournalMode, Location, OpenMode, Reset, SqliteConfig, Synchronous};

/// Why a connection string is not one of a SQLite database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is the connection string of something else.
    #[error(
        "a SQLite connection string begins with `sqlite:`, this one with `{0}`; \
         examples: `sqlite:app.db`, `sqlite:///var/lib/app.db?mode=ro`, `sqlite::memory:`"
    )]
    Scheme(String),

    /// Nothing follows the scheme.
    #[error(
        "the connection string names no file; for a database in memory write `sqlite::memory:`"
    )]
    NoPath,

    /// The path or a value is not valid percent-encoded UTF-8.
    #[error("`{0}` is not valid percent-encoded UTF-8")]
    Encoding(String),

    /// No setting has this name.
    #[error("there is no setting `{name}`; there are: {known}")]
    UnknownParameter {
        /// The name given.
        name: String,
        /// All names there are.
        known: String,
    },

    /// It is a setting of the pool, not of the database.
    #[error(
        "`{0}` is a setting of the pool: read the connection string with \
         `PoolConfig::from_url_query`, which takes those out"
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
}

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
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let Some(rest) = strip_scheme(url) else {
            let scheme = scheme(url).map_or("no scheme".to_owned(), |scheme| format!("{scheme}:"));
            return Err(UrlError::Scheme(scheme));
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode(path.strip_prefix("//").unwrap_or(path))?;
        let mut config = match path.as_str() {
            "" => return Err(UrlError::NoPath),
            ":memory:" => Self::memory(),
            path => Self::file(path),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            config.set(&decode(name)?, &decode(&value.replace('+', " "))?, &path)?;
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str, path: &str) -> Result<(), UrlError> {
        let refuse = |rule| UrlError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            rule,
        };
        match name {
            "mode" => match value {
                "rwc" => self.open_mode = OpenMode::Create,
                "rw" => self.open_mode = OpenMode::ReadWrite,
                "ro" => self.open_mode = OpenMode::ReadOnly,
                "memory" => {
                    if !self.is_memory() {
                        self.location = Location::Memory(Some(path.to_owned()));
                    }
                }
                _ => return Err(refuse("rwc, rw, ro or memory")),
            },
            "journal_mode" => {
                let rule =
                    "wal, delete, truncate, persist, memory, off, or keep for the file's own";
                self.journal_mode = journal_mode(value).ok_or_else(|| refuse(rule))?;
            }
            "synchronous" => {
                let rule = "off, normal, full or extra";
                self.synchronous = Some(synchronous(value).ok_or_else(|| refuse(rule))?);
            }
            "busy_timeout" => {
                let rule = "a duration such as 250ms, 5s or 1m";
                self.busy_timeout = duration::parse(value).ok_or_else(|| refuse(rule))?;
            }
            "foreign_keys" => {
                self.foreign_keys = match value {
                    "on" | "true" | "1" => true,
                    "off" | "false" | "0" => false,
                    _ => return Err(refuse("on or off")),
                };
            }
            "cache_size" => {
                let rule = "a number of pages or, negative, of KiB";
                self.cache_size = Some(value.parse().map_err(|_| refuse(rule))?);
            }
            "mmap_size" => {
                self.mmap_size = Some(value.parse().map_err(|_| refuse("a number of bytes"))?);
            }
            "statement_cache" => {
                self.statement_cache = value
                    .parse()
                    .map_err(|_| refuse("a number of statements"))?;
            }
            "query_timeout" => {
                let rule = "a duration such as 500ms, 60s or 5m, or none";
                self.query_timeout = duration::parse_limit(value).ok_or_else(|| refuse(rule))?;
            }
            "validation_query" if value.trim().is_empty() => {
                return Err(refuse("a statement, such as SELECT%201"));
            }
            "validation_query" => value.clone_into(&mut self.validation_query),
            "workers" => {
                self.workers = match value.parse() {
                    Ok(workers) if workers > 0 => workers,
                    _ => return Err(refuse("a number of threads, at least 1")),
                };
            }
            "spare_workers" => {
                self.spare_workers = value.parse().map_err(|_| refuse("a number of threads"))?;
            }
            "reset" => {
                self.reset = match value {
                    "when_changed" => Reset::WhenChanged,
                    "always" => Reset::Always,
                    _ => return Err(refuse("when_changed or always")),
                };
            }
            _ if name.starts_with("pool_") => {
                return Err(UrlError::PoolParameter(name.to_owned()));
            }
            _ => {
                let known = PARAMETERS.join(", ");
                return Err(UrlError::UnknownParameter {
                    name: name.to_owned(),
                    known,
                });
            }
        }
        Ok(())
    }
}

impl FromStr for SqliteConfig {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::from_url(url)
    }
}

fn strip_scheme(url: &str) -> Option<&str> {
    let scheme = url.get(..7)?;
    scheme.eq_ignore_ascii_case("sqlite:").then(|| &url[7..])
}

fn decode(text: &str) -> Result<String, UrlError> {
    let broken = || UrlError::Encoding(text.to_owned());
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

fn journal_mode(value: &str) -> Option<JournalMode> {
    Some(match value.to_ascii_lowercase().as_str() {
        "wal" => JournalMode::Wal,
        "delete" => JournalMode::Delete,
        "truncate" => JournalMode::Truncate,
        "persist" => JournalMode::Persist,
        "memory" => JournalMode::Memory,
        "off" => JournalMode::Off,
        "keep" => JournalMode::Keep,
        _ => return None,
    })
}

fn synchronous(value: &str) -> Option<Synchronous> {
    Some(match value.to_ascii_lowercase().as_str() {
        "off" => Synchronous::Off,
        "normal" => Synchronous::Normal,
        "full" => Synchronous::Full,
        "extra" => Synchronous::Extra,
        _ => return None,
    })
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
            let unknown = matches!(
                SqliteConfig::from_url(&format!("sqlite:a.db?{name}=x")),
                Err(UrlError::UnknownParameter { .. })
            );
            assert!(!unknown, "{name}");
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
        assert!(
            error.contains("begins with `sqlite:`, this one with `postgres:`"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
        assert!(refused("app.db").contains("no scheme"));
    }

    #[test]
    fn a_bad_value_is_refused_with_the_setting_the_value_and_the_rule() {
        assert_eq!(
            refused("sqlite:a.db?mode=write"),
            "mode (`write`) must be rwc, rw, ro or memory"
        );
        assert_eq!(
            refused("sqlite:a.db?workers=0"),
            "workers (`0`) must be a number of threads, at least 1"
        );
        for empty in ["", "%20"] {
            let error = refused(&format!("sqlite:a.db?validation_query={empty}"));
            assert!(
                error.ends_with("must be a statement, such as SELECT%201"),
                "{error}"
            );
        }
        assert!(refused("sqlite:a.db?buzy_timeout=1s").contains("no setting `buzy_timeout`"));
        assert!(refused("sqlite:a.db?pool_max_size=1").contains("PoolConfig::from_url_query"));
        assert!(refused("sqlite:").contains("names no file"));
        assert!(refused("sqlite:a.db?busy_timeout=-1s").contains("must be a duration"));
    }
}
