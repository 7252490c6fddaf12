//! The pool over the run: its sizes, who waited, and how much it did.

use maud::{Markup, html};
use pool_pages::axis::Axis;
use pool_pages::plot::{Line, NotDrawn, Plot};
use pool_pages::table::Table;

use crate::report::{Report, Window};
use crate::table::{grouped, time};
use crate::timeline::Sample;

/// Rows of a table at most.
const ROWS: usize = 60;

/// Plots of the samples, and the same as a table.
pub(super) fn part(report: &Report) -> Result<Markup, NotDrawn> {
    let samples = &report.timeline;
    if samples.is_empty() {
        return Ok(html! { p { "No sample was taken." } });
    }
    let plots: Result<Vec<Markup>, NotDrawn> = plots(report).iter().map(Plot::markup).collect();
    Ok(html! {
        p { (phases(report)) }
        div.plots { @for plot in plots? { (plot) } }
        (table(samples).folded())
        @if !report.over_time.is_empty() {
            h3 { "Checkouts in windows of time" }
            (windows(&report.over_time).folded())
        }
    })
}

/// A value of a sample, with its name.
type Series = (&'static str, fn(&Sample) -> f64);

fn plots(report: &Report) -> [Plot; 3] {
    let plot = |id: &str, title: &str, series: &[Series]| {
        let samples = &report.timeline;
        let most = |value: fn(&Sample) -> f64| samples.iter().map(value).fold(0.0, f64::max);
        let at_most: Vec<_> = series
            .iter()
            .map(|(name, value)| format!("{name} at most {}", grouped(most(*value).round())))
            .collect();
        let highest = series.iter().map(|(_, value)| most(*value));
        let end = samples.last().map_or(0.0, |sample| sample.at_seconds);
        Plot {
            id: format!("{}-{id}", report.scenario),
            title: title.to_owned(),
            description: format!("Over {end:.1} seconds: {}.", at_most.join(", ")),
            x: Axis::from_zero("seconds", end, plain),
            y: Axis::from_zero("", highest.fold(0.0, f64::max), short),
            lines: series
                .iter()
                .map(|(name, value)| Line {
                    name: (*name).to_owned(),
                    points: samples
                        .iter()
                        .map(|sample| (sample.at_seconds, value(sample)))
                        .collect(),
                })
                .collect(),
        }
    };
    [
        plot(
            "throughput",
            "Checkouts per second",
            &[("checkouts per second", |sample| sample.checkouts_per_second)],
        ),
        plot(
            "sizes",
            "Connections",
            &[
                ("active", |sample| number(sample.active)),
                ("idle", |sample| number(sample.idle)),
                ("opening", |sample| number(sample.opening)),
            ],
        ),
        plot(
            "waiting",
            "Checkouts that wait",
            &[("waiting", |sample| number(sample.waiting))],
        ),
    ]
}

fn phases(report: &Report) -> String {
    let phases: Vec<_> = report
        .phases
        .iter()
        .map(|phase| format!("{} {:.3} s", phase.name, phase.seconds))
        .collect();
    format!("Phases: {}.", phases.join(", "))
}

fn table(samples: &[Sample]) -> Table {
    let every = samples.len().div_ceil(ROWS).max(1);
    let rows = samples.iter().step_by(every);
    Table {
        caption: match every {
            1 => "What the pool counted".to_owned(),
            _ => format!("What the pool counted; one of {every} samples (the JSON report has all)"),
        },
        columns: [
            "second",
            "phase",
            "checkouts/s",
            "active",
            "idle",
            "opening",
            "waiting",
        ]
        .map(str::to_owned)
        .into(),
        rows: rows
            .map(|sample| {
                vec![
                    format!("{:.2}", sample.at_seconds),
                    sample.phase.to_string(),
                    grouped(sample.checkouts_per_second.round()),
                    grouped(sample.active),
                    grouped(sample.idle),
                    grouped(sample.opening),
                    grouped(sample.waiting),
                ]
            })
            .collect(),
    }
}

fn windows(windows: &[Window]) -> Table {
    Table {
        caption: "Checkouts of each window, from the beginning of the measured phase".to_owned(),
        columns: ["until second", "checkouts/s", "p50", "p99", "max"]
            .map(str::to_owned)
            .into(),
        rows: windows
            .iter()
            .map(|window| {
                vec![
                    format!("{:.2}", window.at_seconds),
                    grouped(window.checkouts_per_second.round()),
                    time(window.checkout_ns.p50),
                    time(window.checkout_ns.p99),
                    time(window.checkout_ns.max),
                ]
            })
            .collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn with a thousand pixels")]
fn number(count: usize) -> f64 {
    count as f64
}

/// A number with up to three digits after the point.
fn plain(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number in few characters: 1.2 M, 40 k.
fn short(number: f64) -> String {
    match number {
        number if number >= 1e6 => format!("{} M", plain(number / 1e6)),
        number if number >= 1e3 => format!("{} k", plain(number / 1e3)),
        number => plain(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_an_axis_are_short() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(250.0), "250");
        assert_eq!(short(40_000.0), "40 k");
        assert_eq!(short(1_200_000.0), "1.2 M");
        assert_eq!(plain(0.005), "0.005");
    }

    #[test]
    fn a_table_of_many_samples_has_few_rows_and_says_so() {
        let sample = Sample {
            at_seconds: 1.0,
            phase: "work".into(),
            idle: 1,
            active: 2,
            opening: 3,
            waiting: 4,
            checkouts_per_second: 5.0,
        };
        let table = table(&vec![sample; 239]);
        assert_eq!(table.rows.len(), 60);
        assert!(table.caption.contains("one of 4"), "{}", table.caption);
    }
}
