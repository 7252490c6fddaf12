//! What the figures are of: the configuration, the machine, the server, and what was left.

use maud::{Markup, html};
use pool_pages::table::facts;

use crate::report::Report;
use crate::table::{bytes, grouped};

/// The lists below the plots.
pub(super) fn part(report: &Report) -> Markup {
    html! {
        h3 { "Configuration" }
        (facts(&configuration(report)))
        h3 { "Server" }
        (facts(&server(report)))
        h3 { "Machine" }
        (facts(&machine(report)))
        h3 { "What was left at the end" }
        (facts(&left(report)))
    }
}

fn configuration(report: &Report) -> Vec<(&'static str, String)> {
    let config = &report.config;
    vec![
        ("Scenario", report.scenario.clone()),
        ("Backend", report.backend.clone()),
        ("Connections held at once", grouped(config.connections)),
        ("max_size of the pool", grouped(config.max_size)),
        ("max_connecting of the pool", grouped(config.max_connecting)),
        (
            "acquire_timeout of the pool",
            format!("{} s", config.acquire_timeout_seconds),
        ),
        ("Tasks", grouped(config.workers)),
        ("Time of work", format!("{} s", config.duration_seconds)),
        ("Held after the answer", format!("{} ms", config.hold_ms)),
        ("Load", format!("{} loop", config.load)),
        (
            "Requests of a task, least / most",
            report.served.map_or_else(
                || "-".to_owned(),
                |served| format!("{} / {}", grouped(served.least), grouped(served.most)),
            ),
        ),
        ("Version", report.version.clone()),
    ]
}

fn server(report: &Report) -> Vec<(&'static str, String)> {
    let whose = if report.config.own_server {
        "the user's"
    } else {
        "made for the run"
    };
    vec![
        ("Product", report.server.name.clone()),
        ("Version", report.server.version.clone()),
        ("Setup", or_dash(&report.server.setup)),
        ("Whose", whose.to_owned()),
        (
            "Its memory per connection",
            bytes(report.server_bytes_per_connection),
        ),
    ]
}

fn machine(report: &Report) -> Vec<(&'static str, String)> {
    let machine = &report.machine;
    vec![
        ("Cores", machine.cores.to_string()),
        (
            "Processor",
            or_dash(machine.processor.as_deref().unwrap_or_default()),
        ),
        ("Memory", bytes(machine.memory_bytes)),
        ("System", machine.os.clone()),
        ("Compiler", machine.rustc.clone()),
    ]
}

fn left(report: &Report) -> Vec<(&'static str, String)> {
    let audit = &report.audit;
    let known = |count: Option<usize>| count.map_or_else(|| "not known here".to_owned(), grouped);
    vec![
        ("Tasks without an answer", grouped(audit.unanswered)),
        ("Held after all had ended", grouped(audit.active_after_work)),
        (
            "Waiting after all had ended",
            grouped(audit.waiting_after_work),
        ),
        (
            "Open by the pool's count after its close",
            grouped(audit.pool_total_after_close),
        ),
        (
            "Open by the backend's count while held",
            known(audit.backend_open_while_held),
        ),
        (
            "Open by the backend's count after the close",
            known(audit.backend_open_after_close),
        ),
        ("Descriptors before", known(audit.descriptors_before)),
        (
            "Descriptors while held",
            known(audit.descriptors_while_held),
        ),
        (
            "Descriptors after the close",
            known(audit.descriptors_after_close),
        ),
    ]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}
