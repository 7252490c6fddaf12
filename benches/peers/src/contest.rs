//! A contest: one kind of work, who does it, and what is measured.

use serde::Serialize;

use crate::stage::SetUp;

/// One kind of work and the pools that take part in it.
pub(crate) struct Contest {
    /// Its name in the file of figures.
    pub(crate) key: &'static str,
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// What a run gives, in this order.
    pub(crate) metrics: &'static [Metric],
    /// Whether two threads write the same memory in it.
    pub(crate) is_shared: bool,
    /// What has to stand while it runs.
    pub(crate) set_up: SetUp,
    pub(crate) contenders: Vec<Contender>,
}

/// A pool that takes part.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What it does between a use and the next, where pools differ in that.
    pub(crate) at_return: Option<&'static str>,
    /// Puts it through the work once, at an address.
    pub(crate) run: Box<dyn Fn(&str) -> Values>,
}

/// What a run measured, in the order of the contest's metrics; `None`: it did not happen.
pub(crate) type Values = Vec<Option<f64>>;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Metric {
    #[serde(rename = "metric")]
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    #[serde(skip)]
    pub(crate) best: Best,
}

/// Which value is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Best {
    Highest,
    Lowest,
    /// It says how the run went, not how good the pool is.
    Neither,
}

impl Metric {
    pub(crate) const fn highest(name: &'static str, unit: &'static str) -> Self {
        let best = Best::Highest;
        Self { name, unit, best }
    }

    pub(crate) const fn lowest(name: &'static str, unit: &'static str) -> Self {
        let best = Best::Lowest;
        Self { name, unit, best }
    }

    pub(crate) const fn neither(name: &'static str, unit: &'static str) -> Self {
        let best = Best::Neither;
        Self { name, unit, best }
    }
}
