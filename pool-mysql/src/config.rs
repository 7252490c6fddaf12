//! Where the server is, and how each connection to it is set up.
//!
//! A [`MySqlConfig`] holds the driver's [`Opts`] and what the driver does not do: session settings
//! that survive a reset, what happens at a return, passwords that change. Nothing here connects: a
//! [`MySqlManager`](crate::MySqlManager) does.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use mysql_async::{IsolationLevel, Opts, OptsBuilder};
use pool_core::url::authority;
use pool_core::{PasswordProvider, Recycle};

use crate::session::{isolation_name, quoted};

/// A server and the settings of the connections to it.
///
/// Every setting is a method, and most are a parameter of the URL that
/// [`from_url`](Self::from_url) reads:
///
/// | setting | default | parameter |
/// | --- | --- | --- |
/// | [`recycle`](Self::recycle) | fast | `recycle=fast`, `verified`, `clean` |
/// | [`statement_timeout`](Self::statement_timeout) | 60 s | `statement_timeout=30s`, `none` |
/// | [`time_zone`](Self::time_zone) | the server's | `time_zone=%2B00:00` |
/// | [`sql_mode`](Self::sql_mode) | the server's | `sql_mode=TRADITIONAL` |
/// | [`charset`](Self::charset), [`collation`](Self::collation) | utf8mb4, `utf8mb4_general_ci` | `charset=utf8mb4`, `collation=utf8mb4_bin` |
/// | [`isolation`](Self::isolation) | the server's, repeatable read | `isolation=read-committed` |
/// | [`statement_cache`](Self::statement_cache) | 32 statements | `stmt_cache_size=32` |
/// | [`validation_query`](Self::validation_query) | a ping | `validation_query=SELECT%201` |
/// | [`kill_abandoned`](Self::kill_abandoned) | on | `kill_abandoned=on`, `off` |
/// | `tls`, `tls_ca` (feature `rustls`) | off | `tls_ca=/etc/ca.pem`, `require_ssl=true` |
/// | [`variable`](Self::variable), [`init_sql`](Self::init_sql), [`password`](Self::password), [`password_provider`](Self::password_provider) | none | |
///
/// Other parameters are the driver's, `socket`, `compression` and `tcp_keepalive` among them. Of the
/// driver's options those of its own pool have no effect, and `prefer_socket` is always off: it
/// would open two connections for each, and reach a server of the same machine though another was
/// asked for. Name the `socket` to use one.
///
/// # Example
///
/// ```
/// use pool_mysql::{MySqlConfig, Recycle};
/// use std::time::Duration;
///
/// let config = MySqlConfig::from_url("mysql://app@localhost/shop")?
///     .recycle(Recycle::Clean)
///     .time_zone("+00:00")
///     .statement_timeout(Duration::from_secs(30));
/// # Ok::<(), pool_core::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct MySqlConfig {
    pub(crate) opts: Opts,
    pub(crate) recycle: Recycle,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) charset: Option<String>,
    pub(crate) collation: Option<String>,
    pub(crate) isolation: Option<IsolationLevel>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) init_sql: Option<String>,
    pub(crate) validation_query: Option<String>,
    pub(crate) password_provider: Option<PasswordProvider>,
    pub(crate) kill_abandoned: bool,
}

impl MySqlConfig {
    /// A server as the driver's [`Opts`] or [`OptsBuilder`] describe it.
    pub fn new(opts: impl Into<Opts>) -> Self {
        Self {
            opts: adapted(opts.into()),
            recycle: Recycle::Fast,
            statement_timeout: Some(Duration::from_secs(60)),
            charset: None,
            collation: None,
            isolation: None,
            variables: Vec::new(),
            init_sql: None,
            validation_query: None,
            password_provider: None,
            kill_abandoned: true,
        }
    }

    /// What is done to a used connection before somebody else gets it; [`Recycle::Fast`] by default.
    ///
    /// Whatever the policy, a connection is never handed on inside a transaction, with rows pending, or
    /// with a statement under way: it is reset, or closed.
    ///
    /// | left behind | `Fast` | `Verified` | `Clean` | `Custom` |
    /// | --- | --- | --- | --- | --- |
    /// | open transaction | rolled back | rolled back | rolled back | rolled back |
    /// | rows not read | read on for 250 ms, then closed | same | same | same |
    /// | statement under way (a dropped future) | killed and closed | same | same | same |
    /// | prepared `XA` transaction | closed: the server keeps it | same | same | same |
    /// | whatever the driver's own `&mut Conn`, `Connection` or `Query` was used for | asked | same | same | same |
    /// | what `reset`, `change_user`, `set_infile_handler` did, by the driver's own, too | set back | same | same | same |
    /// | `autocommit` | set back | set back | set back | set back |
    /// | session and user variables, `SET NAMES`, time zone, `LAST_INSERT_ID()` | stay | stay | set back | as the SQL does |
    /// | a role taken on (`SET ROLE`) | stays | stays | set back | as the SQL does |
    /// | `SET TRANSACTION` for the next one | stays | stays | gone | as the SQL does |
    /// | temporary tables, `HANDLER`, `LOCK TABLES`, `FLUSH TABLES WITH READ LOCK`, `GET_LOCK`, `PREPARE` | stay | stay | gone | as the SQL does |
    /// | prepared statements of the cache | stay | stay | gone | stay |
    /// | another database (`USE`) | stays | stays | set back, if one is configured | as the SQL does |
    /// | round trips when nothing was left | 0 | 1 | 2 | 1 |
    ///
    /// `Fast` believes the status that the server sends with each answer, and asks when the last answer
    /// was an error and said nothing. Asking is a `SELECT` of a number: an answer to something else closes
    /// the connection.
    ///
    /// After a reset the session has what is configured here, and the server's settings otherwise. What its
    /// `init_connect` set is gone, as is what the driver's `init` did ([`setup`] is done again): the server
    /// runs it for new connections only. It belongs into [`init_sql`](Self::init_sql).
    ///
    /// [`setup`]: mysql_async::OptsBuilder::setup
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// How long the server lets a statement run: `max_statement_time` on MariaDB, for all statements,
    /// `max_execution_time` on MySQL, for `SELECT` only. 60 s by default; `None` or zero: as the server is
    /// set. What is longer than the server can count, a year and 49 days, is its longest.
    pub fn statement_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.statement_timeout = timeout.into().filter(|timeout| !timeout.is_zero());
        self
    }

    /// The session's time zone: `+00:00`, or a name where the server has loaded them; the server's by
    /// default.
    pub fn time_zone(self, zone: impl AsRef<str>) -> Self {
        self.variable("time_zone", quoted(zone.as_ref()))
    }

    /// The session's `sql_mode`, such as `TRADITIONAL`; the server's by default.
    pub fn sql_mode(self, mode: impl AsRef<str>) -> Self {
        self.variable("sql_mode", quoted(mode.as_ref()))
    }

    /// The session's character set; `utf8mb4` by default.
    pub fn charset(mut self, charset: impl Into<String>) -> Self {
        self.charset = Some(charset.into());
        self
    }

    /// The session's collation; the character set follows from it. `utf8mb4_general_ci` by default;
    /// with a [`charset`](Self::charset) alone, the server's for that.
    pub fn collation(mut self, collation: impl Into<String>) -> Self {
        self.collation = Some(collation.into());
        self
    }

    /// The isolation level of the session's transactions; the server's by default, which is repeatable
    /// read unless it is set otherwise.
    pub fn isolation(mut self, level: IsolationLevel) -> Self {
        self.isolation = Some(level);
        self
    }

    /// Any other session variable and its value, as SQL: `variable("lock_wait_timeout", "5")`.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// SQL that each new connection runs last, and again after each reset, which the server's
    /// `init_connect` is not. It must be repeatable; where it leaves a transaction open, connecting fails.
    pub fn init_sql(mut self, sql: impl Into<String>) -> Self {
        self.init_sql = Some(sql.into());
        self
    }

    /// How many prepared statements the driver keeps for each connection; 32 by default, 0 keeps none.
    pub fn statement_cache(self, statements: usize) -> Self {
        self.with(|opts| opts.stmt_cache_size(statements))
    }

    /// What validation and keepalive ask instead of a ping, which some proxies answer by themselves. What
    /// it begins is rolled back; where it changes `autocommit`, the connection is closed.
    pub fn validation_query(mut self, sql: impl Into<String>) -> Self {
        self.validation_query = Some(sql.into());
        self
    }

    /// The password.
    pub fn password(self, password: impl Into<String>) -> Self {
        self.with(|opts| opts.pass(Some(password)))
    }

    /// Asked for the password before each connect, for credentials that rotate.
    ///
    /// Its time counts against `connect_timeout`; an error fails the connect, which is tried again.
    ///
    /// ```
    /// # use pool_mysql::MySqlConfig;
    /// let config = MySqlConfig::from_url("mysql://app@localhost/shop")?
    ///     .password_provider(|| async { std::fs::read_to_string("/run/secrets/mysql") });
    /// # Ok::<(), pool_core::ConfigError>(())
    /// ```
    pub fn password_provider<F, Fut, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.password_provider = Some(PasswordProvider::new(provider));
        self
    }

    /// Whether the server is told to stop a statement whose future was dropped, by `KILL` over a
    /// connection of its own. Without, the server runs it to its end, with its locks. On by default.
    pub fn kill_abandoned(mut self, kill: bool) -> Self {
        self.kill_abandoned = kill;
        self
    }

    /// TLS as these options say. Connections over a Unix socket have none.
    #[cfg(feature = "rustls")]
    pub fn tls(self, tls: mysql_async::SslOpts) -> Self {
        self.with(|opts| opts.ssl_opts(tls))
    }

    /// TLS, and only certificates of the authority in this PEM file are trusted.
    #[cfg(feature = "rustls")]
    pub fn tls_ca(self, file: impl Into<std::path::PathBuf>) -> Self {
        let tls = self.opts.ssl_opts().cloned().unwrap_or_default();
        self.tls(
            tls.with_root_certs(vec![file.into().into()])
                .with_disable_built_in_roots(true),
        )
    }

    fn with(mut self, change: impl FnOnce(OptsBuilder) -> OptsBuilder) -> Self {
        self.opts = adapted(change(OptsBuilder::from_opts(self.opts)).into());
        self
    }

    /// `mysql://host:3306/db`: without user and password.
    pub(crate) fn address(&self) -> String {
        let database = self.opts.db_name().unwrap_or_default();
        if let Some(socket) = self.opts.socket() {
            return format!("mysql://{socket}/{database}");
        }
        let server = authority(self.opts.ip_or_hostname(), self.opts.tcp_port());
        format!("mysql://{server}/{database}")
    }
}

/// What the driver would do otherwise: look names up on the runtime's thread (of a URL), not find an
/// IPv6 address in its brackets, ask a socket for TLS and not begin it.
fn adapted(opts: Opts) -> Opts {
    let host = opts.ip_or_hostname().trim_matches(['[', ']']).to_owned();
    let tls = opts.ssl_opts().filter(|_| opts.socket().is_none()).cloned();
    OptsBuilder::from_opts(opts)
        .ip_or_hostname(host)
        .prefer_socket(false)
        .ssl_opts(tls)
        .into()
}

impl From<Opts> for MySqlConfig {
    fn from(opts: Opts) -> Self {
        Self::new(opts)
    }
}

impl From<OptsBuilder> for MySqlConfig {
    fn from(opts: OptsBuilder) -> Self {
        Self::new(opts)
    }
}

impl fmt::Debug for MySqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's options print their password, and SQL may hold secrets: names only.
        let variables: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("MySqlConfig")
            .field("address", &self.address())
            .field("user", &self.opts.user())
            .field("recycle", &self.recycle)
            .field("statement_timeout", &self.statement_timeout)
            .field("charset", &self.charset)
            .field("collation", &self.collation)
            .field("isolation", &self.isolation.map(isolation_name))
            .field("variables", &variables)
            .field("has_init_sql", &self.init_sql.is_some())
            .field("statement_cache", &self.opts.stmt_cache_size())
            .field("has_validation_query", &self.validation_query.is_some())
            .field("tls", &self.opts.ssl_opts().is_some())
            .field("kill_abandoned", &self.kill_abandoned)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_shows_the_password() {
        let config = MySqlConfig::from_url("mysql://app:hunter2@db/shop")
            .unwrap()
            .password_provider(|| async { Ok::<_, std::fmt::Error>("hunter2".to_owned()) })
            .init_sql("SELECT 'hunter2'")
            .validation_query("SELECT 'hunter2'")
            .recycle(Recycle::Custom("SELECT 'hunter2'".to_owned()))
            .variable("x", "'hunter2'");
        let text = format!("{config:?} {config:#?} {}", config.address());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("mysql://db:3306/shop"), "{text}");
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets_for_the_driver_and_has_them_in_the_name() {
        let config = MySqlConfig::from_url("mysql://[::1]:3307/app").unwrap();
        assert_eq!(config.opts.ip_or_hostname(), "::1");
        assert_eq!(config.address(), "mysql://[::1]:3307/app");
    }

    #[test]
    fn the_drivers_second_connection_over_a_socket_is_never_made() {
        let opts = Opts::from_url("mysql://localhost/").unwrap();
        assert!(opts.prefer_socket());
        assert!(!MySqlConfig::new(opts).opts.prefer_socket());
    }
}
