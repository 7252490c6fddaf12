//! For tests of pools and of managers (feature `testing`).
//!
//! [`MockManager`] is a manager whose every step can be scripted: slow, failing, hanging,
//! panicking. Use it to test how an application behaves when its database does not.
//! [`conformance`] checks a manager against the rules a pool relies on.

pub mod conformance;
mod mock;

pub use mock::{Act, MockConnection, MockError, MockManager, Step};
