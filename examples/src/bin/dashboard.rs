//! The dashboard on two real pools under load.
//!
//! ```sh
//! cargo dashboard
//! cargo dashboard -- --listen 127.0.0.1:9187 --duration 60s
//! cargo dashboard -- --backend postgres --url postgres://app@localhost/app
//! ```
//!
//! Look at the pool `reports`: from time to time somebody keeps a connection for too long.

#![forbid(unsafe_code)]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use clap::{Parser, ValueEnum};
use pool_core::export::dashboard::Dashboard;
use pool_core::{Manager, Pool, Pools};
use pool_postgres::PgManager;
use pool_sqlite::{SqliteConfig, SqliteManager};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Shows the live page on pools under load.
#[derive(Parser)]
struct Options {
    /// Where to serve the page.
    #[arg(long, default_value = "127.0.0.1:9187")]
    listen: SocketAddr,
    /// What the pools connect to.
    #[arg(long, value_enum, default_value = "sqlite")]
    backend: Backend,
    /// The server, for PostgreSQL.
    #[arg(long, required_if_eq("backend", "postgres"))]
    url: Option<String>,
    /// For how many seconds, such as 60s; without it, until it is interrupted.
    #[arg(long, value_parser = seconds)]
    duration: Option<Duration>,
}

#[derive(Clone, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse();
    number
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds is needed, such as 60s".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let files = tempfile::tempdir()?;
    let pools = Pools::new();
    let file = SqliteConfig::file(files.path().join("dashboard.db"));
    match options.backend {
        Backend::Sqlite => put_under_load(&pools, || Ok(SqliteManager::new(file.clone()))).await?,
        Backend::Postgres => {
            let url = options.url.ok_or("--url is needed")?;
            put_under_load(&pools, || Ok(PgManager::from_url(&url)?)).await?;
        }
    }

    let listener = TcpListener::bind(options.listen).await?;
    println!("http://{}/", listener.local_addr()?);
    let app = Router::new().merge(Dashboard::new(&pools).router());
    let end = async move {
        match options.duration {
            Some(duration) => sleep(duration).await,
            None => drop(tokio::signal::ctrl_c().await),
        }
        pools.close_timeout(Duration::from_secs(1)).await;
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(end)
        .await?;
    Ok(())
}

/// Opens the pools and works on them until they are closed.
async fn put_under_load<M: Manager>(
    pools: &Pools,
    manager: impl Fn() -> Result<M, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let orders = Pool::builder(manager()?).max_size(12).connect().await?;
    for worker in 0..16_u64 {
        tokio::spawn(work(orders.clone(), worker));
    }
    pools.insert("orders", orders);

    let reports = Pool::builder(manager()?)
        .max_size(4)
        .leak_threshold(Duration::from_secs(5))
        .connect()
        .await?;
    tokio::spawn(work(reports.clone(), 40));
    tokio::spawn(forget(reports.clone()));
    pools.insert("reports", reports);
    Ok(())
}

/// Uses connections for a few milliseconds each, in waves of half a minute.
async fn work<M: Manager>(pool: Pool<M>, worker: u64) {
    for turn in 0_u64.. {
        let Ok(mut conn) = pool.get().await else {
            return;
        };
        if pool.manager().validate(&mut conn).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(2 + (turn * 7 + worker * 5) % 11)).await;
        drop(conn);
        let wave = turn / 400 % 4;
        sleep(Duration::from_millis(1 + wave * (worker % 5) * 3)).await;
    }
}

/// Keeps a connection for longer than `leak_threshold`, again and again.
async fn forget<M: Manager>(pool: Pool<M>) {
    loop {
        sleep(Duration::from_secs(12)).await;
        let Ok(conn) = pool.get().await else {
            return;
        };
        sleep(Duration::from_secs(9)).await;
        drop(conn);
    }
}
