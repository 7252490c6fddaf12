//! The rows as markdown: one table for each contest, one line for each pool, and a note where another
//! pool is better than this one.

use std::fmt::Write as _;

use crate::contest::Best;
use crate::machine::Cores;
use crate::rounds::Row;

/// The rows of one contest as a table; the first pool is this one.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let width = rows.iter().take_while(|row| row.pool == first.pool).count();
    let pools: Vec<_> = rows.chunks(width).collect();
    let cores = match first.cores {
        None => "",
        Some(Cores::Near) => ", cores near each other",
        Some(Cores::Far) => ", cores far apart",
    };
    let mut out = format!(
        "### {}\n\n`{}`, {} rounds{cores}\n\n| pool |",
        first.title, first.scenario, first.rounds
    );
    for row in &rows[..width] {
        let _ = write!(out, " {}, {} |", name(row), row.metric.unit);
    }
    let told = if first.at_return.is_some() {
        out.push_str(" at a return |");
        " --- |"
    } else {
        ""
    };
    let _ = writeln!(out, "\n| --- |{}{told}", " ---: |".repeat(width));
    let best: Vec<_> = (0..width).map(|metric| best(&pools, metric)).collect();
    for pool in &pools {
        let _ = write!(out, "| {} {} |", pool[0].pool, pool[0].version);
        for (row, best) in pool.iter().zip(&best) {
            let mark = if best.is_some() && row.median == *best {
                "**"
            } else {
                ""
            };
            let _ = write!(out, " {mark}{}{mark}{} |", number(row.median), spread(row));
        }
        if let Some(at_return) = pool[0].at_return {
            let _ = write!(out, " {at_return} |");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "\n{}", note(&pools));
    out
}

/// Where other pools are better than the first, the best of them first.
fn note(pools: &[&[Row]]) -> String {
    let [ours, others @ ..] = pools else {
        return String::new();
    };
    let metrics = ours.iter().enumerate().filter_map(|(metric, row)| {
        let others = others.iter().map(|pool| &pool[metric]);
        let mut better: Vec<_> = others.filter(|other| is_better(other, row)).collect();
        better.sort_by(|one, other| {
            let ascending = one
                .median
                .unwrap_or(f64::INFINITY)
                .total_cmp(&other.median.unwrap_or(f64::INFINITY));
            if row.metric.best == Best::Highest {
                ascending.reverse()
            } else {
                ascending
            }
        });
        let told: Vec<_> = better.into_iter().map(|other| told(other, row)).collect();
        (!told.is_empty()).then(|| format!("{} ({})", name(row), told.join(", ")))
    });
    let metrics: Vec<_> = metrics.collect();
    if metrics.is_empty() {
        format!("Nobody is better than {}.", ours[0].pool)
    } else {
        format!("**Better than {}:** {}.", ours[0].pool, metrics.join("; "))
    }
}

fn is_better(one: &Row, other: &Row) -> bool {
    let never = f64::INFINITY;
    match one.metric.best {
        Best::Highest => one.median.unwrap_or(-never) > other.median.unwrap_or(-never),
        Best::Lowest => one.median.unwrap_or(never) < other.median.unwrap_or(never),
        Best::Neither => false,
    }
}

/// A better pool, its median, and whether the rounds leave room for doubt.
fn told(better: &Row, ours: &Row) -> String {
    let doubt = if overlap(ours, better) {
        ", rounds overlap"
    } else {
        ""
    };
    format!("{} {}{doubt}", better.pool, number(better.median))
}

/// The best median of a metric; `None` where there is none or all are alike.
fn best(pools: &[&[Row]], metric: usize) -> Option<f64> {
    let medians = || pools.iter().map(|pool| pool[metric].median);
    let first = pools[0][metric].median;
    if medians().all(|median| median == first) {
        return None;
    }
    match pools[0][metric].metric.best {
        Best::Highest => medians().flatten().max_by(f64::total_cmp),
        Best::Lowest => medians().flatten().min_by(f64::total_cmp),
        Best::Neither => None,
    }
}

/// Whether what was measured of two pools overlaps.
fn overlap(one: &Row, other: &Row) -> bool {
    let greatest = |row: &Row| row.max.unwrap_or(f64::INFINITY);
    let least = |row: &Row| row.min.unwrap_or(f64::INFINITY);
    least(one) <= greatest(other) && least(other) <= greatest(one)
}

/// The least and the greatest in parentheses; nothing where there was never anything.
fn spread(row: &Row) -> String {
    match row.min {
        None => String::new(),
        min => format!(" ({}–{})", number(min), number(row.max)),
    }
}

fn name(row: &Row) -> String {
    row.metric.name.replace('_', " ")
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
    use crate::contest::Metric;

    fn row(pool: &'static str, metric: Metric, [min, median, max]: [f64; 3]) -> Row {
        Row {
            scenario: "one_task",
            title: "one task",
            pool,
            version: "1",
            at_return: None,
            metric,
            cores: None,
            rounds: 3,
            median: Some(median),
            min: Some(min),
            max: Some(max),
        }
    }

    #[test]
    fn the_best_is_bold_and_a_better_peer_is_told() {
        let wait = Metric::lowest("wait_p99", "us");
        let rows = [
            row("ours", wait, [2.0, 3.0, 4.0]),
            row("theirs", wait, [1.0, 1.5, 1.8]),
        ];
        let text = markdown(&rows);
        assert!(text.contains("| theirs 1 | **1.50** (1–1.80) |"), "{text}");
        assert!(
            text.contains("**Better than ours:** wait p99 (theirs 1.50)."),
            "{text}"
        );
    }

    #[test]
    fn what_never_happened_has_no_spread() {
        let mut never = row("ours", Metric::lowest("wait", "us"), [0.0; 3]);
        [never.min, never.median, never.max] = [None; 3];
        assert!(markdown(&[never]).contains("| ours 1 | never |"));
    }

    #[test]
    fn rounds_that_overlap_are_told() {
        let served = Metric::highest("served", "1/s");
        let (ours, theirs) = (
            row("ours", served, [2.0, 3.0, 6.0]),
            row("theirs", served, [4.0, 5.0, 6.0]),
        );
        let text = note(&[&[ours], &[theirs]]);
        assert_eq!(
            text,
            "**Better than ours:** served (theirs 5, rounds overlap)."
        );
    }

    #[test]
    fn the_best_of_the_better_is_told_first() {
        let heap = Metric::lowest("heap", "bytes");
        let [ours, good, best] = [("ours", 9.0), ("good", 5.0), ("best", 2.0)]
            .map(|(pool, it)| row(pool, heap, [it; 3]));
        let text = note(&[&[ours], &[good], &[best]]);
        assert_eq!(text, "**Better than ours:** heap (best 2, good 5).");
    }

    #[test]
    fn where_all_are_alike_none_is_best() {
        let lost = Metric::lowest("slots_lost", "connections");
        let (ours, theirs) = (row("ours", lost, [0.0; 3]), row("theirs", lost, [0.0; 3]));
        assert_eq!(best(&[&[ours], &[theirs]], 0), None);
    }

    #[test]
    fn what_only_describes_the_run_has_no_best() {
        let used = Metric::neither("cores_used", "cores");
        let (ours, theirs) = (row("ours", used, [1.0; 3]), row("theirs", used, [2.0; 3]));
        assert_eq!(note(&[&[ours], &[theirs]]), "Nobody is better than ours.");
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_are_good_for() {
        assert_eq!(number(None), "never");
        assert_eq!(number(Some(0.984)), "0.98");
        assert_eq!(number(Some(64.0)), "64");
        assert_eq!(number(Some(16.66)), "16.7");
        assert_eq!(number(Some(1_234_567.8)), "1,234,568");
    }
}
