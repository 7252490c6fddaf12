//! This pool against the others: one run, the same work, the same no-op connection.
//!
//! ```text
//! main      the command                        lines    what is said to whoever runs it
//! rounds    interleaved rounds, medians        table    for people
//! once      a run in a process of its own      machine  how far apart the cores are at the moment
//! pools     an adapter for each pool           peer     what every pool is asked to do
//! scenarios what is done                       contest  who does it and what is measured
//! databases the same for real databases        stage    what stands while a contest runs
//! ```

mod contest;
#[cfg(feature = "databases")]
mod databases;
mod lines;
mod machine;
mod once;
mod peer;
mod pools;
mod rounds;
mod scenarios;
mod stage;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::contest::Contest;
use crate::lines::{print, say};

/// Compares connection pools over the same no-op connection, in interleaved rounds of one run.
#[derive(Debug, Parser)]
#[command(name = "cargo peers --", version)]
struct Options {
    /// Write every figure to this file: a list of {scenario, pool, version, metric, unit, median, min, max}
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write all tables to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// How often every pool is put through every scenario
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,

    /// Only the scenarios whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Put one pool through one scenario and print what it measured
    #[arg(long, num_args = 3, value_names = ["SCENARIO", "POOL", "ADDRESS"], hide = true)]
    once: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let contests = contests();
    if let [contest, contender, address] = &options.once[..] {
        return once(&contests, contest, contender, address);
    }
    for file in [&options.json, &options.markdown].into_iter().flatten() {
        if let Some(folder) = missing_folder(file) {
            say(&format!(
                "error: {}: there is no folder {}",
                file.display(),
                folder.display()
            ));
            return ExitCode::from(2);
        }
    }
    let only = options.only.unwrap_or_default();
    let chosen: Vec<_> = contests.iter().filter(|c| c.key.contains(&only)).collect();
    if chosen.is_empty() {
        let known: Vec<_> = contests.iter().map(|contest| contest.key).collect();
        let known = known.join(", ");
        say(&format!(
            "error: --only ({only}) must be part of one of these names: {known}"
        ));
        say("those of real databases need `cargo peers --features databases`");
        return ExitCode::from(2);
    }
    let mut text = introduction(options.rounds);
    print(&text);
    let mut rows = Vec::new();
    for contest in chosen {
        let stage = match (contest.set_up)() {
            Ok(stage) => stage,
            Err(error) => {
                say(&format!("{} is left out: {error}", contest.key));
                continue;
            }
        };
        let measured = rounds::run(contest, &stage.address, options.rounds.max(1));
        let table = table::markdown(&measured);
        print(&table);
        text.push('\n');
        text.push_str(&table);
        rows.extend(measured);
    }
    let json = serde_json::to_string_pretty(&rows).expect("numbers can be written as JSON") + "\n";
    let files = [(options.json, json), (options.markdown, text)];
    for (file, text) in files {
        let Some(file) = file else { continue };
        if let Err(error) = std::fs::write(&file, text) {
            say(&format!("error: {}: {error}", file.display()));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The folder in which `file` is to be, if there is none: better told before a long run than after it.
fn missing_folder(file: &Path) -> Option<&Path> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then_some(folder)
}

/// How the tables are read.
fn introduction(rounds: usize) -> String {
    format!(
        "{rounds} interleaved rounds of each scenario: median (least–greatest), the best median in \
         bold. A run that did not have two cores to itself is repeated; \"never\" did not happen \
         within 20 s. A pool that cannot do what a scenario asks for has no line in it.\n"
    )
}

/// Everything there is to compare.
fn contests() -> Vec<Contest> {
    let contests = pools::contests().into_iter();
    #[cfg(feature = "databases")]
    let contests = contests.chain(databases::contests());
    contests.collect()
}

/// What a process of `once::run` does.
fn once(contests: &[Contest], contest: &str, contender: &str, address: &str) -> ExitCode {
    let contender = contests
        .iter()
        .filter(|known| known.key == contest)
        .flat_map(|contest| &contest.contenders)
        .find(|known| known.name == contender);
    let Some(contender) = contender else {
        say(&format!("error: no such pool in {contest}"));
        return ExitCode::from(2);
    };
    let printed = serde_json::to_string(&(contender.run)(address));
    print(&printed.expect("numbers can be written as JSON"));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::missing_folder;

    #[test]
    fn a_file_here_or_in_a_folder_that_is_there_can_be_written_and_no_other() {
        assert_eq!(missing_folder(Path::new("figures.json")), None);
        assert_eq!(missing_folder(Path::new("/figures.json")), None);
        let nowhere = missing_folder(Path::new("/nowhere/at/all.json"));
        assert_eq!(nowhere, Some(Path::new("/nowhere/at")));
    }
}
