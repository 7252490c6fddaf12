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

use crate::peer::Peer;
use crate::scenarios::{Sample, Scenario};

/// A pool that can be put through the scenarios it takes part in.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) takes_part: fn(Scenario) -> bool,
    pub(crate) run: fn(Scenario) -> Vec<Sample>,
}

/// Every pool, this one first.
pub(crate) fn all() -> Vec<Contender> {
    vec![
        contender::<ours::Ours>(),
        contender::<asyncband::Asyncband>(),
        contender::<deadpool::Deadpool>(),
        contender::<fastpool::Fastpool>(),
        contender::<bb8::Bb8>(),
        contender::<mobc::Mobc>(),
        contender::<qp::Qp>(),
        contender::<r2d2::R2d2>(),
    ]
}

fn contender<P: Peer>() -> Contender {
    Contender {
        name: P::NAME,
        version: P::VERSION,
        takes_part: P::takes_part,
        run: Scenario::run::<P>,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_those_that_are_built() {
        let manifest = include_str!("../../Cargo.toml");
        for pool in super::all().iter().filter(|pool| pool.name != "pool-core") {
            let line = manifest
                .lines()
                .find(|line| line.starts_with(&format!("{} =", pool.name)));
            let pinned = format!("\"={}\"", pool.version);
            assert!(
                line.is_some_and(|line| line.contains(&pinned)),
                "{} {}",
                pool.name,
                pinned
            );
        }
    }
}
