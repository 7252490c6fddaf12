//! Which way is worse, for each figure.

use super::*;
use crate::report::tests::value;
use serde_json::json;

fn baseline() -> Value {
    value()
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
        before: 1_000.0,
        now: 1_250.0,
    };
    assert_eq!(regression.to_string(), "x: 1,000 -> 1,250 (+25.0 %)");
}
