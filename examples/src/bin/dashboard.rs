//! The dashboard on two real pools under load.
//!
//! ```sh
//! cargo dashboard
//! cargo dashboard -- --listen 127.0.0.1:9187 --duration 60s
//! cargo dashboard -- --backend postgres --url postgres://app@localhost/app
//! cargo dashboard -- --backend mysql --url mysql://app@localhost/app
//! ```
//!
//! Look at the pool `reports`: from time to time somebody keeps a connection for too long.

#![forbid(unsafe_code)]

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use clap::{Parser, ValueEnum};
use pool_core::export::dashboard::Dashboard;
use pool_core::{Manager, Pool, Pools, duration};
use pool_mysql::MySqlManager;
use pool_postgres::PgManager;
use pool_servers::Scratch;
use pool_sqlite::{SqliteConfig, SqliteManager};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Shows the live page on pools under load.
#[derive(Parser)]
#[command(name = "cargo dashboard --", version)]
struct Options {
    /// Where to serve the page
    #[arg(long, default_value = "127.0.0.1:9187")]
    listen: SocketAddr,
    /// What the pools connect to
    #[arg(long, value_enum, default_value = "sqlite")]
    backend: Backend,
    /// The server, for PostgreSQL and MySQL
    #[arg(long, required_if_eq_any([("backend", "postgres"), ("backend", "mysql")]))]
    url: Option<String>,
    /// For how long, such as 60s or 5m [until it is interrupted]
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    duration: Option<Duration>,
}

#[derive(Clone, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).ok_or("must be a length of time such as 60s, 5m or 1h")
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let cannot_listen = |error| format!("--listen {}: {error}", options.listen);
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.map_err(cannot_listen)?;
    // Removed when the program ends, however it ends.
    let files = Scratch::new("pool-dashboard-")?;
    let pools = Pools::new();
    let file = SqliteConfig::file(files.path().join("dashboard.db"));
    match (options.backend, options.url) {
        (Backend::Sqlite, None) => {
            put_under_load(&pools, || Ok(SqliteManager::new(file.clone()))).await?;
        }
        (Backend::Postgres, Some(url)) => {
            put_under_load(&pools, || Ok(PgManager::from_url(&url)?)).await?;
        }
        (Backend::Mysql, Some(url)) => {
            put_under_load(&pools, || Ok(MySqlManager::from_url(&url)?)).await?;
        }
        _ => return Err("--url is for --backend postgres and mysql, which need it".into()),
    }

    println!("http://{}/", listener.local_addr()?);
    let app = Router::new().merge(Dashboard::new(&pools).router());
    let mut terminate = signal(SignalKind::terminate())?;
    let end = async move {
        let over = sleep(options.duration.unwrap_or(Duration::MAX));
        tokio::select! {
            () = over => {}
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
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
