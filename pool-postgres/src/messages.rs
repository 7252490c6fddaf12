//! What the server sends without being asked: notices and notifications.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Notification};

/// What is called with a notice.
#[derive(Clone)]
pub(crate) struct OnNotice(pub(crate) Arc<dyn Fn(&DbError) + Send + Sync>);

impl fmt::Debug for OnNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnNotice")
    }
}

/// The notifications that a connection receives, in their order.
///
/// They end when the connection breaks, is closed, or is returned to the pool. Those
/// that nobody has taken yet are kept in memory, however many.
#[derive(Debug)]
pub struct Notifications(UnboundedReceiver<Notification>);

impl Notifications {
    /// The next notification; `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// None is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Notification> {
        self.0.recv().await
    }

    /// The next notification that is here already.
    pub fn try_recv(&mut self) -> Option<Notification> {
        self.0.try_recv().ok()
    }
}

/// Where the messages of one connection go.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    on_notice: Option<OnNotice>,
    subscriber: Mutex<Option<UnboundedSender<Notification>>>,
}

impl Messages {
    pub(crate) fn new(on_notice: Option<OnNotice>) -> Self {
        Self {
            on_notice,
            subscriber: Mutex::default(),
        }
    }

    pub(crate) fn take(&self, message: AsyncMessage) {
        match message {
            AsyncMessage::Notice(notice) => {
                if let Some(OnNotice(handler)) = &self.on_notice {
                    handler(&notice);
                } else {
                    let code = notice.code().code();
                    tracing::debug!(code, message = notice.message(), "notice from PostgreSQL");
                }
            }
            AsyncMessage::Notification(notification) => {
                if let Some(subscriber) = &*self.subscriber() {
                    // Whoever has dropped the receiver wants it no more.
                    let _sent = subscriber.send(notification);
                }
            }
            _ => {}
        }
    }

    /// From now on notifications go to the receiver returned, and to no earlier one.
    pub(crate) fn subscribe(&self) -> Notifications {
        let (sender, receiver) = unbounded_channel();
        *self.subscriber() = Some(sender);
        Notifications(receiver)
    }

    pub(crate) fn unsubscribe(&self) {
        *self.subscriber() = None;
    }

    fn subscriber(&self) -> MutexGuard<'_, Option<UnboundedSender<Notification>>> {
        self.subscriber
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
