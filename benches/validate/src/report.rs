//! What was measured against which target, for machines and for people.

use std::fmt::Write as _;

use pool_benches::machine::{Machine, version};
use pool_pages::lines::print;
use serde::Serialize;

use crate::Failure;

/// One scenario or criterion.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) target: &'static str,
    /// `null` where nothing was measured, or where the check ended with an error.
    pub(crate) measured: Option<f64>,
    pub(crate) unit: &'static str,
    /// `null` where nothing was measured; never true then.
    passed: Option<bool>,
    pub(crate) method: String,
    /// What the check ended with, which then has failed; left out where it came to a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What a check is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) target: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) method: &'static str,
}

/// A figure, and whether it is good enough; or why there is none.
pub(crate) enum Finding {
    Measured(f64, bool),
    NotMeasured(String),
}

impl Topic {
    /// Settles what came of it.
    pub(crate) fn settle(self, found: Result<Finding, Failure>) -> Check {
        let mut error = None;
        let (measured, passed, remark) = match found {
            Ok(Finding::Measured(figure, passed)) => (Some(figure), Some(passed), String::new()),
            Ok(Finding::NotMeasured(why)) => (None, None, format!(" (not measured: {why})")),
            Err(failure) => {
                error = Some(failure.to_string());
                (None, Some(false), format!(" (failed: {failure})"))
            }
        };
        let check = Check {
            id: self.id,
            title: self.title,
            target: self.target,
            measured,
            unit: self.unit,
            passed,
            method: format!("{}{remark}", self.method),
            error,
        };
        print(&check.line());
        check
    }
}

impl Check {
    pub(crate) fn verdict(&self) -> &'static str {
        match self.passed {
            Some(true) => "pass",
            Some(false) if self.error.is_some() => "ERROR",
            Some(false) => "FAIL",
            None => "none",
        }
    }

    fn line(&self) -> String {
        let verdict = self.verdict();
        let measured = self.measured.map_or_else(|| "-".to_owned(), significant);
        let Self {
            id,
            title,
            target,
            unit,
            ..
        } = self;
        let mut line =
            format!("{verdict:<5} {id:<7} {title:<58} {measured:>10} {unit:<14} target {target}");
        if self.passed != Some(true) {
            let _ = write!(line, "\n      {}", self.method);
        }
        line
    }
}

/// A figure in as many digits as mean something.
pub(crate) fn significant(figure: f64) -> String {
    let digits = if figure.fract().abs() < f64::EPSILON || figure.abs() >= 1_000.0 {
        0
    } else if figure.abs() >= 10.0 {
        1
    } else {
        3
    };
    format!("{figure:.digits$}")
}

/// All of them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) backend: String,
    pub(crate) server: String,
    pub(crate) scenarios: Vec<Check>,
    pub(crate) criteria: Vec<Check>,
    pub(crate) machine: Machine,
    pub(crate) version: String,
}

impl Report {
    pub(crate) fn new(backend: String, server: String) -> Self {
        Self {
            backend,
            server,
            scenarios: Vec::new(),
            criteria: Vec::new(),
            machine: Machine::this(),
            version: version(),
        }
    }

    /// How many passed, of how many.
    pub(crate) fn passed(&self) -> (usize, usize) {
        let all = || self.scenarios.iter().chain(&self.criteria);
        let passed = all().filter(|check| check.passed == Some(true)).count();
        (passed, all().count())
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Topic};

    const TOPIC: Topic = Topic {
        id: "X-1",
        title: "a figure",
        target: "< 2",
        unit: "s",
        method: "by looking",
    };

    #[test]
    fn nothing_that_was_not_measured_has_passed() {
        let none = TOPIC.settle(Ok(Finding::NotMeasured("no server".to_owned())));
        assert_eq!((none.measured, none.passed), (None, None));
        assert!(none.method.contains("no server"));
        let good = TOPIC.settle(Ok(Finding::Measured(1.5, true)));
        assert_eq!((good.measured, good.passed), (Some(1.5), Some(true)));
    }

    #[test]
    fn a_check_that_ended_with_an_error_says_so_and_no_other_does() {
        let failed = TOPIC.settle(Err("it broke".into()));
        assert_eq!(failed.verdict(), "ERROR");
        assert!(failed.line().contains("it broke"));
        let failed = serde_json::to_value(failed).unwrap();
        assert_eq!(failed["error"], "it broke");
        assert!(failed["measured"].is_null() && failed["passed"] == false);
        for settled in [
            Finding::Measured(2.5, false),
            Finding::NotMeasured("no server".to_owned()),
        ] {
            let settled = serde_json::to_value(TOPIC.settle(Ok(settled))).unwrap();
            assert!(settled.get("error").is_none(), "{settled}");
        }
    }
}
