//! Comparing a report with an earlier one: which figures are worse, and by how much.
//!
//! For each figure it is known which direction is worse. `max` is left out: it is one sample, and says
//! more about the machine's other tenants than about the pool. A figure that is only on one side is
//! named and fails nothing, so that reports of different versions compare.

use std::fmt;

use serde_json::Value;

use crate::report::reports_in;
use crate::table::grouped;

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
        write!(f, "{figure}: {} -> {}", shown(*before), shown(*now))?;
        if *before > 0.0 {
            write!(f, " ({:+.1} %)", (now / before - 1.0) * 100.0)
        } else {
            Ok(())
        }
    }
}

fn shown(value: f64) -> String {
    if value < 1_000.0 {
        format!("{value:.1}")
    } else {
        grouped(value.round())
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
        let text = |key| now.get(key).and_then(Value::as_str).unwrap_or_default();
        let scenario = text("scenario");
        let before = report_of(before, scenario, text("backend"))?;
        comparison.add(scenario, now, before, tolerance / 100.0);
    }
    Ok(comparison)
}

/// The baseline's report of a scenario; asked before a run, too, which is long.
///
/// # Errors
///
/// When there is none.
pub fn report_of<'a>(
    baseline: &'a Value,
    scenario: &str,
    backend: &str,
) -> Result<&'a Value, NothingToCompare> {
    let is =
        |report: &Value, key, value: &str| report.get(key).and_then(Value::as_str) == Some(value);
    reports_in(baseline)
        .into_iter()
        .find(|report| is(report, "scenario", scenario) && is(report, "backend", backend))
        .ok_or_else(|| NothingToCompare {
            scenario: scenario.to_owned(),
            backend: backend.to_owned(),
        })
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
mod tests;
