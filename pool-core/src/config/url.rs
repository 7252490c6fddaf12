//! Settings from the query of a connection URL:
//! `postgres://host/db?sslmode=require&pool_max_size=20`.
//!
//! Parameters whose names begin with `pool_` are the pool's; they are taken out, and everything
//! else goes to the driver byte for byte.

use super::reader::Reader;
use super::{ConfigError, PoolConfig};
use crate::url;

const PREFIX: &str = "pool_";

impl PoolConfig {
    /// The defaults, changed by the `pool_…` parameters of `url`, and the URL without them.
    ///
    /// Names are those of the fields; values may be percent-encoded. Where only `pool_max_size` is
    /// given, the default of `min_size` gives way to it.
    ///
    /// ```
    /// use pool_core::PoolConfig;
    ///
    /// let url = "postgres://host/db?sslmode=require&pool_max_size=20";
    /// let (config, url) = PoolConfig::from_url_query(url)?;
    /// assert_eq!(config.max_size, 20);
    /// assert_eq!(url, "postgres://host/db?sslmode=require");
    /// # Ok::<(), pool_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read, every unknown `pool_…` parameter and every broken
    /// rule at once. The rest of the URL, and with it a password, is in no message.
    pub fn from_url_query(url: &str) -> Result<(Self, String), ConfigError> {
        let (reader, rest) = read(Self::default(), url);
        Ok((reader.into_valid_config()?, rest))
    }

    /// This config, changed by the `pool_…` parameters of `url`, and the URL without them.
    ///
    /// For layers: the rules are not checked here, for the next layer may still change what they
    /// compare; building the pool and [`validate`](Self::validate) do.
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read and every unknown `pool_…` parameter at once.
    pub fn merge_url_query(self, url: &str) -> Result<(Self, String), ConfigError> {
        let (reader, rest) = read(self, url);
        Ok((reader.into_config()?, rest))
    }
}

fn read(base: PoolConfig, url: &str) -> (Reader<impl Fn(&str) -> String>, String) {
    let mut reader = Reader::new(base, |name| format!("{PREFIX}{name}"));
    let (ours, rest) = url::take_parameters(url, |name| name.starts_with(PREFIX));
    for (name, text) in ours {
        reader.read(&name[PREFIX.len()..], &text);
    }
    (reader, rest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_of_the_pool_are_taken_out_and_the_rest_stays_byte_for_byte() {
        for (url, rest) in [
            ("postgres://h/db", "postgres://h/db"),
            ("postgres://h/db?", "postgres://h/db?"),
            ("postgres://h/db?pool_max_size=20", "postgres://h/db"),
            (
                "postgres://h/db?a=%41&pool_max_size=20&b=c+d",
                "postgres://h/db?a=%41&b=c+d",
            ),
            ("postgres://h/db?pool_max_size=20&&x", "postgres://h/db?&x"),
            (
                "postgres://u:p#%3F@h,i:5/db?pool_max_size=20",
                "postgres://u:p#%3F@h,i:5/db",
            ),
            (
                "postgres://u:p?w@h/db?a=b&pool_max_size=20",
                "postgres://u:p?w@h/db?a=b",
            ),
            (
                "postgres://h/db?pool_max_size=20&a=b?c",
                "postgres://h/db?a=b?c",
            ),
            ("host=h user=u", "host=h user=u"),
        ] {
            let (config, read) = PoolConfig::from_url_query(url).unwrap();
            assert_eq!(read, rest);
            assert_eq!(
                config.max_size,
                if url.contains("pool_") { 20 } else { 10 },
                "{url}"
            );
        }
    }

    #[test]
    fn names_and_values_are_percent_decoded() {
        let url = "x:y?pool%5Fname=caf%C3%A9%20%26+co&pool_lifetime_jitter=10%&pool_reuse=fif%6F";
        let (config, rest) = PoolConfig::from_url_query(url).unwrap();
        assert_eq!(config.name.as_deref(), Some("café &+co"));
        assert_eq!(config.lifetime_jitter.to_string(), "0.1");
        assert_eq!(rest, "x:y");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_and_nothing_of_the_rest() {
        let url = "postgres://u:secret@h/db?pool_min=3&pool_max_size=x&pool_keepalive&password=\
                   hidden&pool_min_idle=11";
        let told = PoolConfig::from_url_query(url).unwrap_err().to_string();
        assert!(
            told.starts_with("3 settings are wrong: pool_min (…) is not a setting"),
            "{told}"
        );
        assert!(
            told.contains("the nearest is pool_min_size; pool_max_size (x) must"),
            "{told}"
        );
        assert!(
            told.contains("; pool_keepalive () must be a duration"),
            "{told}"
        );
        assert!(
            !told.contains("secret") && !told.contains("hidden"),
            "{told}"
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let told = PoolConfig::from_url_query("x?pool_max_size=5&pool_max_size=6").unwrap_err();
        assert_eq!(told.to_string(), "pool_max_size (6) is given a second time");
    }

    #[test]
    fn a_url_goes_above_a_config() {
        let base = PoolConfig {
            keepalive: None,
            ..PoolConfig::default()
        };
        let (config, _) = base.merge_url_query("x?pool_acquire_timeout=5s").unwrap();
        assert_eq!(config.keepalive, None);
        assert_eq!(config.acquire_timeout, Some(Duration::from_secs(5)));
    }

    proptest! {
        #[test]
        fn a_url_without_parameters_of_the_pool_is_left_alone(url in "\\PC*") {
            prop_assume!(!url.to_lowercase().contains("ool"));
            let (config, rest) = PoolConfig::from_url_query(&url).unwrap();
            prop_assert_eq!(rest, url);
            prop_assert_eq!(config, PoolConfig::default());
        }

        #[test]
        fn no_url_panics(query in "(pool_[a-z_]{0,9}=?[%0-9a-f]{0,6}&?){0,4}") {
            let _ = PoolConfig::from_url_query(&format!("x?{query}"));
        }
    }
}
