//! What is wrong with a run, in sentences: the exit status hangs on there being none.

use crate::report::{Audit, Report};
use crate::table::grouped;

impl Audit {
    /// Connections that did not come back, or that the pool or the backend has open after the close;
    /// the largest of the counts, since they may count the same ones.
    pub fn leaked(&self) -> usize {
        let backend = self.backend_open_after_close.unwrap_or(0);
        self.active_after_work
            .max(self.pool_total_after_close)
            .max(backend)
    }
}

/// Everything that is wrong with the run.
pub fn problems(report: &Report, first_failure: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |is_one: bool, text: String| {
        if is_one {
            problems.push(text);
        }
    };
    let Report {
        audit,
        connections_requested: wanted,
        errors,
        timeouts,
        ..
    } = report;
    let held = report.connections_held_at_once_peak;
    // What was broken on purpose fails who uses it; what counts is that everybody is told.
    let breaks = report.config.chaos;
    let said = first_failure.map_or_else(String::new, |failure| format!("; the first: {failure}"));

    problem(
        held < *wanted,
        format!(
            "{} of {} connections were held at the same time",
            grouped(held),
            grouped(*wanted)
        ),
    );
    problem(
        *errors > 0 && !breaks,
        format!("{} requests failed{said}", grouped(*errors)),
    );
    problem(
        *timeouts > 0 && !breaks,
        format!("{} checkouts timed out{said}", grouped(*timeouts)),
    );
    problem(
        report.checkouts == 0,
        "the measured phase has no answered checkout".to_owned(),
    );
    problem(
        breaks && report.faults.is_empty(),
        "nothing was broken".to_owned(),
    );
    problems.extend(left_over(audit, held));
    problems
}

/// What the counts say that were taken while `held` connections were held, after the work, and after
/// the close.
fn left_over(audit: &Audit, held: usize) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |is_one: bool, text: String| {
        if is_one {
            problems.push(text);
        }
    };
    problem(
        audit.unanswered > 0,
        format!(
            "{} tasks were never answered, not even by a timeout",
            grouped(audit.unanswered)
        ),
    );
    problem(
        audit
            .backend_open_while_held
            .is_some_and(|open| open < held),
        format!(
            "the backend counted {:?} open connections while {held} were held",
            audit.backend_open_while_held.unwrap_or(0)
        ),
    );
    let counts = audit
        .pool_total_after_work
        .zip(audit.backend_open_after_work);
    let (pool, backend) = counts.unwrap_or_default();
    problem(
        pool != backend,
        format!(
            "after the work the pool counted {} connections and the server {}",
            grouped(pool),
            grouped(backend)
        ),
    );
    problem(
        audit.active_after_work > 0,
        format!(
            "{} connections did not come back",
            grouped(audit.active_after_work)
        ),
    );
    problem(
        audit.waiting_after_work > 0,
        format!(
            "{} callers count as waiting, and none does",
            grouped(audit.waiting_after_work)
        ),
    );
    problem(
        audit.pool_total_after_close > 0,
        format!(
            "the closed pool counts {} connections",
            grouped(audit.pool_total_after_close)
        ),
    );
    let open = audit.backend_open_after_close.unwrap_or(0);
    problem(
        open > 0,
        format!("{} connections are open after the close", grouped(open)),
    );
    if let (Some(before), Some(after)) = (audit.descriptors_before, audit.descriptors_after_close) {
        problem(
            after > before,
            format!(
                "{} descriptors more are open after the close than before",
                after.saturating_sub(before)
            ),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn a_clean_run_has_no_problems() {
        assert_eq!(problems(&report(), None), Vec::<String>::new());
    }

    #[test]
    fn each_loss_is_a_problem_of_its_own() {
        let breakages: [fn(&mut Report); 10] = [
            |report| report.connections_held_at_once_peak = 99,
            |report| report.errors = 1,
            |report| report.timeouts = 1,
            |report| report.checkouts = 0,
            |report| report.audit.unanswered = 1,
            |report| report.audit.backend_open_while_held = Some(99),
            |report| report.audit.active_after_work = 1,
            |report| report.audit.waiting_after_work = 1,
            |report| report.audit.pool_total_after_close = 1,
            |report| report.audit.backend_open_after_close = Some(1),
        ];
        for (number, breaks) in breakages.into_iter().enumerate() {
            let mut report = report();
            breaks(&mut report);
            assert_eq!(problems(&report, None).len(), 1, "breakage {number}");
        }
    }

    #[test]
    fn what_was_broken_on_purpose_may_fail_and_must_not_lose() {
        let fault = crate::report::Fault {
            at_seconds: 1.0,
            seconds: 1.0,
            what: "the server hangs".into(),
        };
        let mut broken = report();
        broken.config.chaos = true;
        assert_eq!(problems(&broken, None), ["nothing was broken"]);
        broken.faults.push(fault);
        (broken.errors, broken.timeouts) = (9, 9);
        assert_eq!(problems(&broken, None), Vec::<String>::new());
        broken.audit.pool_total_after_work = Some(10);
        broken.audit.backend_open_after_work = Some(11);
        let told = problems(&broken, None);
        assert_eq!(
            told,
            ["after the work the pool counted 10 connections and the server 11"]
        );
    }

    #[test]
    fn descriptors_must_be_back_where_they_were() {
        let mut report = report();
        report.audit.descriptors_before = Some(9);
        report.audit.descriptors_after_close = Some(9);
        assert!(problems(&report, None).is_empty());
        report.audit.descriptors_after_close = Some(12);
        assert!(problems(&report, None)[0].starts_with("3 descriptors more"));
    }

    #[test]
    fn the_first_failure_is_told() {
        let mut report = report();
        report.errors = 7;
        let problems = problems(&report, Some("unable to open database file"));
        assert_eq!(
            problems,
            ["7 requests failed; the first: unable to open database file"]
        );
    }

    #[test]
    fn what_two_count_is_leaked_once() {
        let audit = Audit {
            active_after_work: 2,
            pool_total_after_close: 2,
            backend_open_after_close: Some(3),
            ..Audit::default()
        };
        assert_eq!(audit.leaked(), 3);
    }
}
