//! The config as a whole: its rules, and that table, struct, page and files are one.

use std::time::Duration;
use std::{env, fs};

use proptest::prelude::*;

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");

const ABOUT: &str = "\
# Settings

Each setting is a method of the builder, a field of `PoolConfig`, a variable of the environment, a
parameter of a connection URL (`pool_` and its name) and, with the feature `serde`, an entry of a
file. A later source goes above an earlier one; all that is wrong is reported at once, before a
connection is opened.

A duration is `250ms`, `30s`, `5m`, `1h30m`, or a number of seconds such as `30` or `0.25`. A time
limit of `0`, `none` or `off` never ends. `POOL_LEAK_DETECTION=false` switches the leak watch off
as `POOL_LEAK_THRESHOLD=none` does.

A URL's parameters are read by `PoolConfig::from_url_query`, which returns the URL without them; the
backends' own `from_url` refuse them. `DATABASE_URL` names no setting of a pool: the application
hands it to its backend, such as `PgManager::from_url(&std::env::var(\"DATABASE_URL\")?)`.

```rust
use pool_postgres::pool_core::PoolConfig;
use pool_postgres::{PgManager, Pool};

let config = PoolConfig::from_env()?; // POOL_MAX_SIZE, POOL_ACQUIRE_TIMEOUT and so on
let manager = PgManager::from_url(&std::env::var(\"DATABASE_URL\")?)?;
let pool = Pool::builder(manager).config(config).build()?;
```

`PoolConfig::from_env_prefixed(\"APP_POOL\")` reads `APP_POOL_MAX_SIZE` instead of `POOL_MAX_SIZE`,
and so on.

<!-- Made from the code: UPDATE_DOCS=1 cargo test -p pool-core --all-features settings -->

| setting | default | unit | rule | environment | meaning |
| --- | --- | --- | --- | --- | --- |
";

fn page() -> String {
    let rows = SETTINGS.iter().map(|setting| {
        let settings::Row {
            variable,
            meaning,
            default,
            unit,
            rule,
        } = setting.row;
        let name = setting.name;
        let meaning = meaning.trim();
        format!("| `{name}` | `{default}` | {unit} | {rule} | `{variable}` | {meaning} |\n")
    });
    ABOUT.to_owned() + &rows.collect::<String>()
}

fn problems(config: &PoolConfig) -> Vec<String> {
    let error = config.validate().unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn the_page_of_settings_says_what_the_code_does() {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, page()).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert_eq!(
        written,
        page(),
        "run with UPDATE_DOCS=1 to write docs/settings.md anew"
    );
}

#[test]
fn the_default_in_the_table_of_settings_is_the_default_of_the_field() {
    let default = PoolConfig::default();
    for setting in SETTINGS {
        let mut config = default.clone();
        assert_eq!(
            (setting.read)(&mut config, setting.row.default),
            Ok(()),
            "{}",
            setting.name
        );
        assert_eq!(config, default, "{}", setting.name);
    }
}

#[test]
fn every_variable_of_the_settings_is_named_after_its_setting() {
    for setting in SETTINGS {
        assert_eq!(
            setting.row.variable,
            format!("POOL_{}", setting.name.to_uppercase())
        );
    }
}

#[test]
fn no_name_from_elsewhere_is_a_setting_or_stands_for_two() {
    let mut seen: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    for name in SETTINGS.iter().flat_map(|setting| setting.elsewhere) {
        assert!(!seen.contains(name), "{name}");
        seen.push(name);
    }
}

#[test]
fn the_defaults_keep_every_rule() {
    assert_eq!(PoolConfig::default().validate(), Ok(()));
}

#[test]
fn every_broken_rule_is_told_at_once() {
    let config = PoolConfig {
        min_size: 10,
        max_size: 5,
        min_idle: 6,
        max_connecting: 0,
        lifetime_jitter: 1.5,
        keepalive: Some(Duration::MAX),
        validation: Validation::WhenIdleFor(Duration::MAX),
        name: Some(String::new()),
        ..PoolConfig::default()
    };
    let longest = "5124095576030431h15s999ms999us999ns";
    assert_eq!(
        problems(&config),
        [
            "min_size (10) cannot be greater than max_size (5)",
            "min_idle (6) cannot be greater than max_size (5)",
            "lifetime_jitter (1.5) must be from 0 to 1 (0% to 100%)",
            &format!("validation (when_idle_for({longest})) must be at most 10 years"),
            &format!("keepalive ({longest}) must be at most 10 years"),
            "max_connecting (0) must be at least 1",
            "name () must have 1 to 100 characters, no control characters, not `none`",
        ]
    );
}

#[test]
fn the_rules_of_scaling_and_of_delays_are_told_with_what_they_compare() {
    let config = PoolConfig {
        scale_up_above: 0.5,
        scale_down_below: 0.5,
        scale_target: 0.5,
        scale_step: 0.0,
        shedding_target: Duration::ZERO,
        ..PoolConfig::default()
    };
    let told = problems(&config);
    for problem in [
        "scale_up_above (0.5) must be above scale_target (0.5)",
        "scale_down_below (0.5) must be below scale_target (0.5)",
        "scale_step (0) must be above 0",
        "shedding_target (0s) must be at least 1 ms",
    ] {
        assert!(told.iter().any(|other| other == problem), "{told:?}");
    }
}

#[test]
fn the_size_of_a_pool_has_two_ends() {
    let sized = |max_size| PoolConfig {
        min_size: 0,
        max_size,
        ..PoolConfig::default()
    };
    assert_eq!(problems(&sized(0)), ["max_size (0) must be at least 1"]);
    assert_eq!(
        problems(&sized(1_000_001)),
        ["max_size (1000001) must be at most 1000000"]
    );
    assert_eq!(sized(1).validate(), Ok(()));
    assert_eq!(sized(1_000_000).validate(), Ok(()));
}

#[test]
fn a_fraction_outside_its_range_is_refused() {
    for lifetime_jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let config = PoolConfig {
            lifetime_jitter,
            ..PoolConfig::default()
        };
        assert_eq!(problems(&config).len(), 1, "{lifetime_jitter}");
    }
}

#[test]
fn a_limit_of_zero_is_none() {
    let config = PoolConfig {
        acquire_timeout: Some(Duration::ZERO),
        max_uses: Some(0),
        max_waiting: Some(0),
        validation: Validation::WhenIdleFor(Duration::ZERO),
        ..PoolConfig::default()
    };
    let checked = config.checked(true).unwrap();
    assert_eq!(checked.acquire_timeout, None);
    assert_eq!(checked.max_uses, None);
    assert_eq!(checked.max_waiting, Some(0), "it may not wait at all");
    assert_eq!(checked.validation, Validation::Always);
}

#[test]
fn only_a_minimum_that_nobody_chose_gives_way() {
    let config = PoolConfig {
        max_size: 1,
        ..PoolConfig::default()
    };
    assert_eq!(config.clone().checked(false).unwrap().min_size, 1);
    assert!(config.checked(true).is_err());
    let chosen = PoolConfig {
        min_size: 5,
        max_size: 1,
        ..PoolConfig::default()
    };
    assert!(chosen.checked(false).is_err());
}

#[test]
fn validation_is_read_in_each_of_its_forms() {
    let read = |text| <Validation as value::Value>::read(text);
    let one = Validation::WhenIdleFor(Duration::from_secs(1));
    assert_eq!(read("Always"), Some(Validation::Always));
    assert_eq!(read("never"), Some(Validation::Never));
    assert_eq!(read("when_idle_for(1s)"), Some(one));
    assert_eq!(read("1"), Some(one));
    for text in [
        "0",
        "0s",
        "none",
        "off",
        "when_idle_for()",
        "when_idle_for(1s",
        "1s)",
        "",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn validation_without_delay_is_written_as_always() {
    let at_once = Validation::WhenIdleFor(Duration::ZERO);
    assert_eq!(at_once.to_string(), "always");
    let shown = value::Value::show(&at_once).to_string();
    let read = <Validation as value::Value>::read(&shown);
    assert_eq!(read, Some(Validation::Always));
}

fn time_limit() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((1..u64::MAX).prop_map(Duration::from_nanos))
}

prop_compose! {
    fn any_config()(
        sizes: [usize; 4],
        (acquire_timeout, max_lifetime, leak_threshold) in (time_limit(), time_limit(), time_limit()),
        lifetime_jitter in 0.0..=1.0,
        max_uses in proptest::option::of(1..u64::MAX),
        max_waiting: Option<usize>,
        validation in prop_oneof![
            Just(Validation::Always),
            Just(Validation::Never),
            (1..u64::MAX).prop_map(|nanos| Validation::WhenIdleFor(Duration::from_nanos(nanos))),
        ],
        reuse in prop_oneof![Just(Reuse::Lifo), Just(Reuse::Fifo)],
        name in proptest::option::of("\\PC{1,9}"),
    ) -> PoolConfig {
        let [min_size, max_size, min_idle, max_connecting] = sizes;
        PoolConfig {
            min_size, max_size, min_idle, max_connecting, acquire_timeout, max_lifetime,
            leak_threshold, lifetime_jitter, max_uses, max_waiting, validation, reuse,
            name: name
                .map(|name| name.trim().to_owned())
                .filter(|name| !["", "none"].contains(&name.as_str())),
            ..PoolConfig::default()
        }
    }
}

#[test]
fn blanks_around_a_name_are_no_part_of_it() {
    let named = |name: &str| {
        let name = Some(name.to_owned());
        let default = PoolConfig::default();
        PoolConfig { name, ..default }.checked(true)
    };
    let config = named(" orders\t").unwrap();
    assert_eq!(config.name.as_deref(), Some("orders"));
    assert!(named(" none ").is_err() && named(" ").is_err());
}

proptest! {
    #[test]
    fn what_a_setting_shows_it_reads_back(config in any_config()) {
        let mut read = PoolConfig::default();
        for setting in SETTINGS {
            let shown = (setting.show)(&config).to_string();
            prop_assert_eq!((setting.read)(&mut read, &shown), Ok(()));
        }
        prop_assert_eq!(read, config);
    }

    #[test]
    fn no_text_makes_a_setting_panic(text in "\\PC*") {
        for setting in SETTINGS {
            let mut config = PoolConfig::default();
            if (setting.read)(&mut config, &text).is_ok() {
                let _ = config.checked(true);
            }
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_file_holds_every_setting_and_reads_back(config in any_config()) {
        prop_assume!(config.max_size >= 2);
        let written = serde_json::to_value(&config).unwrap();
        let mut names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        let mut fields: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        prop_assert_eq!(fields, names);
        prop_assert_eq!(serde_json::from_value::<PoolConfig>(written).unwrap(), config);
    }
}
