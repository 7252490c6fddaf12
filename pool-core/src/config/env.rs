//! Settings from environment variables.
//!
//! Each setting is the prefix, an underscore, and its name in capitals: `POOL_MAX_SIZE`. A
//! mistyped variable must not be silent, so under a prefix of the user's own every unknown name is
//! refused. Under the bare `POOL`, which other programs may use as well, only a name that is
//! clearly meant for us is: another pool's word for one of our settings, or one of our names with
//! one letter in three wrong, two at most.

use std::env;
use std::ffi::OsString;

use super::reader::Reader;
use super::value::Value;
use super::{ConfigError, ConfigProblem, PoolConfig, names};

const SHARED_PREFIX: &str = "POOL";
const LEAK_DETECTION: &str = "leak_detection";

impl PoolConfig {
    /// The defaults, changed by the variables `POOL_MIN_SIZE`, `POOL_MAX_SIZE`,
    /// `POOL_ACQUIRE_TIMEOUT` and so on: one for each setting, its name in capitals.
    ///
    /// What is unset keeps its default; where only `POOL_MAX_SIZE` is set, the default of
    /// `min_size` gives way to it. `POOL_LEAK_DETECTION=false` is the same as
    /// `POOL_LEAK_THRESHOLD=none`. A variable of an unknown name is refused when it is nearly the
    /// name of a setting (`POOL_MAX_SZE`) or another pool's name for one (`POOL_MAX_CONNECTIONS`),
    /// and otherwise left to the program it is meant for.
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read and every broken rule at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_env_prefixed(SHARED_PREFIX)
    }

    /// As [`from_env`](Self::from_env), with a prefix of your own: `APP_POOL` reads
    /// `APP_POOL_MAX_SIZE`.
    ///
    /// Nothing else may use the prefix: every variable that begins with it and is no setting is
    /// refused. (`POOL` is not your own: it is read as [`from_env`](Self::from_env) does.)
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read, every unknown variable and every broken rule at
    /// once.
    pub fn from_env_prefixed(prefix: &str) -> Result<Self, ConfigError> {
        read(Self::default(), prefix, process_environment())?.into_valid_config()
    }

    /// This config, changed by the variables under `prefix`.
    ///
    /// For layers, such as a file below and the environment above it. The rules are not checked
    /// here, for the next layer may still change what they compare; building the pool and
    /// [`validate`](Self::validate) do.
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read and every unknown variable at once.
    pub fn merge_env(self, prefix: &str) -> Result<Self, ConfigError> {
        self.merge_variables(prefix, process_environment())
    }

    /// As [`merge_env`](Self::merge_env), from variables you have: a file of them, or a test's.
    ///
    /// # Errors
    ///
    /// Lists every value that cannot be read and every unknown variable at once.
    pub fn merge_variables<N, T>(
        self,
        prefix: &str,
        variables: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, ConfigError>
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        read(self, prefix, variables)?.into_config()
    }
}

fn read<N: AsRef<str>, T: AsRef<str>>(
    base: PoolConfig,
    prefix: &str,
    variables: impl IntoIterator<Item = (N, T)>,
) -> Result<Reader<impl Fn(&str) -> String>, ConfigError> {
    let prefix = prefix.trim_end_matches('_');
    if prefix.is_empty() {
        return Err(ConfigProblem::new("prefix", "", "must name what is the pool's").into());
    }
    let mut named: Vec<(String, T)> = Vec::new();
    for (variable, text) in variables {
        let rest = variable.as_ref().strip_prefix(prefix);
        if let Some(name) = rest.and_then(|rest| rest.strip_prefix('_')) {
            named.push((name.to_ascii_lowercase(), text));
        }
    }
    // The environment has no order of its own; what is reported has one.
    named.sort_by(|(name, _), (other, _)| name.cmp(other));

    let mut reader = Reader::new(base, move |name| {
        format!("{prefix}_{}", name.to_ascii_uppercase())
    });
    let mut detects_leaks = None;
    for (name, text) in &named {
        let text = text.as_ref();
        if name == LEAK_DETECTION {
            detects_leaks = <bool as Value>::read(text);
            if detects_leaks.is_none() {
                reader.refuse(name, text, "must be true or false");
            }
        } else if prefix != SHARED_PREFIX || names::find(name).is_some() || names::is_slip(name) {
            reader.read(name, text);
        }
    }
    match detects_leaks {
        Some(false) => reader.change(|config| config.leak_threshold = None),
        Some(true) if !reader.is_given("leak_threshold") => reader.change(|config| {
            let default = PoolConfig::default().leak_threshold;
            config.leak_threshold = config.leak_threshold.or(default);
        }),
        _ => {}
    }
    Ok(reader)
}

/// The variables of this process; what is not Unicode has its bad parts replaced, for only a
/// variable that is ours may be an error.
fn process_environment() -> impl Iterator<Item = (String, String)> {
    let text = |raw: OsString| raw.to_string_lossy().into_owned();
    env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Reuse, Validation};

    fn from(prefix: &str, variables: &[(&str, &str)]) -> Result<PoolConfig, ConfigError> {
        read(PoolConfig::default(), prefix, variables.iter().copied())?.into_valid_config()
    }

    fn problems(prefix: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let error = from(prefix, variables).unwrap_err();
        error.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_unset_keeps_its_default() {
        assert_eq!(from("POOL", &[]), Ok(PoolConfig::default()));
        assert_eq!(
            from("POOL", &[("PATH", "/bin"), ("POOL", "x")]),
            Ok(PoolConfig::default())
        );
    }

    #[test]
    fn each_setting_is_read_from_its_variable() {
        let config = from(
            "POOL",
            &[
                ("POOL_MIN_SIZE", "5"),
                ("POOL_MAX_SIZE", " 20 "),
                ("POOL_ACQUIRE_TIMEOUT", "30.5"),
                ("POOL_MAX_LIFETIME", "1h30m"),
                ("POOL_IDLE_TIMEOUT", "off"),
                ("POOL_MAX_USES", "0"),
                ("POOL_MAX_WAITING", "0"),
                ("POOL_LIFETIME_JITTER", "25%"),
                ("POOL_VALIDATION", "when_idle_for(250ms)"),
                ("POOL_REUSE", "FIFO"),
                ("POOL_NAME", " orders "),
            ],
        )
        .unwrap();
        assert_eq!((config.min_size, config.max_size), (5, 20));
        assert_eq!(config.acquire_timeout, Some(Duration::from_millis(30_500)));
        assert_eq!(config.max_lifetime, Some(Duration::from_secs(5400)));
        assert_eq!(config.idle_timeout, None);
        assert_eq!(config.max_uses, None);
        assert_eq!(config.max_waiting, Some(0));
        assert_eq!(config.lifetime_jitter.to_string(), "0.25");
        assert_eq!(
            config.validation,
            Validation::WhenIdleFor(Duration::from_millis(250))
        );
        assert_eq!(config.reuse, Reuse::Fifo);
        assert_eq!(config.name.as_deref(), Some("orders"));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_in_the_words_of_the_environment() {
        assert_eq!(
            problems(
                "POOL",
                &[
                    ("POOL_MIN_SIZE", "-1"),
                    ("POOL_MAX_SIZE", "ten"),
                    ("POOL_MAX_SZE", "20"),
                    ("POOL_IDLE_TIMEOUT", "10 minutes"),
                    ("POOL_MAX_CONNECTING", "0"),
                ]
            ),
            [
                "POOL_IDLE_TIMEOUT (10 minutes) must be a duration such as 250ms, 30s, 5m, 1h30m \
                 or a number of seconds; 0, none or off for no limit",
                "POOL_MAX_SIZE (ten) must be a whole number, 0 or more",
                "POOL_MAX_SZE (…) is not a setting of the pool; the nearest is POOL_MAX_SIZE",
                "POOL_MIN_SIZE (-1) must be a whole number, 0 or more",
                "max_connecting (0) must be at least 1",
            ]
        );
    }

    #[test]
    fn a_rule_between_two_settings_is_told_with_both_values() {
        let error = from("POOL", &[("POOL_MIN_SIZE", "10"), ("POOL_MAX_SIZE", "5")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "min_size (10) cannot be greater than max_size (5)"
        );
    }

    #[test]
    fn a_rule_does_not_speak_of_a_value_that_could_not_be_read() {
        assert_eq!(
            problems("POOL", &[("POOL_MIN_SIZE", "50"), ("POOL_MAX_SIZE", "1OO")]),
            ["POOL_MAX_SIZE (1OO) must be a whole number, 0 or more"]
        );
    }

    #[test]
    fn the_default_minimum_gives_way_to_a_smaller_maximum() {
        let config = from("POOL", &[("POOL_MAX_SIZE", "1")]).unwrap();
        assert_eq!((config.min_size, config.max_size), (1, 1));
        assert_eq!(
            problems("POOL", &[("POOL_MAX_SIZE", "1"), ("POOL_MIN_SIZE", "2")]),
            ["min_size (2) cannot be greater than max_size (1)"]
        );
        assert_eq!(
            problems("POOL", &[("POOL_MAX_SIZE", "0")]),
            ["max_size (0) must be at least 1"]
        );
    }

    #[test]
    fn the_shared_prefix_leaves_to_others_what_is_no_slip() {
        let theirs = [
            ("POOL_TEMPERATURE", "28"),
            ("POOL_DIR", "/tmp"),
            ("POOLS_MAX_SIZE", "x"),
        ];
        assert_eq!(from("POOL", &theirs), Ok(PoolConfig::default()));
        assert_eq!(
            problems("POOL", &[("POOL_MAX_CONNECTIONS", "20")]),
            ["POOL_MAX_CONNECTIONS (…) is not a setting of the pool; the nearest is POOL_MAX_SIZE"]
        );
    }

    #[test]
    fn a_prefix_of_ones_own_has_no_unknown_variable() {
        let config = from(
            "APP_POOL",
            &[("APP_POOL_MAX_SIZE", "20"), ("POOL_MAX_SIZE", "x")],
        );
        assert_eq!(config.unwrap().max_size, 20);
        assert_eq!(
            problems("APP_POOL_", &[("APP_POOL_TEMPERATUR", "28")]).len(),
            1,
            "with or without the last underscore"
        );
    }

    #[test]
    fn the_value_of_an_unknown_variable_is_not_shown() {
        let told = problems(
            "APP",
            &[("APP_DATABASE_URL", "postgres://u:secret@host/db")],
        );
        assert!(!told[0].contains("secret"), "{told:?}");
    }

    #[test]
    fn leak_detection_switches_the_threshold() {
        let threshold =
            |variables: &[(&str, &str)]| from("POOL", variables).unwrap().leak_threshold;
        let (on, off) = (
            ("POOL_LEAK_DETECTION", "True"),
            ("POOL_LEAK_DETECTION", "false"),
        );
        let five = ("POOL_LEAK_THRESHOLD", "5");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(threshold(&[off]), None);
        assert_eq!(threshold(&[off, five]), None);
        assert_eq!(threshold(&[on]), seconds(30));
        assert_eq!(threshold(&[on, five]), seconds(5));
        assert_eq!(threshold(&[on, ("POOL_LEAK_THRESHOLD", "0")]), None);
        assert_eq!(
            problems("POOL", &[("POOL_LEAK_DETECTION", "maybe")]),
            ["POOL_LEAK_DETECTION (maybe) must be true or false"]
        );
    }

    #[test]
    fn leak_detection_brings_back_the_threshold_a_file_had_switched_off() {
        let base = PoolConfig {
            leak_threshold: None,
            ..PoolConfig::default()
        };
        let config = base
            .merge_variables("POOL", [("POOL_LEAK_DETECTION", "1")])
            .unwrap();
        assert_eq!(config.leak_threshold, Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_layer_above_may_still_mend_what_a_rule_compares() {
        let below = PoolConfig::default()
            .merge_variables("A", [("A_MIN_SIZE", "20")])
            .unwrap();
        assert!(below.validate().is_err());
        let above = below.merge_variables("B", [("B_MAX_SIZE", "50")]).unwrap();
        assert_eq!((above.min_size, above.max_size), (20, 50));
        assert_eq!(above.validate(), Ok(()));
    }

    #[test]
    fn an_empty_prefix_is_refused() {
        assert!(
            PoolConfig::default()
                .merge_variables("_", [("PATH", "/bin")])
                .is_err()
        );
    }

    #[test]
    fn the_environment_of_the_process_is_read() {
        // Cargo sets it for every test; it can be no setting.
        let error = PoolConfig::from_env_prefixed("CARGO_PKG_RUST").unwrap_err();
        assert!(
            error.to_string().contains("CARGO_PKG_RUST_VERSION"),
            "{error}"
        );
        assert!(PoolConfig::default().merge_env("CARGO_PKG_RUST").is_err());
    }
}
