//! Making a pool.

use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::{ConfigError, NestedAcquire, PoolConfig, Reuse, Shedding, Validation};
use crate::error::{Error, Stage};
use crate::inner::Inner;
use crate::inner::bounded::Failure;
use crate::manager::Manager;
use crate::pool::Pool;

/// Makes a [`Pool`]; every setting has a default.
///
/// Time limits take a [`Duration`] or `None` for no limit.
#[must_use = "a builder does nothing until it is built"]
pub struct PoolBuilder<M: Manager> {
    manager: M,
    config: PoolConfig,
    min_size_is_given: bool,
}

/// One method for each setting that needs no more than its value.
macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $(#[doc(alias($($alias:literal),+))])? $name:ident: $kind:ty;)+) => {
        $(
            $(#[doc = $doc])+
            $(#[doc(alias($($alias),+))])?
            pub fn $name(mut self, $name: $kind) -> Self {
                self.config.$name = $name.into();
                self
            }
        )+
    };
}

impl<M: Manager> PoolBuilder<M> {
    pub(crate) fn new(manager: M) -> Self {
        Self {
            manager,
            config: PoolConfig::default(),
            min_size_is_given: false,
        }
    }

    /// Takes all settings from `config`, such as [`PoolConfig::from_env`] makes it.
    ///
    /// One whose `min_size` is above its `max_size` is refused unless a later call mends it.
    pub fn config(mut self, config: PoolConfig) -> Self {
        // A source that gives only `max_size` has lowered the default by itself.
        self.min_size_is_given =
            config.min_size != PoolConfig::default().min_size || config.min_size > config.max_size;
        self.config = config;
        self
    }

    /// Connections the pool keeps open at least (2, or `max_size` if that is less).
    #[doc(alias("min_connections", "min_idle_connections"))]
    pub fn min_size(mut self, min_size: usize) -> Self {
        self.config.min_size = min_size;
        self.min_size_is_given = true;
        self
    }

    setters! {
        /// Connections the pool has at most, those being opened or closed included (10).
        #[doc(alias("max_connections", "max_open", "pool_size"))]
        max_size: usize;
        /// Idle connections kept beyond those in use (0).
        min_idle: usize;
        /// How long a checkout waits (30 s).
        #[doc(alias("connection_timeout", "wait_timeout", "checkout_timeout"))]
        acquire_timeout: impl Into<Option<Duration>>;
        /// How long opening one connection may take (10 s).
        #[doc(alias("create_timeout"))]
        connect_timeout: impl Into<Option<Duration>>;
        /// How long validating a connection may take, pings included (5 s).
        validate_timeout: impl Into<Option<Duration>>;
        /// How long recycling a connection may take (5 s).
        recycle_timeout: impl Into<Option<Duration>>;
        /// How long closing a connection in order may take (5 s).
        close_timeout: impl Into<Option<Duration>>;
        /// How long closing the pool waits for holders (30 s).
        drain_timeout: impl Into<Option<Duration>>;
        /// The age at which a connection is replaced (1 h).
        max_lifetime: impl Into<Option<Duration>>;
        /// How much earlier that may be, as a share of it from 0 to 1 (0.1).
        lifetime_jitter: f64;
        /// How long a connection may be idle before it is closed, down to `min_size` (10 min).
        idle_timeout: impl Into<Option<Duration>>;
        /// Checkouts after which a connection is replaced (50,000); 0 for no limit.
        max_uses: u64;
        /// When a checkout asks the server first (when idle for 1 s).
        #[doc(alias("test_on_check_out", "test_before_acquire", "pre_ping"))]
        validation: Validation;
        /// How long a connection may be idle before it is pinged in the background (60 s).
        #[doc(alias("health_check_interval"))]
        keepalive: impl Into<Option<Duration>>;
        /// Connections being opened at the same time, at most (4).
        max_connecting: usize;
        /// Connects a second after an outage, beyond the first ten (100); 0 for no limit.
        #[doc(alias("connect_rate"))]
        recovery_rate: u64;
        /// Checkouts that may wait at the same time (no limit); 0 still serves what is idle or can be
        /// opened.
        max_waiting: usize;
        /// What is done about a queue that does not drain (nothing).
        #[doc(alias("codel", "load_shedding"))]
        shedding: Shedding;
        /// The wait that is all right even under load (50 ms).
        shedding_target: Duration;
        /// For how long every wait must have been longer before the pool is overloaded (2 s).
        shedding_interval: Duration;
        /// The wait after which a checkout is reported while it goes on waiting (2 s).
        #[doc(alias("acquire_slow_threshold"))]
        slow_acquire_threshold: impl Into<Option<Duration>>;
        /// What is done when a task waits while it holds a connection (it is warned of).
        nested_acquire: NestedAcquire;
        /// Which idle connection a checkout takes (the one used last).
        reuse: Reuse;
        /// How long a connection may be held before the pool warns (30 s).
        leak_threshold: impl Into<Option<Duration>>;
        /// The share of checkouts whose backtrace is kept, from 0 to 1 (0).
        leak_backtraces: f64;
        /// How long a connection may be held before its slot is used for another one (never); until it
        /// comes back there may be more than `max_size`.
        #[doc(alias("remove_abandoned"))]
        reclaim_threshold: impl Into<Option<Duration>>;
        /// Whether the number of open connections follows the load, ahead of it (no).
        #[doc(alias("autoscale", "scaling"))]
        auto_scaling: bool;
        /// The utilisation above which more connections are opened, from 0 to 1 (0.8).
        scale_up_above: f64;
        /// The utilisation below which connections are closed, from 0 to 1 (0.5).
        scale_down_below: f64;
        /// The utilisation no step goes beyond, from 0 to 1 (0.7).
        scale_target: f64;
        /// The size of one step, as a share of what is open (0.2).
        scale_step: f64;
        /// The least time between two steps (60 s).
        scale_interval: Duration;
        /// Connects that fail in a row before the circuit breaker opens (5); 0 for no breaker.
        #[doc(alias("failure_threshold"))]
        breaker_threshold: u64;
        /// The share of failed connects within the window that opens it too, from 0 to 1 (1).
        breaker_failure_rate: f64;
        /// The time over which that share is counted (10 s).
        breaker_window: impl Into<Option<Duration>>;
        /// The longest an open breaker waits before it probes (60 s).
        #[doc(alias("breaker_timeout", "recovery_timeout"))]
        breaker_open_time: impl Into<Option<Duration>>;
    }

    /// The pool's name in messages and metrics (the manager's).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Makes the pool at once; the minimum is opened in the background, or at the first checkout
    /// when this is called outside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Lists every setting that breaks a rule.
    pub fn build(self) -> Result<Pool<M>, ConfigError> {
        let pool = self.unstarted()?;
        pool.inner().attend();
        Ok(pool)
    }

    /// Makes the pool when `min_size` connections, or `min_idle` if that is more, are open and
    /// validated, `max_connecting` at a time.
    ///
    /// # Errors
    ///
    /// The first thing that goes wrong: [`Error::Config`], [`Error::Connect`], [`Error::Broken`],
    /// [`Error::Validate`], [`Error::Unanswered`] after `connect_timeout` or `validate_timeout`,
    /// [`Error::Panicked`] where the manager does. Connections already open are closed.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    #[doc(alias("warm_up", "build_eager"))]
    pub async fn connect(self) -> Result<Pool<M>, Error<M::Error>> {
        let pool = self.unstarted()?;
        let inner = pool.inner();
        let PoolConfig {
            min_size, min_idle, ..
        } = inner.config;
        // Nothing else is to open the minimum meanwhile: here each failure is told.
        inner.set_minimum(0);
        let mut opening = JoinSet::new();
        loop {
            for permit in inner.plan_up_to(min_size.max(min_idle)) {
                opening.spawn(Inner::open_validated(permit));
            }
            match opening.join_next().await {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(start_failure(error)),
                Some(Err(_)) => return Err(Error::Panicked(Stage::Connect)),
            }
        }
        inner.set_minimum(min_size);
        inner.attend();
        Ok(pool)
    }

    fn unstarted(self) -> Result<Pool<M>, ConfigError> {
        let config = self.config.checked(self.min_size_is_given)?;
        Ok(Pool::new(self.manager, config))
    }
}

fn start_failure<E: std::error::Error + 'static>(failure: Failure<E>) -> Error<E> {
    let (stage, failure) = match failure {
        Failure::Rejected(failure) => (Stage::Validate, *failure),
        other => (Stage::Connect, other),
    };
    match failure {
        Failure::Failed(error) if stage == Stage::Connect => Error::Connect(error),
        Failure::Failed(error) => Error::Validate(error),
        Failure::TimedOut(limit) => Error::Unanswered { stage, limit },
        Failure::Panicked => Error::Panicked(stage),
        Failure::Broken | Failure::Rejected(_) => Error::Broken,
        Failure::Closed => Error::Closed,
    }
}

impl<M: Manager> fmt::Debug for PoolBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
