//! Prepared statements that a connection keeps, so that the same query is planned once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient, Statement};

use crate::wire::Session;

/// The prepared statements of one connection, the least recently used of which go first.
///
/// They outlive a reset of the session. All are forgotten with `DISCARD ALL` or `DEALLOCATE ALL`, and
/// after an error that says that one has become useless: its table has changed (0A000), or the server
/// does not know it (26000). So what has failed with one can be tried again.
///
/// Behind a pooler that gives each transaction another server connection, such as PgBouncer before
/// 1.21, switch the cache off ([`statement_cache`](crate::PgConfig::statement_cache) 0).
#[derive(Debug)]
pub struct Statements {
    /// How many are kept; 0 for none.
    size: usize,
    session: Arc<Session>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    statements: HashMap<Key, Entry>,
    /// Counts uses: a larger number is a later use.
    clock: u64,
    /// [`Session::oblivions`] when they were last looked at.
    oblivions: u64,
}

type Key = (String, Vec<Type>);

#[derive(Debug)]
struct Entry {
    statement: Statement,
    used_at: u64,
}

impl Statements {
    pub(crate) fn new(size: usize, session: Arc<Session>) -> Self {
        Self {
            size,
            session,
            kept: Mutex::default(),
        }
    }

    /// The statement for `sql`, prepared by `client` unless it is here: the connection itself, or a
    /// transaction on it.
    ///
    /// # Errors
    ///
    /// When the server refuses the statement.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future keeps nothing here, so the next call prepares anew. What was sent goes on:
    /// the server may hold one statement more until the connection ends.
    pub async fn prepare<C>(&self, client: &C, sql: &str) -> Result<Statement, Error>
    where
        C: GenericClient + Sync,
    {
        self.prepare_typed(client, sql, &[]).await
    }

    /// As [`prepare`](Self::prepare), with the types of the parameters given where the server could
    /// not infer them.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    ///
    /// # Cancel safety
    ///
    /// As [`prepare`](Self::prepare).
    pub async fn prepare_typed<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, Error>
    where
        C: GenericClient + Sync,
    {
        let key = (sql.to_owned(), types.to_vec());
        if let Some(statement) = self.kept().find(&key) {
            return Ok(statement);
        }
        let oblivions = self.session.oblivions();
        let statement = client.prepare_typed(sql, types).await?;
        // What was forgotten meanwhile may be this one.
        if self.size > 0 && self.session.oblivions() == oblivions {
            self.kept().insert(key, statement.clone(), self.size);
        }
        Ok(statement)
    }

    /// Forgets the statements for `sql`.
    pub fn remove(&self, sql: &str) {
        self.kept().statements.retain(|(known, _), _| known != sql);
    }

    /// Forgets all; the server is told when nobody uses them any more.
    pub fn clear(&self) {
        self.kept().statements.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept().statements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are of use.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oblivions = self.session.oblivions();
        if kept.oblivions != oblivions {
            kept.oblivions = oblivions;
            kept.statements.clear();
        }
        kept
    }
}

impl Kept {
    fn find(&mut self, key: &Key) -> Option<Statement> {
        self.clock += 1;
        let entry = self.statements.get_mut(key)?;
        entry.used_at = self.clock;
        Some(entry.statement.clone())
    }

    fn insert(&mut self, key: Key, statement: Statement, size: usize) {
        while self.statements.len() >= size {
            let oldest = self
                .statements
                .iter()
                .min_by_key(|(_, entry)| entry.used_at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.statements.remove(&oldest);
        }
        let used_at = self.clock;
        self.statements.insert(key, Entry { statement, used_at });
    }
}
