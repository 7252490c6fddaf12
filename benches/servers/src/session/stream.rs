//! The two ways to a server, with a deadline on each read and write.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long one read or write may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    Address(SocketAddr),
    Socket(PathBuf),
}

/// An open way to a server.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Address(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Endpoint::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Unix(stream))
            }
        }
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self {
            Self::Tcp(stream) => stream.read_exact(&mut bytes)?,
            Self::Unix(stream) => stream.read_exact(&mut bytes)?,
        }
        Ok(bytes)
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }
}

/// Takes values off the front of a message; past its end every value is empty or zero.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Text up to a zero byte.
    pub(super) fn text(&mut self) -> String {
        let length = self
            .0
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(self.bytes(length)).into_owned();
        self.bytes(1);
        text
    }

    /// An unsigned number of `length` bytes, the low byte first.
    pub(super) fn low_first(&mut self, length: usize) -> u64 {
        self.bytes(length)
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// A number of four bytes, the high byte first.
    pub(super) fn high_first(&mut self) -> i32 {
        self.bytes(4)
            .iter()
            .fold(0, |number, &byte| number << 8 | i32::from(byte))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
