//! Sees whether SQL has changed its session, and refuses new statements to a cancelled call.
//!
//! SQLite tells an authorizer of each action when a statement is prepared. So this costs nothing
//! for statements from the cache, and some tens of nanoseconds for each table and column of a new
//! one.
//!
//! Invariant: SQL that changes its session raises the flag. Every pragma that is not known to be
//! harmless counts as a change, and a replaced authorizer drops the old one, which is noticed by
//! that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Watches what statements do to their session, and refuses them while `cancelled`. The flag returned
/// rises and never falls.
pub(crate) fn watch(
    conn: &mut Connection,
    cancelled: Arc<AtomicBool>,
) -> rusqlite::Result<Arc<AtomicBool>> {
    let changed = Arc::new(AtomicBool::new(false));
    let flag = Replaced(Arc::clone(&changed));
    conn.authorizer(Some(move |context: AuthContext<'_>| {
        if changes_session(&context) {
            flag.0.store(true, Ordering::Relaxed);
        }
        // Pairs with the Release store of `Slot::cancel`.
        if cancelled.load(Ordering::Acquire) && !is_of_transactions(&context.action) {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    }))?;
    Ok(changed)
}

/// Sets the flag when it is dropped: the authorizer that owned it has been replaced.
struct Replaced(Arc<AtomicBool>);

impl Drop for Replaced {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A cancelled call may still roll back.
fn is_of_transactions(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. }
    )
}

fn changes_session(context: &AuthContext<'_>) -> bool {
    // Some ways of making something temporary are no action of their own; all name the database.
    if context.database_name == Some("temp") {
        return true;
    }
    match context.action {
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => !is_harmless(pragma_name, pragma_value.is_some()),
        // Both register code with the connection.
        AuthAction::Function { function_name } => {
            function_name.eq_ignore_ascii_case("load_extension")
                || function_name.eq_ignore_ascii_case("fts3_tokenizer")
        }
        // VACUUM attaches a database for a while; once too often is right, too.
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Unknown { .. } => true,
        _ => false,
    }
}

/// Whether a pragma leaves the session as it is. What is not listed does not.
fn is_harmless(name: &str, with_value: bool) -> bool {
    /// They ask about what the value names, or do something to the file.
    const ALWAYS: [&str; 18] = [
        "application_id",
        "foreign_key_check",
        "foreign_key_list",
        "freelist_count",
        "incremental_vacuum",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "optimize",
        "page_count",
        "quick_check",
        "schema_version",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
        "wal_checkpoint",
    ];
    /// Without a value they only ask.
    const AS_A_QUESTION: [&str; 17] = [
        "auto_vacuum",
        "busy_timeout",
        "cache_size",
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "foreign_keys",
        "function_list",
        "journal_mode",
        "mmap_size",
        "page_size",
        "query_only",
        "synchronous",
        "temp_store",
        "wal_autocheckpoint",
    ];
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    ALWAYS.iter().any(is) || (!with_value && AS_A_QUESTION.iter().any(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(sql: &str) -> bool {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (a, b); CREATE INDEX i ON t (a)")
            .unwrap();
        let changed = watch(&mut conn, Arc::default()).unwrap();
        conn.execute_batch(sql).unwrap();
        changed.load(Ordering::Relaxed)
    }

    #[test]
    fn ordinary_work_changes_nothing() {
        for sql in [
            "INSERT INTO t VALUES (1, 2); SELECT a, count(*) FROM t GROUP BY b; DELETE FROM t",
            "BEGIN; CREATE TABLE u (x); ALTER TABLE u ADD COLUMN y; DROP TABLE u; COMMIT",
            "SAVEPOINT s; RELEASE s; ANALYZE; REINDEX i",
            "PRAGMA user_version = 3; PRAGMA table_info(t); PRAGMA foreign_keys; PRAGMA optimize",
            "SELECT * FROM pragma_table_info('t'); CREATE VIRTUAL TABLE f USING fts5(x)",
        ] {
            assert!(!changes(sql), "{sql}");
        }
    }

    #[test]
    fn what_outlives_a_call_is_seen() {
        for sql in [
            "ATTACH ':memory:' AS other",
            "CREATE TEMP TABLE x (a)",
            "CREATE TABLE temp.x (a)",
            "CREATE TEMP TABLE x AS SELECT 1",
            "CREATE VIEW temp.v AS SELECT 1",
            "CREATE TRIGGER temp.r AFTER INSERT ON main.t BEGIN SELECT 1; END",
            "CREATE TEMP VIEW v AS SELECT 1",
            "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
            "CREATE VIRTUAL TABLE temp.f USING fts5(x)",
            "PRAGMA foreign_keys = off",
            "PRAGMA Foreign_Keys(0)",
            "PRAGMA busy_timeout = 7",
            "PRAGMA case_sensitive_like = 1",
            "PRAGMA a_pragma_of_the_future",
        ] {
            assert!(changes(sql), "{sql}");
        }
    }

    #[test]
    fn a_replaced_authorizer_is_a_change() {
        let mut conn = Connection::open_in_memory().unwrap();
        let changed = watch(&mut conn, Arc::default()).unwrap();
        conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
            .unwrap();
        assert!(changed.load(Ordering::Relaxed));
    }
}
