//! The page that `--html` writes: one report, or one after another.
//!
//! It is made of the same document as `--json` writes, so that the two cannot differ.

mod facts;
mod latency;
mod over_time;

use maud::{Markup, html};
use pool_pages::page::{Good, Head, page};
use pool_pages::plot::NotDrawn;
use pool_pages::table::headline;
use serde::Deserialize as _;
use serde_json::Value;

use crate::report::{Report, reports_in};
use crate::table::{bytes, grouped, time};

/// No page can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoPage {
    /// The document is not one of reports.
    #[error("the report cannot be read: {0}")]
    NotAReport(#[from] serde_json::Error),
    /// A plot cannot be drawn.
    #[error(transparent)]
    NotDrawn(#[from] NotDrawn),
}

/// The page of what [`document`](crate::report::document) made.
///
/// # Errors
///
/// When `document` has no reports, or a plot cannot be drawn.
pub fn render(document: &Value) -> Result<String, NoPage> {
    let reports: Result<Vec<Report>, _> = reports_in(document)
        .into_iter()
        .map(Report::deserialize)
        .collect();
    let reports = reports?;
    let sections: Result<Vec<Markup>, NotDrawn> = reports.iter().map(section).collect();
    Ok(page(&head(&reports), &sections?))
}

fn head(reports: &[Report]) -> Head {
    let scenarios: Vec<_> = reports.iter().map(|report| &*report.scenario).collect();
    let problems: usize = reports.iter().map(|report| report.problems.len()).sum();
    let (backend, about) = reports.first().map_or_else(Default::default, |report| {
        let server = &report.server;
        let about = format!(
            "{} {}; {} cores; version {}",
            server.name, server.version, report.machine.cores, report.version
        );
        (&*report.backend, about)
    });
    Head {
        title: format!("Load of a pool: {} on {backend}", scenarios.join(", ")),
        about,
        verdict: match problems {
            0 => (
                "Nothing lost, nothing leaked, nothing left unanswered.".to_owned(),
                Good::Yes,
            ),
            1 => ("1 problem.".to_owned(), Good::No),
            several => (format!("{several} problems."), Good::No),
        },
    }
}

fn section(report: &Report) -> Result<Markup, NotDrawn> {
    Ok(html! {
        section {
            h2 { (report.scenario) }
            @if !report.problems.is_empty() {
                ul.problems { @for problem in &report.problems { li { (problem) } } }
            }
            (headline(&figures(report)))
            h3 { "Latency" }
            (latency::part(report)?)
            h3 { "Over time" }
            (over_time::part(report)?)
            (facts::part(report))
        }
    })
}

fn figures(report: &Report) -> [(&'static str, String); 8] {
    let checkout = &report.checkout_ns;
    let failures = [report.errors, report.timeouts, report.leaked as u64];
    [
        (
            "Checkouts per second",
            grouped(report.checkouts_per_second.round()),
        ),
        ("Checkouts", grouped(report.checkouts)),
        ("Checkout, half within", time(checkout.p50)),
        ("Checkout, 99 % within", time(checkout.p99)),
        (
            "Held at once",
            format!(
                "{} of {}",
                grouped(report.connections_held_at_once_peak),
                grouped(report.connections_requested)
            ),
        ),
        (
            "Errors / timeouts / leaked",
            failures.map(grouped).join(" / "),
        ),
        ("Memory per connection", bytes(report.bytes_per_connection)),
        ("Memory, peak", bytes(report.rss_peak_bytes)),
    ]
}

#[cfg(test)]
mod tests;
