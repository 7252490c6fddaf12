//! Lengths of time as they are written on a command line: `250ms`, `30s`, `5m`, `1h`, or plain
//! seconds (`1.5`).

use std::time::Duration;

/// Reads a length of time.
///
/// # Errors
///
/// When `text` is not a number with one of the units `ms`, `s`, `m`, `h` or none; the message says
/// what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds_per_unit = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        other => {
            return Err(format!(
                "unknown unit `{other}`: write 250ms, 30s, 5m, 1h or seconds"
            ));
        }
    };
    let number: f64 = number.trim().parse().map_err(|_| {
        format!("`{text}` is no length of time: write 250ms, 30s, 5m, 1h or seconds")
    })?;
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .map_err(|_| format!("`{text}` is negative or too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0ms"), Ok(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for nonsense in ["", "s", "-1s", "10 parsecs", "1e30h", "NaN"] {
            assert!(parse(nonsense).is_err(), "{nonsense} was accepted");
        }
        assert!(parse("10d").unwrap_err().contains("250ms"));
    }
}
