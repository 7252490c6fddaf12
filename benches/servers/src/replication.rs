//! Servers that follow another, and the night on which one takes over.
//!
//! ```text
//!   replicated().start() ──> primary ──log──> replicated().standby_of(&primary).start() ──> standby
//!                               ╳ kill                       promote() ──> takes writes
//! ```
//!
//! A standby of PostgreSQL begins as a copy of its primary. A replica of MariaDB begins as empty as
//! its primary did and is told everything since, so its primary keeps a log from its first start.
//! Either takes what the primary sends without being asked again; what the primary waits for before
//! it acknowledges a commit is a matter of its settings.

use std::net::SocketAddr;
use std::path::Path;

use crate::error::ServerError;
use crate::folder::Folder;
use crate::kind::Kind;
use crate::server::Server;
use crate::session::{Endpoint, Row, Session, SessionError};

/// How many seconds a replica may take to run what it has received.
const CATCHES_UP_WITHIN: u32 = 5;

impl Server {
    /// Makes a standby or replica a server of its own; returns when it takes writes. What it had
    /// received from its primary is there. A PostgreSQL stays what it becomes; a MariaDB that is
    /// restarted does, too.
    ///
    /// # Errors
    ///
    /// When it follows nobody, is down, or does not get there in time.
    pub fn promote(&self) -> Result<(), ServerError> {
        let mut session = self.console()?;
        let is_promoted = match self.kind() {
            Kind::MySql => promote_replica(&mut session)?,
            Kind::Postgres | Kind::PgBouncer => one(&session.query("SELECT pg_promote()")?) == "t",
        };
        if is_promoted {
            return Ok(());
        }
        Err(ServerError::Failed {
            server: self.name(),
            what: "was not promoted: it follows nobody, or takes too long".to_owned(),
            log: self.log(),
        })
    }
}

/// Copies the data of a running PostgreSQL so that a server on the copy follows it.
pub(crate) fn copy_primary(
    folder: &Folder,
    initdb: &Path,
    primary: &str,
    data: &Path,
) -> Result<(), ServerError> {
    let program = initdb.with_file_name("pg_basebackup");
    folder.run("PostgreSQL", &program, |command| {
        command
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--dbname", primary, "--pgdata"])
            .arg(data)
    })
}

/// Has a MariaDB that is as empty as its primary was follow it; returns when it has caught up.
pub(crate) fn follow(replica: &mut Session, primary: SocketAddr) -> Result<(), ServerError> {
    let (user, database) = Kind::MySql.first_guest();
    let at = Endpoint::Address(primary);
    let mut primary_session = Session::open(Kind::MySql.protocol(), &at, user, database)?;
    let so_far = one(&primary_session.query("SELECT @@gtid_binlog_pos")?);
    let (host, port) = (primary.ip(), primary.port());
    replica.query("SET GLOBAL read_only = ON")?;
    replica.query(&format!(
        "CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = '{user}', \
         MASTER_USE_GTID = slave_pos"
    ))?;
    replica.query("START REPLICA")?;
    if has_run(replica, &so_far)? {
        return Ok(());
    }
    let status = replica.query("SHOW REPLICA STATUS")?;
    Err(ServerError::Failed {
        server: "MariaDB",
        what: "does not catch up with its primary".to_owned(),
        log: format!("{status:?}"),
    })
}

/// Whether it followed somebody and ran in time what it had received.
fn promote_replica(replica: &mut Session) -> Result<bool, SessionError> {
    replica.query("STOP REPLICA IO_THREAD")?;
    let status = replica.query("SHOW REPLICA STATUS")?;
    if status.is_empty() || !has_run(replica, &received(&status))? {
        return Ok(false);
    }
    for sql in [
        "STOP REPLICA",
        "RESET REPLICA ALL",
        "SET GLOBAL read_only = OFF",
    ] {
        replica.query(sql)?;
    }
    Ok(true)
}

/// How far whole transactions have come in: the column after the one that says that they are
/// counted by number. The position in the primary's log goes into the middle of one that was cut
/// off, and is never reached.
fn received(status: &[Row]) -> String {
    let mut columns = status.iter().flatten().flatten();
    let _counted = columns.find(|column| *column == "Slave_Pos");
    columns.next().cloned().unwrap_or_default()
}

/// Waits until a replica has run everything up to `position`.
fn has_run(replica: &mut Session, position: &str) -> Result<bool, SessionError> {
    let wait = format!("SELECT MASTER_GTID_WAIT('{position}', {CATCHES_UP_WITHIN})");
    Ok(one(&replica.query(&wait)?) == "0")
}

/// The first value of an answer.
fn one(rows: &[Row]) -> String {
    let mut values = rows.iter().flatten().flatten();
    values.next().cloned().unwrap_or_default()
}
