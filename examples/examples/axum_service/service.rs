//! The routes of the service.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use pool_core::export::dashboard::Dashboard;
use pool_core::{Pool, Pools};

use super::conn::{Conn, Failure};
use super::notes::Notes;

/// The notes, and the dashboard under `/pools`; a request of the notes takes at most `limit`.
pub(crate) fn router<M: Notes>(pool: Pool<M>, pools: &Pools, limit: Duration) -> Router {
    let notes = get(list::<M>).post(add::<M>);
    Router::new()
        .route("/notes", notes)
        .route("/slow", get(slow::<M>))
        .with_state(pool)
        .layer(middleware::from_fn_with_state(limit, in_time))
        .nest_service("/pools", Dashboard::new(pools).router())
}

async fn list<M: Notes>(Conn(mut conn): Conn<M>) -> Result<Json<Vec<String>>, Failure> {
    Ok(Json(M::all(&mut conn).await.map_err(Failure::database)?))
}

async fn add<M: Notes>(
    Conn(mut conn): Conn<M>,
    Json(note): Json<String>,
) -> Result<StatusCode, Failure> {
    M::add(&mut conn, note).await.map_err(Failure::database)?;
    Ok(StatusCode::CREATED)
}

/// A query without an end, to see it stopped.
async fn slow<M: Notes>(Conn(mut conn): Conn<M>) -> Result<(), Failure> {
    M::endless(&mut conn).await.map_err(Failure::database)
}

/// Drops the handler when the time is up: its query is cancelled, its connection goes back.
async fn in_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let response = tokio::time::timeout(limit, next.run(request)).await;
    response.map_err(|_| Failure::took_too_long(limit))
}
