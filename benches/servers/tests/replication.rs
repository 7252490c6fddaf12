//! A standby of PostgreSQL, a replica of MariaDB: that they follow, take no writes, and take over.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is the failure, also in what helps a test"
)]

use std::thread;

use pool_servers::{MySql, Postgres, Server, SessionError, eventually};

fn one(server: &Server, sql: &str) -> String {
    let rows = server.query(sql).unwrap();
    rows.into_iter().flatten().flatten().next().unwrap()
}

/// The code of the refusal.
fn refused(outcome: Result<Vec<pool_servers::Row>, SessionError>) -> String {
    match outcome.unwrap_err() {
        SessionError::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_standby_follows_takes_no_writes_and_takes_them_once_promoted() {
    let plan = Postgres::new().replicated();
    let primary = plan.start().unwrap();
    primary.query("CREATE TABLE t (n int)").unwrap();
    let standby = plan.standby_of(&primary).start().unwrap();

    primary.query("INSERT INTO t VALUES (1)").unwrap();
    eventually("the row comes over", || {
        one(&standby, "SELECT count(*) FROM t") == "1"
    });
    assert_eq!(refused(standby.query("INSERT INTO t VALUES (2)")), "25006");

    primary.kill().unwrap();
    standby.promote().unwrap();

    standby.query("INSERT INTO t VALUES (3)").unwrap();
    standby.restart().unwrap();
    standby.query("INSERT INTO t VALUES (4)").unwrap();
    assert_eq!(one(&standby, "SELECT sum(n) FROM t"), "8");
}

#[test]
fn what_a_synchronous_standby_has_acknowledged_it_has_when_it_is_promoted() {
    let plan = Postgres::new().replicated();
    let synchronous = plan.clone().setting("synchronous_standby_names", "*");
    let primary = synchronous.start().unwrap();
    let standby = plan.standby_of(&primary).start().unwrap();
    primary.query("CREATE TABLE t (n int)").unwrap();

    let acknowledged = killed_while_it_writes(&primary);
    standby.promote().unwrap();

    let there = one(&standby, "SELECT count(*) FROM t").parse::<usize>();
    assert!(there.unwrap() >= acknowledged && acknowledged >= 100);
}

#[test]
fn a_server_that_follows_nobody_is_not_promoted() {
    let postgres = Postgres::new().start().unwrap();
    let error = postgres.promote().unwrap_err().to_string();
    assert!(error.contains("recovery is not in progress"), "{error}");

    let mariadb = MySql::new().start().unwrap();
    let error = mariadb.promote().unwrap_err().to_string();
    assert!(error.contains("follows nobody"), "{error}");
}

#[test]
fn a_replica_follows_takes_no_writes_and_takes_them_once_promoted() {
    let plan = MySql::new().replicated();
    let primary = plan.start().unwrap();
    for sql in [
        "CREATE TABLE t (n int)",
        "CREATE USER app@'127.0.0.1'",
        "GRANT ALL ON pool.* TO app@'127.0.0.1'",
        "INSERT INTO t VALUES (1)",
    ] {
        primary.query(sql).unwrap();
    }
    let replica = plan.replica_of(&primary).start().unwrap();
    assert_eq!(one(&replica, "SELECT count(*) FROM t"), "1", "it caught up");

    primary.query("INSERT INTO t VALUES (2)").unwrap();
    eventually("the row comes over", || {
        one(&replica, "SELECT count(*) FROM t") == "2"
    });
    assert_eq!(one(&replica, "SELECT @@read_only"), "1");

    primary.kill().unwrap();
    replica.promote().unwrap();

    assert_eq!(one(&replica, "SELECT @@read_only"), "0");
    replica.query("INSERT INTO t VALUES (3)").unwrap();
    replica.restart().unwrap();
    assert_eq!(one(&replica, "SELECT @@read_only"), "0");
    assert_eq!(one(&replica, "SELECT sum(n) FROM t"), "6");
}

#[test]
fn what_a_semi_synchronous_replica_has_acknowledged_it_has_when_it_is_promoted() {
    let plan = MySql::new().replicated();
    let primary = plan.start().unwrap();
    let replica = plan.setting("rpl-semi-sync-slave-enabled", "ON");
    let replica = replica.replica_of(&primary).start().unwrap();
    for sql in [
        "STOP REPLICA",
        // What it has received it runs a second later.
        "CHANGE MASTER TO MASTER_DELAY = 1",
        "START REPLICA",
    ] {
        replica.query(sql).unwrap();
    }
    for sql in [
        "SET GLOBAL rpl_semi_sync_master_timeout = 60000",
        "SET GLOBAL rpl_semi_sync_master_enabled = ON",
        "CREATE TABLE t (n int)",
    ] {
        primary.query(sql).unwrap();
    }
    let clients = "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'";
    let clients = primary.query(clients).unwrap();
    assert_eq!(clients[0][1].as_deref(), Some("1"));

    let acknowledged = killed_while_it_writes(&primary);
    replica.promote().unwrap();

    let there = one(&replica, "SELECT count(*) FROM t").parse::<usize>();
    assert!(there.unwrap() >= acknowledged && acknowledged >= 100);
}

/// Kills a server in the middle of inserts; how many it has acknowledged.
fn killed_while_it_writes(primary: &Server) -> usize {
    thread::scope(|scope| {
        let (said, heard) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let mut session = primary.session().unwrap();
            while session.query("INSERT INTO t VALUES (1)").is_ok() {
                said.send(()).unwrap();
            }
        });
        let mut acknowledged = heard.iter().take(100).count();
        primary.kill().unwrap();
        acknowledged += heard.iter().count();
        acknowledged
    })
}
