//! One adapter for each pool.

mod asyncband;
mod bb8;
mod deadpool;
#[expect(
    deprecated,
    reason = "its successor is `asyncband`; its figures are still published"
)]
mod fastpool;
mod mobc;
mod ours;
mod qp;
mod r2d2;
#[cfg(test)]
pub(crate) mod versions;

use crate::contest::{Contender, Contest};
use crate::peer::Peer;
use crate::scenarios::Scenario;

/// Every scenario, with the pools that take part in it.
pub(crate) fn contests() -> Vec<Contest> {
    let contest = |scenario: Scenario| scenario.contest(contenders(scenario));
    Scenario::ALL.into_iter().map(contest).collect()
}

/// Every pool that can do what `scenario` asks for, this one first.
fn contenders(scenario: Scenario) -> Vec<Contender> {
    let all = [
        contender::<ours::Ours>,
        contender::<asyncband::Asyncband>,
        contender::<deadpool::Deadpool>,
        contender::<fastpool::Fastpool>,
        contender::<bb8::Bb8>,
        contender::<mobc::Mobc>,
        contender::<qp::Qp>,
        contender::<r2d2::R2d2>,
    ];
    all.into_iter()
        .filter_map(|contender| contender(scenario))
        .collect()
}

fn contender<P: Peer>(scenario: Scenario) -> Option<Contender> {
    P::takes_part(scenario).then(|| Contender {
        name: P::NAME,
        version: P::VERSION,
        at_return: None,
        run: Box::new(move |_nowhere| scenario.run::<P>()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Scenario, contenders, versions};

    #[test]
    fn versions_are_those_that_are_built() {
        versions::check(&contenders(Scenario::OneTask));
    }
}
