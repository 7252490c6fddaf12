//! A manager of one's own: a pool of TCP connections to a line-based server.
//!
//! ```sh
//! cargo run -p pool-examples --example own_manager
//! ```
//!
//! Look at `condition`: it costs nothing and keeps a connection whose server has hung up from ever
//! being handed out.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use pool_core::{Condition, Manager, Pool};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Lines(SocketAddr);

impl Manager for Lines {
    type Connection = BufReader<TcpStream>;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Self::Connection> {
        Ok(BufReader::new(TcpStream::connect(self.0).await?))
    }

    async fn validate(&self, conn: &mut Self::Connection) -> io::Result<()> {
        ask(conn, "ping").await.map(drop)
    }

    fn condition(&self, conn: &mut Self::Connection) -> Condition {
        let nothing_unread = conn.buffer().is_empty();
        let would_block = |error: &io::Error| error.kind() == ErrorKind::WouldBlock;
        match conn.get_ref().try_read(&mut [0]) {
            Err(error) if would_block(&error) && nothing_unread => Condition::Ready,
            // Closed by the server, or it said something nobody asked for.
            _ => Condition::Broken,
        }
    }
}

async fn ask(conn: &mut BufReader<TcpStream>, question: &str) -> io::Result<String> {
    conn.write_all(format!("{question}\n").as_bytes()).await?;
    let mut answer = String::new();
    conn.read_line(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (from, mut to) = stream.into_split();
                let mut lines = BufReader::new(from).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let _sent = to.write_all(format!("{line} yourself\n").as_bytes()).await;
                }
            });
        }
    });

    let pool = Pool::builder(Lines(address))
        .name("lines")
        .max_size(4)
        .connect()
        .await?;
    let mut conn = pool.get().await?;
    print!("{}", ask(&mut conn, "hello").await?);
    drop(conn);
    println!("{}", pool.health());
    pool.close().await;
    Ok(())
}
