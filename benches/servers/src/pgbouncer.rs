//! PgBouncer in front of a PostgreSQL: how its configuration is put together.

use std::fmt::Write;
use std::fs;

use crate::account::Account;
use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::programs;
use crate::running::Recipe;
use crate::server::{Server, off_the_runtime};

/// A `PgBouncer` to start before a PostgreSQL, which it reaches over its socket: in transaction
/// mode, with 50 connections to the server for 100 clients, unless told otherwise.
#[derive(Clone, Debug)]
#[must_use = "it starts nothing before `start`"]
pub struct PgBouncer {
    behind: String,
    settings: Vec<(String, String)>,
    clients: u32,
}

impl PgBouncer {
    /// One before `postgres`, which may be stopped and started as it likes.
    pub fn before(postgres: &Server) -> Self {
        let folder = postgres.socket();
        let folder = folder.parent().unwrap_or(&folder).display();
        let port = postgres.address().port();
        Self {
            behind: format!("host={folder} port={port} user=postgres"),
            settings: Vec::new(),
            clients: 100,
        }
    }

    /// Sets a parameter of the section `[pgbouncer]`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes room for so many clients and 100 more; the connections to the server stay 50. 10,000
    /// take less than a second to connect, and the bouncer 14 MB.
    pub fn for_connections(mut self, connections: u32) -> Self {
        self.clients = connections;
        self
    }

    /// Starts it; returns when its console answers.
    ///
    /// # Errors
    ///
    /// When `PgBouncer` is not installed, or does not start; the error holds what it wrote.
    pub fn start(&self) -> Result<Server, ServerError> {
        let program = programs::find("pgbouncer", "PgBouncer (package pgbouncer)")?;
        let folder = Folder::new(Account::unprivileged())?;
        Server::start(folder, |folder, port| {
            let file = folder.path().join("pgbouncer.ini");
            let path = folder.path().display();
            let mut text = format!(
                "[databases]\n* = {}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir = {path}\nauth_type = any\npool_mode = transaction\n\
                 max_client_conn = {}\ndefault_pool_size = 50\nlisten_backlog = 4096\n\
                 admin_users = admin\nignore_startup_parameters = extra_float_digits\n",
                self.behind,
                self.clients + 100
            );
            for (name, value) in &self.settings {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{name} = {value}");
            }
            fs::write(&file, text).map_err(ServerError::system("cannot write pgbouncer.ini"))?;
            Ok(Recipe {
                kind: Kind::PgBouncer,
                program: program.clone(),
                arguments: vec![file.display().to_string()],
                files: 1024 + u64::from(self.clients),
                certificates: None,
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
    /// A start that has begun goes on to its end; then the bouncer is dropped.
    pub async fn start_async(&self) -> Result<Server, ServerError> {
        let this = self.clone();
        off_the_runtime(move || this.start()).await
    }
}
