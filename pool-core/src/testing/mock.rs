//! A manager whose every step can be scripted.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use crate::manager::{Condition, Interrupter, Manager};

/// What a mock does at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// It succeeds at once.
    Succeed,
    /// It succeeds after this time of the runtime's clock.
    SucceedAfter(Duration),
    /// It fails at once.
    Fail,
    /// It never ends.
    Hang,
    /// It panics.
    Panic,
}

/// The steps of a manager that can be scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// [`Manager::connect`].
    Connect,
    /// [`Manager::validate`].
    Validate,
    /// [`Manager::recycle`].
    Recycle,
    /// [`Manager::close`]; to fail is to succeed.
    Close,
}

const STEPS: usize = 4;

/// What a mock fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the mock was told to fail to {0:?}")]
pub struct MockError(pub Step);

/// A scripted manager; clones share the script and the counts.
///
/// # Example
///
/// ```
/// use pool_core::testing::{Act, MockManager, Step};
///
/// let mock = MockManager::new();
/// mock.next(Step::Connect, [Act::Fail, Act::Succeed]); // the first two connects
/// mock.always(Step::Validate, Act::Hang);              // every validation
/// assert_eq!(mock.count(Step::Connect), 0);
/// ```
#[derive(Clone, Default)]
pub struct MockManager(Arc<State>);

#[derive(Default)]
struct State {
    scripts: [Mutex<Script>; STEPS],
    counts: [AtomicUsize; STEPS],
    /// How many of these steps are under way.
    running: [AtomicUsize; STEPS],
    peak_running: [AtomicUsize; STEPS],
    next_id: AtomicU64,
    open: AtomicUsize,
    peak_open: AtomicUsize,
    concerns_all: AtomicBool,
    changed: Notify,
}

struct Script {
    next: VecDeque<Act>,
    always: Act,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            always: Act::Succeed,
        }
    }
}

impl MockManager {
    /// A manager that succeeds at everything, at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the next steps of this kind do, before what they always do.
    pub fn next(&self, step: Step, acts: impl IntoIterator<Item = Act>) {
        self.script(step).next.extend(acts);
    }

    /// From now on what fails at recycling is the server's fault ([`Manager::concerns_all`]).
    pub fn blame_the_server(&self) {
        self.0.concerns_all.store(true, SeqCst);
    }

    /// What every step of this kind does from now on.
    pub fn always(&self, step: Step, act: Act) {
        self.script(step).always = act;
    }

    /// Forgets what was scripted for this step: it succeeds at once again.
    pub fn forget(&self, step: Step) {
        *self.script(step) = Script::default();
    }

    /// How many steps of this kind have begun.
    pub fn count(&self, step: Step) -> usize {
        self.0.counts[step as usize].load(SeqCst)
    }

    /// How many steps of this kind are under way.
    pub fn running(&self, step: Step) -> usize {
        self.0.running[step as usize].load(SeqCst)
    }

    /// The most that were under way at the same time.
    pub fn peak_running(&self, step: Step) -> usize {
        self.0.peak_running[step as usize].load(SeqCst)
    }

    /// How many handles of this manager exist, those of its connections not counted.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.0) - self.open()
    }

    /// How many connections exist.
    pub fn open(&self) -> usize {
        self.0.open.load(SeqCst)
    }

    /// The most that existed at the same time.
    pub fn peak_open(&self) -> usize {
        self.0.peak_open.load(SeqCst)
    }

    /// Waits until `condition` holds; it is looked at whenever a step begins or ends and whenever
    /// a connection is opened or dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; call it again to wait on.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    fn script(&self, step: Step) -> std::sync::MutexGuard<'_, Script> {
        self.0.scripts[step as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn act(&self, step: Step) -> Result<(), MockError> {
        let act = {
            let mut script = self.script(step);
            script
                .next
                .pop_front()
                .unwrap_or_else(|| script.always.clone())
        };
        self.0.counts[step as usize].fetch_add(1, SeqCst);
        let _running = Running::begin(self, step);
        match act {
            Act::Succeed => Ok(()),
            Act::SucceedAfter(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Act::Fail => Err(MockError(step)),
            Act::Hang => pending().await,
            Act::Panic => panic!("the mock was told to panic at {step:?}"),
        }
    }
}

struct Running<'a>(&'a MockManager, Step);

impl<'a> Running<'a> {
    fn begin(mock: &'a MockManager, step: Step) -> Self {
        let running = mock.0.running[step as usize].fetch_add(1, SeqCst) + 1;
        mock.0.peak_running[step as usize].fetch_max(running, SeqCst);
        mock.0.changed.notify_waiters();
        Self(mock, step)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.0.running[self.1 as usize].fetch_sub(1, SeqCst);
        self.0.0.changed.notify_waiters();
    }
}

impl Manager for MockManager {
    type Connection = MockConnection;
    type Error = MockError;

    async fn connect(&self) -> Result<MockConnection, MockError> {
        self.act(Step::Connect).await?;
        let id = self.0.next_id.fetch_add(1, SeqCst) + 1;
        let open = self.0.open.fetch_add(1, SeqCst) + 1;
        self.0.peak_open.fetch_max(open, SeqCst);
        self.0.changed.notify_waiters();
        let flags = Arc::new(Flags::default());
        Ok(MockConnection {
            id,
            flags,
            state: Arc::clone(&self.0),
        })
    }

    async fn validate(&self, _: &mut MockConnection) -> Result<(), MockError> {
        self.act(Step::Validate).await
    }

    async fn recycle(&self, conn: &mut MockConnection) -> Result<(), MockError> {
        self.act(Step::Recycle).await?;
        conn.flags.needs_recycle.store(false, SeqCst);
        Ok(())
    }

    fn condition(&self, conn: &mut MockConnection) -> Condition {
        if conn.flags.condition_panics.load(SeqCst) {
            panic!("the mock was told to panic at its condition");
        } else if conn.flags.broken.load(SeqCst) {
            Condition::Broken
        } else if conn.flags.needs_recycle.load(SeqCst) {
            Condition::NeedsRecycle
        } else {
            Condition::Ready
        }
    }

    async fn close(&self, conn: MockConnection) {
        let _told = self.act(Step::Close).await;
        drop(conn);
    }

    fn interrupter(&self, conn: &MockConnection) -> Option<Interrupter> {
        let flags = Arc::clone(&conn.flags);
        Some(Interrupter::new(move || {
            let flags = Arc::clone(&flags);
            async move {
                flags.interrupted.store(true, SeqCst);
                flags.interruption.notify_waiters();
            }
        }))
    }

    fn concerns_all(&self, _: &MockError) -> bool {
        self.0.concerns_all.load(SeqCst)
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("mock")
    }
}

impl fmt::Debug for MockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockManager")
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}

/// A connection of a [`MockManager`].
pub struct MockConnection {
    id: u64,
    flags: Arc<Flags>,
    state: Arc<State>,
}

#[derive(Default)]
struct Flags {
    broken: AtomicBool,
    needs_recycle: AtomicBool,
    condition_panics: AtomicBool,
    interrupted: AtomicBool,
    interruption: Notify,
}

impl MockConnection {
    /// Its number, counted from 1 in the order of the connects.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// From now on its condition is [`Condition::Broken`].
    pub fn break_it(&self) {
        self.flags.broken.store(true, SeqCst);
    }

    /// Its condition is [`Condition::NeedsRecycle`] until it has been recycled.
    pub fn make_dirty(&self) {
        self.flags.needs_recycle.store(true, SeqCst);
    }

    /// From now on asking for its condition panics.
    pub fn make_condition_panic(&self) {
        self.flags.condition_panics.store(true, SeqCst);
    }

    /// Breaks the connection from outside, whoever holds it, when it is called.
    pub fn breaker(&self) -> impl Fn() + Send + Sync + 'static {
        let flags = Arc::clone(&self.flags);
        move || flags.broken.store(true, SeqCst)
    }

    /// Waits until the pool interrupts what runs on the connection; ready at once when it has.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no interruption; call it again to wait on.
    pub async fn interrupted(&self) {
        loop {
            let mut interruption = std::pin::pin!(self.flags.interruption.notified());
            interruption.as_mut().enable();
            if self.flags.interrupted.load(SeqCst) {
                return;
            }
            interruption.await;
        }
    }
}

impl fmt::Debug for MockConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockConnection")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for MockConnection {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, SeqCst);
        self.state.changed.notify_waiters();
    }
}
