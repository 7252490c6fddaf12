//! How long things took: the named percentiles, and all between them.

use maud::{Markup, html};
use pool_pages::axis::Axis;
use pool_pages::plot::{Line, NotDrawn, Plot};
use pool_pages::table::Table;

use crate::latency::{Quantile, Summary};
use crate::report::Report;
use crate::table::{grouped, time};

/// The percentiles of checkouts, waits, queries and connects.
pub(super) fn part(report: &Report) -> Result<Markup, NotDrawn> {
    let distribution = &report.distribution;
    let lines = [
        ("checkout", &distribution.checkout_ns),
        ("wait", &distribution.wait_ns),
    ];
    Ok(html! {
        (summaries(report).markup())
        p { "A wait is a checkout that found no connection at once; its time counts in both." }
        @if !distribution.checkout_ns.is_empty() {
            div.plots { div { (plot(report, lines).markup()?) (points(lines).folded()) } }
        }
    })
}

fn summaries(report: &Report) -> Table {
    let row = |name: &str, summary: &Summary, nanoseconds: f64| {
        let Summary {
            count,
            p50,
            p95,
            p99,
            p999,
            max,
            mean,
        } = *summary;
        let times = [p50, p95, p99, p999, max, mean].map(|value| match count {
            0 => "-".to_owned(),
            _ => time(value * nanoseconds),
        });
        let mut cells = vec![name.to_owned(), grouped(count)];
        cells.extend(times);
        cells
    };
    Table {
        caption: "Percentiles of the measured phase; of connects, of the whole run".to_owned(),
        columns: ["", "count", "p50", "p95", "p99", "p99.9", "max", "mean"]
            .map(str::to_owned)
            .into(),
        rows: vec![
            row("checkout", &report.checkout_ns, 1.0),
            row("wait", &report.wait_ns, 1.0),
            row("query", &report.query_ns, 1.0),
            row("connect", &report.connect_ms, 1e6),
        ],
    }
}

fn plot(report: &Report, lines: [(&str, &Vec<Quantile>); 2]) -> Plot {
    let all = || lines.iter().flat_map(|(_, points)| points.iter());
    let least = all().map(|point| point.ns).fold(f64::INFINITY, f64::min);
    let most = all().map(|point| point.ns).fold(0.0, f64::max);
    let rarest = all().map(|point| place(point.quantile)).fold(1.0, f64::max);
    let of = |name: &str, summary: &Summary| {
        format!(
            "Half of all {name} took at most {}, 99 % at most {}, 99.9 % at most {}.",
            time(summary.p50),
            time(summary.p99),
            time(summary.p999)
        )
    };
    Plot {
        id: format!("{}-percentiles", report.scenario),
        title: "Checkouts and waits by percentile".to_owned(),
        description: format!(
            "{} {}",
            of("checkouts", &report.checkout_ns),
            of("waits", &report.wait_ns)
        ),
        x: Axis::new("percentile", 0.0..rarest, percentiles(rarest)),
        y: Axis::powers_of_ten("time", least, most, short),
        lines: lines
            .into_iter()
            .filter(|(_, points)| !points.is_empty())
            .map(|(name, points)| Line {
                name: name.to_owned(),
                points: points
                    .iter()
                    .map(|point| (place(point.quantile), point.ns.max(1.0).log10()))
                    .collect(),
            })
            .collect(),
    }
}

/// Where a quantile stands: 90 %, 99 % and 99.9 % at equal distances.
fn place(quantile: f64) -> f64 {
    // Not the negative zero that the logarithm of one would give.
    0.0 - (1.0 - quantile).log10()
}

fn percentiles(rarest: f64) -> Vec<(f64, String)> {
    const LABELS: [&str; 8] = [
        "90",
        "99",
        "99.9",
        "99.99",
        "99.999",
        "99.9999",
        "99.99999",
        "99.999999",
    ];
    // Where all do not fit, every other one.
    let step = if rarest > 4.5 { 2 } else { 1 };
    let nines = (1_u32..)
        .map(f64::from)
        .zip(LABELS)
        .take_while(|(place, _)| *place <= rarest)
        .step_by(step)
        .map(|(place, label)| (place, label.to_owned()));
    std::iter::once((place(0.5), "50".to_owned()))
        .chain(nines)
        .collect()
}

/// A power of ten of nanoseconds without digits after the point.
fn short(nanoseconds: f64) -> String {
    let (divisor, unit) = match nanoseconds {
        ns if ns < 999.0 => (1.0, "ns"),
        ns if ns < 999e3 => (1e3, "us"),
        ns if ns < 999e6 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{:.0} {unit}", nanoseconds / divisor)
}

/// The plot in figures: at the ends of its nines.
fn points(lines: [(&str, &Vec<Quantile>); 2]) -> Table {
    let [(_, checkouts), (_, waits)] = lines;
    let at = |points: &[Quantile], number: usize| {
        points
            .get(number)
            .map_or_else(|| "-".to_owned(), |point| time(point.ns))
    };
    let rows = checkouts.iter().enumerate().step_by(2);
    Table {
        caption: "Time within which that many percent were done".to_owned(),
        columns: ["percentile", "checkout", "wait"].map(str::to_owned).into(),
        rows: rows
            .map(|(number, point)| {
                vec![
                    percent(point.quantile),
                    at(checkouts, number),
                    at(waits, number),
                ]
            })
            .collect(),
    }
}

/// A quantile in percent, with two digits that are not nine.
fn percent(quantile: f64) -> String {
    let mut nines = 0_u8;
    while place(quantile) >= f64::from(nines) + 1.0 - 1e-9 {
        nines += 1;
    }
    format!("{:.*}", usize::from(nines), quantile * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_stand_at_equal_distances() {
        for (quantile, at) in [(0.0, 0.0), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0)] {
            assert!((place(quantile) - at).abs() < 1e-9, "{quantile}");
        }
        let labels = |rarest| {
            let marks = percentiles(rarest).into_iter();
            marks.map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(3.2), ["50", "90", "99", "99.9"]);
        assert_eq!(labels(6.0), ["50", "90", "99.9", "99.999"]);
    }

    #[test]
    fn a_percentile_has_as_many_digits_as_it_needs() {
        assert_eq!(percent(0.0), "0");
        assert_eq!(percent(0.9), "90.0");
        assert_eq!(percent(0.999_9), "99.9900");
    }

    #[test]
    fn marks_of_an_axis_are_short() {
        assert_eq!(short(1.0), "1 ns");
        assert_eq!(short(10_f64.powf(3.0)), "1 us");
        assert_eq!(short(10_f64.powf(8.0)), "100 ms");
        assert_eq!(short(10_f64.powf(10.0)), "10 s");
    }
}
