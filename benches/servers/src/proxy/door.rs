//! The port of the proxy: open, or closed and still ours.

use std::future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time;

use crate::port;

const BACKLOG: u32 = 4096;
/// How many ports are drawn before giving up.
const PORTS: usize = 20;

/// One port on this machine.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// Bound and not listening: connects are refused, and the port is not given to anybody else.
    Closed(TcpSocket),
    /// Only within a change, and after one that failed.
    Gone,
}

impl Door {
    /// An open door on a port nobody has.
    pub(super) fn anywhere() -> io::Result<(Self, SocketAddr)> {
        let mut attempts = PORTS;
        loop {
            let address = port::local(port::draw());
            attempts -= 1;
            match bind(address).and_then(|socket| socket.listen(BACKLOG)) {
                Ok(listener) => {
                    return Ok((
                        Self {
                            address,
                            state: State::Open(listener),
                        },
                        address,
                    ));
                }
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// The next connection; for ever, while the door is closed.
    pub(super) async fn accept(&self) -> TcpStream {
        let State::Open(listener) = &self.state else {
            return future::pending().await;
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return stream,
                // No descriptor is left, or the client is gone already: the next may do better.
                Err(_) => time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        let socket = match mem::replace(&mut self.state, State::Gone) {
            State::Open(listener) => {
                self.state = State::Open(listener);
                return Ok(());
            }
            State::Closed(socket) => socket,
            State::Gone => bind(self.address)?,
        };
        self.state = State::Open(socket.listen(BACKLOG)?);
        Ok(())
    }

    pub(super) fn close(&mut self) -> io::Result<()> {
        if !matches!(self.state, State::Closed(_)) {
            // A listener has to go before another socket can have its port.
            self.state = State::Gone;
            self.state = State::Closed(bind(self.address)?);
        }
        Ok(())
    }
}

/// Connections of before do not keep the port from being bound again.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
