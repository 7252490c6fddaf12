//! Breaks the server and the way to it while tasks work, at random but by a seed, and mends
//! everything at the end.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pool_pages::lines::say;
use pool_servers::{FaultProxy, Server};
use tokio::time::sleep;

use crate::backend::{QueryError as Failure, Workload};
use crate::report::Fault;

/// A query that has not been answered after this is given up by its task.
pub(super) const QUERY_PATIENCE: Duration = Duration::from_secs(2);

/// One way of breaking things, for some time.
#[derive(Debug, Clone, Copy)]
enum Break {
    Kill,
    Hang,
    Refuse,
    BlackHole,
    Cut,
    DropAfter(u64),
    Delay,
}

impl Break {
    fn draw(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..7) {
            0 => Self::Kill,
            1 => Self::Hang,
            2 => Self::Refuse,
            3 => Self::BlackHole,
            4 => Self::Cut,
            5 => Self::DropAfter(random.u64(1..5_000)),
            _ => Self::Delay,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Kill => "the server is killed, and started again",
            Self::Hang => "the server hangs",
            Self::Refuse => "connects are refused, and what was open is cut",
            Self::BlackHole => "the network swallows everything",
            Self::Cut => "all connections are cut",
            Self::DropAfter(_) => "connections are cut in the middle of an answer",
            Self::Delay => "each packet takes 20 ms",
        }
    }

    /// Breaks it for `time`, and mends it.
    async fn happen(
        self,
        server: &Server,
        proxy: &FaultProxy,
        time: Duration,
    ) -> Result<(), Failure> {
        match self {
            Self::Kill => server.aside(Server::kill).await?,
            Self::Hang => server.aside(Server::hang).await?,
            Self::Refuse => {
                // Where the port cannot be held the connects fail all the same: the next line cuts.
                let _refuses = proxy.refuse();
                proxy.cut();
            }
            Self::BlackHole => proxy.black_hole(),
            Self::Cut => proxy.cut(),
            Self::DropAfter(bytes) => proxy.drop_after(bytes),
            Self::Delay => proxy.delay(Duration::from_millis(20)),
        }
        sleep(time).await;
        match self {
            Self::Kill => server.aside(Server::restart).await?,
            Self::Hang => server.aside(Server::resume).await?,
            // What was under way when the network went is not there any more when it is back.
            Self::BlackHole => {
                proxy.cut();
                proxy.forward()?;
            }
            _ => proxy.forward()?,
        }
        Ok(())
    }
}

/// Goes on for `duration`, then says so in `calm`. What happened, and when.
pub(super) async fn run<W: Workload>(
    workload: Arc<W>,
    seed: u64,
    duration: Duration,
    calm: Arc<OnceLock<Instant>>,
) -> Result<Vec<Fault>, Failure> {
    let began = Instant::now();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faults = Vec::new();
    let mut broken = Ok(());
    while let Some((server, proxy)) = workload.breakable() {
        sleep(Duration::from_millis(random.u64(300..1_500))).await;
        if broken.is_err() || began.elapsed() >= duration {
            break;
        }
        let fault = Break::draw(&mut random);
        let time = Duration::from_millis(random.u64(100..2_000));
        let at_seconds = began.elapsed().as_secs_f64();
        say(&format!(
            "chaos: {at_seconds:.1} s, {} for {time:.1?}",
            fault.what()
        ));
        faults.push(Fault {
            at_seconds,
            seconds: time.as_secs_f64(),
            what: fault.what().into(),
        });
        broken = fault.happen(server, proxy, time).await;
    }
    let _calm = calm.set(Instant::now());
    broken.map(|()| faults)
}
