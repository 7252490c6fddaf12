//! Durations as people write them: read and printed in one place, so that the environment, a URL,
//! a configuration file and a message all speak alike.
//!
//! Read are a sequence of amounts with their units, the larger unit first (`250ms`, `1h30m`,
//! `1.5s`), or a bare number, which is seconds (`30`, `0.25`). The arithmetic is on whole
//! nanoseconds and checked: no input overflows, and what [`print()`] wrote [`parse`] reads back as
//! the same duration. Whether zero means "no limit" is for the setting to say: where it does,
//! [`parse_limit`] reads it.

use std::fmt::Write;
use std::time::Duration;

const SECOND: u128 = 1_000_000_000;

/// Largest first, as [`print`] writes them; what is read must fall in this order too.
const UNITS: [(&str, u128); 6] = [
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// The duration `text` says, or `None` where it says none or one too long to represent.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(pool_core::duration::parse("1m30s"), Some(Duration::from_secs(90)));
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (mut amount, mut rest) = Amount::split_from(text)?;
    if rest.is_empty() {
        return from_nanos(amount.nanos(SECOND)?);
    }
    let mut total: u128 = 0;
    let mut smallest = u128::MAX;
    loop {
        let (unit, after) = split_unit(rest.trim_start())?;
        if unit >= smallest {
            return None;
        }
        smallest = unit;
        total = total.checked_add(amount.nanos(unit)?)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return from_nanos(total);
        }
        (amount, rest) = Amount::split_from(rest)?;
    }
}

/// The time limit `text` says, which `0`, `none` and `off` switch off; `None` where it says neither.
///
/// ```
/// use std::time::Duration;
/// use pool_core::duration::parse_limit;
///
/// assert_eq!(parse_limit("30s"), Some(Some(Duration::from_secs(30))));
/// assert_eq!(parse_limit("none"), Some(None));
/// assert_eq!(parse_limit("soon"), None);
/// ```
#[must_use]
pub fn parse_limit(text: &str) -> Option<Option<Duration>> {
    if is_none(text) {
        return Some(None);
    }
    parse(text).map(|limit| Some(limit).filter(|limit| !limit.is_zero()))
}

/// Whether `text` says that there is no limit.
pub(crate) fn is_none(text: &str) -> bool {
    let text = text.trim();
    text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("off")
}

/// `duration` as a text that [`parse`] reads back exactly: `1h30m`, `250ms`, `0s`.
#[must_use]
pub fn print(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let mut rest = duration.as_nanos();
    let mut text = String::new();
    for (name, unit) in UNITS {
        if rest >= unit {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

/// A decimal number as it was written: digits, and perhaps a point and more digits.
struct Amount<'a> {
    whole: u128,
    fraction: &'a str,
}

impl<'a> Amount<'a> {
    /// The number `text` starts with, and what follows it.
    fn split_from(text: &'a str) -> Option<(Self, &'a str)> {
        let (whole, rest) = split_digits(text)?;
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest)?,
            None => ("", rest),
        };
        let whole = whole.parse().ok()?;
        Some((Self { whole, fraction }, rest))
    }

    /// The number times `unit`, cut to whole nanoseconds.
    ///
    /// What is less than a nanosecond but not nothing is one, for zero would switch a limit off.
    fn nanos(&self, unit: u128) -> Option<u128> {
        // Eighteen digits times the largest unit stay far inside 128 bits, and none that is cut
        // off could be seen in the result.
        let digits = &self.fraction[..self.fraction.len().min(18)];
        let mut fraction = 0;
        let mut scale = 1;
        for digit in digits.bytes() {
            fraction = fraction * 10 + u128::from(digit - b'0');
            scale *= 10;
        }
        let nanos = self
            .whole
            .checked_mul(unit)?
            .checked_add(fraction * unit / scale)?;
        let is_zero = self.whole == 0 && self.fraction.bytes().all(|digit| digit == b'0');
        Some(if is_zero { 0 } else { nanos.max(1) })
    }
}

/// The digits `text` starts with, at least one, and what follows them.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (end > 0).then(|| text.split_at(end))
}

/// The unit whose name `text` starts with, in nanoseconds, and what follows it.
fn split_unit(text: &str) -> Option<(u128, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, rest) = text.split_at(end);
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
    Some((*unit, rest))
}

fn from_nanos(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    let rest = u32::try_from(nanos % SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_people_write_are_read() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("30s", 30 * SECOND),
            ("5m", 300 * SECOND),
            ("1h", 3600 * SECOND),
            ("1h30m", 5400 * SECOND),
            ("1h 30m", 5400 * SECOND),
            ("500us", 500_000),
            ("7ns", 7),
            ("30 s", 30 * SECOND),
            (" 30 ", 30 * SECOND),
            ("30.0", 30 * SECOND),
            ("0.25", 250_000_000),
            ("1.5h", 5400 * SECOND),
            ("0.30000000000000004", 300_000_000),
            ("0", 0),
            ("0s", 0),
            ("0.0", 0),
        ] {
            assert_eq!(
                parse(text).map(|read| read.as_nanos()),
                Some(nanos),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_clearly_a_duration_is_refused() {
        for text in [
            "", " ", "s", "-1", "-1s", "+1", "1e3", "1h30", "30m1h", "1s1s", "1 h 30", "30S",
            "30 sec", "1,5s", ".5", "5.", "5.s", "inf", "NaN", "none", "5µs", "1s!", "١s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn less_than_a_nanosecond_is_not_taken_for_zero() {
        assert_eq!(
            parse("0.0000000000000000000000001"),
            Some(Duration::from_nanos(1))
        );
        assert_eq!(parse("0.3ns"), Some(Duration::from_nanos(1)));
    }

    #[test]
    fn a_duration_too_long_to_represent_is_refused() {
        assert_eq!(
            parse("18446744073709551615"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(parse("18446744073709551616"), None);
        assert_eq!(parse(&format!("{}h", u128::MAX)), None);
        assert_eq!(
            parse(&format!("{}s", 1_u128 << 119)),
            None,
            "zero, if it wrapped"
        );
        assert_eq!(parse(&"9".repeat(400)), None);
    }

    #[test]
    fn a_limit_of_zero_is_none_in_every_spelling() {
        for none in ["0", "0s", "0ms", "none", "None", " off "] {
            assert_eq!(parse_limit(none), Some(None), "{none}");
        }
        let half = Duration::from_micros(500);
        assert_eq!(parse_limit("500us"), Some(Some(half)));
        assert_eq!(parse_limit(""), None);
    }

    #[test]
    fn a_duration_prints_in_the_units_it_is_made_of() {
        assert_eq!(print(Duration::ZERO), "0s");
        assert_eq!(print(Duration::from_secs(30)), "30s");
        assert_eq!(print(Duration::from_secs(5400)), "1h30m");
        assert_eq!(print(Duration::from_millis(1500)), "1s500ms");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(seconds: u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse(&print(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_text_that_looks_like_a_duration_panics(
            text in "([0-9]{1,60}(\\.[0-9]{0,60})?(h|m|s|ms|us|ns| )?){1,4}"
        ) {
            let _ = parse(&text);
        }
    }
}
