//! A stream that notes how it failed.
//!
//! The system's libraries tell the end of a stream in a handshake as one more failure of the
//! encryption, each in its own way. But that is what a server does that is restarted, and no fault of
//! any certificate.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How a stream failed first, if it did.
pub(super) type Failure = Arc<OnceLock<io::ErrorKind>>;

#[derive(Debug)]
pub(super) struct Way {
    stream: TcpStream,
    failure: Failure,
}

impl Way {
    /// The stream, and where it notes its failure.
    pub(super) fn new(stream: TcpStream) -> (Self, Failure) {
        let failure = Failure::default();
        let noted = Arc::clone(&failure);
        (Self { stream, failure }, noted)
    }

    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| {
            let _only_the_first = self.failure.set(error.kind());
        })
    }
}

impl AsyncRead for Way {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if read.is_ok() && before > 0 && buf.remaining() == before {
            let _only_the_first = self.failure.set(io::ErrorKind::UnexpectedEof);
        }
        Poll::Ready(self.note(read))
    }
}

impl AsyncWrite for Way {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(self.note(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
