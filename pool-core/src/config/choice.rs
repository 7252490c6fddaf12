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
            Self::Always => f.write_str("always"),
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
