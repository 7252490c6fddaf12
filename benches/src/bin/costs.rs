//! `cargo costs`: what a checkout, a close and a look at the statistics cost as the pool, the crowd and
//! the number of threads grow; tables, and with `--html FILE` a page with plots.
//!
//! Connections lead to nothing, so what is measured is the pool.

#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use maud::Markup;
use pool_benches::nothing::Nothing;
use pool_core::Pool;
use pool_pages::axis::Axis;
use pool_pages::file;
use pool_pages::lines::{print, say};
use pool_pages::page::{Good, Head, page, section};
use pool_pages::plot::{Line, Plot};
use pool_pages::table::Table;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};

type Failure = Box<dyn Error>;

/// Each figure is the median of so many runs.
const RUNS: usize = 7;

/// Measures what a pool costs as the work grows.
#[derive(Debug, Parser)]
#[command(name = "cargo costs --", version)]
struct Options {
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// One curve.
struct Curve {
    title: &'static str,
    x: &'static str,
    y: &'static str,
    points: Vec<(usize, f64)>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    if let Some(file) = &options.html {
        file::expect_folder("--html", file)?;
    }
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let sizes = [10, 100, 1_000, 10_000];
    let crowds = [1, 10, 100, 1_000, 10_000, 100_000];
    let curves = [
        curve(
            "A checkout and return, by the size of the pool",
            "connections, all idle",
            "ns",
            &sizes,
            |size| checkouts(&runtime, size),
        ),
        curve(
            "A checkout and return, by threads that nobody keeps waiting",
            "threads",
            "ns of each thread",
            &[1, 2, 4, 8],
            threads_at_once,
        ),
        curve(
            "A checkout of ten connections held across a yield, by tasks",
            "tasks",
            "ns of the pool",
            &crowds,
            |tasks| crowd(&runtime, tasks),
        ),
        curve(
            "A look at the statistics, by the size of the pool",
            "connections",
            "ns",
            &sizes,
            |size| statistics(&runtime, size),
        ),
        curve(
            "Closing, by the size of the pool",
            "connections",
            "ns for each connection",
            &sizes,
            |size| closing(&runtime, size),
        ),
    ];
    for curve in &curves {
        print(&format!("\n{}, {}", curve.title, curve.y));
        for (x, y) in &curve.points {
            print(&format!("{x:>10} {} {y:>12.1}", curve.x));
        }
    }
    if let Some(file) = &options.html {
        file::write("--html", file, render(&curves)?)?;
    }
    Ok(())
}

fn curve(
    title: &'static str,
    x: &'static str,
    y: &'static str,
    at: &[usize],
    measure: impl Fn(usize) -> f64,
) -> Curve {
    let median = |place: usize| {
        let mut runs: Vec<_> = (0..RUNS).map(|_| measure(place)).collect();
        runs.sort_by(f64::total_cmp);
        (place, runs[RUNS / 2])
    };
    Curve {
        title,
        x,
        y,
        points: at.iter().copied().map(median).collect(),
    }
}

async fn idle(size: usize) -> Pool<Nothing> {
    let pool = Pool::builder(Nothing).min_size(size).max_size(size);
    let pool = pool.max_connecting(64).connect().await;
    pool.expect("connects do not fail")
}

/// Nanoseconds for each of `count`.
fn each(took: Duration, count: usize) -> f64 {
    took.div_duration_f64(Duration::from_nanos(1))
        / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn checkouts(runtime: &Runtime, size: usize) -> f64 {
    const COUNT: usize = 200_000;
    runtime.block_on(async {
        let pool = idle(size).await;
        let working = tokio::spawn(async move {
            drop(pool.get().await);
            let began = Instant::now();
            for _ in 0..COUNT {
                drop(black_box(pool.get().await));
            }
            began.elapsed()
        });
        each(working.await.expect("does not panic"), COUNT)
    })
}

fn threads_at_once(threads: usize) -> f64 {
    const COUNT: usize = 200_000;
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    runtime.expect("threads can be started").block_on(async {
        let pool = idle(2 * threads).await;
        let mut tasks = JoinSet::new();
        for _ in 0..threads {
            let pool = pool.clone();
            tasks.spawn(async move {
                let began = Instant::now();
                for _ in 0..COUNT {
                    drop(black_box(pool.get().await));
                }
                began.elapsed()
            });
        }
        let slowest = tasks.join_all().await.into_iter().max();
        each(slowest.unwrap_or_default(), COUNT)
    })
}

fn crowd(runtime: &Runtime, tasks: usize) -> f64 {
    let rounds = (200_000 / tasks).max(5);
    runtime.block_on(async {
        let pool = idle(10).await;
        let began = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..tasks {
            let pool = pool.clone();
            working.spawn(async move {
                for _ in 0..rounds {
                    let held = pool.get().await;
                    yield_now().await;
                    drop(held);
                }
            });
        }
        working.join_all().await;
        each(began.elapsed(), tasks * rounds)
    })
}

fn statistics(runtime: &Runtime, size: usize) -> f64 {
    const COUNT: usize = 1_000;
    runtime.block_on(async {
        let pool = idle(size).await;
        let began = Instant::now();
        for _ in 0..COUNT {
            black_box(pool.stats());
        }
        each(began.elapsed(), COUNT)
    })
}

fn closing(runtime: &Runtime, size: usize) -> f64 {
    runtime.block_on(async {
        let pool = idle(size).await;
        let began = Instant::now();
        pool.close().await;
        each(began.elapsed(), size)
    })
}

fn render(curves: &[Curve]) -> Result<String, Failure> {
    let sections: Result<Vec<Markup>, Failure> = curves
        .iter()
        .enumerate()
        .map(|(number, curve)| Ok(section(curve.title, part(number, curve)?)))
        .collect();
    let head = Head {
        title: "What a pool costs as the work grows".to_owned(),
        about: format!("Connections to nothing; medians of {RUNS} runs."),
        verdict: (
            "both axes of each plot are logarithmic".to_owned(),
            Good::Unknown,
        ),
    };
    Ok(page(&head, &sections?))
}

#[expect(clippy::cast_precision_loss, reason = "a plot is not that exact")]
fn part(number: usize, curve: &Curve) -> Result<Markup, Failure> {
    let label = |value: f64| format!("{value:.0}");
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1.0, f64::max);
    let points = || curve.points.iter().map(|&(x, y)| (x as f64, y));
    let plot = Plot {
        id: format!("curve-{number}"),
        title: curve.title.to_owned(),
        description: format!(
            "{} points; the table below has the figures.",
            curve.points.len()
        ),
        x: Axis::powers_of_ten(curve.x, 1.0, most(&mut points().map(|(x, _)| x)), label),
        y: Axis::powers_of_ten(curve.y, 1.0, most(&mut points().map(|(_, y)| y)), label),
        lines: vec![Line {
            name: curve.y.to_owned(),
            points: points()
                .map(|(x, y)| (x.log10(), y.max(1.0).log10()))
                .collect(),
        }],
    };
    let table = Table {
        caption: curve.title.to_owned(),
        columns: vec![curve.x.to_owned(), curve.y.to_owned()],
        rows: curve
            .points
            .iter()
            .map(|(x, y)| vec![x.to_string(), format!("{y:.1}")])
            .collect(),
    };
    Ok(maud::html! { (plot.markup()?) (table.markup()) })
}
