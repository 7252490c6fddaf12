//! MariaDB, or MySQL where that is installed.

mod driver;
mod ours;
mod sqlx;

use std::error::Error;

use pool_servers::MySql;

use super::contender;
use crate::contest::Contest;
use crate::stage::Stage;

const QUESTION: &str = "SELECT 1";

pub(super) fn contests() -> Vec<Contest> {
    let crowds = [
        (1, "mysql_1", "MariaDB: SELECT 1, 1 task, 8 connections"),
        (8, "mysql_8", "MariaDB: SELECT 1, 8 tasks, 8 connections"),
        (64, "mysql_64", "MariaDB: SELECT 1, 64 tasks, 8 connections"),
    ];
    super::of(set_up, crowds, |tasks| {
        vec![
            contender::<ours::Ours<false>>(tasks),
            contender::<ours::Ours<true>>(tasks),
            contender::<driver::Driver>(tasks),
            contender::<sqlx::Sqlx>(tasks),
        ]
    })
}

fn set_up() -> Result<Stage, Box<dyn Error>> {
    let server = MySql::new().for_connections(64).start()?;
    Ok(Stage::new(server.socket_url(), server))
}
