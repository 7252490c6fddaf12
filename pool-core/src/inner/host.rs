//! The runtime a pool's tasks run on, and whether they still do.
//!
//! A pool may be made outside a runtime, live in a `static`, and outlast the runtime it was first
//! used on (each test of a program may have its own). So it settles on the runtime from which it
//! is first used, and moves when that one is gone: the keeper's future is dropped with it, says
//! so, and the next checkout that has to wait starts a new keeper where it runs.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;

/// Where the tasks of one pool run.
#[derive(Debug, Default)]
pub(crate) struct Host {
    handle: Mutex<Option<Handle>>,
    keeper_is_alive: AtomicBool,
    /// Whether its runtime has threads of its own.
    is_driven: AtomicBool,
    /// Wakes the keeper.
    pub(crate) call: Notify,
}

impl Host {
    #[inline]
    pub(crate) fn keeper_is_alive(&self) -> bool {
        self.keeper_is_alive.load(Acquire)
    }

    /// Settles on the caller's runtime if there is one and no keeper; true for the one caller
    /// that is to start it.
    pub(crate) fn settle(&self) -> bool {
        let Ok(handle) = Handle::try_current() else {
            return false;
        };
        if self.keeper_is_alive.swap(true, AcqRel) {
            return false;
        }
        let flavor = handle.runtime_flavor();
        self.is_driven
            .store(flavor != RuntimeFlavor::CurrentThread, Release);
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        true
    }

    /// Whether the keeper runs whatever else its runtime does.
    pub(crate) fn is_driven(&self) -> bool {
        self.is_driven.load(Acquire)
    }

    /// Whether the keeper runs, and is as sure to go on as a timer of the caller's would be: on
    /// threads of its runtime's own, or on the caller's runtime.
    pub(crate) fn keeper_can_be_relied_on(&self) -> bool {
        self.keeper_is_alive() && (self.is_driven() || self.is_on_this_runtime())
    }

    fn is_on_this_runtime(&self) -> bool {
        let Ok(here) = Handle::try_current() else {
            return false;
        };
        let settled = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        settled
            .as_ref()
            .is_some_and(|handle| handle.id() == here.id())
    }

    /// The keeper has ended.
    pub(crate) fn keeper_ended(&self) {
        self.keeper_is_alive.store(false, Release);
    }

    /// The pool's runtime; if that is gone the caller's.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.living_handle().or_else(|| self.settled())
    }

    /// A runtime that is not known to be gone.
    pub(crate) fn living_handle(&self) -> Option<Handle> {
        let settled = self.settled().filter(|_| self.keeper_is_alive());
        settled.or_else(|| Handle::try_current().ok())
    }

    fn settled(&self) -> Option<Handle> {
        let handle = self.handle.lock();
        handle.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `task` in the background; without a runtime it is dropped, which gives back what it
    /// owns.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(handle) = self.handle() {
            handle.spawn(task);
        }
    }
}
