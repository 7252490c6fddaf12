//! Tasks that ask one question after the other: how many a second, and how long the unlucky take.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Client, Failure};
use crate::contest::{Metric, Values};
use crate::lines::say;
use crate::scenarios::block_on;
use crate::scenarios::contended::least_to_most;
use crate::scenarios::waits::{Waits, per_second};

pub(super) const METRICS: [Metric; 4] = [
    Metric::highest("questions_per_second", "1/s"),
    Metric::lowest("question_p50", "us"),
    Metric::lowest("question_p99", "us"),
    Metric::highest("least_to_most_served", "ratio"),
];

const CONNECTIONS: usize = 8;
const WARM_UP: Duration = Duration::from_millis(300);
const LENGTH: Duration = Duration::from_secs(1);

/// `tasks` tasks on eight connections. A failure ends the run: it is none of what is measured.
pub(super) fn run<C: Client>(address: &str, tasks: usize) -> Values {
    let asked = block_on(async {
        let client = C::open(address, CONNECTIONS)?;
        // Opens the connections and prepares the statement on each.
        crowd(&client, tasks.max(CONNECTIONS), WARM_UP).await?;
        crowd(&client, tasks, LENGTH).await
    });
    match asked {
        Ok((served, elapsed, times)) => vec![
            Some(per_second(served.iter().sum(), elapsed)),
            times.permille(500),
            times.permille(990),
            least_to_most(&served),
        ],
        Err(failure) => {
            say(&format!("{}: {failure}", C::NAME));
            Values::new()
        }
    }
}

/// How many questions each task asked, how long all took, and each one.
async fn crowd<C: Client>(
    client: &C,
    tasks: usize,
    length: Duration,
) -> Result<(Vec<usize>, Duration, Waits), Failure> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        running.spawn(questions(client.clone(), length));
    }
    let (mut times, mut served) = (Vec::new(), Vec::new());
    while let Some(asked) = running.join_next().await {
        let asked = asked??;
        served.push(asked.len());
        times.extend(asked);
    }
    Ok((served, began.elapsed(), Waits::new(times)))
}

/// What each question of one task took.
async fn questions<C: Client>(client: C, length: Duration) -> Result<Vec<u32>, Failure> {
    let mut times = Vec::with_capacity(1 << 14);
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        if asked.duration_since(began) > length {
            return Ok(times);
        }
        let answer = client.select_one().await?;
        if answer != 1 {
            return Err(format!("SELECT 1 is {answer}").into());
        }
        times.push(Waits::nanoseconds(asked.elapsed()));
    }
}
