//! What has to stand while a contest runs: nothing, or a server and its address.

use std::any::Any;
use std::error::Error;

/// Taken down when it is dropped.
#[derive(Default)]
pub(crate) struct Stage {
    /// Where the pools connect to; empty where connections do nothing.
    pub(crate) address: String,
    /// A server or a folder that goes with it.
    _standing: Option<Box<dyn Any>>,
}

/// Sets a stage, or says what is missing.
pub(crate) type SetUp = fn() -> Result<Stage, Box<dyn Error>>;

impl Stage {
    /// The stage of connections that do nothing.
    #[expect(clippy::unnecessary_wraps, reason = "other stages can fail")]
    pub(crate) fn bare() -> Result<Self, Box<dyn Error>> {
        Ok(Self::default())
    }

    /// A stage at `address` that lasts as long as `standing` is kept.
    #[cfg(feature = "databases")]
    pub(crate) fn new(address: String, standing: impl Any) -> Self {
        Self {
            address,
            _standing: Some(Box::new(standing)),
        }
    }
}
