//! What a pool counts and measures.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the counters that record into it are being written"
    )
)]
mod histogram;
mod summary;

pub use self::summary::LatencySummary;
