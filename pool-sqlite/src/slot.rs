//! Where a connection's handle is: at home, away on a worker, or gone.
//!
//! ```text
//!            lend()                      task ends
//!   Home ───────────────▶ Away ────────────────────────▶ Home
//!    │ take()              │ task panicked, or the connection was dropped
//!    └────────▶ Gone ◀─────┘ in the meantime
//! ```
//!
//! A handle is in one place at a time, so nobody can be given a connection whose last call still
//! runs: what is away can be waited for ([`Slot::stopped`]) and nothing else.
//!
//! SQLite forgets an interrupt that meets no running statement, and a closure may be just between two.
//! So the session looks at the flag of a cancelled call itself, when a statement is prepared and
//! while one runs; a closure may have replaced what does that, so whoever waits for a cancelled call
//! interrupts it again and again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::InterruptHandle;
use tokio::sync::Notify;

use crate::session::Session;
use crate::workers::{Owner, Workers};

/// How often a call that must end is interrupted.
const INTERRUPT_EVERY: Duration = Duration::from_millis(5);

/// The place of one connection's handle; the connection and the task on a worker share it.
pub(crate) struct Slot {
    place: Mutex<Place>,
    /// Told whenever `place` leaves `Away`.
    settled: Notify,
    /// Raised by [`cancel`](Self::cancel), lowered by [`lend`](Self::lend); what runs on the worker
    /// sees it.
    cancelled: Arc<AtomicBool>,
    /// Replaced when a reset replaces the handle. `None` before a handle is closed: the driver holds
    /// its lock until that is done, and who interrupts must not wait for a checkpoint.
    interrupt: Mutex<Option<InterruptHandle>>,
    /// How often the handle has been lent.
    calls: AtomicU64,
}

pub(crate) enum Place {
    Home(Box<Session>),
    Away { abandoned: bool },
    Gone,
}

impl Slot {
    /// A slot whose first handle is about to be opened.
    pub(crate) fn new() -> Self {
        Self {
            place: Mutex::new(Place::Gone),
            settled: Notify::new(),
            cancelled: Arc::default(),
            interrupt: Mutex::default(),
            calls: AtomicU64::new(0),
        }
    }

    /// Nothing that can panic runs under this lock.
    pub(crate) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the handle, if any, out for a call. The caller has made sure that it is not away.
    pub(crate) fn lend(self: &Arc<Self>) -> Loan {
        self.cancelled.store(false, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        let place = std::mem::replace(&mut *self.place(), Place::Away { abandoned: false });
        let session = match place {
            Place::Home(session) => Some(session),
            Place::Away { .. } | Place::Gone => None,
        };
        Loan {
            session,
            slot: Arc::clone(self),
        }
    }

    /// Takes the handle from home for good.
    pub(crate) fn take_home(&self) -> Option<Box<Session>> {
        let mut place = self.place();
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Home(session) => Some(session),
            other => {
                *place = other;
                None
            }
        }
    }

    /// Nobody wants the handle any more: one that is away closes when its call has ended, one that
    /// is at home is returned to be closed.
    pub(crate) fn abandon(&self) -> Option<Box<Session>> {
        let mut place = self.place();
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Home(session) => {
                drop(place);
                self.set_interrupt(None);
                Some(session)
            }
            Place::Away { .. } => {
                *place = Place::Away { abandoned: true };
                None
            }
            Place::Gone => None,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn is_away(&self) -> bool {
        matches!(*self.place(), Place::Away { .. })
    }

    /// Stops the call, as far as SQLite can: its statements and waits for locks. One that has not begun
    /// is over at once.
    pub(crate) fn cancel(&self, workers: &Workers) {
        // Pairs with the Acquire loads in the hooks of the session and before a task begins.
        self.cancelled.store(true, Ordering::Release);
        self.interrupt();
        // Who waits for a lock has looked at the flag before.
        workers.wake_waiters();
        workers.withdraw(self.owner());
    }

    fn interrupt(&self) {
        if let Some(handle) = &*self.interrupt_handle() {
            handle.interrupt();
        }
    }

    fn set_interrupt(&self, handle: Option<InterruptHandle>) {
        *self.interrupt_handle() = handle;
    }

    fn interrupt_handle(&self) -> MutexGuard<'_, Option<InterruptHandle>> {
        self.interrupt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the slot to the workers.
    pub(crate) fn owner(&self) -> Owner {
        std::ptr::from_ref(self).addr()
    }

    /// Waits until the handle is not away.
    pub(crate) async fn settled(&self) {
        loop {
            let mut told = std::pin::pin!(self.settled.notified());
            // Listens before it looks: what happens in between is not missed.
            told.as_mut().enable();
            if !self.is_away() {
                return;
            }
            told.await;
        }
    }

    /// Interrupts a cancelled call until it has ended, and none that is made after it.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub(crate) async fn stopped(&self) {
        let call = self.calls.load(Ordering::Relaxed);
        while tokio::time::timeout(INTERRUPT_EVERY, self.settled())
            .await
            .is_err()
            && self.calls.load(Ordering::Relaxed) == call
        {
            self.interrupt();
        }
    }
}

/// The right to a handle while it is away. Dropped without [`give_back`](Self::give_back), for
/// instance by a panic, it takes the handle with it.
pub(crate) struct Loan {
    session: Option<Box<Session>>,
    slot: Arc<Slot>,
}

impl Loan {
    pub(crate) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_deref_mut()
    }

    /// Takes the handle out to be closed.
    pub(crate) fn take(&mut self) -> Option<Box<Session>> {
        self.slot.set_interrupt(None);
        self.session.take()
    }

    /// Puts a new handle in the place of the old one, which is closed.
    pub(crate) fn install(&mut self, session: Session) {
        let handle = session.conn.get_interrupt_handle();
        self.slot.set_interrupt(Some(handle));
        self.session = Some(Box::new(session));
    }

    pub(crate) fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.slot.cancelled)
    }

    /// Whether the call was cancelled before it began.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.slot.is_cancelled()
    }

    /// Puts the handle home, or closes it if nobody lives there any more.
    pub(crate) fn give_back(mut self) {
        let mut place = self.slot.place();
        if let Place::Away { abandoned: false } = *place
            && let Some(session) = self.session.take()
        {
            *place = Place::Home(session);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Closing is work: not under the lock.
        if self.session.is_some() {
            drop(self.take());
        }
        let mut place = self.slot.place();
        if let Place::Away { .. } = *place {
            *place = Place::Gone;
        }
        drop(place);
        self.slot.settled.notify_waiters();
    }
}
