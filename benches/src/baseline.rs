//! Comparing a report with an earlier one: which figures are worse, and by how much.
//!
//! For each figure it is known which direction is worse. `max` is left out: it is one sample, and says
//! more about the machine's other tenants than about the pool. A figure that is only on one side is
//! named and fails nothing, so that reports of different versions compare.

use std::fmt;

use serde_json::Value;

use crate::report::reports_in;

/// Which direction is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worse {
    Less,
    More,
    /// More at all, whatever the tolerance: one lost connection more is not 10 % of anything.
    Any,
}

const FIGURES: &[(&str, Worse)] = &[
    ("/checkouts_per_second", Worse::Less),
    ("/connections_open_peak", Worse::Less),
    ("/connections_held_at_once_peak", Worse::Less),
    ("/checkout_ns/p50", Worse::More),
    ("/checkout_ns/p95", Worse::More),
    ("/checkout_ns/p99", Worse::More),
    ("/checkout_ns/p999", Worse::More),
    ("/checkout_ns/mean", Worse::More),
    ("/wait_ns/p50", Worse::More),
    ("/wait_ns/p95", Worse::More),
    ("/wait_ns/p99", Worse::More),
    ("/wait_ns/p999", Worse::More),
    ("/wait_ns/mean", Worse::More),
    ("/connect_ms/p50", Worse::More),
    ("/connect_ms/p95", Worse::More),
    ("/connect_ms/p99", Worse::More),
    ("/connect_ms/p999", Worse::More),
    ("/connect_ms/mean", Worse::More),
    ("/bytes_per_connection", Worse::More),
    ("/rss_peak_bytes", Worse::More),
    ("/errors", Worse::Any),
    ("/timeouts", Worse::Any),
    ("/leaked", Worse::Any),
];

/// What comparing found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Figures that are worse by more than the tolerance.
    pub regressions: Vec<Regression>,
    /// What makes the comparison doubtful: another machine, another configuration, figures that are
    /// only on one side.
    pub remarks: Vec<String>,
    /// How many figures were compared.
    pub compared: usize,
}

/// One figure that is worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// The scenario and the figure.
    pub figure: String,
    /// What it was.
    pub before: f64,
    /// What it is.
    pub now: f64,
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            figure,
            before,
            now,
        } = self;
        write!(f, "{figure}: {before:.1} -> {now:.1}")?;
        if *before > 0.0 {
            write!(f, " ({:+.1} %)", (now / before - 1.0) * 100.0)
        } else {
            Ok(())
        }
    }
}

/// The baseline says nothing about what was run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the baseline has no report of `{scenario}` on `{backend}`; make one with --json")]
pub struct NothingToCompare {
    scenario: String,
    backend: String,
}

/// Compares every report in `now` with that of the same scenario and backend in `before`; a figure
/// may be worse by `tolerance` percent.
///
/// # Errors
///
/// When the baseline lacks a scenario that was run.
pub fn compare(
    now: &Value,
    before: &Value,
    tolerance: f64,
) -> Result<Comparison, NothingToCompare> {
    let mut comparison = Comparison::default();
    for now in reports_in(now) {
        let name = |key| {
            now.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (scenario, backend) = (name("scenario"), name("backend"));
        let before = reports_in(before)
            .into_iter()
            .find(|before| {
                ["scenario", "backend"]
                    .iter()
                    .all(|key| before.get(key) == now.get(key))
            })
            .ok_or_else(|| NothingToCompare {
                scenario: scenario.clone(),
                backend,
            })?;
        comparison.add(&scenario, now, before, tolerance / 100.0);
    }
    Ok(comparison)
}

impl Comparison {
    fn add(&mut self, scenario: &str, now: &Value, before: &Value, tolerance: f64) {
        for (key, what) in [
            ("machine", "on another machine"),
            ("config", "with another configuration"),
        ] {
            if now.get(key) != before.get(key) {
                self.remarks
                    .push(format!("{scenario}: the baseline was made {what}"));
            }
        }
        for &(pointer, worse) in FIGURES {
            let figure = format!(
                "{scenario} {}",
                pointer.trim_start_matches('/').replace('/', ".")
            );
            let of = |report: &Value| report.pointer(pointer).and_then(Value::as_f64);
            // Nobody waited: that is no wait of zero.
            let nothing = |report: &Value| {
                let count = pointer
                    .rsplit_once('/')
                    .map(|(latency, _)| format!("{latency}/count"));
                count.is_some_and(|count| report.pointer(&count).and_then(Value::as_u64) == Some(0))
            };
            match (of(before), of(now)) {
                (Some(_), Some(_)) if nothing(before) || nothing(now) => {}
                (Some(before), Some(now)) => {
                    self.compared += 1;
                    if is_worse(worse, before, now, tolerance) {
                        self.regressions.push(Regression {
                            figure,
                            before,
                            now,
                        });
                    }
                }
                (Some(_), None) => self.remarks.push(format!("{figure}: only in the baseline")),
                (None, Some(_)) => self.remarks.push(format!("{figure}: not in the baseline")),
                (None, None) => {}
            }
        }
    }
}

fn is_worse(worse: Worse, before: f64, now: f64, tolerance: f64) -> bool {
    match worse {
        Worse::More => now > before * (1.0 + tolerance),
        // The mirror of `More`: 10 % worse means that the baseline was 10 % better.
        Worse::Less => now * (1.0 + tolerance) < before,
        Worse::Any => now > before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{document, tests::report};
    use serde_json::json;

    fn baseline() -> Value {
        document(&[report()]).unwrap()
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut document = baseline();
        *document.pointer_mut(pointer).unwrap() = value;
        document
    }

    fn regressions(now: &Value, tolerance: f64) -> Vec<String> {
        let comparison = compare(now, &baseline(), tolerance).unwrap();
        comparison
            .regressions
            .into_iter()
            .map(|regression| regression.figure)
            .collect()
    }

    #[test]
    fn a_report_is_not_worse_than_itself() {
        let comparison = compare(&baseline(), &baseline(), 0.0).unwrap();
        assert_eq!(
            (comparison.regressions.len(), comparison.remarks.len()),
            (0, 0)
        );
        assert_eq!(comparison.compared, FIGURES.len());
    }

    #[test]
    fn every_figure_is_in_every_report() {
        for (pointer, _) in FIGURES {
            assert!(
                baseline().pointer(pointer).is_some_and(Value::is_number),
                "{pointer}"
            );
        }
    }

    #[test]
    fn longer_is_worse_and_shorter_is_not() {
        assert_eq!(
            regressions(&with("/checkout_ns/p99", json!(331)), 10.0),
            ["extreme checkout_ns.p99"]
        );
        assert!(regressions(&with("/checkout_ns/p99", json!(329)), 10.0).is_empty());
        assert!(regressions(&with("/checkout_ns/p99", json!(1)), 10.0).is_empty());
        assert_eq!(
            regressions(&with("/bytes_per_connection", json!(120_000)), 10.0).len(),
            1
        );
    }

    #[test]
    fn less_throughput_is_worse_and_more_is_not() {
        let figure = "/checkouts_per_second";
        assert_eq!(
            regressions(&with(figure, json!(450)), 10.0),
            ["extreme checkouts_per_second"]
        );
        assert!(regressions(&with(figure, json!(460)), 10.0).is_empty());
        assert!(regressions(&with(figure, json!(5000)), 10.0).is_empty());
        assert!(regressions(&with(figure, json!(400)), 30.0).is_empty());
    }

    #[test]
    fn one_loss_more_is_worse_whatever_the_tolerance() {
        assert_eq!(
            regressions(&with("/leaked", json!(1)), 1000.0),
            ["extreme leaked"]
        );
        assert_eq!(
            regressions(&with("/timeouts", json!(1)), 1000.0),
            ["extreme timeouts"]
        );
    }

    #[test]
    fn the_longest_sample_does_not_decide() {
        assert!(regressions(&with("/checkout_ns/max", json!(1e9)), 10.0).is_empty());
    }

    #[test]
    fn a_missing_figure_is_named_and_fails_nothing() {
        let now = with("/rss_peak_bytes", Value::Null);
        let comparison = compare(&now, &baseline(), 10.0).unwrap();
        assert!(comparison.regressions.is_empty());
        assert_eq!(
            comparison.remarks,
            ["extreme rss_peak_bytes: only in the baseline"]
        );
        let comparison = compare(&baseline(), &now, 10.0).unwrap();
        assert_eq!(
            comparison.remarks,
            ["extreme rss_peak_bytes: not in the baseline"]
        );
    }

    #[test]
    fn where_nobody_waited_waits_are_not_compared() {
        let mut before = with("/wait_ns/count", json!(0));
        before["wait_ns"]["p99"] = json!(0);
        let comparison = compare(&baseline(), &before, 10.0).unwrap();
        assert!(comparison.regressions.is_empty());
    }

    #[test]
    fn another_machine_or_configuration_is_remarked() {
        let comparison = compare(&baseline(), &with("/machine/cores", json!(1000)), 10.0).unwrap();
        assert_eq!(
            comparison.remarks,
            ["extreme: the baseline was made on another machine"]
        );
    }

    #[test]
    fn a_baseline_of_something_else_is_refused() {
        let other = with("/scenario", json!("basic"));
        let message = compare(&baseline(), &other, 10.0).unwrap_err().to_string();
        assert!(message.contains("extreme"), "{message}");
    }

    #[test]
    fn scenarios_of_several_are_matched_by_name() {
        let mut basic = baseline();
        basic["scenario"] = json!("basic");
        basic["checkouts_per_second"] = json!(1e9);
        let both = json!({ "reports": [basic, baseline()] });
        assert!(
            compare(&baseline(), &both, 10.0)
                .unwrap()
                .regressions
                .is_empty()
        );
    }

    #[test]
    fn a_regression_says_by_how_much() {
        let regression = Regression {
            figure: "x".to_owned(),
            before: 100.0,
            now: 125.0,
        };
        assert_eq!(regression.to_string(), "x: 100.0 -> 125.0 (+25.0 %)");
    }
}
