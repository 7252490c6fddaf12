//! A throw-away `PgBouncer` before a throw-away PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::thread;

use pool_servers::{PgBouncer, Postgres, Server, SessionError, eventually};

fn both() -> (Server, Server) {
    let postgres = Postgres::new().start().unwrap();
    let bouncer = PgBouncer::before(&postgres).start().unwrap();
    (postgres, bouncer)
}

#[test]
fn clients_share_the_connections_to_the_server() {
    let postgres = Postgres::new().start().unwrap();
    let bouncer = PgBouncer::before(&postgres)
        .setting("default_pool_size", "1")
        .start()
        .unwrap();
    let ask = "SELECT pg_backend_pid()";

    let mut sessions: Vec<_> = (0..3)
        .map(|_| bouncer.session_at(bouncer.address()).unwrap())
        .collect();
    let mut backends: Vec<_> = sessions
        .iter_mut()
        .map(|session| session.query(ask).unwrap())
        .collect();

    backends.dedup();
    assert_eq!(backends.len(), 1);
    assert_eq!(bouncer.name(), "PgBouncer");
    assert!(bouncer.version().starts_with("1."), "{}", bouncer.version());
    assert!(bouncer.url().starts_with("postgres://postgres@127.0.0.1:"));
}

#[test]
fn a_pause_on_its_console_holds_clients_until_it_is_resumed() {
    let (_postgres, bouncer) = both();
    let mut session = bouncer.session().unwrap();
    session.query("SELECT 1").unwrap();
    let mut console = bouncer.console().unwrap();
    console.query("PAUSE").unwrap();

    let asking = thread::spawn(move || session.query("SELECT 1"));
    eventually("the client waits", || {
        // Database, user, then the active and the waiting clients.
        let pools = console.query("SHOW POOLS").unwrap();
        pools
            .iter()
            .any(|pool| pool[0].as_deref() == Some("postgres") && pool[3].as_deref() == Some("1"))
    });
    console.query("RESUME").unwrap();

    assert!(asking.join().unwrap().is_ok());
}

#[test]
fn it_outlives_a_restart_of_the_server_behind_it() {
    let (postgres, bouncer) = both();
    bouncer.query("SELECT 1").unwrap();

    postgres.restart().unwrap();

    eventually("the bouncer has connected again", || {
        bouncer.query("SELECT 1").is_ok()
    });
}

#[test]
fn it_can_be_killed_restarted_and_hung() {
    let (_postgres, bouncer) = both();
    let mut session = bouncer.session().unwrap();
    bouncer.kill().unwrap();
    assert!(matches!(
        session.query("SELECT 1"),
        Err(SessionError::Io(_))
    ));

    bouncer.restart().unwrap();
    let mut session = bouncer.session().unwrap();
    bouncer.hang().unwrap();
    let asking = thread::spawn(move || session.query("SELECT 1"));
    bouncer.resume().unwrap();
    assert!(asking.join().unwrap().is_ok());
}

#[test]
fn a_preset_makes_room_for_ten_thousand_clients() {
    let postgres = Postgres::new().start().unwrap();
    let bouncer = PgBouncer::before(&postgres)
        .for_connections(10_000)
        .start()
        .unwrap();
    let settings = bouncer.console().unwrap().query("SHOW CONFIG").unwrap();
    let limit = settings
        .iter()
        .find(|row| row[0].as_deref() == Some("max_client_conn"))
        .unwrap();
    assert_eq!(limit[1].as_deref(), Some("10100"));
}
