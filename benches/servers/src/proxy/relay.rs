//! One connection through the proxy: two pipes in one task, and the signals that end them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::connects::Connects;
use super::flow::{Allowance, Flow, pass};

/// Large enough for an answer of any test, small enough for thousands of relays.
const PIECE: usize = 16 * 1024;

/// What a relay listens to. Each was subscribed when the relay began, so a signal of before is not
/// for it.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    pub(super) flow: watch::Receiver<Flow>,
    pub(super) cut: watch::Receiver<()>,
    pub(super) half_close: watch::Receiver<()>,
}

/// A client that was taken in, on its way to the server.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: TcpStream,
    /// Where the server is; looked at when there is something to connect for.
    pub(super) target: watch::Receiver<SocketAddr>,
    pub(super) number: usize,
    pub(super) connects: Arc<Connects>,
    pub(super) signals: Signals,
}

impl Relay {
    pub(super) async fn run(mut self) {
        let mut server = None;
        let mut cut = self.signals.cut.clone();
        let broken = tokio::select! {
            _ = cut.changed() => true,
            carried = self.carry(&mut server) => carried.is_err(),
        };
        // A close with nothing to wait for is a reset.
        if broken {
            for stream in [Some(&self.client), server.as_ref()].into_iter().flatten() {
                let _ = stream.set_zero_linger();
            }
        }
        drop(server);
        drop(self.client);
        self.connects.closed(self.number);
    }

    /// Connects and carries until both directions have ended, or one breaks.
    async fn carry(&mut self, server: &mut Option<TcpStream>) -> io::Result<()> {
        pass(&mut self.signals.flow).await;
        let target = *self.target.borrow();
        let server = server.insert(TcpStream::connect(target).await?);
        self.connects.accepted(self.number);
        self.client.set_nodelay(true)?;
        server.set_nodelay(true)?;

        let (from_client, to_client) = self.client.split();
        let (from_server, to_server) = server.split();
        let questions = questions(from_client, to_server, self.signals.flow.clone());
        let answers = answers(from_server, to_client, self.signals.clone());
        tokio::pin!(questions, answers);
        tokio::select! {
            asked = &mut questions => {
                asked?;
                answers.await.map(|_| ())
            }
            answered = &mut answers => match answered? {
                Ended::Said => questions.await,
                Ended::Dropped => Ok(()),
            }
        }
    }
}

/// How the direction from the server ended.
#[derive(Debug)]
enum Ended {
    /// The server, or a half-close, has said so; the client may still ask.
    Said,
    /// The allowance is used up: the connection is over.
    Dropped,
}

async fn questions(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        pass(&mut flow).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

async fn answers(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut signals: Signals,
) -> io::Result<Ended> {
    let mut piece = vec![0; PIECE];
    let mut allowance = Allowance::default();
    loop {
        let length = tokio::select! {
            length = from.read(&mut piece) => length?,
            _ = signals.half_close.changed() => 0,
        };
        pass(&mut signals.flow).await;
        if length == 0 {
            to.shutdown().await?;
            return Ok(Ended::Said);
        }
        let flow = *signals.flow.borrow();
        let allowed = allowance.take(flow, length);
        to.write_all(&piece[..allowed]).await?;
        if allowed < length {
            return Ok(Ended::Dropped);
        }
    }
}
