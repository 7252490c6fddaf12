//! Rounds: every pool once, then every pool again, each time another one first.
//!
//! On a shared machine the minute matters more than the pool; figures of different runs do not compare.
//! Interleaved rounds put every pool through the same minutes, and the median leaves out the bad ones.

use serde::Serialize;

use crate::machine::Cores;
use crate::pools::Contender;
use crate::scenarios::{Sample, Scenario};

/// One figure of one pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    #[serde(skip)]
    pub(crate) title: &'static str,
    pub(crate) pool: &'static str,
    pub(crate) version: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
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

/// Puts every pool through `scenario` as often as `rounds` says.
///
/// Where it matters how far apart the cores are, a round in which that changed is thrown away, and the
/// figures are those of the rounds of one kind: that of which there were enough first.
pub(crate) fn run(scenario: Scenario, pools: &[&Contender], rounds: usize) -> Vec<Row> {
    let mut kept: Vec<(Option<Cores>, Round)> = Vec::new();
    let mut number = 0;
    let cores = loop {
        let before = scenario.is_shared().then(Cores::now);
        let round = round(scenario, pools, number);
        let after = scenario.is_shared().then(Cores::now);
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
    let rows = |(place, pool)| {
        let runs: Vec<_> = kept.iter().map(|round| &round[place]).collect();
        rows(scenario, cores, pool, &runs)
    };
    pools.iter().copied().enumerate().flat_map(rows).collect()
}

/// What every pool measured in one round, in the order of the pools.
type Round = Vec<Vec<Sample>>;

/// How many times as many rounds are made at most, until enough of them are alike.
const PATIENCE: usize = 4;

fn round(scenario: Scenario, pools: &[&Contender], number: usize) -> Round {
    let mut round: Round = pools.iter().map(|_| Vec::new()).collect();
    for place in 0..pools.len() {
        let turn = (number + place) % pools.len();
        round[turn] = (pools[turn].run)(scenario);
    }
    round
}

fn rows(
    scenario: Scenario,
    cores: Option<Cores>,
    pool: &Contender,
    runs: &[&Vec<Sample>],
) -> Vec<Row> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let row = |(number, sample): (usize, &Sample)| {
        let values: Vec<_> = runs.iter().map(|run| run[number].value).collect();
        let [min, median, max] = spread(values);
        Row {
            scenario: scenario.key(),
            title: scenario.title(),
            pool: pool.name,
            version: pool.version,
            metric: sample.metric,
            unit: sample.unit,
            cores,
            rounds: runs.len(),
            median,
            min,
            max,
        }
    };
    first.iter().enumerate().map(row).collect()
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
