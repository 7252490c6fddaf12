//! The page that `--html` writes.

use maud::html;
use pool_pages::page::{Good, Head, page, section};
use pool_pages::table::{Table, facts};

use crate::report::{Check, Report, significant};

/// All checks and how each was measured.
pub(crate) fn render(report: &Report) -> String {
    let (passed, all) = report.passed();
    let good = if passed == all { Good::Yes } else { Good::No };
    let head = Head {
        title: format!("Validation of a pool on {}", report.backend),
        about: format!("{}; version {}", report.server, report.version),
        verdict: (format!("{passed} of {all} passed"), good),
    };
    let machine = [
        ("Cores", report.machine.cores.to_string()),
        ("System", report.machine.os.clone()),
    ];
    let sections = [
        section("Scenarios", table("Scenarios", &report.scenarios).markup()),
        section("Criteria", table("Criteria", &report.criteria).markup()),
        section("Machine", html! { (facts(&machine)) }),
    ];
    page(&head, &sections)
}

fn table(caption: &str, checks: &[Check]) -> Table {
    Table {
        caption: caption.to_owned(),
        columns: ["What", "Verdict", "Measured", "Target", "How"]
            .map(str::to_owned)
            .to_vec(),
        rows: checks.iter().map(row).collect(),
    }
}

fn row(check: &Check) -> Vec<String> {
    let measured = check.measured.map_or_else(
        || "not measured".to_owned(),
        |figure| format!("{} {}", significant(figure), check.unit),
    );
    vec![
        format!("{} {}", check.id, check.title),
        check.verdict().to_owned(),
        measured,
        check.target.to_owned(),
        check.method.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, Topic};

    #[test]
    fn the_page_tells_what_passed_what_did_not_and_what_was_not_measured() {
        let topic = Topic {
            id: "X-1",
            title: "a <figure>",
            target: "< 2",
            unit: "s",
            method: "by looking",
        };
        let mut report = Report::new("sqlite".to_owned(), "SQLite".to_owned());
        report.scenarios = vec![topic.settle(Ok(Finding::Measured(1.5, true)))];
        report.criteria = vec![
            topic.settle(Ok(Finding::Measured(2.5, false))),
            topic.settle(Ok(Finding::NotMeasured("no server".to_owned()))),
        ];
        let page = render(&report);
        for text in [
            "1 of 3 passed",
            "a &lt;figure&gt;",
            "1.500 s",
            "FAIL",
            "not measured: no server",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
    }
}
