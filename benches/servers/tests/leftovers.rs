//! Nothing is left of a server: no process, no folder, no shared memory, however the test ends.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pool_servers::{MySql, PgBouncer, Postgres, Server, eventually};
use rustix::process::{Pid, Signal, kill_process_group};

/// Set in a process that a test starts to kill it: which server it is to start.
const VICTIM: &str = "POOL_SERVERS_VICTIM";

fn folder(server: &Server) -> PathBuf {
    server.socket().parent().unwrap().to_owned()
}

/// Whether a process runs that names the folder among its arguments.
fn runs(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(folder)
    })
}

/// The segment of System V's shared memory that is PostgreSQL's sign that it runs.
fn segment(folder: &Path) -> String {
    let pid_file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let line = pid_file.lines().nth(6).unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

/// Whether the system still has it.
fn is_shared(segment: &str) -> bool {
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    segments
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(segment))
}

#[test]
fn a_dropped_server_is_gone() {
    let postgres = Postgres::new().start().unwrap();
    let bouncer = PgBouncer::before(&postgres).start().unwrap();
    let mysql = MySql::new().start().unwrap();
    let _session = postgres.session().unwrap();
    for server in [postgres, bouncer, mysql] {
        let folder = folder(&server);
        assert!(folder.exists() && runs(&folder));
        drop(server);
        assert!(!folder.exists() && !runs(&folder), "{}", folder.display());
    }
}

#[test]
fn a_postgres_leaves_no_shared_memory_also_when_it_was_killed() {
    for outage in [|_: &Server| Ok(()), Server::kill] {
        let server = Postgres::new().start().unwrap();
        let segment = segment(&folder(&server));
        let maps = format!("/proc/{}/maps", server.id().unwrap());
        let maps = std::fs::read_to_string(maps).unwrap();
        assert!(!maps.contains("/dev/shm/PostgreSQL."), "{maps}");
        outage(&server).unwrap();
        assert!(is_shared(&segment));
        drop(server);
        assert!(!is_shared(&segment));
    }
}

#[test]
fn a_server_of_a_test_that_panics_is_gone() {
    let mut left = None;
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let server = Postgres::new().start().unwrap();
        server.hang().unwrap();
        left = Some(folder(&server));
        panic!("as a failing test does");
    }));
    let folder = left.unwrap();
    assert!(outcome.is_err() && !folder.exists() && !runs(&folder));
}

#[test]
fn a_server_that_did_not_start_is_gone() {
    let error = Postgres::new()
        .setting("hba_file", "absent")
        .start()
        .unwrap_err()
        .to_string();
    let folder = error
        .split('"')
        .find_map(|path| path.split_once("/.s.PGSQL."));
    let (folder, _) = folder.expect("the server names its socket");
    let folder = Path::new(folder);
    assert!(!folder.exists() && !runs(folder), "{error}");
}

#[test]
fn a_postgres_of_a_killed_test_process_is_gone() {
    killed("a_postgres_of_a_killed_test_process_is_gone", "postgres");
}

#[test]
fn a_hanging_postgres_of_a_killed_test_process_is_gone() {
    killed(
        "a_hanging_postgres_of_a_killed_test_process_is_gone",
        "hanging postgres",
    );
}

#[test]
fn a_standby_of_a_killed_test_process_is_gone() {
    killed("a_standby_of_a_killed_test_process_is_gone", "standby");
}

#[test]
fn a_mysql_of_a_killed_test_process_is_gone() {
    killed("a_mysql_of_a_killed_test_process_is_gone", "mysql");
}

/// Runs `test` once more in a process of its own, which starts a server, and kills the process group
/// of that process, as test runners do. The test is this same one, on its other path.
fn killed(test: &str, kind: &str) {
    if let Ok(kind) = env::var(VICTIM) {
        return be_killed(&kind);
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(VICTIM, kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut told = |what: &str| {
        let found = lines.find_map(|line| Some(line.split_once(what)?.1.to_owned()));
        found.expect("the process started its server")
    };
    let folder = PathBuf::from(told("folder: "));
    let backend = PathBuf::from(format!("/proc/{}/cmdline", told("backend: ")));
    assert!(folder.exists() && runs(&folder));
    let segments = Vec::from_iter((kind != "mysql").then(|| segment(&folder)));
    assert!(segments.iter().all(|segment| is_shared(segment)));
    // MySQL serves a connection with a thread, which has no number in `/proc` that SQL tells.
    let backends = if kind == "mysql" {
        Vec::new()
    } else {
        vec![backend]
    };
    // One that has ended and was not taken notice of has no arguments.
    let alive = |backend: &PathBuf| !std::fs::read(backend).unwrap_or_default().is_empty();
    assert!(backends.iter().all(alive));

    kill_process_group(Pid::from_child(&victim), Signal::KILL).unwrap();
    victim.wait().unwrap();

    eventually("the folder is removed", || !folder.exists());
    // One that was removed stays until the last process that has it is dead.
    eventually("no shared memory is left", || {
        !segments.iter().any(|segment| is_shared(segment))
    });
    eventually("no process is left", || !runs(&folder));
    eventually("no backend is left", || !backends.iter().any(alive));
}

fn be_killed(kind: &str) {
    let plan = Postgres::new().replicated();
    let primary = (kind == "standby").then(|| plan.start().unwrap());
    let server = match &primary {
        Some(primary) => plan.standby_of(primary).start(),
        None if kind == "mysql" => MySql::new().start(),
        None => Postgres::new().start(),
    };
    let server = server.unwrap();
    let session = server.session().unwrap();
    if kind.starts_with("hanging") {
        server.hang().unwrap();
    }
    println!("folder: {}", folder(&server).display());
    println!("backend: {}", session.id());
    // Until the end, which is a signal.
    let _ = std::io::stdin().read(&mut [0]);
    panic!("nobody has killed this process");
}
