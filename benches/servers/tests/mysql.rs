//! A throw-away MariaDB (or MySQL): how it is reached, ended, and made to fail.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::net::TcpStream;
use std::process::Command;
use std::thread;

use pool_servers::{MySql, Server, SessionError, eventually};

fn one(server: &Server, sql: &str) -> String {
    let rows = server.query(sql).unwrap();
    rows.into_iter().flatten().flatten().next().unwrap()
}

#[test]
fn it_answers_on_its_port_and_on_its_socket() {
    let server = MySql::new().start().unwrap();

    let rows = vec![vec![Some("1".to_owned()), None, Some(String::new())]];
    assert_eq!(server.query("SELECT 1, NULL, ''").unwrap(), rows);
    let mut session = server.session_at(server.address()).unwrap();
    assert_eq!(session.query("SELECT 1, NULL, ''").unwrap(), rows);

    assert!(["MariaDB", "MySQL"].contains(&server.name()));
    assert_eq!(one(&server, "SELECT version()"), server.version());
    assert_eq!(one(&server, "SELECT database()"), "pool");
    assert_eq!(
        server.url(),
        format!("mysql://root@{}/pool?prefer_socket=false", server.address())
    );
}

#[test]
fn a_refused_statement_leaves_the_session_usable() {
    let server = MySql::new().start().unwrap();
    let mut session = server.session().unwrap();

    let error = session.query("SELECT * FROM absent").unwrap_err();

    let SessionError::Refused { code, message } = error else {
        panic!("{error:?}")
    };
    assert_eq!(code, "1146");
    assert!(message.contains("doesn't exist"), "{message}");
    assert_eq!(session.query("SELECT 2").unwrap().len(), 1);
}

#[test]
fn data_survive_a_stop_a_kill_and_a_restart_on_the_same_port() {
    // A kill loses what the log has not yet got.
    let server = MySql::new()
        .setting("innodb-flush-log-at-trx-commit", "2")
        .start()
        .unwrap();
    let (url, socket_url) = (server.url(), server.socket_url());
    server.query("CREATE TABLE kept (n int)").unwrap();

    let outages: [fn(&Server); 3] = [
        |server| server.stop().unwrap(),
        |server| server.kill().unwrap(),
        |_| {},
    ];
    for outage in outages {
        server.query("INSERT INTO kept VALUES (1)").unwrap();
        outage(&server);
        server.restart().unwrap();
    }

    assert_eq!(one(&server, "SELECT sum(n) FROM kept"), "3");
    assert_eq!((server.url(), server.socket_url()), (url, socket_url));
}

#[test]
fn a_restart_ends_the_sessions_of_before() {
    let server = MySql::new().start().unwrap();
    let before = server.id();
    let mut session = server.session().unwrap();

    server.restart().unwrap();

    assert!(session.query("SELECT 1").is_err());
    assert_ne!(server.id(), before);
}

#[test]
fn a_killed_server_refuses_connects() {
    let server = MySql::new().start().unwrap();
    let mut session = server.session().unwrap();

    server.kill().unwrap();

    assert!(matches!(
        session.query("SELECT 1"),
        Err(SessionError::Io(_))
    ));
    assert!(TcpStream::connect(server.address()).is_err());
    assert!(server.session().is_err());
}

#[test]
fn a_hanging_server_takes_connects_and_answers_nobody_until_it_is_resumed() {
    let server = MySql::new().start().unwrap();
    let mut session = server.session().unwrap();

    server.hang().unwrap();

    let asking = thread::spawn(move || session.query("SELECT 1"));
    TcpStream::connect(server.address()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id().unwrap())).unwrap();
    assert!(stat.contains(") T "), "{stat}");
    assert!(!asking.is_finished());

    server.resume().unwrap();
    assert_eq!(asking.join().unwrap().unwrap().len(), 1);
}

#[test]
fn a_killed_backend_ends_alone() {
    let server = MySql::new().start().unwrap();
    let mut killed = server.session().unwrap();
    let mut other = server.session().unwrap();

    server.kill_backend(killed.id()).unwrap();

    eventually("the killed session ends", || {
        killed.query("SELECT 1").is_err()
    });
    assert_eq!(other.query("SELECT 1").unwrap().len(), 1);
    assert!(server.kill_backend(u32::MAX).is_err());
}

#[test]
fn settings_apply_and_a_full_server_says_so() {
    let server = MySql::new()
        .setting("max-connections", "10")
        .start()
        .unwrap();

    // One place more than `max_connections`, for the superuser.
    // The session that asked whether the server is up may not have left its place yet.
    let mut sessions = Vec::new();
    eventually("all places are taken", || {
        sessions.extend(server.session());
        sessions.len() == 11
    });
    let error = server.session().unwrap_err();

    assert!(
        matches!(&error, SessionError::Refused { code, .. } if code == "1040"),
        "{error}"
    );
    drop(sessions);
    eventually("a place is free again", || server.session().is_ok());
}

#[test]
fn a_preset_makes_room_for_ten_thousand_connections() {
    let server = MySql::new().for_connections(10_000).start().unwrap();
    assert_eq!(one(&server, "SELECT @@max_connections"), "10100");
    let files: u64 = one(&server, "SELECT @@open_files_limit").parse().unwrap();
    assert!(files > 10_100, "{files}");
    assert_eq!(server.memory().unwrap().processes, 1);
}

#[test]
fn a_setting_that_is_wrong_is_reported_in_the_servers_words() {
    let error = MySql::new()
        .setting("no-such-setting", "1")
        .start()
        .unwrap_err()
        .to_string();
    assert!(error.contains("ended before it answered"), "{error}");
    assert!(
        error.contains("unknown variable 'no-such-setting=1'"),
        "{error}"
    );
}

#[test]
fn with_tls_it_shows_a_certificate_of_its_authority() {
    let server = MySql::new().tls().start().unwrap();
    let certificates = server.certificates().unwrap();

    let shake = |authority: &std::path::Path| {
        Command::new("openssl")
            .args([
                "s_client",
                "-starttls",
                "mysql",
                "-verify_return_error",
                "-brief",
            ])
            .args([
                "-verify_hostname",
                "localhost",
                "-no-CApath",
                "-no-CAstore",
                "-connect",
            ])
            .arg(server.address().to_string())
            .arg("-CAfile")
            .arg(authority)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    let trusted = shake(&certificates.authority());
    let untrusted = shake(&certificates.client());

    let said = String::from_utf8_lossy(&trusted.stderr).into_owned();
    assert!(
        trusted.status.success() && said.contains("Verification: OK"),
        "{said}"
    );
    assert!(!untrusted.status.success(), "{untrusted:?}");
}

#[tokio::test]
async fn in_a_task_it_starts_and_restarts_aside() {
    let server = MySql::new().start_async().await.unwrap();
    server.aside(Server::kill).await.unwrap();
    server.aside(Server::restart).await.unwrap();
    let rows = server
        .aside(|server| server.query("SELECT 1"))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}
