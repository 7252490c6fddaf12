//! The driver's `Queryable`, by marked commands.

use std::future::Future;
use std::pin::Pin;

use mysql_async::prelude::{AsQuery, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Params, QueryResult, Result, Statement, TextProtocol};

use crate::connection::MySqlConnection;
use crate::transaction::Transaction;

/// What the driver's traits return.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Of a type that tells by `in_use` what it marks and where.
macro_rules! queryable {
    ($marked:ty) => {
        impl Queryable for $marked {
            fn ping(&mut self) -> Answer<'_, ()> {
                let (conn, unseen) = self.in_use();
                Box::pin(unseen.statement(conn.ping()))
            }

            fn query_iter<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> Answer<'a, QueryResult<'a, 'static, TextProtocol>>
            where
                Q: AsQuery + 'a,
            {
                let (conn, unseen) = self.in_use();
                Box::pin(unseen.statement(conn.query_iter(query)))
            }

            fn prep<'a, Q>(&'a mut self, query: Q) -> Answer<'a, Statement>
            where
                Q: AsQuery + 'a,
            {
                let (conn, unseen) = self.in_use();
                unseen.prepared = true;
                Box::pin(unseen.command(conn.prep(query)))
            }

            fn close(&mut self, statement: Statement) -> Answer<'_, ()> {
                let (conn, unseen) = self.in_use();
                Box::pin(unseen.command(conn.close(statement)))
            }

            fn exec_iter<'a: 's, 's, Q, P>(
                &'a mut self,
                statement: Q,
                params: P,
            ) -> Answer<'s, QueryResult<'a, 'static, BinaryProtocol>>
            where
                Q: StatementLike + 's,
                P: Into<Params>,
            {
                let (conn, unseen) = self.in_use();
                Box::pin(unseen.statement(conn.exec_iter(statement, params)))
            }

            fn exec_batch<'a: 'b, 'b, S, P, I>(
                &'a mut self,
                statement: S,
                params: I,
            ) -> Answer<'b, ()>
            where
                S: StatementLike + 'b,
                I: IntoIterator<Item = P> + Send + 'b,
                I::IntoIter: Send,
                P: Into<Params> + Send,
            {
                let (conn, unseen) = self.in_use();
                Box::pin(async move {
                    let mut params = params.into_iter().peekable();
                    if params.peek().is_some() {
                        unseen.statement(conn.exec_batch(statement, params)).await
                    } else {
                        unseen.prepared = true;
                        unseen.command(conn.exec_batch(statement, params)).await
                    }
                })
            }
        }
    };
}

queryable!(MySqlConnection);
queryable!(Transaction<'_>);
