//! PostgreSQL: how its data directory is made and its command line is put together.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::account::Account;
use crate::certificates::Certificates;
use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::programs;
use crate::replication;
use crate::running::Recipe;
use crate::server::{Server, off_the_runtime};
use crate::template::Template;

const PACKAGE: &str = "the PostgreSQL server (package postgresql)";

/// Nothing is made to last; later settings win.
const SETTINGS: [(&str, &str); 10] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
    ("shared_buffers", "16MB"),
    ("max_connections", "100"),
    // Room for workers of a prepared transaction is not needed, nor are senders of the log.
    ("max_wal_senders", "0"),
    ("wal_level", "minimal"),
    // In the data directory, with which it goes.
    ("dynamic_shared_memory_type", "mmap"),
];

/// A PostgreSQL to start: `max_connections` 100 and no TLS, unless told otherwise. Its superuser is
/// `postgres`, its database `postgres`; whoever connects from this machine is trusted.
#[derive(Clone, Debug, Default)]
#[must_use = "it starts nothing before `start`"]
pub struct Postgres {
    settings: Vec<(String, String)>,
    access: Vec<String>,
    tls: bool,
    /// How to reach the server it is to be a standby of.
    primary: Option<String>,
}

impl Postgres {
    /// One with the settings above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a parameter of `postgresql.conf`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes room for so many connections and 100 more. Each takes about 1.4 MiB of the machine:
    /// 10,000 need 20 GiB and one to two minutes to connect.
    ///
    /// The tables of locks are sized by the connections; at their default, 10,000 connections cost
    /// three times the shared memory and three times the time of each connect.
    pub fn for_connections(self, connections: u32) -> Self {
        self.setting("max_connections", (connections + 100).to_string())
            .setting("max_locks_per_transaction", "10")
            .setting("max_pred_locks_per_transaction", "10")
    }

    /// Adds a line to `pg_hba.conf`, before the one that trusts everybody:
    /// `hostssl all app 127.0.0.1/32 scram-sha-256`.
    pub fn access(mut self, line: impl Into<String>) -> Self {
        self.access.push(line.into());
        self
    }

    /// Lets clients use TLS. The server's certificate is for `localhost` and `127.0.0.1`; a client
    /// certificate for the user `app` comes along ([`Server::certificates`]).
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Lets standbys follow it, up to five, and lets it be one. With `synchronous_standby_names` set to
    /// `*` a commit is acknowledged once a standby has it: without a standby, never.
    pub fn replicated(self) -> Self {
        self.setting("wal_level", "replica")
            .setting("max_wal_senders", "10")
            .setting("synchronous_commit", "on")
    }

    /// Makes it a standby of `primary`, which runs and is [`replicated`](Self::replicated), as the
    /// standby has to be: it begins as a copy, follows, and answers what only reads. Connections and
    /// locks must not be fewer than there.
    pub fn standby_of(mut self, primary: &Server) -> Self {
        let socket = primary.socket();
        let folder = socket.parent().unwrap_or(&socket).display();
        let port = primary.address().port();
        self.primary = Some(format!("host={folder} port={port} user=postgres"));
        self
    }

    /// Starts it; returns when it answers.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed, or does not start; the error holds what it wrote.
    pub fn start(&self) -> Result<Server, ServerError> {
        let initdb = programs::find("initdb", PACKAGE)?;
        let postgres = initdb.with_file_name("postgres");
        let folder = Folder::new(Account::unprivileged())?;
        let data = folder.path().join("data");
        match &self.primary {
            Some(primary) => replication::copy_primary(&folder, &initdb, primary, &data)?,
            None => make_data(&folder, &initdb, &data)?,
        }
        self.write_access(&data)?;
        let certificates = if self.tls {
            Some(Certificates::new(&folder)?)
        } else {
            None
        };

        Server::start(folder, |folder, port| {
            let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
            arguments.extend(["-p".to_owned(), port.to_string()]);
            arguments.extend(["-k".to_owned(), folder.path().display().to_string()]);
            let mut set = |name: &str, value: &str| {
                arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
            };
            for (name, value) in SETTINGS {
                set(name, value);
            }
            if let Some(certificates) = &certificates {
                set("ssl", "on");
                set(
                    "ssl_ca_file",
                    &certificates.authority().display().to_string(),
                );
                set(
                    "ssl_cert_file",
                    &certificates.server().display().to_string(),
                );
                set(
                    "ssl_key_file",
                    &certificates.server_key().display().to_string(),
                );
            }
            for (name, value) in &self.settings {
                set(name, value);
            }
            Ok(Recipe {
                kind: Kind::Postgres,
                program: postgres.clone(),
                arguments,
                // A process has one connection and its own limit.
                files: 4096,
                certificates: certificates.clone(),
            })
        })
    }

    /// [`start`](Self::start) aside from the runtime.
    ///
    /// # Errors
    ///
    /// As `start`.
    ///
    /// # Cancel safety
    ///
    /// A start that has begun goes on to its end; then the server is dropped.
    pub async fn start_async(&self) -> Result<Server, ServerError> {
        let this = self.clone();
        off_the_runtime(move || this.start()).await
    }

    fn write_access(&self, data: &Path) -> Result<(), ServerError> {
        if self.access.is_empty() {
            return Ok(());
        }
        let file = data.join("pg_hba.conf");
        let write = || {
            let trusting = fs::read_to_string(&file)?;
            fs::write(&file, self.access.join("\n") + "\n" + &trusting)
        };
        write().map_err(ServerError::system("cannot write pg_hba.conf"))
    }
}

fn make_data(folder: &Folder, initdb: &Path, data: &Path) -> Result<(), ServerError> {
    // Segments of 1 MB instead of 16: less to copy.
    let arguments = [
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "--no-instructions",
        "--wal-segsize=1",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    .map(OsString::from);
    let template = Template::new(initdb, &arguments)
        .map_err(ServerError::system("cannot look at the program initdb"))?;
    if template.copy_to(data) {
        return Ok(());
    }
    folder.run("PostgreSQL", initdb, |command| {
        command.arg("-D").arg(data).args(&arguments)
    })?;
    template.keep(data);
    Ok(())
}
