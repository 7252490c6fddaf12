//! What ten clients of the dashboard cost the checkouts of the pool they look at: the throughput of a
//! task with them, as a share of that without; medians of interleaved rounds.

#![forbid(unsafe_code)]

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use pool_benches::nothing::Nothing;
use pool_core::export::dashboard::Dashboard;
use pool_core::{Pool, Pools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CLIENTS: usize = 10;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let pool = runtime.block_on(Pool::builder(Nothing).connect())?;
    let pools = Pools::new();
    pools.insert("watched", pool.clone());
    let address = serve(pools)?;
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(checkouts(&runtime, &pool));
        let leave = attend(address)?;
        watched.push(checkouts(&runtime, &pool));
        drop(leave);
    }
    let (alone, watched) = (median(alone), median(watched));
    println!(
        "{alone:.0} checkouts a second alone, {watched:.0} with {CLIENTS} clients of the dashboard: {:.3}",
        watched / alone
    );
    Ok(())
}

/// Checkouts of one task in each second of a round.
fn checkouts(runtime: &tokio::runtime::Runtime, pool: &Pool<Nothing>) -> f64 {
    let pool = pool.clone();
    let working = runtime.spawn(async move {
        let began = Instant::now();
        let mut count = 0_u32;
        while began.elapsed() < ROUND {
            for _ in 0..1_000 {
                drop(pool.get().await);
            }
            count += 1_000;
            tokio::task::yield_now().await;
        }
        f64::from(count) / began.elapsed().as_secs_f64()
    });
    runtime.block_on(working).expect("does not panic")
}

/// Serves the dashboard on a thread of its own.
fn serve(pools: Pools) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let router: Router = Dashboard::new(&pools).router();
            let listener = TcpListener::from_std(listener).expect("it is open");
            axum::serve(listener, router).await
        })
    });
    Ok(address)
}

/// Has ten clients read the stream until what is returned is dropped.
fn attend(address: SocketAddr) -> Result<oneshot::Sender<()>, Box<dyn Error>> {
    let (leave, left) = oneshot::channel::<()>();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                clients.spawn(read(address));
            }
            let _dropped = left.await;
        });
    });
    Ok(leave)
}

async fn read(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; 64 * 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
