//! The outcomes as a table and as a page with plots.

use maud::{Markup, html};
use pool_pages::axis::Axis;
use pool_pages::page::{self, Good, Head};
use pool_pages::plot::{Line, Plot};
use pool_pages::table::Table;

use crate::Failure;
use crate::load::Load;
use crate::run::Outcome;

const COLUMNS: [&str; 10] = [
    "load, sizing",
    "checkouts",
    "mean size",
    "waited",
    "wait p99",
    "longest wait",
    "connects",
    "steps up/down",
    "reversals",
    "longest lag",
];

fn row(outcome: &Outcome) -> Vec<String> {
    let Outcome {
        load,
        sizing,
        checkouts,
        mean_size,
        waited,
        wait_p99,
        wait_max,
        connects,
        scaled_up,
        scaled_down,
        reversals,
        longest_lag,
        ..
    } = outcome;
    vec![
        format!("{load}: {}", sizing.name()),
        checkouts.to_string(),
        format!("{mean_size:.1}"),
        format!("{:.2} %", waited * 100.0),
        format!("{wait_p99:.1} ms"),
        format!("{wait_max:.0} ms"),
        connects.to_string(),
        format!("{scaled_up}/{scaled_down}"),
        reversals.to_string(),
        format!("{longest_lag} s"),
    ]
}

/// The outcomes in columns, for a terminal.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = std::iter::once(COLUMNS.map(str::to_owned).to_vec())
        .chain(outcomes.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(number, (cell, width))| match number {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The page: for each load a plot of the sizes, then all figures.
pub(crate) fn page(
    loads: &[Load],
    outcomes: &[Outcome],
    problems: &[String],
) -> Result<String, Failure> {
    let mut sections = Vec::new();
    for load in loads {
        let of_load: Vec<_> = outcomes.iter().filter(|o| o.load == load.name).collect();
        sections.push(page::section(&load.name, plot(load, &of_load)?));
    }
    let figures = Table {
        caption: "All figures".to_owned(),
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: outcomes.iter().map(row).collect(),
    };
    sections.push(page::section("Figures", figures.markup()));
    let verdict = match problems {
        [] => (
            "it neither swings nor lags more than an interval".to_owned(),
            Good::Yes,
        ),
        problems => (problems.join("; "), Good::No),
    };
    let head = Head {
        title: "Auto-scaling, simulated".to_owned(),
        about: "A real pool in simulated time: connects of 50 ms, uses of 200 ms on average, Poisson arrivals."
            .to_owned(),
        verdict,
    };
    Ok(page::page(&head, &sections))
}

fn plot(load: &Load, outcomes: &[&Outcome]) -> Result<Markup, Failure> {
    let Some(scaled) = outcomes.first() else {
        return Ok(html! {});
    };
    let minutes = minute(scaled.sizes.len());
    let points = |values: &[usize]| values.iter().enumerate().map(point).collect::<Vec<_>>();
    let most = scaled
        .sizes
        .iter()
        .chain(&scaled.used)
        .copied()
        .max()
        .unwrap_or(1);
    let plot = Plot {
        id: load.name.clone(),
        title: load.about.clone(),
        description: format!(
            "In use and open connections over {minutes:.0} minutes: {:.1} open on average, {} at most.",
            scaled.mean_size, most
        ),
        x: Axis::from_zero("minutes", minutes, |minute| format!("{minute:.0}")),
        y: Axis::from_zero("connections", point((0, &most)).1, |size| {
            format!("{size:.0}")
        }),
        lines: vec![
            Line {
                name: "open, auto-scaling".to_owned(),
                points: points(&scaled.sizes),
            },
            Line {
                name: "in use".to_owned(),
                points: points(&scaled.used),
            },
        ],
    };
    Ok(plot.markup()?)
}

#[expect(clippy::cast_precision_loss, reason = "sizes and seconds are small")]
fn point((second, value): (usize, &usize)) -> (f64, f64) {
    (minute(second), *value as f64)
}

#[expect(clippy::cast_precision_loss, reason = "sizes and seconds are small")]
fn minute(second: usize) -> f64 {
    second as f64 / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{self, Sizing};

    #[test]
    fn the_page_shows_each_load_and_what_was_wrong() {
        let mut load = Load::all().remove(0);
        load.rates.truncate(60);
        let outcomes = [run::run(&load, Sizing::Scaled, 1)];
        let text = page(&[load], &outcomes, &["it <swings>".to_owned()]).unwrap();
        assert!(text.contains("<svg") && text.contains("it &lt;swings&gt;"));
        let table = table(&outcomes);
        assert!(table.lines().count() == 2 && table.contains("step: auto-scaling"));
    }
}
