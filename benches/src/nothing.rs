//! Connections to nothing, for measuring the pool alone.

use std::convert::Infallible;

use pool_core::Manager;

/// Opens connections that are nothing, at once and always.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn validate(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }
}
