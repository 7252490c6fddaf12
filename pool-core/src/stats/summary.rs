//! How long something took, many times, in seven figures.

use std::fmt;
use std::time::Duration;

use super::Buckets;

/// How often something happened and how long it took.
///
/// `count` and `max` are exact. The quantiles are at most 1/32 (3.2 %) above the true value and
/// never below it, the mean is within 1/64 (1.6 %) of the true one, in both cases for durations up
/// to 73 minutes; longer ones count as that long, except in `max`.
///
/// All durations are zero when nothing happened yet. With the feature `serde` they are numbers of
/// seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LatencySummary {
    /// How often.
    pub count: u64,
    /// How long on average.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub mean: Duration,
    /// Half took no longer.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub p50: Duration,
    /// 95 of 100 took no longer.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub p95: Duration,
    /// 99 of 100 took no longer.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub p99: Duration,
    /// 999 of 1,000 took no longer.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub p999: Duration,
    /// The longest.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub max: Duration,
    /// How many stayed within fixed bounds; not part of what serde writes.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub buckets: Buckets,
}

impl fmt::Display for LatencySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            mean,
            p50,
            p95,
            p99,
            p999,
            max,
            ..
        } = self;
        write!(
            f,
            "count {count}, mean {mean:.1?}, p50 {p50:.1?}, p95 {p95:.1?}, p99 {p99:.1?}, \
             p999 {p999:.1?}, max {max:.1?}"
        )
    }
}

/// A duration as a number of seconds, the unit of metrics.
#[cfg(feature = "serde")]
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(in crate::stats) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)
    }
}

/// A time that may not have been: seconds, or nothing.
#[cfg(feature = "serde")]
pub(super) mod seconds_if_any {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "so serde calls it")]
    pub(in crate::stats) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(to)
    }

    pub(in crate::stats) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        let time = seconds.map(Duration::try_from_secs_f64).transpose();
        time.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> LatencySummary {
        LatencySummary {
            count: 7,
            mean: Duration::from_micros(1234),
            p50: Duration::from_nanos(950),
            p95: Duration::from_millis(2),
            p99: Duration::from_millis(3),
            p999: Duration::from_millis(4),
            max: Duration::from_secs(61),
            buckets: Buckets::default(),
        }
    }

    #[test]
    fn it_reads_on_one_line() {
        assert_eq!(
            summary().to_string(),
            "count 7, mean 1.2ms, p50 950.0ns, p95 2.0ms, p99 3.0ms, p999 4.0ms, max 61.0s"
        );
    }

    #[cfg(feature = "serde")]
    #[test]
    fn machines_read_seconds_and_lose_no_nanosecond() {
        let written = serde_json::to_string(&summary()).unwrap();
        assert!(
            written.contains(r#""count":7,"mean":0.001234,"p50":9.5e-7"#),
            "{written}"
        );
        assert_eq!(
            serde_json::from_str::<LatencySummary>(&written).unwrap(),
            summary()
        );
        assert!(serde_json::from_str::<LatencySummary>(&written.replace("61.0", "-1")).is_err());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn what_may_not_have_been_is_read_as_it_was_written() {
        for last_validation in [None, Some(Duration::from_nanos(1_500_000_001))] {
            let stats = crate::Stats {
                last_validation,
                ..crate::Stats::default()
            };
            let written = serde_json::to_value(stats).unwrap();
            let expected = last_validation.map(|time| time.as_secs_f64());
            assert_eq!(written["last_validation"], serde_json::json!(expected));
            assert_eq!(
                serde_json::from_value::<crate::Stats>(written).unwrap(),
                stats
            );
        }
        let mut written = serde_json::to_value(crate::Stats::default()).unwrap();
        written["last_validation"] = (-1.0).into();
        assert!(serde_json::from_value::<crate::Stats>(written).is_err());
    }
}
