//! A database in memory, and a manager of it that is wrong in one way.

use std::borrow::Cow;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use pool_core::testing::conformance::Subject;
use pool_core::{Condition, Interrupter, Manager, Severity};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;

pub(crate) const SECRET: &str = "hunter2";

/// What a manager does wrong; the first five are no faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    GivesUpWhatWasUsed,
    CannotRecycle,
    /// Its connections know when they are dead, and are never asked.
    SeesOutagesItself,
    ConnectsSlowly,

    NameShowsSecret,
    ConnectingFails,
    ConnectingHangs,
    NewNeedsRecycling,
    NewIsOutOfStep,
    NewIsDead,
    ValidatingFails,
    ValidatingHangs,
    ValidatingLeavesAnAnswer,
    ValidatingBreaks,
    SoilIsNotSeen,
    RecyclingHangs,
    RecyclingLeavesSoil,
    RecyclingLeavesAnAnswer,
    RecyclingKills,
    CancelledValidationIsNotSeen,
    CancelledUseIsNotSeen,
    InterruptingHangs,
    InterruptingIsNotHeard,
    InterruptingHitsTheIdle,
    InterruptingGoesOn,
    ClosingHangs,
    ValidatingAsksNobody,
    ConnectingAsksNobody,
    ErrorShowsSecret,
    OutageIsPermanent,
    NeverConnectsAgain,
    ConnectsToTheDeadAgain,
    TakesTheDeadForAlive,
}

use Fault::*;

#[derive(Debug, Default)]
struct Server {
    is_down: AtomicBool,
    /// Raised by each outage, which no connection survives.
    outages: AtomicU32,
}

#[derive(Debug)]
pub(crate) struct Connection {
    server: Arc<Server>,
    outages: u32,
    /// Answers that nobody has read.
    unread: u32,
    is_soiled: bool,
    is_broken: bool,
    interrupts: Arc<Interrupts>,
}

/// What comes from the side.
#[derive(Debug, Default)]
struct Interrupts {
    stop: Notify,
    /// Waits for the next question.
    is_late: AtomicBool,
}

impl Connection {
    /// Asks something and reads an answer, which takes a moment.
    async fn ask(&mut self) -> Result<(), String> {
        self.unread += 1;
        self.reach().await;
        yield_now().await;
        self.unread -= 1;
        if self.interrupts.is_late.load(SeqCst) {
            return Err("interrupted".to_owned());
        }
        match self.unread {
            0 => Ok(()),
            _ => Err("the answer to another question".to_owned()),
        }
    }

    /// Does not end when the other end is dead.
    async fn reach(&self) {
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    fn is_dead(&self) -> bool {
        self.outages != self.server.outages.load(SeqCst)
    }

    fn die(&mut self) {
        self.outages = u32::MAX;
    }
}

#[derive(Debug)]
pub(crate) struct Faulty {
    fault: Fault,
    server: Arc<Server>,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            server: Arc::default(),
        }
    }
}

impl Manager for Faulty {
    type Connection = Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Connection> {
        let outages = self.server.outages.load(SeqCst);
        let is_down = self.server.is_down.load(SeqCst);
        match self.fault {
            ConnectingHangs => pending().await,
            ConnectingFails => return Err(io::Error::other("refused")),
            NeverConnectsAgain if outages > 0 => return Err(io::Error::other("refused")),
            ErrorShowsSecret if is_down => return Err(io::Error::other(SECRET)),
            ConnectingAsksNobody => {}
            _ if is_down => return Err(io::Error::other("refused")),
            ConnectsSlowly => sleep(Duration::from_secs(3)).await,
            _ => {}
        }
        let mut conn = Connection {
            server: Arc::clone(&self.server),
            outages,
            unread: u32::from(self.fault == NewIsOutOfStep),
            is_soiled: self.fault == NewNeedsRecycling,
            is_broken: false,
            interrupts: Arc::default(),
        };
        if self.fault == NewIsDead || self.fault == ConnectsToTheDeadAgain && outages > 0 {
            conn.die();
        }
        Ok(conn)
    }

    async fn validate(&self, conn: &mut Connection) -> io::Result<()> {
        match self.fault {
            ValidatingFails => return Err(io::Error::other("no")),
            ValidatingHangs => pending().await,
            ValidatingLeavesAnAnswer => conn.unread += 1,
            ValidatingBreaks => conn.is_broken = true,
            // It asks the server, but not through the connection.
            TakesTheDeadForAlive if self.server.is_down.load(SeqCst) => pending().await,
            TakesTheDeadForAlive | ValidatingAsksNobody | SeesOutagesItself => {}
            // So its validation can never be cancelled half-way.
            CancelledUseIsNotSeen => conn.reach().await,
            _ => conn.ask().await.map_err(io::Error::other)?,
        }
        Ok(())
    }

    async fn recycle(&self, conn: &mut Connection) -> io::Result<()> {
        match self.fault {
            CannotRecycle => return Err(io::Error::other("no")),
            RecyclingHangs => pending().await,
            RecyclingKills => conn.die(),
            TakesTheDeadForAlive => {}
            _ => conn.reach().await,
        }
        conn.is_soiled = self.fault == RecyclingLeavesSoil;
        conn.unread = u32::from(self.fault == RecyclingLeavesAnAnswer);
        Ok(())
    }

    fn condition(&self, conn: &mut Connection) -> Condition {
        let is_used = match self.fault {
            NewIsOutOfStep
            | ValidatingLeavesAnAnswer
            | CancelledValidationIsNotSeen
            | CancelledUseIsNotSeen => conn.is_soiled,
            SoilIsNotSeen => conn.unread > 0,
            _ => conn.is_soiled || conn.unread > 0,
        };
        match self.fault {
            _ if conn.is_broken => Condition::Broken,
            SeesOutagesItself if conn.is_dead() => Condition::Broken,
            GivesUpWhatWasUsed if is_used => Condition::Broken,
            _ if is_used => Condition::NeedsRecycle,
            _ => Condition::Ready,
        }
    }

    async fn close(&self, _: Connection) {
        if self.fault == ClosingHangs {
            pending::<()>().await;
        }
    }

    fn interrupter(&self, conn: &Connection) -> Option<Interrupter> {
        let (fault, interrupts) = (self.fault, Arc::clone(&conn.interrupts));
        Some(Interrupter::new(move || {
            let interrupts = Arc::clone(&interrupts);
            async move {
                match fault {
                    InterruptingHangs => pending().await,
                    InterruptingIsNotHeard => {}
                    InterruptingHitsTheIdle => interrupts.is_late.store(true, SeqCst),
                    _ => interrupts.stop.notify_waiters(),
                }
            }
        }))
    }

    fn severity(&self, _: &io::Error) -> Severity {
        match self.fault {
            OutageIsPermanent => Severity::Permanent,
            _ => Severity::Transient,
        }
    }

    fn name(&self) -> Cow<'_, str> {
        match self.fault {
            NameShowsSecret => Cow::Owned(format!("memory://app:{SECRET}@")),
            _ => Cow::Borrowed("memory://app@"),
        }
    }
}

impl Subject for Faulty {
    type Manager = Self;

    fn manager(&self) -> Self {
        Self {
            fault: self.fault,
            server: Arc::clone(&self.server),
        }
    }

    async fn exercise(&self, conn: &mut Connection) -> Result<(), String> {
        conn.ask().await
    }

    async fn soil(&self, conn: &mut Connection) -> bool {
        conn.is_soiled = true;
        true
    }

    async fn is_clean(&self, conn: &mut Connection) -> bool {
        conn.reach().await;
        !conn.is_soiled
    }

    async fn occupy(&self, conn: &mut Connection) -> bool {
        conn.unread += 1;
        conn.interrupts.stop.notified().await;
        conn.unread -= 1;
        let is_late = self.fault == InterruptingGoesOn;
        conn.interrupts.is_late.store(is_late, SeqCst);
        true
    }

    async fn break_server(&self) -> bool {
        self.server.is_down.store(true, SeqCst);
        self.server.outages.fetch_add(1, SeqCst);
        true
    }

    async fn restore_server(&self) {
        self.server.is_down.store(false, SeqCst);
    }

    fn secret(&self) -> Option<String> {
        Some(SECRET.to_owned())
    }
}
