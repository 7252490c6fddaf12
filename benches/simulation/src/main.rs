//! `cargo simulate`: auto-scaling beside a fixed size and beside opening on demand, on loads of every
//! shape, on the real pool in simulated time.
//!
//! Exit status 1 when auto-scaling swings, or lags more than one interval.

#![forbid(unsafe_code)]

mod load;
mod page;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pool_pages::file;
use pool_pages::lines::{print, say};

use crate::load::Load;
use crate::run::{Outcome, Sizing};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Simulates auto-scaling on loads of every shape.
#[derive(Debug, Parser)]
#[command(name = "cargo simulate --", version)]
struct Options {
    /// Write the page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A load of your own besides: the checkouts of each second, one number a line
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// For other callers
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match simulate(&Options::parse()) {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

/// What is wrong with the scaling.
fn simulate(options: &Options) -> Result<Vec<String>, Failure> {
    for (option, file) in [("--json", &options.json), ("--html", &options.html)] {
        if let Some(file) = file {
            file::expect_folder(option, file)?;
        }
    }
    let mut loads = Load::all();
    if let Some(file) = &options.recorded {
        loads.push(Load::recorded(file)?);
    }
    let mut outcomes = Vec::new();
    for load in &loads {
        for sizing in Sizing::ALL {
            outcomes.push(run::run(load, sizing, options.seed));
        }
    }
    print(&page::table(&outcomes));
    let problems: Vec<_> = outcomes.iter().flat_map(problems).collect();
    for problem in &problems {
        print(problem);
    }
    if let Some(file) = &options.html {
        file::write("--html", file, page::page(&loads, &outcomes, &problems)?)?;
    }
    if let Some(file) = &options.json {
        file::write("--json", file, serde_json::to_vec_pretty(&outcomes)?)?;
    }
    Ok(problems)
}

fn problems(outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    if outcome.sizing == Sizing::Scaled {
        if outcome.reversals > 0 {
            let (load, turns) = (&outcome.load, outcome.reversals);
            problems.push(format!("{load}: {turns} turns within an interval"));
        }
        if outcome.longest_lag > 60 {
            let (load, lag) = (&outcome.load, outcome.longest_lag);
            problems.push(format!("{load}: short of connections for {lag} s"));
        }
        if outcome.timed_out > 0 {
            problems.push(format!("{}: {} timed out", outcome.load, outcome.timed_out));
        }
    }
    problems
}
