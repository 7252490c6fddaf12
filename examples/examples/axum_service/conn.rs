//! A connection for a handler, or an answer that says why there is none.

use std::error::Error as StdError;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pool_core::{Error, Manager, Pool, PooledConnection, Stats};
use serde::Serialize;

/// A connection of the pool in the state; it goes back when the handler is through.
pub(crate) struct Conn<M: Manager>(pub(crate) PooledConnection<M>);

impl<S, M> FromRequestParts<S> for Conn<M>
where
    S: Send + Sync,
    M: Manager,
    Pool<M>: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Failure> {
        let pool = Pool::from_ref(state);
        let conn = pool.get().await;
        conn.map(Self)
            .map_err(|error| Failure::no_connection(&error, &pool.stats()))
    }
}

/// What the client is told.
#[derive(Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<Figures>,
}

/// What a client may know of the pool.
#[derive(Serialize)]
struct Figures {
    max_size: usize,
    active: usize,
    idle: usize,
    waiting: usize,
}

impl Failure {
    fn no_connection<E: StdError>(error: &Error<E>, stats: &Stats) -> Self {
        // The whole story, with places in the code, is for the log.
        eprintln!("{error}");
        let (error, retry_after) = match error {
            Error::Timeout { .. } => ("pool_timeout", Duration::from_secs(1)),
            Error::Overloaded { .. } | Error::Shed { .. } => {
                ("pool_overloaded", Duration::from_secs(1))
            }
            Error::CircuitOpen { retry_after, .. } => ("database_unreachable", *retry_after),
            Error::Closed => ("shutting_down", Duration::from_secs(5)),
            _ => ("database_unavailable", Duration::from_secs(1)),
        };
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(retry_after),
            error,
            pool: Some(Figures {
                max_size: stats.max_size,
                active: stats.active,
                idle: stats.idle,
                waiting: stats.waiting,
            }),
        }
    }

    pub(crate) fn database(error: impl StdError) -> Self {
        eprintln!("{error}");
        Self::of(StatusCode::INTERNAL_SERVER_ERROR, "database_error")
    }

    pub(crate) fn took_too_long(limit: Duration) -> Self {
        eprintln!("a request took longer than {limit:?}");
        Self::of(StatusCode::GATEWAY_TIMEOUT, "request_timeout")
    }

    fn of(status: StatusCode, error: &'static str) -> Self {
        Self {
            status,
            retry_after: None,
            error,
            pool: None,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // Whole seconds, rounded up: 0 would invite everybody at once.
        let retry_after = self.retry_after.map(|time| {
            [(
                header::RETRY_AFTER,
                time.as_secs_f64().ceil().max(1.0).to_string(),
            )]
        });
        (self.status, retry_after, Json(self)).into_response()
    }
}
