//! What a pool can be told, and how it is told.
//!
//! [`PoolConfig`] is written once, below, as a table: each entry is the field, its documentation,
//! its default and its row in `docs/settings.md`. The macro of `settings` makes the struct and a
//! list of [`Setting`](settings::Setting)s from it, and everything else goes through that list:
//!
//! ```text
//!   env        url       serialized     where texts come from
//!      \        |        /
//!      reader, names                    names to settings; collects every problem
//!            |
//!         settings  ->  value           texts to values, a rule for each type; for backends `parameter`
//!         rules                         rules of one setting, and between two
//! ```
//!
//! So a new setting is one entry here and, where it has a rule that its type has not, one line in
//! `rules`.

mod choice;
mod env;
mod error;
mod names;
mod parameter;
mod reader;
mod rules;
#[cfg(feature = "serde")]
mod serialized;
mod settings;
mod url;
mod value;

use std::time::Duration;

pub use self::choice::{NestedAcquire, Reuse, Shedding, Validation};
pub use self::error::{ConfigError, ConfigProblem};
pub use self::parameter::Parameter;
use self::settings::settings;

settings! {
    /// The settings of a pool, each with a default that suits a web server.
    ///
    /// A time limit of `None` (`0`, `none` or `off` as text) never ends. Texts are read alike from
    /// the environment ([`from_env`](Self::from_env)), from a URL
    /// ([`from_url_query`](Self::from_url_query)) and, with the feature `serde`, from files.
    ///
    /// # Example
    ///
    /// ```
    /// use pool_core::PoolConfig;
    ///
    /// let mut config = PoolConfig::default();
    /// config.min_size = 10;
    /// config.max_size = 5;
    /// let error = config.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "min_size (10) cannot be greater than max_size (5)");
    /// ```
    pub struct PoolConfig {
        /// Connections the pool keeps open at least, in use or idle.
        min_size: usize = 2 => {
            variable: "POOL_MIN_SIZE",
            default: "2",
            unit: "connections",
            rule: "at most `max_size`",
            elsewhere: ["min_connections", "min"],
        }

        /// Connections the pool has at most, those being opened or closed included.
        ///
        /// All pools of all processes together must stay below what the server allows.
        max_size: usize = 10 => {
            variable: "POOL_MAX_SIZE",
            default: "10",
            unit: "connections",
            rule: "1 to 1,000,000",
            elsewhere: ["max_connections", "max_open", "pool_size", "size", "max"],
        }

        /// Idle connections kept beyond those in use: headroom for a burst.
        ///
        /// Within `max_size`; the pool opens them in the background.
        min_idle: usize = 0 => {
            variable: "POOL_MIN_IDLE",
            default: "0",
            unit: "connections",
            rule: "at most `max_size`",
            elsewhere: ["minimum_idle"],
        }

        /// How long a checkout waits for a connection before it fails.
        acquire_timeout: Option<Duration> = Some(Duration::from_secs(30)) => {
            variable: "POOL_ACQUIRE_TIMEOUT",
            default: "30s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["wait_timeout", "checkout_timeout", "connection_timeout"],
        }

        /// How long opening one connection may take; once connects fail, the next may take less.
        ///
        /// Twenty times what the slowest of late took, at least 200 ms, and a fifteenth of the outage.
        connect_timeout: Option<Duration> = Some(Duration::from_secs(10)) => {
            variable: "POOL_CONNECT_TIMEOUT",
            default: "10s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["create_timeout"],
        }

        /// How long the server may take to say that a connection works, pings included.
        validate_timeout: Option<Duration> = Some(Duration::from_secs(5)) => {
            variable: "POOL_VALIDATE_TIMEOUT",
            default: "5s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["validation_timeout", "ping_timeout"],
        }

        /// How long bringing a used connection back to a fresh session may take.
        recycle_timeout: Option<Duration> = Some(Duration::from_secs(5)) => {
            variable: "POOL_RECYCLE_TIMEOUT",
            default: "5s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["reset_timeout"],
        }

        /// How long closing one connection in order may take before it is simply dropped.
        close_timeout: Option<Duration> = Some(Duration::from_secs(5)) => {
            variable: "POOL_CLOSE_TIMEOUT",
            default: "5s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["disconnect_timeout"],
        }

        /// How long closing the pool waits for those who still hold a connection.
        drain_timeout: Option<Duration> = Some(Duration::from_secs(30)) => {
            variable: "POOL_DRAIN_TIMEOUT",
            default: "30s",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["shutdown_timeout"],
        }

        /// The age at which a connection is replaced, when nobody holds it.
        ///
        /// Keep it below what the server, a proxy or a firewall allows a connection.
        max_lifetime: Option<Duration> = Some(Duration::from_secs(3600)) => {
            variable: "POOL_MAX_LIFETIME",
            default: "1h",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["lifetime", "max_age"],
        }

        /// How much earlier than `max_lifetime` a connection may be replaced, as a share of it.
        ///
        /// Each connection's lifetime is drawn once, when it is opened, from
        /// `max_lifetime × (1 − lifetime_jitter)` to `max_lifetime`, so that connections opened
        /// together are not all replaced together.
        lifetime_jitter: f64 = 0.10 => {
            variable: "POOL_LIFETIME_JITTER",
            default: "10%",
            unit: "fraction or percentage",
            rule: "0 to 1 (0% to 100%)",
            elsewhere: ["max_lifetime_jitter"],
        }

        /// How long a connection may be idle before it is closed, down to `min_size`.
        idle_timeout: Option<Duration> = Some(Duration::from_secs(600)) => {
            variable: "POOL_IDLE_TIMEOUT",
            default: "10m",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["max_idle_time", "max_inactive_connection_lifetime"],
        }

        /// Checkouts after which a connection is replaced.
        max_uses: Option<u64> = Some(50_000) => {
            variable: "POOL_MAX_USES",
            default: "50000",
            unit: "checkouts",
            rule: "0 or none for no limit",
            elsewhere: ["max_queries", "max_requests"],
        }

        /// When a checkout asks the server first whether the connection works.
        validation: Validation = Validation::WhenIdleFor(Duration::from_secs(1)) => {
            variable: "POOL_VALIDATION",
            default: "when_idle_for(1s)",
            unit: "`always`, `never`, `when_idle_for(1s)` or a duration",
            rule: "at most 10 years, not 0",
            elsewhere: ["test_before_acquire", "test_on_check_out", "pre_ping"],
        }

        /// How long a connection may be idle before the pool pings it in the background.
        keepalive: Option<Duration> = Some(Duration::from_secs(60)) => {
            variable: "POOL_KEEPALIVE",
            default: "1m",
            unit: "duration",
            rule: "at most 10 years; 0 for no pings",
            elsewhere: ["keepalive_time", "health_check_interval", "ping_interval"],
        }

        /// Connections being opened at the same time, at most.
        ///
        /// A thousand waiters on a server that has just come back make no storm.
        max_connecting: usize = 4 => {
            variable: "POOL_MAX_CONNECTING",
            default: "4",
            unit: "connections",
            rule: "at least 1",
            elsewhere: [],
        }

        /// Connects a second after an outage, beyond the first ten.
        ///
        /// By a token bucket, once connects have failed for a second or longer and until a pool of
        /// this size would be full; neither opening a pool nor replacing connections is paced.
        recovery_rate: Option<u64> = Some(100) => {
            variable: "POOL_RECOVERY_RATE",
            default: "100",
            unit: "connects per second",
            rule: "0 or none for no limit but `max_connecting`",
            elsewhere: ["connect_rate", "connection_rate_limit"],
        }

        /// Checkouts that may wait at the same time; one more fails at once.
        ///
        /// 0 still serves what is idle or can be opened.
        max_waiting: Option<usize> = None => {
            variable: "POOL_MAX_WAITING",
            default: "none",
            unit: "checkouts",
            rule: "`none` for no limit; 0 is a limit",
            elsewhere: ["max_queue", "wait_queue_size", "max_waiters"],
        }

        /// What is done about a queue that does not drain.
        ///
        /// See [`Shedding`].
        shedding: Shedding = Shedding::Off => {
            variable: "POOL_SHEDDING",
            default: "off",
            unit: "`off`, `observe` or `on`",
            rule: "one of the three",
            elsewhere: ["codel", "load_shedding"],
        }

        /// The wait that is all right even under load.
        shedding_target: Duration = Duration::from_millis(50) => {
            variable: "POOL_SHEDDING_TARGET",
            default: "50ms",
            unit: "duration",
            rule: "1 ms to 10 years",
            elsewhere: ["codel_target", "queue_target"],
        }

        /// How long every wait must have been above `shedding_target` before the pool is overloaded.
        shedding_interval: Duration = Duration::from_secs(2) => {
            variable: "POOL_SHEDDING_INTERVAL",
            default: "2s",
            unit: "duration",
            rule: "1 ms to 10 years",
            elsewhere: ["codel_interval", "queue_interval"],
        }

        /// The wait after which a checkout is reported while it goes on waiting.
        ///
        /// With what the pool looks like; at most one report a second.
        slow_acquire_threshold: Option<Duration> = Some(Duration::from_secs(2)) => {
            variable: "POOL_SLOW_ACQUIRE_THRESHOLD",
            default: "2s",
            unit: "duration",
            rule: "at most 10 years; 0 for no reports",
            elsewhere: ["acquire_slow_threshold", "slow_threshold"],
        }

        /// What is done when a task waits while it holds a connection: it may wait for itself.
        ///
        /// See [`NestedAcquire`].
        nested_acquire: NestedAcquire = NestedAcquire::Warn => {
            variable: "POOL_NESTED_ACQUIRE",
            default: "warn",
            unit: "`allow`, `warn` or `fail`",
            rule: "one of the three",
            elsewhere: ["self_deadlock"],
        }

        /// Which idle connection a checkout takes: the one used last, or the one idle longest.
        reuse: Reuse = Reuse::Lifo => {
            variable: "POOL_REUSE",
            default: "lifo",
            unit: "`lifo` or `fifo`",
            rule: "one of the two",
            elsewhere: ["queue_mode", "queue_strategy"],
        }

        /// How long a connection may be held before the pool warns of a leak.
        ///
        /// The warning says where it was checked out; the holder is not disturbed. In the
        /// environment `POOL_LEAK_DETECTION=false` switches it off too.
        leak_threshold: Option<Duration> = Some(Duration::from_secs(30)) => {
            variable: "POOL_LEAK_THRESHOLD",
            default: "30s",
            unit: "duration",
            rule: "at most 10 years; 0 for no warnings",
            elsewhere: ["leak_detection", "leak_detection_threshold"],
        }

        /// The share of checkouts whose backtrace is kept, for whoever asks who holds a connection.
        ///
        /// A backtrace takes some microseconds; above 0 each checkout reads the clock.
        leak_backtraces: f64 = 0.0 => {
            variable: "POOL_LEAK_BACKTRACES",
            default: "0%",
            unit: "fraction or percentage",
            rule: "0 to 1 (0% to 100%)",
            elsewhere: ["leak_stack_traces", "log_abandoned"],
        }

        /// How long a connection may be held before its slot is reused, beyond `max_size` meanwhile.
        ///
        /// What runs on it is interrupted, if the manager can; its slot is used for a new
        /// connection; it is closed when it comes back. Until then there may be more connections
        /// than `max_size`.
        reclaim_threshold: Option<Duration> = None => {
            variable: "POOL_RECLAIM_THRESHOLD",
            default: "none",
            unit: "duration",
            rule: "at most 10 years; 0 for never",
            elsewhere: ["remove_abandoned_timeout", "abandon_timeout"],
        }

        /// Whether the number of open connections follows the load, ahead of it.
        ///
        /// Between `min_size` and `max_size`, as [`ScaleReason`](crate::ScaleReason) tells.
        /// Without it connections are opened when somebody waits and closed after `idle_timeout`.
        auto_scaling: bool = false => {
            variable: "POOL_AUTO_SCALING",
            default: "off",
            unit: "`on` or `off`",
            rule: "one of the two",
            elsewhere: ["autoscale", "auto_scale"],
        }

        /// The utilisation above which more connections are opened.
        ///
        /// Utilisation is the mean of what was in use, as a share of what was open.
        scale_up_above: f64 = 0.80 => {
            variable: "POOL_SCALE_UP_ABOVE",
            default: "80%",
            unit: "fraction or percentage",
            rule: "above `scale_target`, up to 1 (100%)",
            elsewhere: ["scale_up_threshold"],
        }

        /// The utilisation below which connections are closed.
        scale_down_below: f64 = 0.50 => {
            variable: "POOL_SCALE_DOWN_BELOW",
            default: "50%",
            unit: "fraction or percentage",
            rule: "0 (0%) or more, below `scale_target`",
            elsewhere: ["scale_down_threshold"],
        }

        /// The utilisation that no step, up or down, goes beyond.
        scale_target: f64 = 0.70 => {
            variable: "POOL_SCALE_TARGET",
            default: "70%",
            unit: "fraction or percentage",
            rule: "between `scale_down_below` and `scale_up_above`",
            elsewhere: ["target_utilization", "target_utilisation"],
        }

        /// The size of one step, as a share of what is open; at least one connection.
        scale_step: f64 = 0.20 => {
            variable: "POOL_SCALE_STEP",
            default: "20%",
            unit: "fraction or percentage",
            rule: "above 0, up to 1 (100%)",
            elsewhere: ["scale_factor", "scale_increment"],
        }

        /// The least time between two steps; while checkouts wait, a step up may come each second.
        scale_interval: Duration = Duration::from_secs(60) => {
            variable: "POOL_SCALE_INTERVAL",
            default: "1m",
            unit: "duration",
            rule: "1 ms to 10 years",
            elsewhere: ["scaling_interval", "scale_cooldown"],
        }

        /// Connects that fail in a row before callers are told at once: the circuit breaker.
        ///
        /// See [`BreakerState`](crate::BreakerState).
        breaker_threshold: Option<u64> = Some(5) => {
            variable: "POOL_BREAKER_THRESHOLD",
            default: "5",
            unit: "failures",
            rule: "0 or none for no breaker",
            elsewhere: ["failure_threshold", "circuit_breaker_threshold"],
        }

        /// The share of failed connects within `breaker_window` that opens the breaker too.
        ///
        /// It says something from ten attempts on.
        breaker_failure_rate: f64 = 1.0 => {
            variable: "POOL_BREAKER_FAILURE_RATE",
            default: "100%",
            unit: "fraction or percentage",
            rule: "0 to 1 (0% to 100%)",
            elsewhere: ["failure_rate_threshold"],
        }

        /// The time over which `breaker_failure_rate` is counted.
        breaker_window: Option<Duration> = Some(Duration::from_secs(10)) => {
            variable: "POOL_BREAKER_WINDOW",
            default: "10s",
            unit: "duration",
            rule: "at most 10 years; 0 for no rate",
            elsewhere: ["sliding_window"],
        }

        /// The longest until an open breaker probes; each failed probe doubles it, to eightfold at most.
        ///
        /// It probes sooner, a few times a second, while somebody asks.
        breaker_open_time: Option<Duration> = Some(Duration::from_secs(60)) => {
            variable: "POOL_BREAKER_OPEN_TIME",
            default: "1m",
            unit: "duration",
            rule: "at most 10 years; 0 for no limit",
            elsewhere: ["breaker_timeout", "recovery_timeout", "wait_duration_in_open_state"],
        }

        /// The pool's name in messages and metrics; `None` takes the manager's.
        name: Option<String> = None => {
            variable: "POOL_NAME",
            default: "none",
            unit: "text",
            rule: "1 to 100 characters, no control characters, not `none`",
            elsewhere: ["pool_name"],
        }
    }
}

impl PoolConfig {
    /// Checks every rule.
    ///
    /// # Errors
    ///
    /// Lists all that is wrong at once, each with the setting, its value and the rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(rules::problems(self, &[]), ())
    }

    /// The config as a pool works with it: what can be said in several ways in the usual one
    /// (`Some(0)` of a time limit is `None`), and every rule kept.
    ///
    /// `min_size_is_given` says whether somebody chose `min_size`: the default gives way to a
    /// smaller `max_size`, for a user who sets only that has made no mistake.
    pub(crate) fn checked(mut self, min_size_is_given: bool) -> Result<Self, ConfigError> {
        self.settle(min_size_is_given);
        self.validate().map(|()| self)
    }

    fn settle(&mut self, min_size_is_given: bool) {
        for setting in SETTINGS {
            (setting.normalise)(self);
        }
        if !min_size_is_given && self.min_size == Self::default().min_size {
            self.min_size = self.min_size.min(self.max_size);
        }
    }
}

#[cfg(test)]
mod tests;
