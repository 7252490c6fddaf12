//! What the page is told, each second.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::sse::Event;
use futures_core::Stream;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Dashboard;

/// A view each second; it ends when all pools are closed, so that a server that shuts down
/// gracefully does not wait for the pages that are open.
pub(super) struct Views {
    dashboard: Dashboard,
    ticks: Interval,
}

impl Views {
    pub(super) fn of(dashboard: Dashboard) -> Self {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { dashboard, ticks }
    }
}

impl Stream for Views {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.ticks.poll_tick(cx));
        let view = self.dashboard.view();
        if view.is_over() {
            return Poll::Ready(None);
        }
        let event = Event::default().json_data(&view);
        Poll::Ready(event.ok().map(Ok))
    }
}
