//! A web service on a pool: notes, on SQLite or PostgreSQL.
//!
//! ```sh
//! cargo run -p pool-examples --example axum_service
//! DATABASE_URL=postgres://app@localhost/app cargo run -p pool-examples --example axum_service
//! curl -i localhost:3000/notes -H 'content-type: application/json' -d '"milk"'
//! curl -i localhost:3000/notes
//! ```
//!
//! Look at `conn.rs`: how a handler gets a connection, and what the client is told when there is
//! none. Stop the database and ask again; look at <http://localhost:3000/pools> meanwhile.

#![forbid(unsafe_code)]

mod conn;
mod notes;
mod service;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use pool_core::{Pool, Pools};
use pool_postgres::PgManager;
use pool_sqlite::{SqliteConfig, SqliteManager};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::notes::Notes;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // An error that `main` returns is shown as `Debug`.
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return serve(PgManager::from_url(&url)?).await;
    }
    let file = std::env::temp_dir().join("axum-service.db");
    serve(SqliteManager::new(SqliteConfig::file(file))).await
}

async fn serve<M: Notes>(manager: M) -> Result<(), Box<dyn Error>> {
    // Fails here, with the reason, when the database cannot be reached.
    let pool = Pool::builder(manager)
        .max_size(16)
        .acquire_timeout(Duration::from_secs(2))
        .connect()
        .await?;
    M::prepare(&mut *pool.get().await?).await?;
    let pools = Pools::new();
    pools.insert("notes", pool.clone());

    let app = service::router(pool, &pools, Duration::from_secs(5));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/notes and /pools", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        // Requests that hold a connection finish; open dashboards end with their pools.
        for (name, report) in pools.close_timeout(Duration::from_secs(10)).await {
            println!("{name}: {report}");
        }
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(end)
        .await?;
    Ok(())
}
