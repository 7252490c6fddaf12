//! Decisions, apart from what carries them out: no clock, no lock, no runtime. Each takes the
//! time as an argument, so each is tested without any.

pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod codel;
pub(crate) mod patience;
pub(crate) mod random;
pub(crate) mod recovery;
pub(crate) mod scaler;
pub(crate) mod upkeep;
