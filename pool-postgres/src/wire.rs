//! Reads along on the wire, to know what state a connection is in without asking.
//!
//! Every message of the protocol is a type byte, a length, and a body (PostgreSQL manual, "Message
//! Formats"). Two kinds from the client ask for an answer that the server ends with
//! `ReadyForQuery`: `Query` and `Sync`. So the difference of the two counts is what is in flight,
//! and the body of the last `ReadyForQuery` is the state of the transaction. The driver says of a
//! dropped statement that it is to be closed, waits for no answer, and neither does the pool.
//!
//! The tag of each `CommandComplete` says what kind of command it was. `SELECT 5` without a row before
//! it is a `CREATE TABLE … AS` or a `SELECT … INTO`.
//!
//! Only headers and a few bytes of bodies are looked at; nothing is copied or held back. The
//! startup packet, which has no type byte, is passed over.

mod frames;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use self::frames::Frames;

/// What is known of a session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Requests sent less answers ended.
    in_flight: AtomicI64,
    /// Requests sent in all.
    requests: AtomicU64,
    in_transaction: AtomicBool,
    /// The server waits for a proof that the user is who it says.
    is_asked_to_prove: AtomicBool,
    /// The server has not taken all that there was to send.
    is_sending: AtomicBool,
    is_changed: AtomicBool,
    /// The driver and the server may not agree on which answer belongs to which request, or on what
    /// is prepared.
    is_out_of_step: AtomicBool,
    /// How often prepared statements turned out to be forgotten or useless.
    oblivions: AtomicU64,
    /// The driver has prepared the statements by which it looks up types, and never prepares them
    /// again.
    looks_up_types: AtomicBool,
    /// A write was refused since the session was as new, because the transaction is read-only.
    has_refused_write: AtomicBool,
    /// The server takes in rows (`COPY FROM STDIN`), and nobody has said yet that these are all.
    awaits_rows: AtomicBool,
    /// The last read gave something: the driver reads on as soon as it can.
    has_more_to_read: AtomicBool,
    is_stalled: AtomicBool,
}

impl Session {
    /// Whether a request is without its answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.load(SeqCst) > 0
    }

    /// Whether the driver had not done all there was to do when it had last done all it could.
    pub(crate) fn is_held_up(&self) -> bool {
        self.is_sending.load(SeqCst) || self.is_stalled()
    }

    /// Whether the driver waits for somebody to take rows, and reads nothing for anybody until then;
    /// as it was when the driver had last done all it could.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Relaxed)
    }

    /// Whether the server waits for rows, and for nothing else: for a cancel request neither.
    pub(crate) fn awaits_rows(&self) -> bool {
        self.awaits_rows.load(SeqCst)
    }

    /// Whether the driver is wrong about the server: never to be used again.
    pub(crate) fn is_out_of_step(&self) -> bool {
        self.is_out_of_step.load(SeqCst)
    }

    /// The driver has done all it could.
    pub(crate) fn settle(&self) {
        let stalled = self.has_more_to_read.load(Relaxed);
        self.is_stalled.store(stalled, Relaxed);
    }

    /// Whether a write was refused, because the transaction is read-only.
    pub(crate) fn has_refused_write(&self) -> bool {
        self.has_refused_write.load(Relaxed)
    }

    /// How many requests have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(SeqCst)
    }

    /// Whether the last answer left a transaction open, in whatever state.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(SeqCst)
    }

    /// Whether the login has come to where each proves itself to the other, and not beyond.
    pub(crate) fn is_asked_to_prove(&self) -> bool {
        self.is_asked_to_prove.load(Relaxed)
    }

    /// Whether a command was seen that changes the session.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed.load(Relaxed)
    }

    /// How often prepared statements turned out to be forgotten or useless.
    pub(crate) fn oblivions(&self) -> u64 {
        self.oblivions.load(Relaxed)
    }

    /// Notes that the session is not as new.
    pub(crate) fn note_change(&self) {
        self.is_changed.store(true, Relaxed);
    }

    /// Notes that prepared statements are of no use.
    fn note_oblivion(&self) {
        self.oblivions.fetch_add(1, Relaxed);
    }

    /// Notes that the server knows prepared statements no more.
    fn note_loss_of_statements(&self) {
        self.note_oblivion();
        if self.looks_up_types.load(Relaxed) {
            self.is_out_of_step.store(true, SeqCst);
        }
    }

    /// The session is as new.
    pub(crate) fn forget_changes(&self) {
        self.is_changed.store(false, Relaxed);
        self.has_refused_write.store(false, Relaxed);
    }
}

/// A stream that is read along.
pub(crate) struct Watched<S> {
    stream: S,
    session: Arc<Session>,
    sent: Frames,
    received: Frames,
    asked: VecDeque<Asked>,
    /// The last message sent closes a statement.
    closes: bool,
    answer: Answer,
}

/// What the server is to end with `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A `Query`: if rows come, what they consist of comes before.
    Query,
    /// Anything else that somebody waits for.
    Request,
    /// To forget a statement.
    Farewell,
}

/// What was seen of the present answer.
#[derive(Debug, Default)]
struct Answer {
    /// Rows, or what they consist of, since the last command was complete.
    rows: bool,
    /// The server takes in rows (`COPY FROM STDIN`). Until it has all of them it passes over each
    /// `Sync`: the driver's first one gets no answer of its own.
    copies: bool,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, session: Arc<Session>) -> Self {
        Self {
            stream,
            session,
            // The client begins with a startup packet, which has no type byte.
            sent: Frames::new(true),
            received: Frames::new(false),
            asked: VecDeque::new(),
            closes: false,
            answer: Answer::default(),
        }
    }
}

impl Answer {
    /// Whether the command that is complete, by its tag, may change what the next user of the session
    /// finds.
    fn changes_session(&mut self, asked: Option<&Asked>, tag: &[u8]) -> bool {
        let rows = std::mem::take(&mut self.rows);
        match tag.strip_prefix(b"SELECT ") {
            // Of no rows into a table nothing is seen unless it was a `Query`.
            Some(count) => !rows && (asked == Some(&Asked::Query) || count.first() != Some(&b'0')),
            None => changes_session(tag),
        }
    }
}

/// Whether a command with this tag may change what the next user of the session finds.
fn changes_session(tag: &[u8]) -> bool {
    // What is created may be temporary, a function in `pg_temp` too: the tag does not tell, and it is
    // rare in service. What `DO`, `CALL` and `EXPLAIN ANALYZE` run may do anything.
    const TAGS: [&[u8]; 10] = [
        b"SET", b"RESET", b"LISTEN", b"PREPARE", b"DECLARE", b"LOAD", b"CREATE ", b"DO", b"CALL",
        b"EXPLAIN",
    ];
    TAGS.iter().any(|known| tag.starts_with(known))
}

/// Whether a `Parse` with this body prepares the driver's statement for looking up types.
fn looks_up_types(body: &[u8]) -> bool {
    let mut name_and_sql = body.splitn(2, |byte| *byte == 0);
    name_and_sql
        .nth(1)
        .is_some_and(|sql| sql.starts_with(b"SELECT t.typname, "))
}

/// The code of "cached plan must not change result type", among others.
const OUTDATED: &[u8] = b"0A000";

/// The code of "prepared statement does not exist".
const UNKNOWN_STATEMENT: &[u8] = b"26000";

/// The code of "cannot execute … in a read-only transaction".
const READ_ONLY: &[u8] = b"25006";

/// The code of an error with this body; before it comes the severity, once translated and once not.
fn sqlstate(body: &[u8]) -> Option<&[u8]> {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"C"))
}

/// Whether a command with this tag leaves the session without prepared statements.
fn forgets_statements(tag: &[u8]) -> bool {
    [&b"DISCARD ALL\0"[..], b"DEALLOCATE ALL\0"].contains(&tag)
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let has_more_to_read = &this.session.has_more_to_read;
        has_more_to_read.store(read.is_ready(), Relaxed);
        ready!(read)?;
        let Self {
            session,
            received,
            asked,
            answer,
            ..
        } = this;
        received.take(&buf.filled()[before..], |kind, body| match kind {
            b'Z' => {
                session
                    .in_transaction
                    .store(body.first() != Some(&b'I'), SeqCst);
                let ended = 1 + usize::from(std::mem::take(answer).copies);
                for _ in 0..ended {
                    if let Some(Asked::Query | Asked::Request) = asked.pop_front() {
                        session.in_flight.fetch_sub(1, SeqCst);
                    }
                }
            }
            b'T' | b'D' => answer.rows = true,
            b'R' => {
                let is_satisfied = body.starts_with(&[0; 4]);
                session.is_asked_to_prove.store(!is_satisfied, Relaxed);
            }
            // A setting that clients are told of has another value.
            b'S' => session.note_change(),
            b'G' => {
                answer.copies = true;
                session.awaits_rows.store(true, SeqCst);
            }
            b'E' => {
                session.awaits_rows.store(false, SeqCst);
                // Whether the server had got to the first `Sync` nobody can tell.
                if std::mem::take(&mut answer.copies) {
                    session.is_out_of_step.store(true, SeqCst);
                }
                match sqlstate(body) {
                    Some(OUTDATED) => session.note_oblivion(),
                    Some(UNKNOWN_STATEMENT) => session.note_loss_of_statements(),
                    Some(READ_ONLY) => session.has_refused_write.store(true, Relaxed),
                    _ => {}
                }
            }
            b'C' => {
                if answer.changes_session(asked.front(), body) {
                    session.note_change();
                }
                if forgets_statements(body) {
                    session.note_loss_of_statements();
                }
            }
            _ => {}
        });
        Poll::Ready(Ok(()))
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.session.is_sending.store(true, SeqCst);
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.session.is_sending.store(written < bytes.len(), SeqCst);
        let Self {
            session,
            sent,
            asked,
            closes,
            answer,
            ..
        } = this;
        sent.take(&bytes[..written], |kind, body| {
            match kind {
                b'S' if *closes => asked.push_back(Asked::Farewell),
                // The login, too, ends with a `ReadyForQuery`.
                0 | b'Q' | b'S' => {
                    asked.push_back(match kind {
                        b'Q' => Asked::Query,
                        _ => Asked::Request,
                    });
                    session.requests.fetch_add(1, SeqCst);
                    session.in_flight.fetch_add(1, SeqCst);
                }
                // The driver ends a `COPY` that never began with a `Sync` that has an answer of its own.
                b'c' | b'f' if !answer.copies => session.is_out_of_step.store(true, SeqCst),
                b'c' | b'f' => session.awaits_rows.store(false, SeqCst),
                b'P' if looks_up_types(body) => session.looks_up_types.store(true, Relaxed),
                _ => {}
            }
            *closes = kind == b'C';
        });
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::frames::message;
    use super::{Frames, Session, UNKNOWN_STATEMENT, Watched, changes_session, sqlstate};

    #[test]
    fn commands_that_change_a_session_are_told_from_others() {
        assert!(changes_session(b"SET\0") && changes_session(b"LISTEN\0"));
        assert!(!changes_session(b"INSERT 0 1\0"));
    }

    #[test]
    fn the_code_of_an_error_is_found_behind_the_longest_translation() {
        // Georgian.
        let body = "Sშეცდომა\0VERROR\0C26000\0Mprepared statement \"s1\" does not exist\0\0";
        let mut code = None;
        Frames::new(false).take(&message(b'E', body.as_bytes()), |_, start| {
            code = sqlstate(start).map(<[u8]>::to_vec);
        });
        assert_eq!(code.as_deref(), Some(UNKNOWN_STATEMENT));
    }

    #[tokio::test]
    async fn the_end_of_a_copy_that_never_began_leaves_the_session_out_of_step() {
        let (client, mut server) = duplex(1000);
        let session = Arc::new(Session::default());
        let mut client = Watched::new(client, Arc::clone(&session));
        let startup = [&9_u32.to_be_bytes()[..], b"hello", &message(b'S', b"")].concat();
        client.write_all(&startup).await.unwrap();
        let refused = [
            message(b'Z', b"I"),
            message(b'E', b"SERROR"),
            message(b'Z', b"I"),
        ];
        for answer in refused {
            server.write_all(&answer).await.unwrap();
            client.read_exact(&mut vec![0; answer.len()]).await.unwrap();
        }
        let rest = [message(b'f', b"\0"), message(b'S', b"")].concat();
        client.write_all(&rest).await.unwrap();
        assert!(session.is_out_of_step());
    }
}
