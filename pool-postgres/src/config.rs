//! Where the server is, and how each session is set up.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pool_core::{ConfigProblem, PasswordProvider, Recycle};
use tokio_postgres::config::{self, Host as Given, SslNegotiation};
use tokio_postgres::error::DbError;

use crate::host::Host;
use crate::messages::OnNotice;
use crate::tls::{SslMode, Tls};

/// A server, a database and the settings of the sessions there.
///
/// Parsed from `postgres://user:password@host:port/database?application_name=…` or
/// `host=… user=…`, or made from a [`tokio_postgres::Config`]. Most settings are a parameter, too:
///
/// | setting | default | parameter |
/// | --- | --- | --- |
/// | [`recycle`](Self::recycle) | fast | `recycle=fast`, `verified`, `clean` |
/// | [`statement_timeout`](Self::statement_timeout) | 60 s | `statement_timeout=30s`, `none` |
/// | [`statement_cache`](Self::statement_cache) | 100 statements | `statement_cache=100` |
/// | [`ssl_mode`](Self::ssl_mode) | prefer | `sslmode=verify-full` |
/// | [`ssl_root_certificate`](Self::ssl_root_certificate) | what Mozilla or the system trusts | `sslrootcert=/etc/ca.pem` |
/// | [`ssl_client_certificate`](Self::ssl_client_certificate) | none | `sslcert=…&sslkey=…` |
/// | encryption without asking for it first (PostgreSQL 17) | no | `sslnegotiation=direct` |
/// | a login bound to the encryption | prefer | `channel_binding=require`, `disable` |
/// | application name | `pool-postgres` | `application_name=checkout` |
/// | a limit for each host | 3 s where there are several, else the pool's | `connect_timeout=3` (seconds) |
/// | several hosts; of each all addresses are tried | | `host1:5432,host2:5432`, `load_balance_hosts=random`, `hostaddr=…` |
/// | which of them | any | `target_session_attrs=read-write`, `read-only` |
/// | keepalive of TCP | after 2 h of silence | `keepalives=0`, `keepalives_idle=60`, `keepalives_interval=10`, `keepalives_retries=3` |
/// | unanswered packets | the system's | `tcp_user_timeout=10` (seconds; Linux) |
/// | [`session`](Self::session), [`init_sql`](Self::init_sql), [`password_provider`](Self::password_provider), [`on_notice`](Self::on_notice) | none | |
///
/// With `target_session_attrs=read-write` a server that stops taking writes is left: whether it takes
/// them is asked by each validation, and when a write was refused (25006); then all its connections are
/// replaced. Whoever writes wants that.
///
/// What nobody knows is refused; where there are no unix sockets, a `host` that begins with `/`, too.
#[derive(Clone)]
#[must_use]
pub struct PgConfig {
    pub(crate) driver: tokio_postgres::Config,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) session: Vec<(String, String)>,
    pub(crate) init_sql: Option<String>,
    pub(crate) recycle: Recycle,
    pub(crate) tls: Tls,
    pub(crate) password_provider: Option<PasswordProvider>,
    pub(crate) statement_cache: usize,
    pub(crate) on_notice: Option<OnNotice>,
}

/// Prepared statements that a connection keeps, unless told otherwise.
const STATEMENT_CACHE: usize = 100;

impl PgConfig {
    /// How long the server lets a statement run; 60 s by default, `None` or zero for the server's own
    /// limit. What is longer than the server can count, 24 days, is its longest.
    pub fn statement_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.statement_timeout = limit.into().filter(|limit| !limit.is_zero());
        self
    }

    /// A setting of every session, as `SET name = value` makes it; it survives a recycling.
    pub fn session(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.session.push((name.into(), value.into()));
        self
    }

    /// SQL that each new connection runs last, and again after each reset: for what is no setting, as
    /// [`session`](Self::session) takes them, such as `LOAD 'age'`. A round trip more. It must be
    /// repeatable; where it leaves a transaction open, connecting fails.
    pub fn init_sql(mut self, sql: impl Into<String>) -> Self {
        self.init_sql = Some(sql.into());
        self
    }

    /// Asked for the password before each connect, for credentials that rotate.
    ///
    /// Its time counts against `connect_timeout`; an error fails the connect, which is tried again.
    ///
    /// ```
    /// # use pool_postgres::PgConfig;
    /// let config: PgConfig = "postgres://app@localhost/shop".parse()?;
    /// let config = config.password_provider(|| async { std::fs::read_to_string("/run/secrets/pg") });
    /// # Ok::<(), pool_postgres::PgError>(())
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

    /// Called with each notice and warning that the server sends; by default they are logged, as
    /// `notice from PostgreSQL` at debug.
    ///
    /// It runs on the task that drives the connection, and must neither block nor panic.
    pub fn on_notice(mut self, handler: impl Fn(&DbError) + Send + Sync + 'static) -> Self {
        self.on_notice = Some(OnNotice(Arc::new(handler)));
        self
    }

    /// How many prepared statements a connection keeps ([`Statements`](crate::Statements)); 100 by
    /// default, 0 for none.
    ///
    /// In a URL `statement_cache=100`.
    pub fn statement_cache(mut self, statements: usize) -> Self {
        self.statement_cache = statements;
        self
    }

    /// Whether and how the way to the server is encrypted; [`SslMode::Prefer`] by default. Needs the
    /// feature `rustls` or `native-tls`.
    ///
    /// In a URL `sslmode=verify-full`.
    pub fn ssl_mode(mut self, mode: SslMode) -> Self {
        self.tls.mode = mode;
        self
    }

    /// A PEM file of the authorities that are trusted, in place of those that Mozilla trusts
    /// (`rustls`) or the system (`native-tls`).
    ///
    /// In a URL `sslrootcert=/etc/ssl/db-ca.pem`.
    pub fn ssl_root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.root = Some(file.into());
        self
    }

    /// PEM files of the certificate shown to the server and of its key.
    ///
    /// In a URL `sslcert=…&sslkey=…`.
    pub fn ssl_client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls.certificate = Some(certificate.into());
        self.tls.key = Some(key.into());
        self
    }

    /// What is done to a used connection before somebody else gets it; [`Recycle::Fast`] by default.
    ///
    /// Whatever the policy, a connection is never handed on inside a transaction, in a `COPY`, or with
    /// a statement under way; and the driver's prepared statements stay.
    ///
    /// | left behind | `Fast` | `Verified` | `Clean` | `Custom` |
    /// | --- | --- | --- | --- | --- |
    /// | a statement in flight, an unfinished `COPY` | ended, cancelled if need be | same | same | same |
    /// | a failed statement, outside of a transaction | nothing to do | same | same | same |
    /// | a failed `COPY FROM` | closed: the driver may take later answers for its own | same | same | same |
    /// | rows that somebody keeps unread (`query_raw`) | closed: no later answer would be read | same | same | same |
    /// | a `COPY FROM` that somebody goes on with | closed: the server would wait for its rows | same | same | same |
    /// | `DISCARD ALL`, `DEALLOCATE ALL` by the user | closed, if the driver had looked up a type: it could look up no other | same | same | same |
    /// | an open or failed transaction | rolled back | same | same | same |
    /// | `SET`, `LISTEN`, `PREPARE`, `DECLARE`, `LOAD`, `DO`, `CALL`, `EXPLAIN`, `CREATE …` | undone, when seen | same | undone | undone, when seen |
    /// | what functions do unseen (`set_config` of most settings, `pg_advisory_lock`) | stays, unless [`reset_on_return`](crate::PgConnection::reset_on_return) | same | undone | as the SQL does |
    /// | round trips when nothing was left | 0 | 1 | 1 | 1 |
    ///
    /// Undone are settings, listening, cursors, advisory locks, temporary tables, sequences' last values,
    /// cached plans and what SQL has prepared: `DISCARD ALL` but for the driver's prepared statements.
    ///
    /// The SQL of [`Recycle::Custom`] must hold neither `DISCARD ALL` nor `DEALLOCATE ALL`: the driver keeps
    /// statements of its own, by which it looks up types, for the life of the connection.
    pub fn recycle(mut self, recycle: Recycle) -> Self {
        self.recycle = recycle;
        self
    }

    /// The options of the startup packet: the session's settings, so that `RESET ALL` keeps them.
    pub(crate) fn startup(&self) -> tokio_postgres::Config {
        let mut driver = self.driver.clone();
        let limit = self.statement_timeout.map(|limit| {
            // The server takes 0 for no limit at all, and no more than this.
            let milliseconds = limit.as_micros().div_ceil(1000).clamp(1, i32::MAX as u128);
            format!("-c statement_timeout={milliseconds}ms")
        });
        let given = driver.get_options().map(str::to_owned);
        let settings = self.session.iter();
        let settings = settings.map(|(name, value)| format!("-c {name}={}", protected(value)));
        // The last of several counts: what the options say goes above the default.
        let options: Vec<_> = limit.into_iter().chain(given).chain(settings).collect();
        if !options.is_empty() {
            driver.options(options.join(" "));
        }
        // The stream the driver gets is encrypted already, or is not to be.
        driver.ssl_mode(config::SslMode::Disable);
        if driver.get_application_name().is_none() {
            driver.application_name("pool-postgres");
        }
        driver
    }

    /// Which setting breaks its rule, if one does.
    pub(crate) fn problem(&self) -> Option<ConfigProblem> {
        let (hosts, addresses) = (self.driver.get_hosts(), self.driver.get_hostaddrs());
        let (servers, ports) = (hosts.len().max(addresses.len()), self.driver.get_ports());
        // Where there are sockets the driver takes such a host for the folder of one.
        let socket = hosts.iter().find_map(|host| match host {
            Given::Tcp(name) => name.starts_with('/').then_some(name.as_str()),
            #[cfg(unix)]
            Given::Unix(_) => None,
        });
        let is_name = |name: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
            !name.is_empty() && name.chars().all(letters)
        };
        let mut names = self.session.iter().map(|(name, _)| name.as_str());
        let (cut_short, no_name) = (self.cut_short(), names.find(|name| !is_name(name)));
        let (tls, number) = (&self.tls, |many: usize, what| format!("{many} {what}"));
        let rules = [
            (
                servers > 0,
                "host",
                String::new(),
                "must name at least one server",
            ),
            (
                socket.is_none(),
                "host",
                socket.unwrap_or_default().to_owned(),
                "must be a name or an address: there are no unix sockets on this system",
            ),
            (
                [0, servers].contains(&hosts.len()) && [0, servers].contains(&addresses.len()),
                "hostaddr",
                number(addresses.len(), "addresses"),
                "must be one for each host",
            ),
            (
                ports.len() < 2 || ports.len() == servers,
                "port",
                number(ports.len(), "ports"),
                "must be one, or one for each host",
            ),
            (
                tls.certificate.is_some() == tls.key.is_some(),
                "sslcert",
                format!("{:?}", tls.certificate),
                "and sslkey are given together or not at all",
            ),
            (
                !tls.is_direct || tls.mode >= SslMode::Require,
                "sslnegotiation",
                "direct".to_owned(),
                "needs sslmode=require, verify-ca or verify-full",
            ),
            (
                cut_short.is_none(),
                cut_short.unwrap_or_default(),
                "…".to_owned(),
                "must not contain a NUL, where the server would end it",
            ),
            (
                no_name.is_none(),
                "session",
                no_name.unwrap_or_default().to_owned(),
                "must be the name of a setting, such as work_mem",
            ),
        ];
        let (_, name, value, rule) = rules.into_iter().find(|(holds, ..)| !holds)?;
        Some(ConfigProblem::new(name, value, rule))
    }

    /// The name of a text of the startup packet that holds a NUL: there each text ends with one.
    fn cut_short(&self) -> Option<&str> {
        let driver = &self.driver;
        let texts = [
            ("user", driver.get_user()),
            ("dbname", driver.get_dbname()),
            ("options", driver.get_options()),
            ("application_name", driver.get_application_name()),
        ];
        let settings = self.session.iter();
        let settings = settings.map(|(name, value)| (name.as_str(), Some(value.as_str())));
        let mut all = texts.into_iter().chain(settings);
        let (name, _) = all.find(|(_, text)| text.is_some_and(|text| text.contains('\0')))?;
        Some(name)
    }

    /// The server without the user's secrets, as `postgres://host:port/database`.
    pub(crate) fn name(&self) -> String {
        let servers = Host::all_of(&self.driver);
        let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
        let database = self
            .driver
            .get_dbname()
            .or(self.driver.get_user())
            .unwrap_or_default();
        format!("postgres://{}/{database}", servers.join(","))
    }
}

impl From<tokio_postgres::Config> for PgConfig {
    fn from(driver: tokio_postgres::Config) -> Self {
        let tls = Tls {
            mode: match driver.get_ssl_mode() {
                config::SslMode::Disable => SslMode::Disable,
                config::SslMode::Prefer => SslMode::Prefer,
                // Whatever else the driver may learn to ask for is no less than that.
                _ => SslMode::Require,
            },
            is_direct: driver.get_ssl_negotiation() == SslNegotiation::Direct,
            ..Tls::default()
        };
        Self {
            driver,
            statement_timeout: Some(Duration::from_secs(60)),
            session: Vec::new(),
            init_sql: None,
            recycle: Recycle::default(),
            tls,
            password_provider: None,
            statement_cache: STATEMENT_CACHE,
            on_notice: None,
        }
    }
}

/// A value for the options of the startup packet, where blanks separate and a backslash protects
/// what follows it.
fn protected(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        // The server's `isspace`.
        if letter == '\\' || letter.is_ascii_whitespace() || letter == '\x0b' {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

impl fmt::Debug for PgConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.session.iter().map(|(name, _)| name).collect();
        f.debug_struct("PgConfig")
            .field("server", &self.name())
            .field("user", &self.driver.get_user())
            .field("statement_timeout", &self.statement_timeout)
            // The values may be secrets.
            .field("session", &names)
            .field("has_init_sql", &self.init_sql.is_some())
            .field("recycle", &self.recycle)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::PgConfig;

    fn read(text: &str) -> PgConfig {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_that_is_printed_shows_the_password() {
        let config = read("postgres://app:hunter2@db1:6000,db2:6001/orders");
        assert_eq!(config.name(), "postgres://db1:6000,db2:6001/orders");
        let config = config.session("app.secret", "hunter2");
        let config = config.recycle(super::Recycle::Custom("SELECT 'hunter2'".to_owned()));
        let config = config.init_sql("SELECT 'hunter2'");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains("app.secret"));
    }

    #[test]
    fn a_server_is_named_as_in_a_url_though_only_its_address_is_given() {
        let config = read("postgres://[::1]:6000,db/orders");
        assert_eq!(config.name(), "postgres://[::1]:6000,db:5432/orders");
        let config = read("hostaddr=10.0.0.1,::1 port=6000 dbname=orders");
        assert_eq!(config.name(), "postgres://10.0.0.1:6000,[::1]:6000/orders");
    }

    #[test]
    fn a_timeout_too_short_to_say_is_not_taken_for_none() {
        let config = read("postgres://db/app");
        let config = config.statement_timeout(std::time::Duration::from_micros(500));
        let startup = config.startup();
        assert_eq!(startup.get_options(), Some("-c statement_timeout=1ms"));
    }

    #[test]
    fn a_timeout_of_zero_is_none() {
        for none in ["0", "0s", "none", "OFF"] {
            let config = read(&format!("postgres://db/app?statement_timeout={none}"));
            assert_eq!(config.startup().get_options(), None, "{none}");
        }
        let config = read("postgres://db/app").statement_timeout(std::time::Duration::ZERO);
        assert_eq!(config.startup().get_options(), None);
    }

    #[test]
    fn blanks_and_backslashes_of_a_value_are_protected() {
        let config = read("postgres://db/app?statement_timeout=none");
        let startup = config.session("a.b", "x y\t\\z\n").startup();
        assert_eq!(startup.get_options(), Some("-c a.b=x\\ y\\\t\\\\z\\\n"));
    }

    #[test]
    fn what_the_startup_packet_cannot_hold_is_refused() {
        let told = "postgres://db/app?application_name=a%00b".parse::<PgConfig>();
        let told = told.unwrap_err().to_string();
        assert!(told.starts_with("application_name (…) must not"), "{told}");
        let config = read("postgres://db/app").session("app.secret", "hunter2\0");
        let told = config.problem().unwrap().to_string();
        assert!(told.starts_with("app.secret (…) must not"), "{told}");
    }

    #[cfg(not(unix))]
    #[test]
    fn a_socket_is_refused_where_there_are_none() {
        let told = "host=/run/postgresql".parse::<PgConfig>().unwrap_err();
        let says = "host (/run/postgresql) must be a name or an address";
        assert!(told.to_string().starts_with(says), "{told}");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let config = read("postgres://db/app").session("work_mem=1 -c x", "y");
        let problem = config.problem().unwrap().to_string();
        assert!(
            problem.contains("must be the name of a setting"),
            "{problem}"
        );
    }
}
