//! A setting of a backend as text, read as the pool's own settings are.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::ConfigProblem;
use super::value::Value;

/// A parameter of a connection URL, for authors of backends: texts mean the same in all of them, and
/// what cannot be read is told in the same words.
///
/// ```
/// use pool_core::Parameter;
///
/// let parameter = Parameter::new("statement_timeout", "1500ms");
/// assert_eq!(parameter.limit()?.unwrap().as_millis(), 1500);
///
/// let parameter = Parameter::new("mode", "rx");
/// let problem = parameter.one_of(&[("ro", 0), ("rw", 1)]).unwrap_err();
/// assert_eq!(problem.to_string(), "mode (rx) must be ro or rw");
/// # Ok::<(), pool_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    name: String,
    value: String,
}

impl Parameter {
    /// The parameter `name=value`, both decoded.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }

    /// Which setting it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is set to.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// A period, such as `250ms` or `1m30s`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn duration(&self) -> Result<Duration, ConfigProblem> {
        self.read()
    }

    /// A time limit, such as `30s`; `None` for `0`, `none` and `off`.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn limit(&self) -> Result<Option<Duration>, ConfigProblem> {
        self.read()
    }

    /// On or off.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn switch(&self) -> Result<bool, ConfigProblem> {
        self.read()
    }

    /// A whole number, 0 or more.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn count(&self) -> Result<usize, ConfigProblem> {
        self.read()
    }

    /// Whatever has the `form`, the end of "must be …".
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn parse<T: FromStr>(&self, form: impl Display) -> Result<T, ConfigProblem> {
        let value = self.value.trim().parse();
        value.map_err(|_| self.refuse(format!("must be {form}")))
    }

    /// The value that has this name among those that are `known`, in capitals or not.
    ///
    /// # Errors
    ///
    /// When none has.
    pub fn one_of<T: Clone>(&self, known: &[(&str, T)]) -> Result<T, ConfigProblem> {
        let name = self.value.trim();
        let found = known.iter().find(|(it, _)| name.eq_ignore_ascii_case(it));
        let (_, value) = found.ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            let (last, others) = names.split_last().unwrap_or((&"none", &[]));
            self.refuse(format!("must be {} or {last}", others.join(", ")))
        })?;
        Ok(value.clone())
    }

    /// SQL, at least a word of it.
    ///
    /// # Errors
    ///
    /// When it is blank.
    pub fn sql(&self) -> Result<&str, ConfigProblem> {
        match self.value.trim() {
            "" => Err(self.refuse("must be a statement, such as SELECT%201")),
            _ => Ok(&self.value),
        }
    }

    /// The problem that it breaks `rule`, the rest of a sentence that begins with its name and value.
    pub fn refuse(&self, rule: impl Display) -> ConfigProblem {
        ConfigProblem::new(&self.name, &self.value, rule)
    }

    /// The problem that nobody has taken it out who knows it: the pool's parameters are not the
    /// connections'.
    pub fn refuse_as_of_pool(&self) -> ConfigProblem {
        self.refuse(
            "is a setting of the pool: read the URL with `PoolConfig::from_url_query`, which takes those \
             out",
        )
    }

    fn read<T: Value>(&self) -> Result<T, ConfigProblem> {
        let value = T::read(&self.value);
        value.ok_or_else(|| self.refuse(format!("must be {}", T::FORM)))
    }
}

/// The name and the value, as [`take_parameters`](crate::url::take_parameters) gives them.
impl From<(String, String)> for Parameter {
    fn from((name, value): (String, String)) -> Self {
        Self { name, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(value: &str) -> Parameter {
        Parameter::new("it", value)
    }

    #[test]
    fn a_value_is_read_as_one_of_the_pools_own_would_be() {
        let it = parameter("250ms");
        assert_eq!((it.name(), it.value()), ("it", "250ms"));
        assert_eq!(it.duration().unwrap().as_millis(), 250);
        assert_eq!(parameter("0s").duration().unwrap(), Duration::ZERO);
        for none in ["0", "0s", "none", "OFF"] {
            assert_eq!(parameter(none).limit().unwrap(), None, "{none}");
        }
        assert!(parameter("yes").switch().unwrap());
        assert_eq!(parameter(" 7 ").count().unwrap(), 7);
        assert_eq!(parameter("-7").parse::<i64>("a number").unwrap(), -7);
        assert_eq!(parameter("B").one_of(&[("a", 1), ("b", 2)]).unwrap(), 2);
        assert_eq!(parameter("SELECT 1").sql().unwrap(), "SELECT 1");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_name_value_and_rule() {
        let told = |problem: ConfigProblem| problem.to_string();
        let it = parameter("-1s");
        for problem in [it.duration().unwrap_err(), it.limit().unwrap_err()] {
            assert!(told(problem).starts_with("it (-1s) must be a duration"));
        }
        let many = told(parameter("many").count().unwrap_err());
        assert_eq!(many, "it (many) must be a whole number, 0 or more");
        let maybe = told(parameter("maybe").switch().unwrap_err());
        assert_eq!(maybe, "it (maybe) must be true or false, on or off");
        let half = told(parameter("½").parse::<i64>("a number").unwrap_err());
        assert_eq!(half, "it (½) must be a number");
        let other = parameter("d").one_of(&[("a", ()), ("b", ()), ("c", ())]);
        assert_eq!(told(other.unwrap_err()), "it (d) must be a, b or c");
        let blank = told(parameter("  ").sql().unwrap_err());
        assert_eq!(blank, "it (  ) must be a statement, such as SELECT%201");
    }
}
