//! A proxy between a pool and its server that breaks the network in the ways networks break.
//!
//! ```text
//!            door: open or closed            flow: one fault at a time
//!   pool ──────────────┬───────────> relay ──────────────────────────> server
//!                      │   connects: when attempted, accepted, closed
//!                  proxy thread <── orders
//! ```
//!
//! It has a thread and a runtime of its own: a test may block or run on the paused clock, the proxy
//! goes on. An order that was returned from is carried out: after [`cut`](FaultProxy::cut) nothing
//! of before is open, after [`refuse`](FaultProxy::refuse) the next connect is refused. The address
//! is the same in all of it: while the door is closed the proxy keeps the port bound without
//! listening, so nobody else gets it.
//!
//! In this process a connection through the proxy takes three descriptors: the pool's and two here.

mod connects;
mod door;
mod flow;
mod relay;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use connects::Connect;

use crate::server::Server;
use connects::Connects;
use door::Door;
use flow::Flow;
use relay::{Relay, Signals};

/// A proxy on this machine whose network can be broken while it runs.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    connects: Arc<Connects>,
    flow: watch::Sender<Flow>,
    /// How often `drop_after` was called.
    rounds: AtomicU64,
    half_close: watch::Sender<()>,
    /// `None` once dropping: its end is what ends the thread.
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has to do itself, and where it says that it is done.
#[derive(Debug)]
enum Order {
    Open(oneshot::Sender<io::Result<()>>),
    Close(oneshot::Sender<io::Result<()>>),
    Cut(oneshot::Sender<io::Result<()>>),
}

impl FaultProxy {
    /// A proxy before a server.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn before(server: &Server) -> io::Result<Self> {
        Self::start(server.address())
    }

    /// A proxy before whatever listens at `target`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (door, address) = {
            let _inside = runtime.enter();
            Door::anywhere()?
        };
        let (orders, received) = mpsc::unbounded_channel();
        let target = watch::Sender::new(target);
        let flow = watch::Sender::new(Flow::Forward);
        let half_close = watch::Sender::new(());
        let connects = Arc::new(Connects::default());
        let proxy = Proxy {
            door,
            target: target.subscribe(),
            relays: JoinSet::new(),
            cut: watch::Sender::new(()),
            flow: flow.clone(),
            half_close: half_close.clone(),
            connects: Arc::clone(&connects),
        };
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || proxy.run(&runtime, received))?;
        Ok(Self {
            address,
            target,
            connects,
            flow,
            rounds: AtomicU64::new(0),
            half_close,
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every fault: bytes flow, held ones are delivered, connects are taken.
    ///
    /// # Errors
    ///
    /// When the port cannot be listened on again.
    pub fn forward(&self) -> io::Result<()> {
        self.flow.send_replace(Flow::Forward);
        self.order(Order::Open)
    }

    /// Holds each piece of data, in both directions, for so long; a round trip takes twice that.
    pub fn delay(&self, delay: Duration) {
        self.flow.send_replace(Flow::Delay(delay));
    }

    /// Lets nothing through any more, neither data nor ends, on present and on new connections. New
    /// ones are taken and do not reach the server. What is held is delivered by
    /// [`forward`](Self::forward).
    pub fn black_hole(&self) {
        self.flow.send_replace(Flow::BlackHole);
    }

    /// Closes each connection, present or new, after so many more bytes from the server: in the
    /// middle of an answer.
    pub fn drop_after(&self, bytes: u64) {
        // Only the number matters, nothing is ordered by it.
        let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        self.flow.send_replace(Flow::DropAfter { bytes, round });
    }

    /// Resets every present connection, on both sides.
    pub fn cut(&self) {
        // An error is the end of the thread, and with it of every connection.
        let _ = self.order(Order::Cut);
    }

    /// Ends every present connection in one direction: the pool reads the end of what the server has
    /// to say, and can still write to it.
    pub fn half_close(&self) {
        self.half_close.send_replace(());
    }

    /// Leads to another server from now on, as an address or a name that moves in a failover does.
    /// Present connections stay where they are; [`cut`](Self::cut) ends them, as the machine that has
    /// the address now would.
    pub fn redirect(&self, server: &Server) {
        self.target.send_replace(server.address());
    }

    /// Refuses connects until [`forward`](Self::forward); present connections go on. A connect that
    /// is refused does not reach the proxy, so it is not counted.
    ///
    /// # Errors
    ///
    /// When the port cannot be held without listening.
    pub fn refuse(&self) -> io::Result<()> {
        self.order(Order::Close)
    }

    /// Every connect that reached the proxy, in order.
    pub fn connects(&self) -> Vec<Connect> {
        self.connects.all()
    }

    /// How many connects reached the proxy.
    pub fn attempted(&self) -> usize {
        self.connects.all().len()
    }

    /// How many of them reached the server.
    pub fn accepted(&self) -> usize {
        self.connects
            .all()
            .iter()
            .filter(|connect| connect.accepted.is_some())
            .count()
    }

    /// How many connections to the server are open through the proxy now.
    pub fn open(&self) -> usize {
        self.connects
            .all()
            .iter()
            .filter(|connect| connect.is_open())
            .count()
    }

    /// Has the thread do something and waits for it: for microseconds, so also in a task.
    fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Order,
    ) -> io::Result<()> {
        let ended = || io::Error::other("the thread of the proxy has ended");
        let (done, mut outcome) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or_else(ended)?;
        orders.send(order(done)).map_err(|_| ended())?;
        loop {
            match outcome.try_recv() {
                Ok(outcome) => return outcome,
                Err(oneshot::error::TryRecvError::Closed) => return Err(ended()),
                Err(oneshot::error::TryRecvError::Empty) => thread::yield_now(),
            }
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Proxy {
    door: Door,
    target: watch::Receiver<SocketAddr>,
    relays: JoinSet<()>,
    cut: watch::Sender<()>,
    flow: watch::Sender<Flow>,
    half_close: watch::Sender<()>,
    connects: Arc<Connects>,
}

impl Proxy {
    fn run(mut self, runtime: &Runtime, mut orders: mpsc::UnboundedReceiver<Order>) {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        Some(order) => self.obey(order).await,
                        None => return,
                    },
                    client = self.door.accept() => {
                        let relay = Relay {
                            client,
                            target: self.target.clone(),
                            number: self.connects.attempted(),
                            connects: Arc::clone(&self.connects),
                            signals: Signals {
                                flow: self.flow.subscribe(),
                                cut: self.cut.subscribe(),
                                half_close: self.half_close.subscribe(),
                            },
                        };
                        self.relays.spawn(relay.run());
                    }
                    Some(_) = self.relays.join_next() => {}
                }
            }
        });
    }

    async fn obey(&mut self, order: Order) {
        let (done, outcome) = match order {
            Order::Open(done) => (done, self.door.open()),
            Order::Close(done) => (done, self.door.close()),
            Order::Cut(done) => {
                self.cut.send_replace(());
                while self.relays.join_next().await.is_some() {}
                (done, Ok(()))
            }
        };
        // Whoever gave the order may be gone.
        let _ = done.send(outcome);
    }
}
