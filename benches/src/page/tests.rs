//! The page as a whole.

use serde_json::json;

use super::*;
use crate::latency::Quantile;
use crate::report::document;
use crate::report::tests::report;
use crate::timeline::Sample;

fn full() -> Report {
    let mut report = report();
    let points = [(0.0, 100.0), (0.9, 2e3), (0.99, 3e5)];
    report.distribution.checkout_ns = points
        .map(|(quantile, ns)| Quantile { quantile, ns })
        .into();
    report.timeline = [0.0, 0.25, 0.5]
        .map(|at_seconds| Sample {
            at_seconds,
            phase: "work".into(),
            idle: 3,
            active: 97,
            opening: 0,
            waiting: 1_234,
            checkouts_per_second: 5_678.0,
        })
        .into();
    report
}

fn rendered(reports: &[Report]) -> String {
    let values = reports
        .iter()
        .map(|report| serde_json::to_value(report).unwrap());
    render(&document(values.collect())).unwrap()
}

#[test]
fn a_page_has_every_section_and_its_figures() {
    let page = rendered(&[full()]);
    for part in [
        "Checkouts per second",
        "Latency",
        "Over time",
        "Configuration",
        "Server",
        "Machine",
        "What was left at the end",
        "Nothing lost, nothing leaked",
        "<title id=\"extreme-percentiles-title\">",
        "<title id=\"extreme-throughput-title\">",
        "<title id=\"extreme-sizes-title\">",
        "<title id=\"extreme-waiting-title\">",
        "waiting at most 1,234",
        "<td>5,678</td>",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn a_page_of_several_reports_has_each_and_no_name_twice() {
    let mut other = full();
    other.scenario = "basic".to_owned();
    let page = rendered(&[full(), other]);
    assert!(page.contains("extreme, basic on sqlite"), "{page}");
    let mut ids: Vec<_> = page
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (16, 16));
}

#[test]
fn problems_are_told_and_all_text_is_escaped() {
    let mut report = full();
    let nasty = "</style><script>alert('&')</script>";
    report.problems.push(nasty.to_owned());
    report.server.setup = nasty.to_owned();
    report.machine.processor = Some(nasty.to_owned());
    report.scenario = nasty.to_owned();
    let page = rendered(&[report]);
    assert!(page.contains("1 problem."));
    assert!(!page.contains("<script"), "{page}");
}

#[test]
fn a_run_without_a_sample_has_a_page() {
    let page = rendered(&[report()]);
    assert!(page.contains("No sample was taken."));
}

#[test]
fn what_is_no_report_has_no_page() {
    assert!(matches!(
        render(&json!({"scenario": "basic"})),
        Err(NoPage::NotAReport(_))
    ));
}
