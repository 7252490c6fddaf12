//! What is wrong with a configuration: every problem at once, each with the setting, its value
//! and the rule it breaks, so that an operator corrects a file once and not once for each line.

use std::error::Error;
use std::fmt::{self, Display};

/// One setting that cannot be used as it is.
///
/// Displays as one line such as `min_size (10) cannot be greater than max_size (5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    setting: String,
    value: String,
    rule: String,
}

impl ConfigProblem {
    /// A problem with the `setting`, which has this `value` and breaks this `rule`.
    ///
    /// The three read as one sentence: `max_size (0) must be at least 1`. A value is shown on one
    /// line and cut when it is long. Never put a password in it.
    pub fn new(setting: impl Display, value: impl Display, rule: impl Display) -> Self {
        Self {
            setting: legible(&setting.to_string()),
            value: legible(&value.to_string()),
            rule: rule.to_string(),
        }
    }

    /// The setting by the name under which it was given: `max_size` in code and files,
    /// `POOL_MAX_SIZE` in the environment, `pool_max_size` in a URL.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Its value, as it was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The rule it breaks, as the rest of a sentence: `must be at least 1`.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) {}", self.setting, self.value, self.rule)
    }
}

/// A configuration that cannot be used, with [all that is wrong with it](Self::problems).
///
/// Displays on one line: a single problem as it is, several with their number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// Never empty: only [`Self::unless_empty`] and a single problem make one.
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// All that is wrong, at least one problem.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// `value`, unless there are problems.
    pub(crate) fn unless_empty<T>(problems: Vec<ConfigProblem>, value: T) -> Result<T, Self> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(Self { problems })
        }
    }
}

impl From<ConfigProblem> for ConfigError {
    fn from(problem: ConfigProblem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problems.len() > 1 {
            write!(f, "{} settings are wrong: ", self.problems.len())?;
        }
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}

/// `text` on one line of a log, and no longer than somebody reads.
fn legible(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut line = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST {
            line.push('…');
            break;
        }
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_reads_as_a_sentence() {
        let error = ConfigError::from(ConfigProblem::new("max_size", 0, "must be at least 1"));
        assert_eq!(error.to_string(), "max_size (0) must be at least 1");
    }

    #[test]
    fn several_problems_are_counted_and_read_on_one_line() {
        let problems = vec![
            ConfigProblem::new("max_size", 0, "must be at least 1"),
            ConfigProblem::new("max_connecting", 0, "must be at least 1"),
        ];
        let error = ConfigError::unless_empty(problems, ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 settings are wrong: max_size (0) must be at least 1; \
             max_connecting (0) must be at least 1"
        );
    }

    #[test]
    fn a_value_cannot_break_the_line_or_flood_it() {
        let problem = ConfigProblem::new("name", format!("a\nb{}", "x".repeat(500)), "is long");
        assert!(problem.value().starts_with("a\\nb"));
        assert!(problem.value().chars().count() < 100);
        assert_eq!(problem.setting(), "name");
        assert_eq!(problem.rule(), "is long");
    }
}
