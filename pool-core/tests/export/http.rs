//! A server for a router, and the plainest client.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
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

/// What stands before a page, in lines.
pub(crate) async fn head(server: SocketAddr, path: &str) -> String {
    let mut stream = send(server, &format!("GET {path}"), &[], "").await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let end = answer.find("\r\n\r\n").unwrap() + 2;
    answer.truncate(end);
    answer
}

/// Server-sent events, as they come.
pub(crate) struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    pub(crate) async fn of(server: SocketAddr, path: &str) -> Self {
        let stream = send(server, &format!("GET {path}"), &[], "").await;
        Self(BufReader::new(stream).lines())
    }

    /// The data of the next event.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            let line = self
                .0
                .next_line()
                .await
                .unwrap()
                .expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.to_owned();
            }
        }
    }
}

/// The status and the body of the answer to a request, read to the end of the connection.
pub(crate) async fn ask(
    server: SocketAddr,
    request: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let mut stream = send(server, request, headers, body).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn send(server: SocketAddr, request: &str, headers: &[&str], body: &str) -> TcpStream {
    let request = format!("{request} HTTP/1.0");
    let length = format!("content-length: {}", body.len());
    let lines = [&[&*request], headers, &[&*length, "", body]].concat();
    let mut stream = TcpStream::connect(server).await.unwrap();
    let text = lines.join("\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}
