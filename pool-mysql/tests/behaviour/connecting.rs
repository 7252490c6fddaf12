//! Ways to a server, what a connection tells of it, and passwords.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pool_core::{Manager, Severity};
use pool_mysql::mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use pool_mysql::{Cause, MySqlConfig, MySqlConnection, MySqlManager, Pool};

use crate::{config, connected, one, pool_of_one, server, soon};

fn options() -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server().address().port())
        .user(Some("root"))
}

#[tokio::test]
async fn a_pool_is_made_of_a_url_or_of_the_drivers_options() {
    let by_url = MySqlManager::from_url(&server().url()).unwrap();
    let by_options = MySqlManager::new(options().db_name(Some("pool")));
    assert_eq!(
        by_url.name(),
        format!("mysql://{}/pool", server().address())
    );
    assert_eq!(by_url.name(), by_options.name());
    for manager in [by_url, by_options] {
        let pool = Pool::builder(manager).build().unwrap();
        let mut conn = soon(pool.get()).await.unwrap();
        assert_eq!(one::<String>(&mut conn, "SELECT database()").await, "pool");
        drop(conn);
        soon(pool.close()).await;
    }
}

#[tokio::test]
async fn a_socket_is_used_when_it_is_named() {
    let url = format!(
        "mysql://root@localhost/pool?socket={}",
        server().socket().display()
    );
    let config = MySqlConfig::from_url(&url).unwrap();
    let (manager, mut conn) = connected(config).await;
    let host: String = one(
        &mut conn,
        "SELECT host FROM information_schema.processlist WHERE id = connection_id()",
    )
    .await;
    assert_eq!(host, "localhost");
    assert_eq!(
        manager.name(),
        format!("mysql://{}/pool", server().socket().display())
    );
}

#[tokio::test]
async fn the_server_is_named_with_its_flavour_and_version() {
    let (manager, conn) = connected(config()).await;
    let expected = format!("{} {}", server().name(), server().version());
    assert_eq!(conn.server().to_string(), expected);
    assert_eq!(manager.server().unwrap().to_string(), expected);
}

#[tokio::test]
async fn a_detached_connection_is_the_drivers() {
    let pool = pool_of_one(config()).await;
    let conn = soon(pool.get()).await.unwrap();
    let mut conn: Conn = pool_mysql::PooledConnection::detach(conn).into_inner();
    assert_eq!(soon(conn.query_first("SELECT 1")).await.unwrap(), Some(1));
    soon(conn.disconnect()).await.unwrap();
}

#[tokio::test]
async fn a_connection_of_ours_is_little_more_than_the_drivers() {
    assert!(size_of::<MySqlConnection>() <= size_of::<Conn>() + 40);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let config = config().password_provider(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, std::fmt::Error>(String::new()) }
    });
    // From the first the manager learns what the driver asks otherwise.
    let (manager, _learnt_from) = connected(config).await;
    let first = soon(manager.connect()).await.unwrap();
    let second = soon(manager.connect()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert!(second.opts().max_allowed_packet().is_some());
    // The options are the largest thing a connection refers to: one copy serves all.
    assert!(std::ptr::eq(
        first.opts().ip_or_hostname(),
        second.opts().ip_or_hostname()
    ));
}

#[tokio::test]
async fn a_rotated_password_is_asked_for_at_the_next_connect() {
    server()
        .query("CREATE USER rotating@'%' IDENTIFIED BY 'hunter2'")
        .unwrap();
    let password = Arc::new(Mutex::new("hunter2"));
    let current = Arc::clone(&password);
    let config = MySqlConfig::new(options().user(Some("rotating"))).password_provider(move || {
        let password = current.lock().unwrap().to_owned();
        async move { Ok::<_, std::fmt::Error>(password) }
    });
    let manager = MySqlManager::new(config);
    let first = soon(manager.connect()).await.unwrap();

    server()
        .query("ALTER USER rotating@'%' IDENTIFIED BY 'swordfish'")
        .unwrap();
    let refused = soon(manager.connect()).await.unwrap_err();
    *password.lock().unwrap() = "swordfish";
    let second = soon(manager.connect()).await.unwrap();

    assert_eq!(refused.cause(), Cause::Authentication);
    assert_eq!(manager.severity(&refused), Severity::Transient);
    let printed = format!(
        "{manager:?} {first:?} {second:?} {refused} {refused:?} {}",
        manager.name()
    );
    for secret in ["hunter2", "swordfish"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_provider_without_a_password_fails_the_connect_and_says_why() {
    let config = config().password_provider(|| async { Err::<String, _>("the vault is sealed") });
    let manager = MySqlManager::new(config);
    let error = soon(manager.connect()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Password);
    assert!(error.is_transient());
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

#[tokio::test]
async fn nothing_of_a_pool_prints_its_password() {
    server()
        .query("CREATE USER printed@'%' IDENTIFIED BY 'hunter2'")
        .unwrap();
    let url = server()
        .url()
        .replace("root@", "printed:hunter2@")
        .replace("/pool", "/");
    let manager = MySqlManager::from_url(&url).unwrap();
    let pool = Pool::builder(manager).build().unwrap();
    let conn = soon(pool.get()).await.unwrap();
    let printed = format!(
        "{pool:?} {conn:?} {:?} {} {}",
        pool.manager(),
        pool.name(),
        pool.stats()
    );
    assert!(!printed.contains("hunter2"), "{printed}");
    drop(conn);
    soon(pool.close()).await;
}

#[tokio::test]
async fn a_connect_that_is_given_up_at_any_point_leaves_no_session_behind() {
    let manager = MySqlManager::new(config().variable("lock_wait_timeout", "77"));
    for polls in 1..600 {
        let mut connecting = std::pin::pin!(manager.connect());
        for _ in 0..polls {
            let given_up = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(connecting.as_mut().poll(cx).is_ready())
            });
            if given_up.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let left = "SELECT count(*) FROM information_schema.processlist WHERE user = 'root'";
    crate::until(server(), left, "1").await;
}
