//! MariaDB, or Oracle's MySQL: how its data directory is made and its command line is put together.
//!
//! MariaDB is what distributions carry. Where the environment variable `POOL_MYSQLD` names a program,
//! that one is started instead and taken for Oracle's MySQL, with its messages in the folder that
//! `POOL_MYSQLD_MESSAGES` names; `scripts/test-mysql` sets both.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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

const PACKAGE: &str = "the MariaDB server (package mariadb-server-core or mariadb-server)";

/// Nothing is made to last; later settings win.
const SETTINGS: [(&str, &str); 8] = [
    ("bind-address", "127.0.0.1"),
    ("max-connections", "100"),
    ("back-log", "4096"),
    ("innodb-buffer-pool-size", "16M"),
    ("innodb-flush-log-at-trx-commit", "0"),
    ("innodb-doublewrite", "0"),
    ("skip-name-resolve", "1"),
    ("performance-schema", "OFF"),
];

/// Small, to be quick to copy: at first, and by how much it grows at a time.
const TABLESPACE_FILE: &str = "ibdata1:4M:autoextend";
const TABLESPACE: &str = "--innodb-data-file-path=ibdata1:4M:autoextend";

/// A MariaDB to start, or a MySQL: `max_connections` 100 and no TLS, unless told otherwise. Its
/// superuser is `root` without a password, its database `pool`.
#[derive(Clone, Debug, Default)]
#[must_use = "it starts nothing before `start`"]
pub struct MySql {
    settings: Vec<(String, String)>,
    connections: u32,
    tls: bool,
    keeps_log: bool,
    primary: Option<SocketAddr>,
}

/// Which of the two, and where its programs are.
enum Flavour {
    MariaDb {
        server: PathBuf,
        install: PathBuf,
    },
    Oracle {
        server: PathBuf,
        messages: Option<OsString>,
    },
}

impl MySql {
    /// One with the settings above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable of the server, as on its command line without the dashes.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes room for so many connections and 100 more. MariaDB then serves them with a pool of
    /// threads: 10,000 take a second to connect and 0.7 GB.
    pub fn for_connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self.setting("max-connections", (connections + 100).to_string())
    }

    /// Lets clients use TLS. The server's certificate is for `localhost` and `127.0.0.1`; a client
    /// certificate for the user `app` comes along ([`Server::certificates`]).
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Lets replicas follow it, and lets it be one. Of MariaDB only.
    pub fn replicated(mut self) -> Self {
        self.keeps_log = true;
        self
    }

    /// Makes it a replica of `primary`, which runs and is [`replicated`](Self::replicated), as the
    /// replica has to be. It takes no writes of users without the right to write all the same
    /// (`root` has it).
    pub fn replica_of(mut self, primary: &Server) -> Self {
        self.primary = Some(primary.address());
        self
    }

    /// Starts it; returns when it answers, a replica when it has caught up.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not start; the error holds what it wrote.
    pub fn start(&self) -> Result<Server, ServerError> {
        let flavour = Flavour::installed()?;
        let program = flavour.server().to_owned();
        let mut account = Account::unprivileged();
        // A server in somebody's home is not open to others; MySQL runs as root when told to.
        let as_root = !account.reaches(&program);
        if as_root {
            account = Account::Own;
        }
        let folder = Folder::new(account)?;
        let data = folder.path().join("data");
        flavour.make_data(&folder, &data, as_root)?;
        let certificates = if self.tls {
            Some(Certificates::new(&folder)?)
        } else {
            None
        };

        let server = Server::start(folder, |folder, port| {
            let file = |name: &str| folder.path().join(name).display().to_string();
            let mut arguments = vec!["--no-defaults".to_owned()];
            let mut set = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
            set("datadir", &file("data"));
            set("socket", &file("socket"));
            set("pid-file", &file("mysqld.pid"));
            set("tmpdir", &file("tmp"));
            set("port", &port.to_string());
            for (name, value) in SETTINGS {
                set(name, value);
            }
            flavour.set(&mut set, self.connections > 0);
            if as_root {
                set("user", "root");
            }
            if let Some(certificates) = &certificates {
                set("ssl-ca", &certificates.authority().display().to_string());
                set("ssl-cert", &certificates.server().display().to_string());
                set("ssl-key", &certificates.server_key().display().to_string());
            }
            for (name, value) in &self.settings {
                set(name, value);
            }
            if self.keeps_log {
                arguments.push("--log-bin=log".to_owned());
                // No two that run have the same.
                arguments.push(format!("--server-id={port}"));
            } else {
                arguments.push("--skip-log-bin".to_owned());
            }
            Ok(Recipe {
                kind: Kind::MySql,
                program: program.clone(),
                arguments,
                files: 4096 + u64::from(self.connections),
                certificates: certificates.clone(),
            })
        })?;
        let mut console = server.console()?;
        if let Some(primary) = self.primary {
            replication::follow(&mut console, primary)?;
            return Ok(server);
        }
        console.query("CREATE DATABASE pool")?;
        if let Flavour::Oracle { .. } = flavour {
            // Its `root` may come over the socket only.
            console.query("CREATE USER root@'127.0.0.1'")?;
            console.query("GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION")?;
        }
        Ok(server)
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
}

impl Flavour {
    fn installed() -> Result<Self, ServerError> {
        if let Some(server) = env::var_os("POOL_MYSQLD") {
            let messages = env::var_os("POOL_MYSQLD_MESSAGES");
            return Ok(Self::Oracle {
                server: server.into(),
                messages,
            });
        }
        Ok(Self::MariaDb {
            server: programs::find("mariadbd", PACKAGE)?,
            install: programs::find("mariadb-install-db", PACKAGE)?,
        })
    }

    fn server(&self) -> &Path {
        match self {
            Self::MariaDb { server, .. } | Self::Oracle { server, .. } => server,
        }
    }

    /// What only one of the two knows.
    fn set(&self, set: &mut impl FnMut(&str, &str), many: bool) {
        match self {
            Self::MariaDb { .. } => {
                set("innodb-log-file-size", "8M");
                set("innodb-data-file-path", TABLESPACE_FILE);
                if many {
                    set("thread-handling", "pool-of-threads");
                }
            }
            Self::Oracle { messages, .. } => {
                set("innodb-redo-log-capacity", "8M");
                set("secure-file-priv", "NULL");
                set("mysqlx", "OFF");
                if let Some(messages) = messages {
                    set("lc-messages-dir", &messages.to_string_lossy());
                }
            }
        }
    }

    fn make_data(&self, folder: &Folder, data: &Path, as_root: bool) -> Result<(), ServerError> {
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).map_err(ServerError::system(
            "cannot make a folder for temporary tables",
        ))?;
        let (program, mut arguments): (&Path, Vec<OsString>) = match self {
            Self::MariaDb { install, .. } => (
                install,
                [
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--innodb-log-file-size=8M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-doublewrite=0",
                    "--innodb-autoextend-increment=1",
                    TABLESPACE,
                ]
                .map(OsString::from)
                .into(),
            ),
            Self::Oracle { server, messages } => {
                let mut arguments = ["--no-defaults", "--initialize-insecure"]
                    .map(OsString::from)
                    .to_vec();
                arguments.push("--secure-file-priv=NULL".into());
                arguments.push("--innodb-redo-log-capacity=8M".into());
                if let Some(messages) = messages {
                    let mut argument = OsString::from("--lc-messages-dir=");
                    argument.push(messages);
                    arguments.push(argument);
                }
                (server, arguments)
            }
        };
        if as_root {
            arguments.push("--user=root".into());
        }
        let template = Template::new(program, &arguments).map_err(ServerError::system(
            "cannot look at the program of the server",
        ))?;
        if template.copy_to(data) {
            return Ok(());
        }
        // A server that starts removes what it takes for the temporary tables of its last run: in a
        // folder that others use, those of theirs.
        let places = [("--datadir=", data), ("--tmpdir=", &temporary)].map(|(option, path)| {
            let mut argument = OsString::from(option);
            argument.push(path);
            argument
        });
        folder.give()?;
        folder.run("MySQL", program, |command| {
            command.args(&arguments).args(places)
        })?;
        template.keep(data);
        Ok(())
    }
}
