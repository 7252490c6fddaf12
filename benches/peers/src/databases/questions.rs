//! Tasks that ask one question after the other: how many a second, and how long the unlucky take.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Client, Failure};
use crate::contest::{Metric, Values};
use crate::scenarios::block_on;
use crate::scenarios::contended::least_to_most;
use crate::scenarios::waits::Waits;

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
        Ok((times, elapsed, fairness)) => vec![
            Some(times.per_second(elapsed)),
            times.permille(500),
            times.permille(990),
            fairness,
        ],
        Err(failure) => {
            eprintln!("{}: {failure}", C::NAME);
            Values::new()
        }
    }
}

/// What every question took, all of them together, and how evenly the tasks were served.
async fn crowd<C: Client>(
    client: &C,
    tasks: usize,
    length: Duration,
) -> Result<(Waits, Duration, Option<f64>), Failure> {
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
    Ok((Waits::new(times), began.elapsed(), least_to_most(&served)))
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
