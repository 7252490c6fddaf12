//! What one scenario is going to do: the user's options with what the scenario takes for those left
//! out. A plan that exists can be carried out, as far as can be known before.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::options::{Backend, Options, Scenario};
use crate::table::grouped;

/// Tasks of the extreme scenario for each connection.
const TASKS_PER_CONNECTION: usize = 4;

/// How long a checkout may take before it counts as timed out. Long, since forty thousand tasks
/// queue for ten thousand connections; what is left after it was lost, not slow.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connects that run at once, as the recommendation for servers that fork or authenticate is.
pub const MAX_CONNECTING: usize = 8;

/// One scenario with everything decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is run.
    pub scenario: Scenario,
    /// What the connections lead to.
    pub backend: Backend,
    /// Connections held at the same time.
    pub connections: usize,
    /// The pool's `max_size`.
    pub max_size: usize,
    /// Tasks that work.
    pub workers: usize,
    /// How long they work; zero where there is no such phase.
    pub duration: Duration,
    /// How long a task keeps its connection after the answer.
    pub hold: Duration,
    /// A database of the user's.
    pub url: Option<String>,
    /// The seed of the faults, where there are to be any.
    pub chaos: Option<u64>,
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// All connections are to be held at once, and the pool may not open that many.
    #[error(
        "--max-size ({max_size}) is below --connections ({connections}): they could never all be \
         held at the same time. For more callers than connections set --workers"
    )]
    TooSmall {
        /// The pool's limit.
        max_size: usize,
        /// What was to be held.
        connections: usize,
    },
    /// The memory backend has no server.
    #[error("--url makes no sense with --backend memory, which connects to nothing")]
    UrlWithoutServer,
    /// Nothing that may be broken.
    #[error(
        "--chaos breaks a throw-away server while tasks work: it needs `sustained`, --backend postgres or mysql, \
         and no --url"
    )]
    NothingToBreak,
}

impl Plan {
    /// Decides what `options` leave open.
    ///
    /// # Errors
    ///
    /// When the options contradict one another or want what is not there.
    pub fn new(scenario: Scenario, options: &Options) -> Result<Self, PlanError> {
        if options.backend == Backend::Memory && options.url.is_some() {
            return Err(PlanError::UrlWithoutServer);
        }
        let is_server = matches!(options.backend, Backend::Postgres | Backend::Mysql);
        let may_break = scenario == Scenario::Sustained && is_server && options.url.is_none();
        if options.chaos && !may_break {
            return Err(PlanError::NothingToBreak);
        }
        let connections = options
            .connections
            .or(options.max_size)
            .unwrap_or(match scenario {
                Scenario::Basic => 1_000,
                Scenario::Sustained => 10,
                Scenario::Extreme => 10_000,
            });
        let max_size = options.max_size.unwrap_or(connections);
        if max_size < connections {
            return Err(PlanError::TooSmall {
                max_size,
                connections,
            });
        }
        let workers = options.workers.unwrap_or(match scenario {
            Scenario::Sustained if options.chaos => 1_000,
            Scenario::Basic | Scenario::Sustained => 50,
            Scenario::Extreme => connections.saturating_mul(TASKS_PER_CONNECTION),
        });
        let duration = match scenario {
            Scenario::Basic => Duration::ZERO,
            Scenario::Sustained => options.duration.unwrap_or(Duration::from_secs(30)),
            Scenario::Extreme => options.duration.unwrap_or(Duration::from_secs(20)),
        };
        Ok(Self {
            scenario,
            backend: options.backend,
            connections,
            max_size,
            workers,
            duration,
            hold: options.hold,
            url: options.url.clone(),
            chaos: options
                .chaos
                .then(|| options.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000))),
        })
    }

    /// What is going to happen, in one sentence, for the user to read first.
    pub fn sentence(&self) -> String {
        let Self { scenario, .. } = self;
        let (connections, workers) = (grouped(self.connections), grouped(self.workers));
        let kind = match self.backend {
            Backend::Memory => "no-op",
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::Mysql => "MySQL",
        };
        let seconds = self.duration.as_secs_f64();
        match scenario {
            Scenario::Basic => format!(
                "{scenario}: opens {connections} {kind} connections, holds all at the same time, \
                 asks each a query, returns them, and does it again with them open."
            ),
            Scenario::Sustained => {
                let chaos = self.chaos.map_or_else(String::new, |seed| {
                    format!(", while server and network are broken (--seed {seed})")
                });
                format!(
                    "{scenario}: opens {connections} {kind} connections, then {workers} tasks work \
                     them for {seconds} s{chaos}."
                )
            }
            Scenario::Extreme => format!(
                "{scenario}: opens {connections} {kind} connections, holds all at the same time \
                 (each answers a query), then {workers} tasks work them for {seconds} s; at the \
                 end nothing may be open."
            ),
        }
    }

    /// What shaped the figures, for the report.
    pub fn config(&self) -> Config {
        Config {
            connections: self.connections,
            max_size: self.max_size,
            workers: self.workers,
            duration_seconds: self.duration.as_secs_f64(),
            hold_ms: self.hold.as_secs_f64() * 1e3,
            acquire_timeout_seconds: ACQUIRE_TIMEOUT.as_secs_f64(),
            max_connecting: MAX_CONNECTING,
            load: "closed".into(),
            own_server: self.url.is_some(),
            chaos: self.chaos.is_some(),
            seed: self.chaos,
        }
    }
}

/// What shaped the figures of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Connections held at the same time.
    pub connections: usize,
    /// The pool's `max_size`.
    pub max_size: usize,
    /// Tasks that worked.
    pub workers: usize,
    /// How long they worked.
    pub duration_seconds: f64,
    /// How long each kept its connection after the answer.
    pub hold_ms: f64,
    /// The pool's `acquire_timeout`.
    pub acquire_timeout_seconds: f64,
    /// The pool's `max_connecting`.
    pub max_connecting: usize,
    /// `closed`: a task asks again when it was answered, so a slow pool is asked less often.
    /// Percentiles are those of the checkouts that were made, not of a rate that was offered.
    pub load: Cow<'static, str>,
    /// Whether the database was the user's.
    pub own_server: bool,
    /// Whether it was broken on purpose.
    pub chaos: bool,
    /// By which seed.
    pub seed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn plan(scenario: Scenario, arguments: &[&str]) -> Result<Plan, PlanError> {
        let options = Options::try_parse_from([&["load"], arguments].concat()).unwrap();
        Plan::new(scenario, &options)
    }

    #[test]
    fn the_main_job_is_ten_thousand_connections_and_four_tasks_for_each() {
        let plan = plan(Scenario::Extreme, &[]).unwrap();
        assert_eq!(
            (plan.connections, plan.max_size, plan.workers),
            (10_000, 10_000, 40_000)
        );
        assert!(
            plan.sentence().contains("10,000 SQLite connections"),
            "{}",
            plan.sentence()
        );
    }

    #[test]
    fn tasks_follow_the_number_of_connections() {
        assert_eq!(
            plan(Scenario::Extreme, &["--connections", "50"])
                .unwrap()
                .workers,
            200
        );
        assert_eq!(
            plan(Scenario::Sustained, &["--max-size", "20"])
                .unwrap()
                .connections,
            20
        );
    }

    #[test]
    fn what_cannot_be_held_at_once_is_refused() {
        let refused = plan(Scenario::Basic, &["--connections", "10", "--max-size", "5"]);
        assert_eq!(
            refused.unwrap_err(),
            PlanError::TooSmall {
                max_size: 5,
                connections: 10
            }
        );
    }
}
