//! Rounds: every pool once, then every pool again, each time another one first.
//!
//! On a shared machine the minute matters more than the pool; figures of different runs do not compare.
//! Interleaved rounds put every pool through the same minutes, and the median leaves out the bad ones.

use serde::Serialize;

use crate::contest::{Contender, Contest, Metric, Values};
use crate::lines::say;
use crate::machine::Cores;
use crate::once;

/// One figure of one pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    #[serde(skip)]
    pub(crate) title: &'static str,
    pub(crate) pool: &'static str,
    pub(crate) version: &'static str,
    #[serde(skip)]
    pub(crate) at_return: Option<&'static str>,
    #[serde(flatten)]
    pub(crate) metric: Metric,
    /// How far apart the cores were; `null` where one thread works.
    pub(crate) cores: Option<Cores>,
    /// How many rounds the figure is of.
    pub(crate) rounds: usize,
    /// `null`: it did not happen in more than half of the rounds.
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    /// `null`: at least once it did not happen.
    pub(crate) max: Option<f64>,
}

/// Puts every contender through the contest as often as `rounds` says.
///
/// Where it matters how far apart the cores are, a round in which that changed is thrown away, and the
/// figures are those of the rounds of one kind: that of which there were enough first.
pub(crate) fn run(contest: &Contest, address: &str, rounds: usize) -> Vec<Row> {
    let mut kept: Vec<(Option<Cores>, Round)> = Vec::new();
    let mut number = 0;
    let cores = loop {
        let before = contest.is_shared.then(Cores::now);
        let round = round(contest, address, number, &kept);
        let after = contest.is_shared.then(Cores::now);
        number += 1;
        if before == after {
            kept.push((before, round));
        }
        let alike = |cores| kept.iter().filter(|(kind, _)| *kind == cores).count();
        let kinds = [None, Some(Cores::Near), Some(Cores::Far)];
        if let Some(&cores) = kinds.iter().find(|&&cores| alike(cores) >= rounds) {
            break cores;
        }
        if number >= rounds * PATIENCE {
            break kinds
                .into_iter()
                .max_by_key(|&cores| alike(cores))
                .flatten();
        }
    };
    let kept: Vec<_> = kept
        .into_iter()
        .filter(|(kind, _)| *kind == cores)
        .map(|(_, round)| round)
        .collect();
    if kept.is_empty() {
        let key = contest.key;
        say(&format!(
            "{key}: how far apart the cores are changed in every round"
        ));
        return Vec::new();
    }
    let rows = |(place, pool)| {
        let runs: Vec<_> = kept.iter().map(|round| &round[place]).collect();
        rows(contest, cores, pool, &runs)
    };
    contest
        .contenders
        .iter()
        .enumerate()
        .flat_map(rows)
        .collect()
}

/// What every contender measured in one round, in their order.
type Round = Vec<Values>;

/// How many times as many rounds are made at most, until enough of them are alike.
const PATIENCE: usize = 4;

fn round(
    contest: &Contest,
    address: &str,
    number: usize,
    before: &[(Option<Cores>, Round)],
) -> Round {
    let contenders = &contest.contenders;
    let mut round: Round = vec![Values::new(); contenders.len()];
    for place in 0..contenders.len() {
        let turn = (number + place) % contenders.len();
        if !is_hopeless(turn, before) {
            round[turn] = once::run(contest, &contenders[turn], address);
        }
    }
    round
}

/// Whether a contender ended in none of several rounds: it is not waited for again.
fn is_hopeless(turn: usize, before: &[(Option<Cores>, Round)]) -> bool {
    before.len() >= 2 && before.iter().all(|(_, round)| round[turn].is_empty())
}

/// A row for each metric; a run that did not end measured none of them.
fn rows(contest: &Contest, cores: Option<Cores>, pool: &Contender, runs: &[&Values]) -> Vec<Row> {
    let row = |(number, &metric)| {
        let values = runs
            .iter()
            .map(|run| run.get(number).copied().flatten())
            .collect();
        let [min, median, max] = spread(values);
        Row {
            scenario: contest.key,
            title: contest.title,
            pool: pool.name,
            version: pool.version,
            at_return: pool.at_return,
            metric,
            cores,
            rounds: runs.len(),
            median,
            min,
            max,
        }
    };
    contest.metrics.iter().enumerate().map(row).collect()
}

/// The least, the middle and the greatest; what did not happen is greater than all.
fn spread(mut values: Vec<Option<f64>>) -> [Option<f64>; 3] {
    let or_never = |value: &Option<f64>| value.unwrap_or(f64::INFINITY);
    values.sort_by(|one, other| or_never(one).total_cmp(&or_never(other)));
    [values.first(), values.get(values.len() / 2), values.last()]
        .map(|value| value.copied().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    #[test]
    fn a_run_that_did_not_end_has_every_metric() {
        const METRICS: [Metric; 2] = [
            Metric::lowest("wait", "us"),
            Metric::highest("served", "1/s"),
        ];
        let contest = Contest {
            key: "hanging",
            title: "a pool that hangs",
            metrics: &METRICS,
            is_shared: false,
            set_up: Stage::bare,
            contenders: Vec::new(),
        };
        let pool = Contender {
            name: "mock",
            version: "1",
            at_return: None,
            run: Box::new(|_| Values::new()),
        };
        let rows = rows(&contest, None, &pool, &[&Values::new()]);
        let medians: Vec<_> = rows
            .iter()
            .map(|row| (row.metric.name, row.median))
            .collect();
        assert_eq!(medians, [("wait", None), ("served", None)]);
    }

    #[test]
    fn who_never_ended_is_not_waited_for_again() {
        let ended = || vec![Some(1.0)];
        let rounds = |count, values: fn() -> Values| vec![(None, vec![values()]); count];
        assert!(!is_hopeless(0, &rounds(1, Values::new)));
        assert!(is_hopeless(0, &rounds(2, Values::new)));
        assert!(!is_hopeless(0, &rounds(2, ended)));
    }

    #[test]
    fn the_middle_is_the_median() {
        let values = [3.0, 1.0, 2.0].map(Some).to_vec();
        assert_eq!(spread(values), [Some(1.0), Some(2.0), Some(3.0)]);
    }

    #[test]
    fn what_did_not_happen_is_worst() {
        assert_eq!(
            spread(vec![None, Some(1.0), Some(2.0)]),
            [Some(1.0), Some(2.0), None]
        );
        assert_eq!(spread(vec![None, Some(1.0), None]), [Some(1.0), None, None]);
    }
}
