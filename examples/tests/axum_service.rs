//! What clients of the example service are told.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../examples/axum_service/conn.rs"]
mod conn;
#[path = "../examples/axum_service/notes.rs"]
mod notes;
#[path = "../examples/axum_service/service.rs"]
mod service;

use std::net::SocketAddr;
use std::time::Duration;

use pool_sqlite::pool_core::{Pool, Pools};
use pool_sqlite::{SqliteConfig, SqliteManager};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::notes::Notes;

/// The service on a pool of one connection, for as long as the test's runtime lives.
async fn start(limit: Duration) -> (SocketAddr, Pool<SqliteManager>, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let file = SqliteConfig::file(files.path().join("notes.db"));
    let pool = Pool::builder(SqliteManager::new(file))
        .min_size(1)
        .max_size(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect()
        .await
        .unwrap();
    SqliteManager::prepare(&mut *pool.get().await.unwrap())
        .await
        .unwrap();
    let pools = Pools::new();
    pools.insert("notes", pool.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let app = service::router(pool.clone(), &pools, limit);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (server, pool, files)
}

/// The whole answer to a request.
async fn ask(server: SocketAddr, request: &str, body: &str) -> String {
    let length = body.len();
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!(
        "{request} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
         {body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

const PATIENT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_note_is_kept_and_the_dashboard_is_there() {
    let (server, _pool, _files) = start(PATIENT).await;
    let added = ask(server, "POST /notes", "\"milk\"").await;
    assert!(added.starts_with("HTTP/1.0 201"), "{added}");
    assert!(ask(server, "GET /notes", "").await.ends_with("[\"milk\"]"));
    for path in ["/pools", "/pools/", "/pools/ready"] {
        let answer = ask(server, &format!("GET {path}"), "").await;
        assert!(answer.starts_with("HTTP/1.0 200"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn without_a_connection_the_client_is_told_when_to_come_back() {
    let (server, pool, _files) = start(PATIENT).await;
    let held = pool.get().await.unwrap();
    let answer = ask(server, "GET /notes", "").await;
    assert!(answer.starts_with("HTTP/1.0 503"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let body = r#"{"error":"pool_timeout","pool":{"max_size":1,"active":1,"idle":0,"waiting":0}}"#;
    assert!(answer.ends_with(body), "{answer}");
    drop(held);

    pool.close().await;
    let answer = ask(server, "GET /notes", "").await;
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
    assert!(answer.contains("shutting_down"), "{answer}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_its_query_ends() {
    let (server, pool, _files) = start(Duration::from_millis(200)).await;
    let answer = ask(server, "GET /slow", "").await;
    assert!(answer.starts_with("HTTP/1.0 504"), "{answer}");
    assert!(
        answer.ends_with(r#"{"error":"request_timeout"}"#),
        "{answer}"
    );
    // The query has no end: only when it is cancelled does the one connection come back.
    drop(pool.get_timeout(PATIENT).await.unwrap());
}
