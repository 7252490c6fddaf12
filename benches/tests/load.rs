//! The command as a user runs it: what it writes, and its exit status.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pool_servers::eventually;
use serde_json::Value;

fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn report(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("a report was written");
    serde_json::from_str(&text).expect("the report is JSON")
}

#[test]
fn sqlite_connections_are_held_at_once_and_nothing_is_open_afterwards() {
    held_at_once_and_nothing_open_afterwards("sqlite");
}

#[test]
fn postgres_connections_are_held_at_once_and_nothing_is_open_afterwards() {
    held_at_once_and_nothing_open_afterwards("postgres");
}

#[test]
fn mysql_connections_are_held_at_once_and_nothing_is_open_afterwards() {
    held_at_once_and_nothing_open_afterwards("mysql");
}

#[expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]
fn held_at_once_and_nothing_open_afterwards(backend: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let json = file.to_str().unwrap();
    let small = ["--connections", "50", "--duration", "300ms"];
    let arguments = [&small[..], &["--backend", backend, "--json", json]].concat();

    let output = load(&arguments);

    assert!(output.status.success(), "{output:?}");
    let report = report(&file);
    assert_eq!(report["scenario"], "extreme");
    assert_eq!(report["backend"], backend);
    assert_eq!(report["connections_held_at_once_peak"], 50);
    assert_eq!(report["leaked"], 0);
    assert!(report["checkouts"].as_u64().unwrap() >= 200, "{report}");
    let audit = &report["audit"];
    assert_eq!(
        audit["descriptors_after_close"],
        audit["descriptors_before"]
    );
    if cfg!(target_os = "linux") {
        assert_eq!(audit["backend_open_while_held"], 50);
        assert_eq!(audit["backend_open_after_close"], 0);
    }
}

#[test]
fn chaos_loses_nothing_and_leaves_nobody_without_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let json = file.to_str().unwrap();
    let breaking = ["sustained", "--chaos", "--seed", "7", "--duration", "5s"];
    let output = load(&[&breaking[..], &["--backend", "mysql", "--json", json]].concat());
    assert!(output.status.success(), "{output:?}");
    let report = report(&file);
    assert!(!report["faults"].as_array().unwrap().is_empty());
    let audit = &report["audit"];
    assert_eq!(audit["unanswered"], 0);
    assert_eq!(
        audit["backend_open_after_work"],
        audit["pool_total_after_work"]
    );
    assert!(report["served"]["least"].as_u64().unwrap() >= 1);

    let nothing_to_break = load(&["basic", "--chaos"]);
    assert_eq!(nothing_to_break.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing_to_break.stderr).contains("needs `sustained`"));
}

#[test]
fn all_writes_every_report_and_compares_with_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let json = file.to_str().unwrap();
    let small = [
        "all",
        "--backend",
        "memory",
        "--connections",
        "20",
        "--duration",
        "100ms",
    ];

    let first = load(&[&small[..], &["--json", json]].concat());
    let tolerant = ["--baseline", json, "--tolerance", "1000000"];
    let second = load(&[&small[..], &tolerant].concat());

    assert!(first.status.success(), "{first:?}");
    let names: Vec<_> = report(&file)["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["scenario"].clone())
        .collect();
    assert_eq!(names, ["basic", "sustained", "extreme"]);
    assert!(second.status.success(), "{second:?}");
}

#[test]
fn a_figure_that_is_worse_than_in_the_baseline_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let json = file.to_str().unwrap();
    let small = ["basic", "--backend", "memory", "--connections", "20"];
    load(&[&small[..], &["--json", json]].concat());

    let mut better = report(&file);
    better["checkouts_per_second"] = 1e12.into();
    std::fs::write(&file, better.to_string()).unwrap();
    let output = load(&[&small[..], &["--baseline", json]].concat());

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("WORSE: basic checkouts_per_second"));
}

#[test]
fn a_page_shows_what_the_report_says_and_needs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (json, html) = (
        directory.path().join("r.json"),
        directory.path().join("r.html"),
    );
    let small = ["basic", "--backend", "memory", "--connections", "20"];
    let files = [
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ];

    let output = load(&[&small[..], &files].concat());

    assert!(output.status.success(), "{output:?}");
    let report = report(&json);
    let samples = report["timeline"].as_array().unwrap();
    assert!(samples.len() >= 3, "{report}");
    assert_eq!(
        (&samples[0]["phase"], &samples[1]["phase"]),
        (&"open".into(), &"again".into())
    );
    assert!(
        !report["distribution"]["checkout_ns"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    for part in [
        "basic on memory",
        "20 of 20",
        "Latency",
        "Over time",
        "Machine",
        "Server",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    assert_eq!(page.matches("role=\"img\"").count(), 4);
    for foreign in ["http", "src=", "href=", "<script"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    well_formed(&page);
}

/// Strictly: every element but those that HTML leaves open is closed.
#[expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]
fn well_formed(page: &str) {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut xml = String::new();
    while let Some((before, meta)) = rest.split_once("<meta") {
        xml.push_str(before);
        rest = meta.split_once('>').unwrap().1;
    }
    xml.push_str(rest);
    roxmltree::Document::parse(&xml).unwrap();
}

#[test]
fn standard_error_of_a_pipe_is_plain_lines() {
    let arguments = ["sustained", "--backend", "memory", "--duration", "2500ms"];
    let output = load(&arguments);
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!((1..=3).contains(&lines.lines().count()), "{lines}");
    assert!(
        lines.lines().all(|line| line.contains(" checkouts/s")),
        "{lines}"
    );
    assert!(!lines.contains('\u{1b}'), "{lines}");
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    for (arguments, why) in [
        (
            &["basic", "--connections", "10", "--max-size", "5"][..],
            "--max-size (5)",
        ),
        (&["--connections", "100000000"], "open files"),
        (
            &["basic", "--url", "/nowhere/at/all.db"],
            "/nowhere/at/all.db",
        ),
        (
            &["basic", "--baseline", "/nowhere.json"],
            "--baseline /nowhere.json",
        ),
        (
            &["basic", "--html", "/nowhere/p.html"],
            "--html /nowhere/p.html: there is no folder /nowhere",
        ),
        (
            &["basic", "--json", "/nowhere/r.json"],
            "--json /nowhere/r.json: there is no folder /nowhere",
        ),
    ] {
        let output = load(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(why),
            "{output:?}"
        );
    }
}

#[test]
fn a_run_that_is_killed_leaves_no_file_and_no_process() {
    let directory = tempfile::tempdir().expect("a folder");
    let left = || std::fs::read_dir(directory.path()).expect("a folder");
    let mut run = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["all", "--connections", "2", "--duration", "1h"])
        .env("TMPDIR", directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    eventually("a scenario has its database", || {
        left()
            .flatten()
            .any(|made| made.path().join("load.db").exists())
    });

    run.kill().expect("it runs");
    run.wait().expect("it has ended");

    eventually("nothing is left", || left().next().is_none());
}
