//! Why connections were closed.

use std::fmt;

/// Makes the enum, the public counts and the texts from one list.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident, $field:ident, $text:literal;)+) => {
        /// Why a connection was closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        /// How many connections were closed, by reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        pub struct ClosedBy {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl CloseReason {
            /// How many reasons there are.
            pub(crate) const COUNT: usize = [$(Self::$variant,)+].len();

            /// The reason in a few words, as log events have it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl ClosedBy {
            pub(crate) fn from_counts(count: impl Fn(CloseReason) -> u64) -> Self {
                Self { $($field: count(CloseReason::$variant),)+ }
            }

            /// Each reason with its count.
            pub fn iter(&self) -> impl Iterator<Item = (CloseReason, u64)> {
                [$((CloseReason::$variant, self.$field),)+].into_iter()
            }
        }
    };
}

reasons! {
    /// The manager called it broken.
    Broken, broken, "broken";
    /// Its holder gave it up as unusable.
    Invalidated, invalidated, "invalidated";
    /// Validation failed or took too long.
    ValidateFailed, validate_failed, "validation failed";
    /// Recycling failed or took too long.
    RecycleFailed, recycle_failed, "recycling failed";
    /// It was older than `max_lifetime`, less its jitter.
    MaxLifetime, max_lifetime, "older than max_lifetime";
    /// It was idle for `idle_timeout`.
    IdleTimeout, idle_timeout, "idle for idle_timeout";
    /// The load did not need it (`auto_scaling`).
    ScaledDown, scaled_down, "not needed for the load";
    /// It had served `max_uses` checkouts.
    MaxUses, max_uses, "served max_uses checkouts";
    /// A newer generation was wanted.
    Generation, generation, "of an earlier generation";
    /// The application did not want to retain it.
    NotRetained, not_retained, "not retained";
    /// `max_size` was lowered.
    Surplus, surplus, "more than max_size";
    /// The pool was closed.
    PoolClosed, pool_closed, "pool closed";
    /// It came back after its slot had been reclaimed from a holder who kept it for too long.
    Reclaimed, reclaimed, "reclaimed";
    /// What was to work on it could not: a task that was dropped or a manager that panicked.
    Abandoned, abandoned, "abandoned";
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{CloseReason, ClosedBy};

    #[test]
    fn every_reason_has_its_count() {
        let closed = ClosedBy::from_counts(|reason| reason as u64 + 1);
        assert_eq!(closed.iter().count(), CloseReason::COUNT);
        assert!(
            closed
                .iter()
                .all(|(reason, count)| count == reason as u64 + 1)
        );
    }
}
