//! Rounds: every pool once, then every pool again, each time another one first.
//!
//! On a shared machine the minute matters more than the pool; figures of different runs do not compare.
//! Interleaved rounds put every pool through the same minutes, and the median leaves out the bad ones.

use serde::Serialize;

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
    /// `null`: it did not happen in more than half of the rounds.
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    /// `null`: at least once it did not happen.
    pub(crate) max: Option<f64>,
}

/// Puts every pool through `scenario` as often as `rounds` says.
pub(crate) fn run(scenario: Scenario, pools: &[Contender], rounds: usize) -> Vec<Row> {
    let mut samples: Vec<Vec<Vec<Sample>>> = pools.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in 0..pools.len() {
            let number = (round + place) % pools.len();
            samples[number].push((pools[number].run)(scenario));
        }
    }
    let rows = pools
        .iter()
        .zip(samples)
        .map(|(pool, runs)| rows(scenario, pool, &runs));
    rows.flatten().collect()
}

fn rows(scenario: Scenario, pool: &Contender, runs: &[Vec<Sample>]) -> Vec<Row> {
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
