//! `cargo validate`: the ten scenarios and all criteria on a real database, each with what was
//! measured, the target, and how.
//!
//! Exit status 0 only when every one passed; what was not measured has not passed.

#![forbid(unsafe_code)]

mod coverage;
mod criteria;
mod listening;
mod measure;
mod opening;
mod outage;
mod page;
mod report;
mod scenarios;
mod soak;
mod storm;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use pool_pages::file;
use pool_pages::lines::{print, say};

use crate::listening::Log;
use crate::report::Report;
use crate::soak::Length;
use crate::subject::Subject;
use crate::subject::mysql::MySql;
use crate::subject::postgres::Postgres;
use crate::subject::sqlite::Sqlite;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Runs the ten scenarios and all criteria on a real database.
#[derive(Debug, Parser)]
#[command(name = "cargo validate --", version)]
struct Options {
    /// What to run on; PostgreSQL and MariaDB are started for it and removed afterwards
    #[arg(long, default_value = "sqlite")]
    backend: Backend,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page to look at
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How long the soak of SC-006 goes on, such as 24h, in place of 10 million checkouts
    #[arg(long, value_parser = pool_benches::period::parse)]
    duration: Option<Duration>,
    /// Leave out B-9, which builds and runs all tests of pool-core
    #[arg(long)]
    skip_coverage: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let log = Log::listen();
    let run = match options.backend {
        Backend::Sqlite => run(Sqlite::prepare(), &options, &log).await,
        Backend::Postgres => run(Postgres::prepare(), &options, &log).await,
        Backend::Mysql => run(MySql::prepare(), &options, &log).await,
    };
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Whether everything passed.
async fn run<S: Subject>(
    subject: Result<S, Failure>,
    options: &Options,
    log: &Log,
) -> Result<bool, Failure> {
    for (option, file) in [("--json", &options.json), ("--html", &options.html)] {
        if let Some(file) = file {
            file::expect_folder(option, file)?;
        }
    }
    let subject = Arc::new(subject?);
    let name = options.backend.to_possible_value();
    let name = name.map_or_else(String::new, |value| value.get_name().to_owned());
    let mut report = Report::new(name, subject.server());
    print(&format!("{} ({})\n", report.backend, report.server));
    let soak = options
        .duration
        .map_or(Length::Checkouts(10_000_000), Length::Time);
    report.scenarios = scenarios::run(&subject, log).await;
    print("");
    report.criteria = criteria::run(&subject, log, soak, !options.skip_coverage).await;
    let (passed, all) = report.passed();
    print(&format!("\n{passed} of {all} passed"));
    if let Some(file) = &options.json {
        file::write("--json", file, serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(file) = &options.html {
        file::write("--html", file, page::render(&report))?;
    }
    Ok(passed == all)
}
