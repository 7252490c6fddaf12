//! Sets what is given by name and text, and collects all that is wrong on the way.
//!
//! A problem never hides another: a text that cannot be read leaves its setting as it was, and
//! the rules that look at such a setting are not asked, for they would speak of a value nobody
//! gave.

use std::fmt::Display;

use super::{ConfigError, ConfigProblem, PoolConfig, names, rules};

/// Reads one source of settings, which writes the setting `name` as `spell(name)`.
pub(super) struct Reader<S> {
    config: PoolConfig,
    spell: S,
    given: Vec<&'static str>,
    unread: Vec<&'static str>,
    problems: Vec<ConfigProblem>,
}

impl<S: Fn(&str) -> String> Reader<S> {
    /// Starts from `base`, which keeps what is not given.
    pub(super) fn new(base: PoolConfig, spell: S) -> Self {
        Self {
            config: base,
            spell,
            given: Vec::new(),
            unread: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Sets the setting `name` to what `text` says.
    pub(super) fn read(&mut self, name: &str, text: &str) {
        let Some(setting) = names::find(name) else {
            return self.refuse_unknown(name);
        };
        if self.is_given(setting.name) {
            return self.refuse(name, text, "is given a second time");
        }
        self.given.push(setting.name);
        if let Err(form) = (setting.read)(&mut self.config, text) {
            self.unread.push(setting.name);
            self.refuse(name, text, format!("must be {form}"));
        }
    }

    /// Notes that `name`, which is `text`, breaks `rule`.
    pub(super) fn refuse(&mut self, name: &str, text: &str, rule: impl Display) {
        self.problems
            .push(ConfigProblem::new((self.spell)(name), text, rule));
    }

    /// Whether `setting` was given, whatever its text.
    pub(super) fn is_given(&self, setting: &str) -> bool {
        self.given.contains(&setting)
    }

    /// Changes what a name and a text cannot say.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut PoolConfig)) {
        change(&mut self.config);
    }

    /// The value is not shown: whatever it was meant for, it may be a secret.
    fn refuse_unknown(&mut self, name: &str) {
        let nearest = (self.spell)(names::nearest(name).name);
        self.refuse(
            name,
            "…",
            format!("is not a setting of the pool; the nearest is {nearest}"),
        );
    }

    /// The config, unless something could not be read. Its rules are left to whoever has read the
    /// last source, for the next one may still change what a rule compares.
    pub(super) fn into_config(mut self) -> Result<PoolConfig, ConfigError> {
        self.settle();
        ConfigError::unless_empty(self.problems, self.config)
    }

    /// The config, unless something could not be read or breaks a rule.
    pub(super) fn into_valid_config(mut self) -> Result<PoolConfig, ConfigError> {
        self.settle();
        self.problems
            .extend(rules::problems(&self.config, &self.unread));
        ConfigError::unless_empty(self.problems, self.config)
    }

    /// A `max_size` that was given below the default `min_size` contradicts nothing that was
    /// given.
    fn settle(&mut self) {
        let only_max = self.is_given("max_size") && !self.is_given("min_size");
        self.config.settle(!only_max);
    }
}
