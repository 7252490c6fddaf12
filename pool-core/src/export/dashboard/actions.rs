//! What an operator may do from the page.
//!
//! Another site can make a browser send a request with the operator's cookies. It is refused thrice
//! over: a header that only a page's own script can set without the browser asking first, a body of
//! a type to which the same applies, and what the browser says of where the request comes from.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::Dashboard;
use crate::inner::exchange::WhilePaused;

#[derive(Deserialize)]
pub(super) struct Order {
    pool: String,
    #[serde(flatten)]
    action: Action,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Action {
    ResetBreaker,
    RetireAll,
    Pause,
    Resume,
    Resize { min_size: usize, max_size: usize },
}

type Answer = (StatusCode, String);

/// Does it, or says why not.
pub(super) async fn act(
    State(dashboard): State<Dashboard>,
    headers: HeaderMap,
    order: Result<Json<Order>, JsonRejection>,
) -> Answer {
    if !is_from_the_page(&headers) {
        let why = "not from the dashboard's own page".to_owned();
        return (StatusCode::FORBIDDEN, why);
    }
    if !dashboard.guard.as_ref().is_some_and(|may| may(&headers)) {
        return (StatusCode::FORBIDDEN, "not permitted".to_owned());
    }
    match order {
        Ok(Json(order)) => carry_out(&dashboard, order),
        Err(rejection) => (rejection.status(), rejection.body_text()),
    }
}

fn carry_out(dashboard: &Dashboard, Order { pool: name, action }: Order) -> Answer {
    let Some(pool) = dashboard.pools.get(&name) else {
        return (StatusCode::NOT_FOUND, format!("no pool \"{name}\""));
    };
    match action {
        Action::ResetBreaker => pool.reset_breaker(),
        Action::RetireAll => pool.retire_all(),
        Action::Pause => pool.pause(WhilePaused::Wait),
        Action::Resume => pool.resume(),
        Action::Resize { min_size, max_size } => {
            if let Err(error) = pool.resize(min_size, max_size) {
                return (StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
            }
        }
    }
    (StatusCode::OK, "done".to_owned())
}

fn is_from_the_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let is_own = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority == host)
    };
    text("x-pool-action") == Some("1")
        && text("sec-fetch-site").is_none_or(|site| site == "same-origin")
        && text(header::ORIGIN.as_str()).is_none_or(is_own)
}
