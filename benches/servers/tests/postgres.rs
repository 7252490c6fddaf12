//! A throw-away PostgreSQL: how it is reached, ended, and made to fail.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use pool_servers::{Postgres, Server, SessionError, eventually};

fn one(server: &Server, sql: &str) -> String {
    let rows = server.query(sql).unwrap();
    rows.into_iter().flatten().flatten().next().unwrap()
}

#[test]
fn it_answers_on_its_port_and_on_its_socket() {
    let server = Postgres::new().start().unwrap();

    let rows = vec![vec![Some("1".to_owned()), None, Some(String::new())]];
    assert_eq!(server.query("SELECT 1, NULL, ''").unwrap(), rows);
    let mut session = server.session_at(server.address()).unwrap();
    assert_eq!(session.query("SELECT 1, NULL, ''").unwrap(), rows);

    assert_eq!(server.name(), "PostgreSQL");
    assert!(one(&server, "SHOW server_version").starts_with(server.version()));
    assert_eq!(
        server.url(),
        format!("postgres://postgres@{}/postgres", server.address())
    );
}

#[test]
fn a_refused_statement_leaves_the_session_usable() {
    let server = Postgres::new().start().unwrap();
    let mut session = server.session().unwrap();

    let error = session.query("SELECT 1/0").unwrap_err();

    let SessionError::Refused { code, message } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("22012", "division by zero")
    );
    assert_eq!(session.query("SELECT 2").unwrap().len(), 1);
}

#[test]
fn data_survive_a_stop_a_kill_and_a_restart_on_the_same_port() {
    let server = Postgres::new().start().unwrap();
    let (url, socket_url) = (server.url(), server.socket_url());
    server.query("CREATE TABLE kept (n int)").unwrap();

    let outages: [fn(&Server); 3] = [
        |server| server.stop().unwrap(),
        |server| server.kill().unwrap(),
        |_| {},
    ];
    for outage in outages {
        server.query("INSERT INTO kept VALUES (1)").unwrap();
        // What is not synced to disk survives a kill only once it is written there.
        server.query("CHECKPOINT").unwrap();
        outage(&server);
        server.restart().unwrap();
    }

    assert_eq!(one(&server, "SELECT sum(n) FROM kept"), "3");
    assert_eq!((server.url(), server.socket_url()), (url, socket_url));
}

#[test]
fn a_restart_ends_the_sessions_of_before() {
    let server = Postgres::new().start().unwrap();
    let before = server.id();
    let mut session = server.session().unwrap();

    server.restart().unwrap();

    assert!(session.query("SELECT 1").is_err());
    assert_ne!(server.id(), before);
}

#[test]
fn a_stopped_server_is_down_and_says_how_to_get_it_up() {
    let server = Postgres::new().start().unwrap();
    server.stop().unwrap();

    assert_eq!(server.id(), None);
    assert!(server.session().is_err());
    assert!(TcpStream::connect(server.address()).is_err());
    assert!(
        server
            .kill()
            .unwrap_err()
            .to_string()
            .contains("`restart` starts it again")
    );
    server.stop().unwrap();
}

#[test]
fn a_killed_server_leaves_no_process_and_refuses_connects() {
    let server = Postgres::new().start().unwrap();
    let first = server.id().unwrap();
    let mut session = server.session().unwrap();
    let backend = session.id();

    server.kill().unwrap();

    for id in [first, backend] {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        assert!(
            stat.is_empty() || stat.contains(") Z "),
            "{id} is alive: {stat}"
        );
    }
    assert!(matches!(
        session.query("SELECT 1"),
        Err(SessionError::Io(_))
    ));
    assert!(TcpStream::connect(server.address()).is_err());
    assert!(UnixStream::connect(server.socket()).is_err());
}

#[test]
fn a_hanging_server_takes_connects_and_answers_nobody_until_it_is_resumed() {
    let server = Postgres::new().start().unwrap();
    let mut session = server.session().unwrap();

    server.hang().unwrap();

    let asking = thread::spawn(move || session.query("SELECT 1"));
    TcpStream::connect(server.address()).unwrap();
    assert!(all_stopped(server.id().unwrap()));
    assert!(!asking.is_finished());

    server.resume().unwrap();
    assert_eq!(asking.join().unwrap().unwrap().len(), 1);
}

#[test]
fn logins_can_hang_while_sessions_go_on() {
    let server = Postgres::new().start().unwrap();
    let mut session = server.session().unwrap();

    server.hang_logins().unwrap();

    let address = server.address();
    let login = thread::scope(|scope| {
        let login = scope.spawn(|| server.session_at(address));
        assert_eq!(session.query("SELECT 1").unwrap().len(), 1);
        assert!(!login.is_finished());
        server.resume().unwrap();
        login.join().unwrap()
    });
    assert!(login.is_ok());
}

#[test]
fn one_session_can_hang_alone() {
    let server = Postgres::new().start().unwrap();
    let mut hanging = server.session().unwrap();

    server.hang_backend(hanging.id()).unwrap();

    let asking = thread::spawn(move || hanging.query("SELECT 1"));
    assert_eq!(one(&server, "SELECT 2"), "2");
    assert!(!asking.is_finished());
    server.resume().unwrap();
    assert!(asking.join().unwrap().is_ok());
}

#[test]
fn a_killed_backend_takes_the_other_sessions_with_it_and_the_server_recovers() {
    let server = Postgres::new().start().unwrap();
    let mut killed = server.session().unwrap();
    let mut other = server.session().unwrap();

    server.kill_backend(killed.id()).unwrap();

    eventually("the session of the killed backend ends", || {
        killed.query("SELECT 1").is_err()
    });
    eventually("the other session ends", || {
        other.query("SELECT 1").is_err()
    });
    eventually("the server lets in again", || {
        server.query("SELECT 1").is_ok()
    });
    let error = server.kill_backend(1).unwrap_err();
    assert_eq!(error.to_string(), "PostgreSQL has no backend 1");
}

#[test]
fn a_hanging_server_can_be_stopped_restarted_and_killed() {
    let server = Postgres::new().start().unwrap();
    let outages: [fn(&Server); 2] = [
        |server| server.stop().unwrap(),
        |server| server.kill().unwrap(),
    ];
    for outage in outages {
        let _session = server.session().unwrap();
        server.hang().unwrap();
        outage(&server);
        server.restart().unwrap();
        assert_eq!(one(&server, "SELECT 1"), "1");
    }
}

#[test]
fn settings_apply_and_a_full_server_says_so() {
    let server = Postgres::new()
        .setting("max_connections", "3")
        .setting("superuser_reserved_connections", "0")
        .start()
        .unwrap();

    // The session that asked whether the server is up may not have left its place yet.
    let mut sessions = Vec::new();
    eventually("all places are taken", || {
        sessions.extend(server.session());
        sessions.len() == 3
    });
    let error = server.session().unwrap_err();

    assert!(
        matches!(&error, SessionError::Refused { code, .. } if code == "53300"),
        "{error}"
    );
    drop(sessions);
    eventually("a place is free again", || server.session().is_ok());
}

#[test]
fn a_preset_makes_room_for_ten_thousand_connections() {
    let server = Postgres::new().for_connections(10_000).start().unwrap();
    assert_eq!(one(&server, "SHOW max_connections"), "10100");
    assert_eq!(one(&server, "SHOW max_locks_per_transaction"), "10");
}

#[test]
fn its_memory_grows_with_its_sessions() {
    let server = Postgres::new().start().unwrap();
    let before = server.memory().unwrap();
    let sessions: Vec<_> = (0..10).map(|_| server.session().unwrap()).collect();

    let after = server.memory().unwrap();

    // The backend that was asked at the start may have been counted before, and be gone now.
    assert!(
        after.processes + 1 >= before.processes + sessions.len(),
        "{before:?} {after:?}"
    );
    assert!(
        after.proportional_bytes > before.proportional_bytes + 1_000_000,
        "{before:?} {after:?}"
    );
    assert!(after.resident_bytes > after.proportional_bytes);
}

#[test]
fn a_setting_that_is_wrong_is_reported_in_the_servers_words() {
    let error = Postgres::new()
        .setting("no_such_setting", "1")
        .start()
        .unwrap_err()
        .to_string();
    assert!(error.contains("ended before it answered"), "{error}");
    assert!(
        error.contains("unrecognized configuration parameter \"no_such_setting\""),
        "{error}"
    );
}

#[test]
fn with_tls_it_shows_a_certificate_of_its_authority_and_takes_the_clients() {
    let server = Postgres::new()
        .tls()
        .access("hostssl all app 127.0.0.1/32 cert")
        .start()
        .unwrap();
    server.query("CREATE ROLE app LOGIN").unwrap();
    let certificates = server.certificates().unwrap();

    let connect = |options: &str| {
        Command::new("psql")
            .arg(format!(
                "host=localhost hostaddr=127.0.0.1 port={} user=app dbname=postgres \
                 sslmode=verify-full sslrootcert={} {options}",
                server.address().port(),
                certificates.authority().display()
            ))
            .args([
                "-Atc",
                "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            ])
            .output()
            .unwrap()
    };
    let with = connect(&format!(
        "sslcert={} sslkey={}",
        certificates.client().display(),
        certificates.client_key().display()
    ));
    let without = connect("sslcert=none");

    assert_eq!(
        String::from_utf8_lossy(&with.stdout),
        "t|/CN=app\n",
        "{with:?}"
    );
    assert!(!without.status.success());
    assert!(!certificates.authority().with_file_name("ca.key").exists());
}

#[tokio::test]
async fn in_a_task_it_starts_and_restarts_aside() {
    let server = Postgres::new().start_async().await.unwrap();
    server.aside(Server::kill).await.unwrap();
    server.aside(Server::restart).await.unwrap();
    let rows = server
        .aside(|server| server.query("SELECT 1"))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}

/// Whether every process of a server is stopped.
fn all_stopped(first: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let children = children
        .split_whitespace()
        .map(|id| id.parse::<u32>().unwrap());
    children.chain([first]).all(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // Or ended, and not yet taken notice of.
        stat.contains(") T ") || stat.contains(") Z ")
    })
}
