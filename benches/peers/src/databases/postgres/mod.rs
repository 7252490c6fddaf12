//! PostgreSQL.

mod bb8;
mod deadpool;
mod ours;
mod sqlx;

use std::error::Error;

use pool_servers::Postgres;

use super::contender;
use crate::contest::Contest;
use crate::stage::Stage;

const QUESTION: &str = "SELECT 1::bigint";

pub(super) fn contests() -> Vec<Contest> {
    let crowds = [
        (
            1,
            "postgres_1",
            "PostgreSQL: SELECT 1, 1 task, 8 connections",
        ),
        (
            8,
            "postgres_8",
            "PostgreSQL: SELECT 1, 8 tasks, 8 connections",
        ),
        (
            64,
            "postgres_64",
            "PostgreSQL: SELECT 1, 64 tasks, 8 connections",
        ),
    ];
    super::of(set_up, crowds, |tasks| {
        vec![
            contender::<ours::Ours<false>>(tasks),
            contender::<ours::Ours<true>>(tasks),
            contender::<deadpool::Deadpool>(tasks),
            contender::<bb8::Bb8>(tasks),
            contender::<sqlx::Sqlx>(tasks),
        ]
    })
}

fn set_up() -> Result<Stage, Box<dyn Error>> {
    let server = Postgres::new().for_connections(64).start()?;
    Ok(Stage::new(server.socket_url(), server))
}
