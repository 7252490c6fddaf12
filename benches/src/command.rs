//! `cargo load` from its options to its exit status.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use pool_pages::file;
use pool_pages::lines::{print, say};
use pool_servers::Scratch;
use serde_json::Value;

use crate::backend::Workload;
use crate::backend::memory::Memory;
use crate::backend::mysql::MySql;
use crate::backend::postgres::Postgres;
use crate::backend::sqlite::Sqlite;
use crate::baseline::{compare, report_of};
use crate::limits::make_room;
use crate::options::{Backend, Options, Scenario};
use crate::plan::{Plan, PlanError};
use crate::report::{Report, document};
use crate::{engine, page, table};

/// Something was lost, or a figure is worse than in the baseline.
const FAILED: u8 = 1;
/// The run could not begin or its report could not be written.
const IMPOSSIBLE: u8 = 2;

/// The options that name a file to write.
const JSON: &str = "--json";
const HTML: &str = "--html";

type Failure = Box<dyn std::error::Error>;

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    if options.with_parent {
        end_with_parent();
    }
    match try_run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::from(IMPOSSIBLE)
        }
    }
}

/// Who stops a run of all scenarios stops the one that is under way.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
}

/// Whether all is well.
fn try_run(options: &Options) -> Result<bool, Failure> {
    let scenarios = options.scenario.scenarios();
    let plans: Result<Vec<Plan>, PlanError> = scenarios
        .iter()
        .map(|&scenario| Plan::new(scenario, options))
        .collect();
    let plans = plans?;
    if let Some(file) = &options.json {
        file::expect_folder(JSON, file)?;
    }
    if let Some(file) = &options.html {
        file::expect_folder(HTML, file)?;
    }
    // Read before the run, which may take a while and may overwrite it.
    let baseline = options.baseline.as_deref().map(read).transpose();
    let baseline = baseline.map_err(|error| format!("--baseline {error}"))?;
    if let Some(baseline) = &baseline {
        for Plan {
            scenario, backend, ..
        } in &plans
        {
            report_of(baseline, &scenario.to_string(), &backend.to_string())?;
        }
    }

    let (document, mut well) = match &plans[..] {
        [plan] => here(plan)?,
        several => {
            let (mut reports, mut well) = (Vec::new(), true);
            for plan in several {
                let (report, is_well) = in_a_process_of_its_own(plan.scenario, options)?;
                reports.push(report);
                well &= is_well;
            }
            (document(reports), well)
        }
    };
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&document)?;
        file::write(JSON, file, text + "\n")?;
    }
    if let Some(file) = &options.html {
        file::write(HTML, file, page::render(&document)?)?;
    }
    if let Some(baseline) = baseline {
        well &= no_worse(&document, &baseline, options.tolerance)?;
    }
    Ok(well)
}

/// Runs one scenario; its report, and whether it is well.
fn here(plan: &Plan) -> Result<(Value, bool), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(scenario(plan))?;
    print(&table::render(&report));
    Ok((serde_json::to_value(&report)?, report.problems.is_empty()))
}

/// The same in another process: memory that one scenario has given back would hide what the next
/// one takes.
fn in_a_process_of_its_own(
    scenario: Scenario,
    options: &Options,
) -> Result<(Value, bool), Failure> {
    let directory = Scratch::new("pool-load-")?;
    let json = directory.path().join("report.json");
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(options.alone(scenario, &json)).status()?;
    match status.code() {
        Some(0) => Ok((read(&json)?, true)),
        Some(code) if code == i32::from(FAILED) => Ok((read(&json)?, false)),
        _ => Err(format!("the {scenario} scenario ended early: {status}").into()),
    }
}

/// Prepares the backend and runs one scenario on it.
async fn scenario(plan: &Plan) -> Result<Report, Failure> {
    print(&plan.sentence());
    match plan.backend {
        Backend::Memory => on(plan, Memory::default()).await,
        Backend::Sqlite => on(plan, Sqlite::prepare(plan.url.as_deref())?).await,
        Backend::Postgres => {
            let workload = Postgres::prepare(plan.url.as_deref(), plan.max_size).await?;
            match plan.chaos {
                Some(_) => on(plan, workload.behind_a_proxy()?).await,
                None => on(plan, workload).await,
            }
        }
        Backend::Mysql => {
            let workload = MySql::prepare(plan.url.as_deref(), plan.max_size).await?;
            match plan.chaos {
                Some(_) => on(plan, workload.behind_a_proxy()?).await,
                None => on(plan, workload).await,
            }
        }
    }
}

async fn on(plan: &Plan, workload: impl Workload) -> Result<Report, Failure> {
    make_room(plan.max_size, workload.descriptors_per_connection())?;
    Ok(engine::run(plan, &Arc::new(workload)).await?)
}

fn no_worse(now: &Value, before: &Value, tolerance: f64) -> Result<bool, Failure> {
    let comparison = compare(now, before, tolerance)?;
    for remark in &comparison.remarks {
        print(&format!("note: {remark}"));
    }
    for regression in &comparison.regressions {
        print(&format!("WORSE: {regression}"));
    }
    print(&format!(
        "{} of {} figures are worse than in the baseline by over {tolerance} %",
        comparison.regressions.len(),
        comparison.compared,
    ));
    Ok(comparison.regressions.is_empty())
}

fn read(file: &Path) -> Result<Value, Failure> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
}
