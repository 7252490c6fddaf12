//! The command line of `cargo load`, as the user gave it.
//!
//! Nothing is decided here: an option left out stays `None`, and [`Plan`](crate::plan::Plan) fills
//! in what the scenario takes for it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::period;

/// The options; see `cargo load -- --help`.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo load --", version, about = ABOUT, long_about = None, after_help = AFTER_HELP)]
pub struct Options {
    /// What to run
    #[arg(value_enum, default_value_t = Choice::Extreme)]
    pub scenario: Choice,

    /// What the connections lead to
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    pub backend: Backend,

    /// Connections that are open and held at the same time [basic 1000, sustained 10, extreme 10000]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    pub connections: Option<usize>,

    /// The pool's `max_size` [as many as connections]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    pub max_size: Option<usize>,

    /// Tasks that work [basic 50, sustained 50, with --chaos 1000, extreme 4 for each connection]
    #[arg(long, value_name = "N", value_parser = tasks, allow_hyphen_values = true)]
    pub workers: Option<usize>,

    /// How long they work [sustained 30s, extreme 20s]
    #[arg(long, value_name = "TIME", value_parser = period::parse, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// How long a task keeps its connection after the answer
    #[arg(long, value_name = "TIME", value_parser = period::parse, default_value = "0ms", allow_hyphen_values = true)]
    pub hold: Duration,

    /// A database of your own (SQLite: a file; gets a table `pool_load`) [a throw-away one]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Break the server and the network at random while the tasks work (sustained; postgres or mysql,
    /// a throw-away server): killed, hung, cut, refused, swallowed, delayed
    #[arg(long)]
    pub chaos: bool,

    /// Which faults --chaos makes, and when; shown at the beginning, so that a run can be repeated
    #[arg(long, value_name = "N", requires = "chaos")]
    pub seed: Option<u64>,

    /// Write the report to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the report with plots to this file, as a page that needs no other
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Compare with an earlier report; exit status 1 when a figure is worse
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// End when the process does that started this one
    #[arg(long, hide = true)]
    pub with_parent: bool,

    /// How much worse a figure may be than in the baseline, in percent
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = percent, allow_hyphen_values = true)]
    pub tolerance: f64,
}

const ABOUT: &str = "Loads a connection pool with real connections and reports what it did";

const AFTER_HELP: &str = "\
Exit status: 0 when all is well; 1 when a connection, a descriptor or an answer was lost, or a
figure is worse than in the baseline; 2 when the run could not begin.

TIME is 250ms, 30s, 5m, 1h or seconds. Options apply to every scenario that is run.";

impl Options {
    /// The command line that runs one of several scenarios alone and writes its report to `json`.
    /// Comparing and the page are left to who asked for all of them.
    pub fn alone(&self, scenario: Scenario, json: &Path) -> Vec<OsString> {
        let seconds = |time: Duration| OsString::from(format!("{}s", time.as_secs_f64()));
        let number = |number: usize| OsString::from(number.to_string());
        let options = [
            ("--backend", Some(OsString::from(self.backend.to_string()))),
            ("--connections", self.connections.map(number)),
            ("--max-size", self.max_size.map(number)),
            ("--workers", self.workers.map(number)),
            ("--duration", self.duration.map(seconds)),
            ("--hold", Some(seconds(self.hold))),
            ("--url", self.url.as_ref().map(OsString::from)),
            ("--json", Some(json.into())),
            ("--seed", self.seed.map(|seed| seed.to_string().into())),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let given = given.flat_map(|(name, value)| [OsString::from(name), value]);
        let chaos = self.chaos.then(|| OsString::from("--chaos"));
        [scenario.to_string().into(), "--with-parent".into()]
            .into_iter()
            .chain(chaos)
            .chain(given)
            .collect()
    }
}

/// The scenarios a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// Open the connections, hold all, ask each a query; then again with them open
    Basic,
    /// Work a pool for a while; the report has percentiles for each stretch of time
    Sustained,
    /// Hold 10,000 connections at the same time, then work them with 40,000 tasks
    Extreme,
    /// Each of them, one after another
    All,
}

impl Choice {
    /// The scenarios this stands for, in the order they run.
    pub fn scenarios(self) -> &'static [Scenario] {
        match self {
            Self::Basic => &[Scenario::Basic],
            Self::Sustained => &[Scenario::Sustained],
            Self::Extreme => &[Scenario::Extreme],
            Self::All => &[Scenario::Basic, Scenario::Sustained, Scenario::Extreme],
        }
    }
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Every connection is opened, held with all others and asked once; then once more.
    Basic,
    /// A pool of ordinary size works for a while.
    Sustained,
    /// Ten thousand connections held at once, then worked by many more tasks.
    Extreme,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "basic",
            Self::Sustained => "sustained",
            Self::Extreme => "extreme",
        })
    }
}

/// What the connections lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// SQLite on a real file
    Sqlite,
    /// Connections that do nothing: the pool alone is measured
    Memory,
    /// PostgreSQL: a throw-away server, or yours by --url
    Postgres,
    /// MariaDB or MySQL: a throw-away server, or yours by --url
    Mysql,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        })
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.replace([',', '_'], "").parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("must be a whole number of at least 1".to_owned()),
    }
}

/// A task takes a few hundred bytes of memory: so many fit, and more are a slip of the keyboard.
const MOST_TASKS: usize = 10_000_000;

fn tasks(text: &str) -> Result<usize, String> {
    let tasks = count(text)?;
    if tasks > MOST_TASKS {
        return Err(format!("must be at most {MOST_TASKS}"));
    }
    Ok(tasks)
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(percent),
        _ => Err("must be a number of percent, 0 or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["load"], arguments].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn no_arguments_mean_the_main_job() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.scenario, Choice::Extreme);
        assert_eq!(options.backend, Backend::Sqlite);
        assert_eq!(options.connections, None);
        assert_eq!(options.hold, Duration::ZERO);
        assert!((options.tolerance - 10.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_option_of_the_contract_is_read() {
        let options = parse(&[
            "sustained",
            "--backend",
            "memory",
            "--connections",
            "1,000",
            "--max-size",
            "1_000",
            "--workers",
            "64",
            "--duration",
            "30s",
            "--hold",
            "5ms",
            "--url",
            "sqlite:x.db",
            "--json",
            "out.json",
            "--html",
            "out.html",
            "--baseline",
            "old.json",
            "--tolerance",
            "25%",
        ])
        .unwrap();
        assert_eq!(options.scenario, Choice::Sustained);
        assert_eq!(options.backend, Backend::Memory);
        assert_eq!(
            (options.connections, options.max_size),
            (Some(1000), Some(1000))
        );
        assert_eq!(options.workers, Some(64));
        assert_eq!(options.duration, Some(Duration::from_secs(30)));
        assert_eq!(options.hold, Duration::from_millis(5));
        assert_eq!(options.url.as_deref(), Some("sqlite:x.db"));
        assert_eq!(options.json, Some(PathBuf::from("out.json")));
        assert_eq!(options.html, Some(PathBuf::from("out.html")));
        assert_eq!(options.baseline, Some(PathBuf::from("old.json")));
        assert!((options.tolerance - 25.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_scenario_alone_has_the_options_of_all() {
        let mut options = parse(&["all", "--max-size", "20", "--hold", "5ms"]).unwrap();
        let arguments = options.alone(Scenario::Sustained, Path::new("one.json"));
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_str().unwrap())
            .collect();
        options.scenario = Choice::Sustained;
        options.with_parent = true;
        options.json = Some(PathBuf::from("one.json"));
        assert_eq!(
            format!("{:?}", parse(&arguments).unwrap()),
            format!("{options:?}")
        );
    }

    #[test]
    fn impossible_values_are_refused() {
        for arguments in [
            ["--connections", "0"],
            ["--workers", "10000001"],
            ["--duration", "soon"],
            ["--tolerance", "-5"],
            ["--backend", "oracle"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?} was accepted");
        }
        assert!(parse(&["gigantic"]).is_err());
    }

    #[test]
    fn a_negative_value_is_told_the_rule() {
        for (option, rule) in [
            ("--connections", "whole number"),
            ("--max-size", "whole number"),
            ("--workers", "whole number"),
            ("--duration", "length of time"),
            ("--hold", "length of time"),
            ("--tolerance", "0 or more"),
        ] {
            let told = parse(&[option, "-5"]).unwrap_err().to_string();
            assert!(told.contains(rule) && told.contains("'-5'"), "{told}");
        }
    }

    #[test]
    fn all_runs_every_scenario() {
        assert_eq!(Choice::All.scenarios().len(), 3);
    }
}
