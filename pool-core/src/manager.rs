//! What a pool needs to know about a database, and nothing else.
//!
//! A [`Manager`] connects, validates and recycles. It is a native async trait: write plain
//! `async fn`, nothing is boxed on the way. Where a trait object is wanted (one pool type for
//! managers chosen at run time) every `Manager` is a [`DynManager`] too, and
//! [`BoxManager`] turns one back into a `Manager`.
//!
//! The pool assumes nothing about manager code: every call is bounded by a timeout, a panic is
//! caught, and either costs the one connection it happened on.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

/// Opens connections of one kind to one server and says whether they are still good.
///
/// # Example
///
/// ```
/// use pool_core::Manager;
/// use std::convert::Infallible;
///
/// struct Counter;
///
/// impl Manager for Counter {
///     type Connection = u64;
///     type Error = Infallible;
///
///     async fn connect(&self) -> Result<u64, Infallible> {
///         Ok(0)
///     }
///     async fn validate(&self, _: &mut u64) -> Result<(), Infallible> {
///         Ok(())
///     }
/// }
/// # let _ = Counter;
/// ```
///
/// # Cancel safety
///
/// The pool drops the future of [`connect`](Self::connect), [`validate`](Self::validate) or
/// [`recycle`](Self::recycle) when its time limit has passed (the connection is then closed, not
/// reused) or when the runtime shuts down; that of `connect` also when the pool closes; and those
/// of a warm-up when the future of [`PoolBuilder::connect`](crate::PoolBuilder::connect) is dropped
/// or another of its connections fails. Never because a checkout went away.
pub trait Manager: Send + Sync + 'static {
    /// What is pooled.
    type Connection: Send + 'static;
    /// What can go wrong on the way.
    type Error: Error + Send + Sync + 'static;

    /// Opens a new connection, ready for use.
    ///
    /// Runs in a task of the pool, bounded by `connect_timeout`, at most `max_connecting` at once.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Asks the server whether the connection works: one round trip, bounded by
    /// `validate_timeout`.
    ///
    /// Called at a checkout when the `validation` setting wants it, for keepalive pings, for a
    /// connection whose user panicked, for those that
    /// [`PoolBuilder::connect`](crate::PoolBuilder::connect) opens, and, once validations have failed of
    /// new connections too, for each new one until one passes; of a used connection only when its
    /// [`condition`](Self::condition) is [`Condition::Ready`].
    ///
    /// When it fails or takes too long, the connection is closed, and those that were opened before
    /// are replaced.
    fn validate(
        &self,
        conn: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Brings a used connection back to a fresh session state, bounded by `recycle_timeout`.
    ///
    /// Called after a return for which [`condition`](Self::condition) said
    /// [`Condition::NeedsRecycle`]; an error closes the connection. The default does nothing.
    fn recycle(
        &self,
        conn: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = conn;
        async { Ok(()) }
    }

    /// What is known of the connection without asking the server.
    ///
    /// Called at every checkout and every return, so it must cost next to nothing: read a flag,
    /// do no I/O. Called too when a connection has been opened: one that is broken then counts as a
    /// connect that failed (half, to the circuit breaker), and is dropped. The default is
    /// [`Condition::Ready`].
    fn condition(&self, conn: &mut Self::Connection) -> Condition {
        let _ = conn;
        Condition::Ready
    }

    /// Closes a connection in order, bounded by `close_timeout`. Its slot is free when this is
    /// done. The default drops it.
    fn close(&self, conn: Self::Connection) -> impl Future<Output = ()> + Send {
        drop(conn);
        async {}
    }

    /// A way to interrupt what runs on the connection while somebody else holds it.
    ///
    /// Asked once for each connection, when it has been opened. The default has none.
    fn interrupter(&self, conn: &Self::Connection) -> Option<Interrupter> {
        let _ = conn;
        None
    }

    /// What an error of [`connect`](Self::connect) says about the next attempt.
    ///
    /// The default is [`Severity::Transient`].
    fn severity(&self, error: &Self::Error) -> Severity {
        let _ = error;
        Severity::Transient
    }

    /// Whether an error of [`recycle`](Self::recycle) is the server's, and so that of every
    /// connection: it takes no writes any more, say, and another has become the primary.
    ///
    /// Those opened before are then replaced, as after a failed validation. The default is `false`:
    /// the error costs the connection it happened on.
    fn concerns_all(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// The pool's name in messages and metrics unless the `name` setting gives one, such as
    /// `postgres://host:5432/db`. Never a password. The default is `pool`.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("pool")
    }
}

/// What a manager knows of a connection without asking the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It can be handed out as it is.
    Ready,
    /// [`Manager::recycle`] must run before somebody else gets it.
    NeedsRecycle,
    /// It is known not to work: it is closed, never handed out.
    Broken,
}

/// What a failed connect says about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// It may succeed: the server is away, starting, or busy.
    Transient,
    /// It will not, before somebody changes something: a wrong password, an unknown database, a
    /// certificate nobody trusts. The circuit breaker opens at once.
    Permanent,
    /// The server has no room. A pool that has connections makes do with them for a while.
    TooManyConnections,
}

/// Stops what runs on a connection from outside, as a cancel request does.
///
/// The pool uses it when it needs a connection back from a holder that does not return it: at the
/// end of a shutdown's patience, or when its slot is reclaimed (`reclaim_threshold`).
#[derive(Clone)]
pub struct Interrupter(Arc<dyn Fn() -> InterruptFuture + Send + Sync>);

type InterruptFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Interrupter {
    /// An interrupter that runs `interrupt` each time it is asked to.
    pub fn new<F, Fut>(interrupt: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(interrupt())))
    }

    /// Interrupts what runs on the connection now; does nothing when nothing does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt: what ran may have been interrupted or not. The
    /// connection and its holder are none the worse, and it can be called again. The pool drops it
    /// after `close_timeout`.
    pub async fn interrupt(&self) {
        (self.0)().await;
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupter")
    }
}

/// A [`Manager`] as a trait object.
///
/// Every manager is one. The methods have names of their own, so that importing both traits makes
/// no call ambiguous.
#[async_trait]
pub trait DynManager: Send + Sync + 'static {
    /// What is pooled.
    type Connection: Send + 'static;
    /// What can go wrong on the way.
    type Error: Error + Send + Sync + 'static;

    /// [`Manager::connect`].
    async fn dyn_connect(&self) -> Result<Self::Connection, Self::Error>;
    /// [`Manager::validate`].
    async fn dyn_validate(&self, conn: &mut Self::Connection) -> Result<(), Self::Error>;
    /// [`Manager::recycle`].
    async fn dyn_recycle(&self, conn: &mut Self::Connection) -> Result<(), Self::Error>;
    /// [`Manager::condition`].
    fn dyn_condition(&self, conn: &mut Self::Connection) -> Condition;
    /// [`Manager::close`].
    async fn dyn_close(&self, conn: Self::Connection);
    /// [`Manager::interrupter`].
    fn dyn_interrupter(&self, conn: &Self::Connection) -> Option<Interrupter>;
    /// [`Manager::severity`].
    fn dyn_severity(&self, error: &Self::Error) -> Severity;
    /// [`Manager::concerns_all`].
    fn dyn_concerns_all(&self, error: &Self::Error) -> bool;
    /// [`Manager::name`].
    fn dyn_name(&self) -> Cow<'_, str>;
}

#[async_trait]
impl<M: Manager> DynManager for M {
    type Connection = M::Connection;
    type Error = M::Error;

    async fn dyn_connect(&self) -> Result<M::Connection, M::Error> {
        self.connect().await
    }
    async fn dyn_validate(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        self.validate(conn).await
    }
    async fn dyn_recycle(&self, conn: &mut M::Connection) -> Result<(), M::Error> {
        self.recycle(conn).await
    }
    fn dyn_condition(&self, conn: &mut M::Connection) -> Condition {
        self.condition(conn)
    }
    async fn dyn_close(&self, conn: M::Connection) {
        self.close(conn).await;
    }
    fn dyn_interrupter(&self, conn: &M::Connection) -> Option<Interrupter> {
        self.interrupter(conn)
    }
    fn dyn_severity(&self, error: &M::Error) -> Severity {
        self.severity(error)
    }
    fn dyn_concerns_all(&self, error: &M::Error) -> bool {
        self.concerns_all(error)
    }
    fn dyn_name(&self) -> Cow<'_, str> {
        self.name()
    }
}

/// A manager chosen at run time: `Pool<BoxManager<C, E>>` is one type, whatever is inside.
pub struct BoxManager<C, E>(Box<dyn DynManager<Connection = C, Error = E>>);

impl<C: Send + 'static, E: Error + Send + Sync + 'static> BoxManager<C, E> {
    /// Boxes `manager`.
    pub fn new(manager: impl Manager<Connection = C, Error = E>) -> Self {
        Self(Box::new(manager))
    }
}

impl<C: Send + 'static, E: Error + Send + Sync + 'static> Manager for BoxManager<C, E> {
    type Connection = C;
    type Error = E;

    async fn connect(&self) -> Result<C, E> {
        self.0.dyn_connect().await
    }
    async fn validate(&self, conn: &mut C) -> Result<(), E> {
        self.0.dyn_validate(conn).await
    }
    async fn recycle(&self, conn: &mut C) -> Result<(), E> {
        self.0.dyn_recycle(conn).await
    }
    fn condition(&self, conn: &mut C) -> Condition {
        self.0.dyn_condition(conn)
    }
    async fn close(&self, conn: C) {
        self.0.dyn_close(conn).await;
    }
    fn interrupter(&self, conn: &C) -> Option<Interrupter> {
        self.0.dyn_interrupter(conn)
    }
    fn severity(&self, error: &E) -> Severity {
        self.0.dyn_severity(error)
    }
    fn concerns_all(&self, error: &E) -> bool {
        self.0.dyn_concerns_all(error)
    }
    fn name(&self) -> Cow<'_, str> {
        self.0.dyn_name()
    }
}

impl<C, E> fmt::Debug for BoxManager<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxManager")
    }
}
