//! The rules of single settings that their type has not, and the rules between two.

use super::{ConfigProblem, PoolConfig, SETTINGS};

/// A sane end for the number of connections: a larger one is a slip of the keyboard.
const MOST_CONNECTIONS: usize = 1_000_000;

/// What must hold for one setting.
struct Rule {
    setting: &'static str,
    /// The setting it is compared with.
    against: Option<&'static str>,
    holds: fn(&PoolConfig) -> bool,
    /// The rule as the rest of a sentence.
    says: fn(&PoolConfig) -> String,
}

const RULES: [Rule; 8] = [
    Rule {
        setting: "max_size",
        against: None,
        holds: |config| config.max_size >= 1,
        says: |_| "must be at least 1".to_owned(),
    },
    Rule {
        setting: "max_size",
        against: None,
        holds: |config| config.max_size <= MOST_CONNECTIONS,
        says: |_| format!("must be at most {MOST_CONNECTIONS}"),
    },
    Rule {
        setting: "min_size",
        against: Some("max_size"),
        holds: |config| config.min_size <= config.max_size,
        says: |config| format!("cannot be greater than max_size ({})", config.max_size),
    },
    Rule {
        setting: "min_idle",
        against: Some("max_size"),
        holds: |config| config.min_idle <= config.max_size,
        says: |config| format!("cannot be greater than max_size ({})", config.max_size),
    },
    Rule {
        setting: "max_connecting",
        against: None,
        holds: |config| config.max_connecting >= 1,
        says: |_| "must be at least 1".to_owned(),
    },
    Rule {
        setting: "scale_up_above",
        against: Some("scale_target"),
        holds: |config| config.scale_up_above > config.scale_target,
        says: |config| format!("must be above scale_target ({})", config.scale_target),
    },
    Rule {
        setting: "scale_down_below",
        against: Some("scale_target"),
        holds: |config| config.scale_down_below < config.scale_target,
        says: |config| format!("must be below scale_target ({})", config.scale_target),
    },
    Rule {
        setting: "scale_step",
        against: None,
        holds: |config| config.scale_step > 0.0,
        says: |_| "must be above 0".to_owned(),
    },
];

/// Every rule that `config` breaks, in the order of the settings; rules that look at a setting in
/// `except` are not asked.
pub(super) fn problems(config: &PoolConfig, except: &[&str]) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for setting in SETTINGS
        .iter()
        .filter(|setting| !except.contains(&setting.name))
    {
        let broken = RULES.iter().filter(|rule| {
            rule.setting == setting.name
                && !rule.against.is_some_and(|other| except.contains(&other))
                && !(rule.holds)(config)
        });
        let rules = (setting.broken_rule)(config).into_iter();
        for rule in rules.chain(broken.map(|rule| (rule.says)(config))) {
            problems.push(ConfigProblem::new(
                setting.name,
                (setting.show)(config),
                rule,
            ));
        }
    }
    problems
}
