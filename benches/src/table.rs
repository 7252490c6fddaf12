//! The table at the end of a run, for a person to read.

use std::fmt::Write as _;

use crate::latency::Summary;
use crate::report::Report;

/// The report as a table.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let Report {
        scenario,
        backend,
        server,
        ..
    } = report;
    let title = format!(
        "{scenario} on {backend} ({} {})",
        server.name, server.version
    );
    line(
        &mut out,
        &format!("\n{title}\n{}", "-".repeat(title.chars().count())),
    );

    let counts = [
        (
            "connections requested",
            grouped(report.connections_requested),
        ),
        (
            "  open at once, peak",
            grouped(report.connections_open_peak),
        ),
        (
            "  held at once, each answered",
            grouped(report.connections_held_at_once_peak),
        ),
        (
            "checkouts",
            format!("{} in {:.2} s", grouped(report.checkouts), report.seconds),
        ),
        ("  per second", grouped(report.checkouts_per_second.round())),
        (
            "  least / most of a task",
            report.served.map_or_else(
                || "-".to_owned(),
                |served| format!("{} / {}", grouped(served.least), grouped(served.most)),
            ),
        ),
        (
            "errors / timeouts / leaked",
            format!(
                "{} / {} / {}",
                report.errors, report.timeouts, report.leaked
            ),
        ),
        ("faults made on purpose", grouped(report.faults.len())),
        ("descriptors before/held/after", descriptors(report)),
        ("memory per connection", bytes(report.bytes_per_connection)),
        (
            "  of the server's",
            bytes(report.server_bytes_per_connection),
        ),
        ("memory of the process, peak", bytes(report.rss_peak_bytes)),
    ];
    for (name, value) in counts {
        line(&mut out, &format!("{name:<30} {value:>24}"));
    }
    for phase in &report.phases {
        line(
            &mut out,
            &format!(
                "{:<30} {:>22.3} s",
                format!("phase {}", phase.name),
                phase.seconds
            ),
        );
    }

    line(
        &mut out,
        &format!(
            "\n{:<10}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}",
            "", "p50", "p95", "p99", "p99.9", "max", "mean"
        ),
    );
    latency(&mut out, "checkout", &report.checkout_ns, 1.0);
    latency(&mut out, "wait", &report.wait_ns, 1.0);
    latency(&mut out, "query", &report.query_ns, 1.0);
    latency(&mut out, "connect", &report.connect_ms, 1e6);

    for problem in &report.problems {
        line(&mut out, &format!("\nPROBLEM: {problem}"));
    }
    if report.problems.is_empty() {
        line(
            &mut out,
            "\nNothing lost, nothing leaked, nothing left unanswered.",
        );
    }
    out
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", text.trim_end());
}

fn latency(out: &mut String, name: &str, summary: &Summary, nanoseconds: f64) {
    let mut row = format!("{name:<10}");
    let Summary {
        count,
        p50,
        p95,
        p99,
        p999,
        max,
        mean,
    } = *summary;
    for value in [p50, p95, p99, p999, max, mean] {
        let shown = if count == 0 {
            "-".to_owned()
        } else {
            time(value * nanoseconds)
        };
        let _ = write!(row, "{shown:>11}");
    }
    line(out, &row);
}

fn descriptors(report: &Report) -> String {
    let audit = &report.audit;
    [
        audit.descriptors_before,
        audit.descriptors_while_held,
        audit.descriptors_after_close,
    ]
    .map(|count| count.map_or_else(|| "?".to_owned(), grouped))
    .join(" / ")
}

/// A time in the unit in which it has one to three digits before the point.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// Bytes in the unit one can read, or that nobody knows.
#[expect(
    clippy::cast_precision_loss,
    reason = "shown with one digit after the point"
)]
pub fn bytes(bytes: Option<u64>) -> String {
    match bytes {
        None => "not known here".to_owned(),
        Some(bytes) if bytes < 1 << 20 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        Some(bytes) => format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0),
    }
}

/// A whole number with a comma at each thousand.
pub fn grouped(number: impl ToString + Copy) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn times_are_shown_in_a_unit_one_can_read() {
        assert_eq!(time(17.0), "17 ns");
        assert_eq!(time(1_500.0), "1.5 us");
        assert_eq!(time(2_340_000.0), "2.34 ms");
        assert_eq!(time(3e9), "3.00 s");
    }

    #[test]
    fn a_table_shows_what_went_well_and_what_did_not() {
        let mut report = report();
        assert!(render(&report).contains("nothing leaked"));
        report
            .problems
            .push("2 connections did not come back".to_owned());
        let table = render(&report);
        assert!(table.contains("PROBLEM: 2 connections") && !table.contains("nothing leaked"));
    }

    #[test]
    fn latencies_nobody_had_are_not_shown_as_zero() {
        let mut report = report();
        report.wait_ns = Summary::default();
        let table = render(&report);
        let wait = table.lines().find(|line| line.starts_with("wait")).unwrap();
        assert!(wait.contains('-') && !wait.contains("0 ns"), "{wait}");
    }
}
