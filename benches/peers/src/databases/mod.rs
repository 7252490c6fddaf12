//! `SELECT 1`, end to end, on real databases.
//!
//! A throw-away server over its Unix socket, or a throw-away file. Pools of one database use the same
//! driver where they can, with the same settings: eight connections, a prepared statement, no round
//! trip to validate a connection where that can be turned off. What each does at a return is told in
//! the table, since that is where they differ. And in which connection they hand out: of those beside
//! this pool `mysql_async`'s takes the one returned last, all others take their connections in turn.

mod client;
mod mysql;
mod postgres;
mod questions;
mod sqlite;

use self::client::Client;
use crate::contest::{Contender, Contest};
use crate::stage::SetUp;

/// How many tasks ask, and under which name and title, for each database.
type Crowds = [(usize, &'static str, &'static str); 3];

/// Every database, with one, eight and sixty-four tasks.
pub(crate) fn contests() -> Vec<Contest> {
    let mut contests = Vec::new();
    contests.extend(postgres::contests());
    contests.extend(mysql::contests());
    contests.extend(sqlite::contests());
    contests
}

/// One contest for each crowd.
fn of(set_up: SetUp, crowds: Crowds, contenders: fn(usize) -> Vec<Contender>) -> Vec<Contest> {
    let contest = |(tasks, key, title)| Contest {
        key,
        title,
        metrics: &questions::METRICS,
        is_shared: false,
        set_up,
        contenders: contenders(tasks),
    };
    crowds.into_iter().map(contest).collect()
}

fn contender<C: Client>(tasks: usize) -> Contender {
    Contender {
        name: C::NAME,
        version: C::VERSION,
        at_return: Some(C::AT_RETURN),
        run: Box::new(move |address| questions::run::<C>(address, tasks)),
    }
}

#[cfg(test)]
mod tests {
    use crate::pools::versions;

    #[test]
    fn versions_are_those_that_are_built() {
        let contests = super::contests();
        versions::check(contests.iter().flat_map(|contest| &contest.contenders));
    }
}
