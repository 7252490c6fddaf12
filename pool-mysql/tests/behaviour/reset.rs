//! What a user has reset, or has the driver load, also by the driver's own connection: the next user gets
//! the session as it was configured.

use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::mysql_async::{ChangeUserOpts, Conn, Error, Opts, OptsBuilder, WhiteListFsHandler};
use pool_mysql::{MySqlConfig, Recycle};

use crate::recycling::{given_back, run};
use pool_servers::MySql;

use crate::{aside, config, connected, one, server, soon};

#[tokio::test]
async fn a_session_that_its_user_has_reset_gets_its_settings_back() {
    let (manager, mut conn) = connected(config().time_zone("+03:00")).await;
    for changes_user in [false, true] {
        if changes_user {
            soon(conn.change_user(ChangeUserOpts::default()))
                .await
                .unwrap();
        } else {
            soon(conn.reset()).await.unwrap();
        }
        given_back(&manager, &mut conn).await;
        let zone = one::<String>(&mut conn, "SELECT @@time_zone").await;
        assert_eq!(zone, "+03:00");
    }
}

#[tokio::test]
async fn a_session_that_was_reset_by_the_drivers_own_connection_gets_its_settings_back() {
    let custom = Recycle::Custom("DO 1".to_owned());
    for recycle in [Recycle::Fast, Recycle::Verified, Recycle::Clean, custom] {
        let config = config().time_zone("+03:00").recycle(recycle.clone());
        let (manager, mut conn) = connected(config).await;
        for changes_user in [false, true] {
            let driver: &mut Conn = &mut conn;
            if changes_user {
                let options = ChangeUserOpts::default();
                soon(driver.change_user(options)).await.unwrap();
            } else {
                soon(driver.reset()).await.unwrap();
            }
            given_back(&manager, &mut conn).await;
            let zone = one::<String>(&mut conn, "SELECT @@time_zone").await;
            assert_eq!(zone, "+03:00", "{recycle:?}, {changes_user}");
        }
    }
}

/// The driver has one for a pool's connections, too, which no watch of ours may take the place of.
#[tokio::test]
async fn the_driver_loads_the_files_it_is_told_to_load() {
    let path = std::env::temp_dir().join(format!("pool-mysql-{}", std::process::id()));
    std::fs::write(&path, "1\n2\n").unwrap();
    aside(server(), "SET GLOBAL local_infile = 1");
    let handler = WhiteListFsHandler::new([&path]);
    let options = OptsBuilder::from_opts(Opts::from_url(&server().url()).unwrap());
    let options = options.local_infile_handler(Some(handler));
    let (manager, mut conn) = connected(MySqlConfig::new(options).time_zone("+03:00")).await;
    let driver: &mut Conn = &mut conn;
    let load = format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE loaded",
        path.display()
    );
    for sql in ["CREATE TEMPORARY TABLE loaded (n INT)", &load] {
        soon(driver.query_drop(sql)).await.unwrap();
    }
    let loaded = one::<i64>(&mut conn, "SELECT count(*) FROM loaded").await;
    std::fs::remove_file(path).unwrap();
    assert_eq!(loaded, 2);

    let driver: &mut Conn = &mut conn;
    soon(driver.reset()).await.unwrap();
    given_back(&manager, &mut conn).await;
    let zone = one::<String>(&mut conn, "SELECT @@time_zone").await;
    assert_eq!(zone, "+03:00");
}

#[tokio::test]
async fn nobody_loads_the_file_of_another() {
    aside(server(), "SET GLOBAL local_infile = 1");
    for by_the_driver in [false, true] {
        let (manager, mut conn) = connected(config()).await;
        let somebody_elses = async { Err(Error::Other("somebody else's".into())) };
        if by_the_driver {
            let driver: &mut Conn = &mut conn;
            driver.set_infile_handler(somebody_elses);
        } else {
            conn.set_infile_handler(somebody_elses);
        }
        given_back(&manager, &mut conn).await;
        run(&mut conn, "CREATE TEMPORARY TABLE loaded (s TEXT)").await;
        let load = conn.query_drop("LOAD DATA LOCAL INFILE 'mine' INTO TABLE loaded");
        let refused = soon(load).await.unwrap_err();
        assert!(!matches!(refused, Error::Other(_)), "{refused}");
    }
}

#[tokio::test]
async fn what_the_server_runs_for_a_new_session_is_not_run_after_a_reset() {
    let server = MySql::new().setting("init-connect", "SET @greeting = 7");
    let server = server.start_async().await.unwrap();
    aside(&server, "CREATE USER app@'%' IDENTIFIED BY ''");
    let url = format!("mysql://app@{}/", server.address());
    let config = MySqlConfig::from_url(&url).unwrap();
    let (manager, mut conn) = connected(config.recycle(Recycle::Clean)).await;
    let greeting = "SELECT @greeting";
    assert_eq!(one::<Option<i64>>(&mut conn, greeting).await, Some(7));
    given_back(&manager, &mut conn).await;
    assert_eq!(one::<Option<i64>>(&mut conn, greeting).await, None);
}
