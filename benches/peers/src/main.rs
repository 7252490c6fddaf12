//! This pool against the others: one run, the same work, the same no-op connection.
//!
//! ```text
//! main      the command
//! rounds    interleaved rounds, medians        table    for people
//! scenarios what is measured                   pools    an adapter for each pool
//! machine   how far apart the cores are at the moment
//! peer      what every pool is asked to do
//! ```

mod machine;
mod peer;
mod pools;
mod rounds;
mod scenarios;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::scenarios::Scenario;

/// Compares connection pools over the same no-op connection, in interleaved rounds of one run.
#[derive(Debug, Parser)]
#[command(name = "cargo peers --", version)]
struct Options {
    /// Write every figure to this file: a list of {scenario, pool, version, metric, unit, median, min, max}
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// How often every pool is put through every scenario
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,

    /// Only the scenarios whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let pools = pools::all();
    let chosen = |scenario: &Scenario| {
        options
            .only
            .as_ref()
            .is_none_or(|only| scenario.key().contains(only))
    };
    println!(
        "{} pools, {} interleaved rounds of each scenario: median (least–greatest). \
         A run with less than two cores to itself is repeated.\n",
        pools.len(),
        options.rounds
    );
    let mut rows = Vec::new();
    for scenario in Scenario::ALL.into_iter().filter(chosen) {
        let takers: Vec<_> = pools
            .iter()
            .filter(|pool| (pool.takes_part)(scenario))
            .collect();
        let measured = rounds::run(scenario, &takers, options.rounds.max(1));
        println!("{}", table::markdown(&measured));
        rows.extend(measured);
    }
    let Some(file) = options.json else {
        return ExitCode::SUCCESS;
    };
    let written = serde_json::to_string_pretty(&rows)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&file, text + "\n"));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}
