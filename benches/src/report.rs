//! The report of one scenario, and the file of them.
//!
//! A run of one scenario writes the report itself; `all` writes `{"reports": [..]}`, each of them
//! exactly what its scenario alone would have written. Each has a process of its own: memory that
//! an earlier scenario has given back would hide what a later one takes.
//!
//! `checkouts`, `seconds`, `checkouts_per_second`, `checkout_ns`, `wait_ns` and `query_ns` are of the
//! measured phase: `work` of the sustained and the extreme scenario, `again` of the basic one.
//! Opening, which is a different thing, stands in `phases` and in `connect_ms`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::latency::{Quantile, Summary};
use crate::machine::Machine;
use crate::plan::Config;
use crate::timeline::Sample;

/// What one scenario found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: String,
    /// Which backend.
    pub backend: String,
    /// What the connections led to.
    pub server: Server,
    /// How many connections were to be held at the same time.
    pub connections_requested: usize,
    /// The most that were open.
    pub connections_open_peak: usize,
    /// The most that callers held at the same time, each having answered a query; counted by the
    /// callers, not by the pool.
    pub connections_held_at_once_peak: usize,
    /// Checkouts of the measured phase that were answered.
    pub checkouts: u64,
    /// Checkouts and queries of all phases that failed, without the timeouts.
    pub errors: u64,
    /// Checkouts of all phases that timed out.
    pub timeouts: u64,
    /// Connections that did not come back or were open after the pool's close.
    pub leaked: usize,
    /// How long the measured phase took.
    pub seconds: f64,
    /// `checkouts / seconds`.
    pub checkouts_per_second: f64,
    /// From the call of `get` to the connection in hand.
    pub checkout_ns: Summary,
    /// The same, of those checkouts that found nothing at their first poll.
    pub wait_ns: Summary,
    /// From the question to the answer.
    pub query_ns: Summary,
    /// The percentiles between those, for a plot.
    pub distribution: Distribution,
    /// Opening one connection, as the pool measured it.
    pub connect_ms: Summary,
    /// Resident memory with all connections open and used, less that before, for each: the client's
    /// side. `null` where the system does not tell.
    pub bytes_per_connection: Option<u64>,
    /// The same of a throw-away server: its processes' share of the machine's memory. `null` for the
    /// user's own, and where there is no server.
    pub server_bytes_per_connection: Option<u64>,
    /// The most memory the process had during the scenario.
    pub rss_peak_bytes: Option<u64>,
    /// Requests of the task that was served least and of that served most; `null` for the basic
    /// scenario, whose tasks take whatever is left.
    pub served: Option<Served>,
    /// The stages of the scenario.
    pub phases: Vec<Phase>,
    /// The measured phase in windows.
    pub over_time: Vec<Window>,
    /// What the pool counted, from the first phase on: four times a second, less often in a long
    /// run.
    pub timeline: Vec<Sample>,
    /// What was broken on purpose.
    pub faults: Vec<Fault>,
    /// What was left at the end.
    pub audit: Audit,
    /// What is wrong, one sentence each; empty when all is well.
    pub problems: Vec<String>,
    /// What shaped the figures.
    pub config: Config,
    /// What they were measured on.
    pub machine: Machine,
    /// The project's version.
    pub version: String,
}

/// What the connections led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    /// Its product.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it was set up, where that shapes the figures.
    pub setup: String,
}

/// Latencies of the measured phase at many percentiles.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Distribution {
    /// From the call of `get` to the connection in hand.
    pub checkout_ns: Vec<Quantile>,
    /// The same, of those checkouts that found nothing at their first poll.
    pub wait_ns: Vec<Quantile>,
}

/// How evenly tasks were served.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Served {
    /// Answers of the task that got the fewest.
    pub least: u64,
    /// Answers of the task that got the most.
    pub most: u64,
}

/// One stage of a scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// `open`, `again`, `work` or `close`.
    pub name: Cow<'static, str>,
    /// How long it took.
    pub seconds: f64,
    /// Checkouts that were answered in it.
    pub checkouts: u64,
}

/// The checkouts of one stretch of time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Window {
    /// When it ended, from the beginning of the phase.
    pub at_seconds: f64,
    /// Throughput in it.
    pub checkouts_per_second: f64,
    /// From the call of `get` to the connection in hand.
    pub checkout_ns: Summary,
}

/// What was left at the end, counted by the pool, by the backend and by the kernel.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Audit {
    /// Tasks that never ended: their request was neither answered nor refused.
    pub unanswered: usize,
    /// Connections the pool counted as held after every task had ended.
    pub active_after_work: usize,
    /// Callers the pool counted as waiting after every task had ended.
    pub waiting_after_work: usize,
    /// Connections the pool counted then.
    pub pool_total_after_work: Option<usize>,
    /// Connections the backend counted as open then.
    pub backend_open_after_work: Option<usize>,
    /// Connections the backend counted as open while all were held (SQLite: descriptors of the
    /// database file).
    pub backend_open_while_held: Option<usize>,
    /// Connections the pool counted after its close.
    pub pool_total_after_close: usize,
    /// Connections the backend counted as open after the close.
    pub backend_open_after_close: Option<usize>,
    /// Descriptors of the process before the first connection.
    pub descriptors_before: Option<usize>,
    /// Descriptors of the process while all connections were held.
    pub descriptors_while_held: Option<usize>,
    /// Descriptors of the process after the close.
    pub descriptors_after_close: Option<usize>,
}

/// Something that was broken on purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When, from the beginning of the work.
    pub at_seconds: f64,
    /// For how long.
    pub seconds: f64,
    /// What.
    pub what: Cow<'static, str>,
}

/// What `--json` writes: the report, or for several an object with all of them.
pub fn document(mut reports: Vec<Value>) -> Value {
    match reports.len() {
        1 => reports.remove(0),
        _ => json!({ "reports": reports }),
    }
}

/// The single reports in what [`document`] made.
pub fn reports_in(document: &Value) -> Vec<&Value> {
    match document.get("reports").and_then(Value::as_array) {
        Some(reports) => reports.iter().collect(),
        None => vec![document],
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::options::{Options, Scenario};
    use crate::plan::Plan;
    use clap::Parser;

    pub(crate) fn report() -> Report {
        let options = Options::parse_from(["load", "--connections", "100"]);
        let summary = Summary {
            count: 1000,
            p50: 100.0,
            p95: 200.0,
            p99: 300.0,
            p999: 400.0,
            max: 500.0,
            mean: 120.0,
        };
        Report {
            scenario: "extreme".to_owned(),
            backend: "sqlite".to_owned(),
            server: Server {
                name: "SQLite".to_owned(),
                version: "3".to_owned(),
                setup: String::new(),
            },
            connections_requested: 100,
            connections_open_peak: 100,
            connections_held_at_once_peak: 100,
            checkouts: 1000,
            errors: 0,
            timeouts: 0,
            leaked: 0,
            seconds: 2.0,
            checkouts_per_second: 500.0,
            checkout_ns: summary,
            wait_ns: summary,
            query_ns: summary,
            distribution: Distribution::default(),
            connect_ms: summary,
            bytes_per_connection: Some(100_000),
            server_bytes_per_connection: None,
            rss_peak_bytes: Some(10_000_000),
            served: Some(Served { least: 9, most: 11 }),
            phases: Vec::new(),
            over_time: Vec::new(),
            timeline: Vec::new(),
            faults: Vec::new(),
            audit: Audit::default(),
            problems: Vec::new(),
            config: Plan::new(Scenario::Extreme, &options).unwrap().config(),
            machine: Machine::this(),
            version: "0.1.0".to_owned(),
        }
    }

    pub(crate) fn value() -> Value {
        serde_json::to_value(report()).unwrap()
    }

    /// Scripts read these names; one that goes or changes breaks them. Add, do not rename.
    #[test]
    fn the_keys_of_a_report_are_those_of_the_contract() {
        let document = document(vec![value()]);
        let keys: Vec<_> = document
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = [
            "scenario",
            "backend",
            "server",
            "connections_requested",
            "connections_open_peak",
            "connections_held_at_once_peak",
            "checkouts",
            "errors",
            "timeouts",
            "leaked",
            "seconds",
            "checkouts_per_second",
            "checkout_ns",
            "wait_ns",
            "query_ns",
            "distribution",
            "connect_ms",
            "bytes_per_connection",
            "server_bytes_per_connection",
            "rss_peak_bytes",
            "served",
            "phases",
            "over_time",
            "timeline",
            "faults",
            "audit",
            "problems",
            "config",
            "machine",
            "version",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        for latency in ["checkout_ns", "wait_ns", "query_ns", "connect_ms"] {
            let keys: Vec<_> = document[latency].as_object().unwrap().keys().collect();
            assert_eq!(keys, ["count", "max", "mean", "p50", "p95", "p99", "p999"]);
        }
        assert!(
            document["server"]["name"].is_string() && document["server"]["version"].is_string()
        );
    }

    #[test]
    fn several_reports_are_each_what_one_would_be() {
        let one = document(vec![value()]);
        let two = document(vec![value(), value()]);
        assert_eq!(reports_in(&two), [&one, &one]);
        assert_eq!(reports_in(&one), [&one]);
    }
}
