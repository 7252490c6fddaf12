//! Drives a connection: a task that runs when there is something to send or to read, and whoever wants
//! to know what is outstanding.
//!
//! A request waits in the driver's queue until the task has run. Whoever looks at the session before
//! that would take it for clean, and the next user would get what the last one has left; so who looks
//! has all that is queued sent first.

use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::task::{JoinHandle, unconstrained};
use tokio_postgres::Connection;

use crate::messages::Messages;
use crate::target::Stream;
use crate::wire::{Session, Watched};

type PgStream = Connection<Watched<Stream>, Watched<Stream>>;

/// A connection, and what wakes its driver.
struct Driven {
    connection: PgStream,
    waker: Waker,
}

pub(crate) struct Driver {
    /// `None` after its end.
    driven: Mutex<Option<Driven>>,
    session: Arc<Session>,
    messages: Arc<Messages>,
    /// How often somebody has queued something, or the socket became ready.
    calls: AtomicU64,
    /// How many calls there had been before the last time that the connection looked for what to do.
    answered: AtomicU64,
    task: OnceLock<Waker>,
    /// Who waits until something has been done.
    watcher: AtomicWaker,
}

impl Driver {
    /// Begins to drive `connection`, in a task that ends with it.
    pub(crate) fn start(
        connection: PgStream,
        session: Arc<Session>,
        messages: Arc<Messages>,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let driver = Arc::new(Self {
            driven: Mutex::default(),
            session,
            messages,
            calls: AtomicU64::new(1),
            answered: AtomicU64::new(0),
            task: OnceLock::new(),
            watcher: AtomicWaker::new(),
        });
        let waker = Waker::from(Arc::clone(&driver));
        *driver.driven() = Some(Driven { connection, waker });
        let task = tokio::spawn(Self::run(EndOnDrop(Arc::clone(&driver))));
        (driver, task)
    }

    async fn run(driver: EndOnDrop) {
        let EndOnDrop(driver) = &driver;
        std::future::poll_fn(|cx| {
            driver.task.get_or_init(|| cx.waker().clone());
            driver.turn(&mut driver.driven())
        })
        .await;
    }

    /// Waits until `condition` holds, which can change only by what the connection does. Of two who wait
    /// at the same time only the later one is woken.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        std::future::poll_fn(|cx| {
            self.watcher.register(cx.waker());
            if condition() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Has everything sent that was queued before.
    pub(crate) fn catch_up(&self) {
        if self.is_idle() {
            return;
        }
        let mut driven = self.driven();
        if self.is_idle() {
            return;
        }
        // A budget that is used up would keep it from being sent.
        let turn = unconstrained(std::future::poll_fn(|_| self.turn(&mut driven)));
        let ended = pin!(turn).poll(&mut Context::from_waker(Waker::noop()));
        if let (Poll::Ready(()), Some(task)) = (ended, self.task.get()) {
            task.wake_by_ref();
        }
    }

    /// Whether all that was queued before has been taken up. What is queued while the connection looks
    /// is a call of its own, unless one before it is not answered yet.
    fn is_idle(&self) -> bool {
        self.answered.load(SeqCst) == self.calls.load(SeqCst)
    }

    /// Lets the connection do what it can; ready after its end.
    fn turn(&self, driven: &mut Option<Driven>) -> Poll<()> {
        let done = self.advance(driven);
        self.watcher.wake();
        done
    }

    fn advance(&self, driven: &mut Option<Driven>) -> Poll<()> {
        while let Some(Driven { connection, waker }) = driven {
            let calls = self.calls.load(SeqCst);
            let message = connection.poll_message(&mut Context::from_waker(waker));
            self.session.settle();
            match message {
                Poll::Pending => {
                    self.answered.store(calls, SeqCst);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(message))) => self.messages.take(message),
                Poll::Ready(ended) => {
                    if let Some(Err(error)) = ended {
                        tracing::debug!(%error, "connection to PostgreSQL ended");
                    }
                    *driven = None;
                }
            }
        }
        Poll::Ready(())
    }

    fn driven(&self) -> MutexGuard<'_, Option<Driven>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.calls.fetch_add(1, SeqCst);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

/// Ends the connection with the task that drives it, whatever ends that.
struct EndOnDrop(Arc<Driver>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let Self(driver) = self;
        *driver.driven() = None;
        driver.watcher.wake();
        driver.messages.unsubscribe();
    }
}
