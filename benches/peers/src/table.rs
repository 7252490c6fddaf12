//! The rows as markdown: one table for each scenario, one line for each pool.

use std::fmt::Write as _;

use crate::machine::Cores;
use crate::rounds::Row;

/// The rows of one scenario as a table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let metrics: Vec<_> = rows
        .iter()
        .take_while(|row| row.pool == first.pool)
        .collect();
    let cores = match first.cores {
        None => "",
        Some(Cores::Near) => ", cores near each other",
        Some(Cores::Far) => ", cores far apart",
    };
    let mut out = format!(
        "### {}\n\n{} rounds{cores}\n\n| pool |",
        first.title, first.rounds
    );
    for row in &metrics {
        let _ = write!(
            out,
            " {}, {} |",
            row.metric.name.replace('_', " "),
            row.metric.unit
        );
    }
    let _ = write!(out, "\n| --- |{}\n", " ---: |".repeat(metrics.len()));
    for pool in rows.chunks(metrics.len()) {
        let _ = write!(out, "| {} {} |", pool[0].pool, pool[0].version);
        for row in pool {
            let [median, min, max] = [row.median, row.min, row.max].map(number);
            let _ = write!(out, " {median} ({min}–{max}) |");
        }
        out.push('\n');
    }
    out
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "never".to_owned(),
        Some(value) if value.fract() == 0.0 || value >= 100.0 => thousands(value),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.1}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_they_are_good_for() {
        assert_eq!(number(None), "never");
        assert_eq!(number(Some(0.984)), "0.98");
        assert_eq!(number(Some(64.0)), "64");
        assert_eq!(number(Some(16.66)), "16.7");
        assert_eq!(number(Some(1_234_567.8)), "1,234,568");
    }
}
