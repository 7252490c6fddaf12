//! What a returned connection is handed on as.

use pool_core::{Condition, Manager};
use pool_mysql::mysql_async::prelude::{Query, Queryable, WithParams};
use pool_mysql::mysql_async::{Connection, Row, TxOpts};
use pool_mysql::{Flavour, MySqlConfig, MySqlConnection, MySqlManager, Recycle};
use pool_servers::MySql;

use crate::{aside, config, connected, is_mariadb, one, pool_of_one, server, soon, until};

pub(crate) async fn run(conn: &mut MySqlConnection, sql: &str) {
    soon(conn.query_drop(sql)).await.unwrap();
}

/// What the pool does after a return.
pub(crate) async fn given_back(manager: &MySqlManager, conn: &mut MySqlConnection) -> Condition {
    let condition = manager.condition(conn);
    if condition == Condition::NeedsRecycle {
        soon(manager.recycle(conn)).await.unwrap();
        assert_eq!(manager.condition(conn), Condition::Ready);
    }
    condition
}

async fn in_transaction(conn: &mut MySqlConnection) -> bool {
    let sql = match conn.server().flavour() {
        Flavour::MariaDb => "SELECT @@in_transaction",
        _ => {
            "SELECT count(*) FROM performance_schema.events_transactions_current WHERE state = 'ACTIVE'"
        }
    };
    one::<i64>(conn, sql).await != 0
}

#[tokio::test]
async fn what_left_nothing_behind_is_handed_on_without_a_round_trip() {
    let (manager, mut conn) = connected(config()).await;
    run(&mut conn, "CREATE TABLE plain (n INT PRIMARY KEY, s TEXT)").await;
    let clean = [
        "SELECT 1",
        "INSERT INTO plain VALUES (1, 'one')",
        "UPDATE plain SET s = 'two'",
        "SELECT * FROM plain",
        "BEGIN; INSERT INTO plain VALUES (2, ''); COMMIT",
        "BEGIN; DELETE FROM plain; ROLLBACK",
        "SELECT 1; SELECT 2",
    ];
    for sql in clean {
        run(&mut conn, sql).await;
        assert_eq!(manager.condition(&mut conn), Condition::Ready, "{sql}");
    }
    let rows: Vec<Row> = soon(conn.exec("SELECT * FROM plain WHERE n < ?", (9,)))
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    let mut tx = soon(conn.start_transaction(TxOpts::default()))
        .await
        .unwrap();
    soon(tx.query_drop("DELETE FROM plain")).await.unwrap();
    soon(tx.commit()).await.unwrap();
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    run(&mut conn, "DROP TABLE plain").await;
    manager.close(conn).await;
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back_however_it_was_begun() {
    let (manager, mut conn) = connected(config()).await;
    run(&mut conn, "CREATE TABLE begun (n INT)").await;
    let id = conn.id();
    for begin in [
        "BEGIN",
        "START TRANSACTION READ ONLY",
        "SET autocommit = 0; SELECT 1",
    ] {
        run(&mut conn, begin).await;
        if begin == "BEGIN" {
            run(&mut conn, "INSERT INTO begun VALUES (1)").await;
        }
        assert_eq!(
            given_back(&manager, &mut conn).await,
            Condition::NeedsRecycle,
            "{begin}"
        );
        assert!(!in_transaction(&mut conn).await, "{begin}");
        assert_eq!(one::<i64>(&mut conn, "SELECT @@autocommit").await, 1);
        assert_eq!(one::<i64>(&mut conn, "SELECT count(*) FROM begun").await, 0);
    }

    let mut tx = soon(conn.start_transaction(TxOpts::default()))
        .await
        .unwrap();
    soon(tx.query_drop("INSERT INTO begun VALUES (1)"))
        .await
        .unwrap();
    drop(tx);
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(aside(server(), "SELECT count(*) FROM pool.begun"), "0");
    assert_eq!(conn.id(), id);
}

#[tokio::test]
async fn an_error_hides_no_open_transaction_and_costs_no_reset_when_there_is_none() {
    let (manager, mut conn) = connected(config()).await;
    run(&mut conn, "SET @kept = 7").await;
    soon(conn.query_drop("SELECT * FROM absent"))
        .await
        .unwrap_err();
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(one::<i64>(&mut conn, "SELECT @kept").await, 7);

    run(&mut conn, "BEGIN; SELECT * FROM information_schema.engines").await;
    soon(conn.query_drop("SELECT * FROM absent"))
        .await
        .unwrap_err();
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert!(!in_transaction(&mut conn).await);
}

#[tokio::test]
async fn a_statement_prepared_last_hides_no_open_transaction() {
    let (manager, mut conn) = connected(config()).await;
    run(&mut conn, "BEGIN").await;
    soon(conn.prep("SELECT ?")).await.unwrap();
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert!(!in_transaction(&mut conn).await);
}

/// The driver reads the number of a statement, and of its columns, for a status. Of the 252nd with two
/// columns it reads one that is clean.
#[tokio::test]
async fn no_statement_prepared_last_passes_for_a_clean_status() {
    let (manager, mut conn) = connected(config()).await;
    for way in ["prep", "batch", "lent", "transaction"] {
        for n in 0.. {
            let prepared = soon(conn.prep(format!("SELECT {n}, '{way}'"))).await;
            if prepared.unwrap().id() % 256 == 251 {
                break;
            }
        }
        run(&mut conn, "BEGIN").await;
        let sql = "SELECT ?, 2";
        if way == "batch" {
            let nothing: [(i64,); 0] = [];
            soon(conn.exec_batch(sql, nothing)).await.unwrap();
        } else if way == "lent" {
            let mut loan = Connection::from(&mut conn);
            soon(loan.prep(sql)).await.unwrap();
        } else if way == "transaction" {
            let begun = soon(conn.start_transaction(TxOpts::default())).await;
            soon(begun.unwrap().prep(sql)).await.unwrap();
        } else {
            soon(conn.prep(sql)).await.unwrap();
        }
        assert_eq!(
            given_back(&manager, &mut conn).await,
            Condition::NeedsRecycle
        );
        assert!(!in_transaction(&mut conn).await, "{way}");
        let stale = soon(conn.prep(sql)).await.unwrap();
        soon(conn.close(stale)).await.unwrap();
    }
}

#[tokio::test]
async fn a_few_rows_nobody_read_are_read_on() {
    let (manager, mut conn) = connected(config()).await;
    let id = conn.id();
    for _ in 0..2 {
        let mut rows = soon(conn.query_iter("SELECT 1 UNION SELECT 2; SELECT 3"))
            .await
            .unwrap();
        soon(rows.next()).await.unwrap();
        drop(rows);
        assert_eq!(
            given_back(&manager, &mut conn).await,
            Condition::NeedsRecycle
        );
        assert_eq!(one::<i64>(&mut conn, "SELECT 4").await, 4);

        let rows = soon(conn.exec_iter("SELECT ? UNION SELECT 2", (1,)))
            .await
            .unwrap();
        drop(rows);
        assert_eq!(
            given_back(&manager, &mut conn).await,
            Condition::NeedsRecycle
        );
        assert_eq!(one::<i64>(&mut conn, "SELECT 5").await, 5);
    }
    assert_eq!(conn.id(), id);
}

#[tokio::test]
async fn rows_without_end_close_the_connection_and_nobody_waits_for_them() {
    const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE \
                           x < 900) SELECT repeat('x', 1000), a.x FROM c a, c b, c d";
    let pool = pool_of_one(config()).await;
    let mut conn = soon(pool.get()).await.unwrap();
    let id = conn.id();
    let rows = soon(conn.query_iter(ENDLESS)).await.unwrap();
    drop(rows);
    drop(conn);

    let mut next = soon(pool.get()).await.unwrap();
    assert_ne!(next.id(), id);
    assert_eq!(one::<i64>(&mut next, "SELECT 1").await, 1);
    drop(next);
    let gone = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
    until(server(), &gone, "0").await;
    soon(pool.close()).await;
}

#[tokio::test]
async fn closing_with_rows_unread_does_not_read_them() {
    let (manager, mut conn) = connected(config()).await;
    drop(
        soon(conn.query_iter("SELECT 1 UNION SELECT 2"))
            .await
            .unwrap(),
    );
    soon(manager.close(conn)).await;
}

#[tokio::test]
async fn an_error_nobody_read_is_not_the_next_users() {
    let (manager, mut conn) = connected(config()).await;
    let mut rows = soon(conn.query_iter("SELECT 1; SELECT * FROM absent"))
        .await
        .unwrap();
    while let Ok(Some(_)) = soon(rows.next()).await {}
    drop(rows);
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_fast_recycling_leaves_the_session_and_a_clean_one_renews_it() {
    const SOIL: &str = "SET @left = 1, SESSION sort_buffer_size = 65536; \
                        CREATE TEMPORARY TABLE left_over (n INT); DO get_lock('left', 1); \
                        USE information_schema";
    let (manager, mut conn) = connected(config()).await;
    run(&mut conn, SOIL).await;
    assert_eq!(given_back(&manager, &mut conn).await, Condition::Ready);
    assert_eq!(one::<i64>(&mut conn, "SELECT @left").await, 1);
    manager.close(conn).await;
    until(server(), "SELECT coalesce(is_used_lock('left'), 0)", "0").await;

    let (manager, mut conn) = connected(config().recycle(Recycle::Clean)).await;
    run(&mut conn, SOIL).await;
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(one::<Option<i64>>(&mut conn, "SELECT @left").await, None);
    assert_ne!(
        one::<i64>(&mut conn, "SELECT @@sort_buffer_size").await,
        65536
    );
    assert_eq!(
        one::<i64>(&mut conn, "SELECT is_free_lock('left')").await,
        1
    );
    assert_eq!(one::<String>(&mut conn, "SELECT database()").await, "pool");
    soon(conn.query_drop("SELECT * FROM left_over"))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn nothing_that_a_session_holds_is_left_by_a_clean_recycling() {
    const SOIL: [&str; 7] = [
        "HANDLER held OPEN",
        "FLUSH TABLES WITH READ LOCK",
        "LOCK TABLES held WRITE",
        "PREPARE held FROM 'SELECT 1'",
        "SET TRANSACTION READ ONLY",
        "SET SESSION TRANSACTION READ ONLY",
        "SET sql_select_limit = 0, sql_safe_updates = 1, foreign_key_checks = 0",
    ];
    let (manager, mut conn) = connected(config().recycle(Recycle::Clean)).await;
    run(&mut conn, "CREATE TABLE held (n INT)").await;
    let id = conn.id();
    for soil in SOIL {
        run(&mut conn, soil).await;
        given_back(&manager, &mut conn).await;
        aside(server(), "INSERT INTO pool.held VALUES (1)");
        run(&mut conn, "INSERT INTO held VALUES (2)").await;
        for gone in ["HANDLER held READ FIRST", "EXECUTE held"] {
            soon(conn.query_drop(gone)).await.unwrap_err();
        }
        let limit = "SELECT @@foreign_key_checks + @@sql_safe_updates";
        assert_eq!(one::<i64>(&mut conn, limit).await, 1, "{soil}");
    }
    assert_eq!(conn.id(), id);
}

#[tokio::test]
async fn a_role_that_somebody_took_on_is_not_the_next_users_after_a_clean_recycling() {
    for sql in [
        "CREATE ROLE usual",
        "CREATE ROLE taken",
        "CREATE USER actor@'%' IDENTIFIED BY ''",
        "GRANT ALL ON *.* TO actor@'%'",
        "GRANT usual TO actor@'%'",
        "GRANT taken TO actor@'%'",
    ] {
        aside(server(), sql);
    }
    let default = if is_mariadb() {
        "SET DEFAULT ROLE usual FOR actor@'%'"
    } else {
        "SET DEFAULT ROLE usual TO actor@'%'"
    };
    let url = server().url().replace("root@", "actor@");
    for has_default in [false, true] {
        if has_default {
            aside(server(), default);
        }
        let config = MySqlConfig::from_url(&url).unwrap().recycle(Recycle::Clean);
        let (manager, mut conn) = connected(config).await;
        let role = "SELECT coalesce(current_role(), 'NONE')";
        let before = one::<String>(&mut conn, role).await;
        assert_eq!(before.contains("usual"), has_default);
        for taken in ["SET ROLE taken", "SET ROLE NONE"] {
            run(&mut conn, taken).await;
            given_back(&manager, &mut conn).await;
            assert_eq!(one::<String>(&mut conn, role).await, before, "{taken}");
        }
    }
}

#[tokio::test]
async fn a_statement_prepared_before_a_reset_is_prepared_again_after_it() {
    let (manager, mut conn) = connected(config().recycle(Recycle::Clean)).await;
    for n in 1..4 {
        let sum: Option<i64> = soon("SELECT ? + 1".with((n,)).first(&mut conn))
            .await
            .unwrap();
        assert_eq!(sum, Some(n + 1));
        given_back(&manager, &mut conn).await;
    }
}

#[tokio::test]
async fn a_reset_keeps_the_character_set_though_the_servers_own_is_another() {
    let server = MySql::new()
        .setting("character-set-server", "latin1")
        .start()
        .unwrap();
    let config = MySqlConfig::from_url(&server.url()).unwrap();
    let manager = MySqlManager::new(config.recycle(Recycle::Clean));
    let mut conn = soon(manager.connect()).await.unwrap();
    let names = "SELECT concat_ws(' ', @@character_set_client, @@character_set_connection, \
                 @@character_set_results, @@collation_connection)";
    let before = one::<String>(&mut conn, names).await;

    given_back(&manager, &mut conn).await;

    assert_eq!(before, "utf8mb4 utf8mb4 utf8mb4 utf8mb4_general_ci");
    assert_eq!(one::<String>(&mut conn, names).await, before);
    assert_eq!(one::<String>(&mut conn, "SELECT '🦀'").await, "🦀");
}

#[tokio::test]
async fn verified_asks_after_every_use_and_custom_runs_its_sql() {
    let (manager, mut conn) = connected(config().recycle(Recycle::Verified)).await;
    run(&mut conn, "SELECT 1").await;
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    run(&mut conn, "BEGIN").await;
    given_back(&manager, &mut conn).await;
    assert!(!in_transaction(&mut conn).await);

    let sql = Recycle::Custom("SET @left = 'custom'".to_owned());
    let (manager, mut conn) = connected(config().recycle(sql)).await;
    assert_eq!(manager.condition(&mut conn), Condition::Ready);
    run(&mut conn, "BEGIN").await;
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(one::<String>(&mut conn, "SELECT @left").await, "custom");
    assert!(!in_transaction(&mut conn).await);

    let sql = Recycle::Custom("BEGIN".to_owned());
    let (manager, mut conn) = connected(config().recycle(sql)).await;
    run(&mut conn, "SELECT 1").await;
    soon(manager.recycle(&mut conn)).await.unwrap_err();
}

#[tokio::test]
async fn where_sessions_begin_without_autocommit_they_are_handed_on_without_it() {
    let (manager, mut conn) = connected(config().variable("autocommit", "0")).await;
    run(&mut conn, "CREATE TABLE IF NOT EXISTS manual (n INT)").await;
    run(&mut conn, "INSERT INTO manual VALUES (1)").await;
    assert_eq!(
        given_back(&manager, &mut conn).await,
        Condition::NeedsRecycle
    );
    assert_eq!(
        one::<i64>(&mut conn, "SELECT count(*) FROM manual").await,
        0
    );
    assert_eq!(one::<i64>(&mut conn, "SELECT @@autocommit").await, 0);
    run(&mut conn, "SET autocommit = 1").await;
    given_back(&manager, &mut conn).await;
    assert_eq!(one::<i64>(&mut conn, "SELECT @@autocommit").await, 0);
}

#[tokio::test]
async fn an_error_nobody_read_costs_no_connection_where_each_is_reset() {
    let (manager, mut conn) = connected(config().recycle(Recycle::Clean)).await;
    let mut rows = soon(conn.query_iter("SELECT 1; SELECT * FROM absent"))
        .await
        .unwrap();
    while let Ok(Some(_)) = soon(rows.next()).await {}
    drop(rows);
    given_back(&manager, &mut conn).await;
    assert_eq!(one::<i64>(&mut conn, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_distributed_transaction_left_prepared_is_nobody_elses() {
    for recycle in [Recycle::Fast, Recycle::Clean] {
        let pool = pool_of_one(config().recycle(recycle)).await;
        let mut conn = soon(pool.get()).await.unwrap();
        run(&mut conn, "CREATE TABLE IF NOT EXISTS prepared (n INT)").await;
        run(
            &mut conn,
            "XA START 'x'; INSERT INTO prepared VALUES (1); XA END 'x'; XA PREPARE 'x'",
        )
        .await;
        drop(conn);
        let mut conn = soon(pool.get()).await.unwrap();
        run(&mut conn, "INSERT INTO prepared VALUES (2)").await;
        let committed = "SELECT count(*) FROM prepared WHERE n = 1";
        assert_eq!(one::<i64>(&mut conn, committed).await, 0);
        until(server(), "XA RECOVER", "1").await;
        aside(server(), "XA ROLLBACK 'x'");
    }
}
