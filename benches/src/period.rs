//! Lengths of time on a command line: written as in the settings of a pool.

use std::time::Duration;

use pool_core::duration;

/// Reads a length of time.
///
/// # Errors
///
/// When `text` is none; the message says what would be right.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text)
        .ok_or("must be a length of time such as 250ms, 30s, 5m, 1h or a number of seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_and_nonsense_is_refused_with_what_would_be_right() {
        assert_eq!(parse("0ms"), Ok(Duration::ZERO));
        assert_eq!(parse("1.5"), Ok(Duration::from_millis(1500)));
        for nonsense in ["", "s", "-1s", "10 parsecs", "1e30h", "NaN"] {
            assert!(parse(nonsense).unwrap_err().contains("250ms"), "{nonsense}");
        }
    }
}
