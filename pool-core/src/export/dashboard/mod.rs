//! A live page on the pools of a registry, as a router for the application's own server.
//!
//! | path | what it answers |
//! | --- | --- |
//! | `/` | the page; it loads nothing from elsewhere |
//! | `/health` | 200 and the health of each pool: the process lives, whatever its databases do |
//! | `/ready` | the same, with 503 while a pool is unhealthy |
//! | `/metrics` | [`prometheus`] |
//! | `/api/stats` | the figures, holders and reasons of each pool |
//! | `/api/stream` | the same each second, as server-sent events, until all pools are closed |
//! | `/api/action` | with [`Dashboard::actions`] only: what the page's buttons do |
//!
//! Whoever can reach the page sees pool names, figures and the places in the code where
//! connections were checked out: serve it where only operators come, or behind their login.
//!
//! ```
//! use pool_core::{Pools, export::dashboard::Dashboard};
//!
//! let pools = Pools::new();
//! let dashboard = Dashboard::new(&pools).router();
//! let app: axum::Router = axum::Router::new().nest_service("/pools", dashboard);
//! ```
//!
//! As a service it answers at `/pools/` too; nested as a router, at `/pools` only.

mod actions;
mod stream;
mod view;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};

use self::stream::Views;
use self::view::View;
use super::prometheus;
use crate::registry::Pools;

const PAGE: &str = include_str!("page.html");

/// Nothing from elsewhere, no other site around it, no form to anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

type Guard = Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// The page and its endpoints; read-only unless [`actions`](Self::actions) are permitted.
#[must_use = "a dashboard is served by its router"]
#[derive(Clone)]
pub struct Dashboard {
    pools: Pools,
    guard: Option<Guard>,
}

impl Dashboard {
    /// A dashboard that shows and changes nothing.
    pub fn new(pools: &Pools) -> Self {
        Self {
            pools: pools.clone(),
            guard: None,
        }
    }

    /// Lets operators reset the breaker, retire all connections, pause, resume and resize: those
    /// whose request headers `may_act` accepts.
    ///
    /// A request must also come from the page itself: another site's is refused before `may_act`
    /// is asked, even with the operator's cookies.
    pub fn actions(mut self, may_act: impl Fn(&HeaderMap) -> bool + Send + Sync + 'static) -> Self {
        self.guard = Some(Arc::new(may_act));
        self
    }

    /// The router, to nest under a path of the application or to serve on a port of its own.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let mut router = Router::new()
            .route("/", get(page))
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/api/stats", get(stats))
            .route("/api/stream", get(stream));
        if self.guard.is_some() {
            router = router.route("/api/action", post(actions::act));
        }
        router.with_state(self)
    }

    fn view(&self) -> View {
        View::of(&self.pools, self.guard.is_some())
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("pools", &self.pools)
            .field("may_act", &self.guard.is_some())
            .finish()
    }
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(PAGE))
}

async fn health(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    Json(dashboard.pools.health())
}

async fn ready(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let health = dashboard.pools.health();
    let status = if health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health))
}

async fn metrics(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)];
    (kind, prometheus::render(&dashboard.pools))
}

async fn stats(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    Json(dashboard.view())
}

async fn stream(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    Sse::new(Views::of(dashboard)).keep_alive(KeepAlive::default())
}
