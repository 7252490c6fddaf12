//! A SQLite file.
//!
//! Without sqlx: the newest SQLite it can be linked with is older than that of `deadpool-sqlite`, and
//! a program has only one.

mod deadpool;
mod ours;

use std::error::Error;

use rusqlite::Connection;

use super::contender;
use crate::contest::Contest;
use crate::stage::Stage;

const QUESTION: &str = "SELECT 1";

pub(super) fn contests() -> Vec<Contest> {
    let crowds = [
        (1, "sqlite_1", "SQLite: SELECT 1, 1 task, 8 connections"),
        (8, "sqlite_8", "SQLite: SELECT 1, 8 tasks, 8 connections"),
        (64, "sqlite_64", "SQLite: SELECT 1, 64 tasks, 8 connections"),
    ];
    super::of(set_up, crowds, |tasks| {
        vec![
            contender::<ours::Ours>(tasks),
            contender::<deadpool::Deadpool>(tasks),
        ]
    })
}

/// A file with a write-ahead log, which is what `pool-sqlite` would make it.
fn set_up() -> Result<Stage, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("peers.db");
    Connection::open(&file)?.pragma_update(None, "journal_mode", "wal")?;
    Ok(Stage::new(file.display().to_string(), folder))
}
