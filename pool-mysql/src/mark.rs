//! A mark in the driver's connection that its `reset` and `change_user` wipe off.
//!
//! Both take the session's settings away, and leave nothing in the driver's connection that could be
//! asked for. But they forget the handler of the next `LOAD DATA LOCAL`: one that does what the driver
//! does where there is none is put there before the connection is lent, and looked for at its return.
//! It is gone, too, after another was set, which nobody else may get, and after a connection was put in
//! the place of this one.

use std::sync::Arc;

use mysql_async::{Conn, LocalInfileError};

/// Held beside the connection; its other half lies in the driver's.
#[derive(Debug)]
pub(crate) struct Mark(Arc<()>);

impl Mark {
    /// `None` where the driver has a handler for all connections, which this would hide.
    pub(crate) fn left_in(conn: &mut Conn) -> Option<Self> {
        if conn.opts().local_infile_handler().is_some() {
            return None;
        }
        let mark = Arc::new(());
        let left = Arc::clone(&mark);
        conn.set_infile_handler(async move {
            drop(left);
            Err(LocalInfileError::NoHandler.into())
        });
        Some(Self(mark))
    }

    pub(crate) fn is_gone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
