//! The settings that are a choice between named ways, with the words for them.

use std::fmt;
use std::time::Duration;

use crate::duration;

/// When a checkout asks the server whether an idle connection still works, before handing it out.
///
/// As text: `always`, `never`, `when_idle_for(1s)`, or just the duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// At every checkout: safest, and a round trip each time.
    Always,
    /// When the connection has been idle for this long. Zero is the same as [`Self::Always`].
    WhenIdleFor(Duration),
    /// At no checkout; `keepalive` and what the driver notices by itself remain.
    Never,
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always | Self::WhenIdleFor(Duration::ZERO) => f.write_str("always"),
            Self::WhenIdleFor(time) => write!(f, "when_idle_for({})", duration::print(*time)),
            Self::Never => f.write_str("never"),
        }
    }
}

/// Which idle connection a checkout takes.
///
/// As text: `lifo` or `fifo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// The one used last: few stay warm, and those that are not needed grow old and retire.
    Lifo,
    /// The one idle longest: all are used alike, and none retires for being idle under load.
    Fifo,
}

impl fmt::Display for Reuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lifo => "lifo",
            Self::Fifo => "fifo",
        })
    }
}

/// What is done about a queue that does not drain.
///
/// The pool is *overloaded* when for a whole `shedding_interval` (2 s) nobody was served within
/// `shedding_target` (50 ms). Then whoever has waited for twice the target fails with
/// [`Error::Shed`](crate::Error), while the others are still served in time; a burst that drains
/// sheds nobody. This is CoDel (RFC 8289) as `db_connection` has it, with its times.
///
/// As text: `off`, `observe` or `on`.
#[doc(alias = "codel")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shedding {
    /// Nothing: they wait until their time is up.
    Off,
    /// Says when the pool is overloaded, and sheds nobody.
    Observe,
    /// Sheds.
    On,
}

impl fmt::Display for Shedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::On => "on",
        })
    }
}

/// What is done when a task waits for a connection while one it checked out is still held.
///
/// Tasks that do this can wait for one another until all of them time out. Tasks are those of the
/// runtime: what a test or `main` runs without `spawn` is none.
///
/// As text: `allow`, `warn` or `fail`.
#[doc(alias = "deadlock")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NestedAcquire {
    /// Nothing.
    Allow,
    /// It is said in the report of a slow checkout, with the place of the first.
    Warn,
    /// It fails at once with [`Error::Nested`](crate::Error), unless something is idle. Looks at
    /// every connection when a checkout begins to wait.
    Fail,
}

impl fmt::Display for NestedAcquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}
