//! A server for a router, and the plainest client.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves the router on a free port for as long as the test's runtime lives.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The status and the body of a page.
pub(crate) async fn get(server: SocketAddr, path: &str) -> (u16, String) {
    let host = format!("host: {server}");
    ask(server, &format!("GET {path}"), &[&host], "").await
}

/// The status and the body of the answer to a request, read to the end of the connection.
pub(crate) async fn ask(
    server: SocketAddr,
    request: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let headers = headers.join("\r\n");
    let length = body.len();
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request =
        format!("{request} HTTP/1.0\r\n{headers}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
