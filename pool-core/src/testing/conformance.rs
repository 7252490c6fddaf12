//! Whether a manager keeps the rules a pool relies on.
//!
//! Implement [`Subject`] for a test server of yours and call [`check`] in a test. Each rule is tried on
//! connections of its own; the first that is broken is told in a sentence.
//!
//! ```
//! use pool_core::testing::conformance::{Subject, check};
//! use pool_core::testing::{MockConnection, MockManager};
//!
//! struct Mock(MockManager);
//!
//! impl Subject for Mock {
//!     type Manager = MockManager;
//!
//!     fn manager(&self) -> MockManager {
//!         self.0.clone()
//!     }
//!     async fn exercise(&self, _: &mut MockConnection) -> Result<(), String> {
//!         Ok(()) // a query, and a look at its answer
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let kept = check(&Mock(MockManager::new())).await.unwrap();
//! assert!(kept.contains(&"a new connection works"));
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::manager::{Condition, Manager, Severity};
use crate::pool::Pool;

type ConnectionOf<S> = <<S as Subject>::Manager as Manager>::Connection;

/// A manager, and what the kit must be able to do to its connections and its server.
///
/// What cannot be done need not be implemented: the rules that need it are then left out.
pub trait Subject: Sync {
    /// The manager to be checked.
    type Manager: Manager;

    /// A manager for the test server.
    fn manager(&self) -> Self::Manager;

    /// Uses the connection as an application does: a query, and a look at its answer.
    fn exercise(
        &self,
        conn: &mut ConnectionOf<Self>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Leaves something in the session that the next user must not find, such as an open
    /// transaction. False: there is nothing such.
    fn soil(&self, conn: &mut ConnectionOf<Self>) -> impl Future<Output = bool> + Send {
        let _ = conn;
        async { false }
    }

    /// Whether what [`soil`](Self::soil) left is gone.
    fn is_clean(&self, conn: &mut ConnectionOf<Self>) -> impl Future<Output = bool> + Send {
        let _ = conn;
        async { true }
    }

    /// Runs something that takes a minute unless it is interrupted, and returns when it has ended,
    /// whichever way. False: there is nothing such.
    fn occupy(&self, conn: &mut ConnectionOf<Self>) -> impl Future<Output = bool> + Send {
        let _ = conn;
        async { false }
    }

    /// Makes the server unreachable, for connections that exist and for new ones: killed, hung or
    /// cut off. False: it cannot be.
    fn break_server(&self) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Undoes [`break_server`](Self::break_server).
    fn restore_server(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// For how long a step may take before it counts as hanging; two seconds. A connect may take five
    /// times as long.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// What must not be seen in the name and in errors, such as the password.
    fn secret(&self) -> Option<String> {
        None
    }
}

/// A rule that a manager breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rule \"{}\" is broken: {}", self.rule, self.seen)
    }
}

impl std::error::Error for Violation {}

/// Whether a rule was kept, or could not be tried.
type Tried = Result<bool, String>;

/// Tries every rule, and lists those that were kept.
///
/// # Errors
///
/// The first rule that is broken.
///
/// # Panics
///
/// Outside a Tokio runtime.
///
/// # Cancel safety
///
/// Dropping the future drops the connections it has, and ends what it was at: a server that is
/// broken at that moment stays so until [`Subject::restore_server`] is called.
pub async fn check<S: Subject>(subject: &S) -> Result<Vec<&'static str>, Violation> {
    let mut kept = Vec::new();
    let mut note = |rule: &'static str, tried: Tried| match tried {
        Ok(was_tried) => {
            kept.extend(was_tried.then_some(rule));
            Ok(())
        }
        Err(seen) => Err(Violation { rule, seen }),
    };
    let kit = Kit {
        subject,
        manager: subject.manager(),
    };
    note("a name shows no secret", kit.name_is_public())?;
    note("a new connection works", kit.new_works().await)?;
    note(
        "validating disturbs nothing",
        kit.validating_disturbs_nothing().await,
    )?;
    note(
        "what a user left is gone for the next",
        kit.soil_is_gone().await,
    )?;
    note(
        "a cancelled validation leaves it usable or says so",
        kit.cancelled(true).await,
    )?;
    note(
        "a cancelled use leaves it usable or says so",
        kit.cancelled(false).await,
    )?;
    note(
        "an interrupter stops what runs, and nothing else",
        kit.interrupting().await,
    )?;
    note("a closed connection is closed in time", kit.closes().await)?;
    note(
        "a dead server is noticed",
        kit.dead_server_is_noticed().await,
    )?;
    note(
        "a pool serves again when the server is back",
        kit.pool_recovers().await,
    )?;
    Ok(kept)
}

struct Kit<'a, S: Subject> {
    subject: &'a S,
    manager: S::Manager,
}

impl<S: Subject> Kit<'_, S> {
    fn name_is_public(&self) -> Tried {
        let name = self.manager.name();
        if self.shows_secret(&name) {
            return Err(format!("the name is {name}"));
        }
        Ok(self.subject.secret().is_some())
    }

    fn shows_secret(&self, text: &str) -> bool {
        let secret = self.subject.secret();
        secret.is_some_and(|secret| text.contains(&secret))
    }

    async fn new_works(&self) -> Tried {
        let mut conn = self.connect().await?;
        match self.manager.condition(&mut conn) {
            Condition::Ready => {}
            other => return Err(format!("its condition is {other:?}")),
        }
        self.exercise(&mut conn, "a new connection").await?;
        Ok(true)
    }

    async fn validating_disturbs_nothing(&self) -> Tried {
        let mut conn = self.connect().await?;
        for _ in 0..3 {
            self.validate(&mut conn).await?;
            self.exercise(&mut conn, "a validated connection").await?;
        }
        match self.manager.condition(&mut conn) {
            Condition::Broken => Err("after that it calls itself broken".to_owned()),
            _ => Ok(true),
        }
    }

    async fn soil_is_gone(&self) -> Tried {
        let mut conn = self.connect().await?;
        if !self.subject.soil(&mut conn).await {
            return Ok(false);
        }
        match self.manager.condition(&mut conn) {
            Condition::Broken => return Ok(true),
            Condition::NeedsRecycle => {
                let recycled = timeout(self.patience(), self.manager.recycle(&mut conn)).await;
                match recycled {
                    Err(_) => return Err("recycling hangs".to_owned()),
                    // The pool closes it then.
                    Ok(Err(_)) => return Ok(true),
                    Ok(Ok(())) => {}
                }
            }
            Condition::Ready => {}
        }
        match timeout(self.patience(), self.subject.is_clean(&mut conn)).await {
            Err(_) => return Err("a recycled connection does not answer".to_owned()),
            Ok(false) => return Err("the next user finds what was left".to_owned()),
            Ok(true) => {}
        }
        self.exercise(&mut conn, "a recycled connection").await?;
        Ok(true)
    }

    /// Begins something, drops it after so many polls, and sees what the pool would make of the
    /// connection.
    async fn cancelled(&self, validating: bool) -> Tried {
        for polls in 1..4 {
            let mut conn = self.connect().await?;
            if validating {
                poll_and_drop(polls, self.manager.validate(&mut conn)).await;
            } else {
                poll_and_drop(polls, self.subject.exercise(&mut conn)).await;
            }
            if self.is_usable(&mut conn).await {
                self.exercise(&mut conn, &format!("one dropped after {polls} polls"))
                    .await?;
            }
        }
        Ok(true)
    }

    /// Whether the pool would hand the connection on.
    async fn is_usable(&self, conn: &mut ConnectionOf<S>) -> bool {
        match self.manager.condition(conn) {
            Condition::Broken => false,
            Condition::Ready => true,
            Condition::NeedsRecycle => {
                let recycled = timeout(self.patience(), self.manager.recycle(conn)).await;
                matches!(recycled, Ok(Ok(())))
            }
        }
    }

    async fn interrupting(&self) -> Tried {
        let mut conn = self.connect().await?;
        let Some(interrupter) = self.manager.interrupter(&conn) else {
            return Ok(false);
        };
        let of_idle = timeout(self.patience(), interrupter.interrupt()).await;
        if of_idle.is_err() {
            return Err("interrupting hangs".to_owned());
        }
        self.exercise(&mut conn, "an idle connection that was interrupted")
            .await?;
        let is_over = AtomicBool::new(false);
        let occupying = async {
            let was_occupied = self.subject.occupy(&mut conn).await;
            is_over.store(true, Relaxed);
            was_occupied
        };
        // Nobody knows when it begins to run.
        let interrupting = async {
            while !is_over.load(Relaxed) {
                sleep(self.patience() / 20).await;
                interrupter.interrupt().await;
            }
        };
        let both = async { tokio::join!(occupying, interrupting) };
        match timeout(self.patience(), both).await {
            Err(_) => return Err("what runs goes on".to_owned()),
            Ok((false, ())) => return Ok(false),
            Ok((true, ())) => {}
        }
        if self.is_usable(&mut conn).await {
            self.exercise(&mut conn, "a connection that was interrupted")
                .await?;
        }
        Ok(true)
    }

    async fn closes(&self) -> Tried {
        let conn = self.connect().await?;
        match timeout(self.patience(), self.manager.close(conn)).await {
            Ok(()) => Ok(true),
            Err(_) => Err("closing hangs".to_owned()),
        }
    }

    async fn dead_server_is_noticed(&self) -> Tried {
        let mut conn = self.connect().await?;
        if !self.subject.break_server().await {
            return Ok(false);
        }
        let validated = match self.manager.condition(&mut conn) {
            Condition::Broken => Err("it is broken".to_owned()),
            _ => self.validate(&mut conn).await,
        };
        let connected = timeout(self.patience(), self.manager.connect()).await;
        self.subject.restore_server().await;
        let Err(unfit) = validated else {
            return Err("validating succeeds though the server is dead".to_owned());
        };
        let refused = match connected {
            Ok(Ok(_)) => return Err("connecting succeeds though the server is dead".to_owned()),
            Ok(Err(error)) if self.manager.severity(&error) == Severity::Permanent => {
                return Err(format!("it is called permanent: {error}"));
            }
            Ok(Err(error)) => error.to_string(),
            Err(hangs) => hangs.to_string(),
        };
        if let Some(message) = [unfit, refused].iter().find(|m| self.shows_secret(m)) {
            return Err(format!("a message shows the secret: {message}"));
        }
        let mut fresh = self.connect().await?;
        self.exercise(&mut fresh, "a connection made after the server came back")
            .await?;
        Ok(true)
    }

    async fn pool_recovers(&self) -> Tried {
        let patience = self.patience();
        let pool = Pool::builder(self.subject.manager())
            .min_size(2)
            .max_size(2)
            .connect_timeout(self.patience_to_connect())
            .validate_timeout(patience)
            .connect()
            .await
            .map_err(|error| format!("a pool cannot connect: {error}"))?;
        if !self.subject.break_server().await {
            pool.close_timeout(patience).await;
            return Ok(false);
        }
        if let Ok(mut conn) = pool.get_timeout(patience).await {
            let _failed = timeout(patience, self.subject.exercise(&mut conn)).await;
        }
        self.subject.restore_server().await;
        let recovered = timeout(patience * 10, async {
            let mut served = 0;
            while served < 4 {
                let Ok(mut conn) = pool.get_timeout(patience).await else {
                    // An open breaker says so at once, and the pool may need this thread.
                    sleep(patience / 10).await;
                    continue;
                };
                if matches!(
                    timeout(patience, self.subject.exercise(&mut conn)).await,
                    Ok(Ok(()))
                ) {
                    served += 1;
                }
            }
        });
        let outcome = match recovered.await {
            Ok(()) => Ok(true),
            Err(_) => Err(format!("the pool does not recover: {}", pool.health())),
        };
        pool.close_timeout(patience).await;
        outcome
    }

    async fn connect(&self) -> Result<ConnectionOf<S>, String> {
        match timeout(self.patience_to_connect(), self.manager.connect()).await {
            Err(_) => Err("connecting hangs".to_owned()),
            Ok(Err(error)) => Err(format!("connecting fails: {error}")),
            Ok(Ok(conn)) => Ok(conn),
        }
    }

    async fn validate(&self, conn: &mut ConnectionOf<S>) -> Result<(), String> {
        match timeout(self.patience(), self.manager.validate(conn)).await {
            Err(_) => Err("validating hangs".to_owned()),
            Ok(Err(error)) => Err(format!("validating fails: {error}")),
            Ok(Ok(())) => Ok(()),
        }
    }

    async fn exercise(&self, conn: &mut ConnectionOf<S>, which: &str) -> Result<(), String> {
        match timeout(self.patience(), self.subject.exercise(conn)).await {
            Err(_) => Err(format!("{which} does not answer")),
            Ok(Err(error)) => Err(format!("{which} does not work: {error}")),
            Ok(Ok(())) => Ok(()),
        }
    }

    fn patience(&self) -> Duration {
        self.subject.patience()
    }

    fn patience_to_connect(&self) -> Duration {
        self.patience() * 5
    }
}

/// Polls `work` up to so many times, letting other tasks run in between, and drops it.
async fn poll_and_drop(polls: usize, work: impl Future) {
    let mut work = pin!(work);
    for _ in 0..polls {
        if work
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}
