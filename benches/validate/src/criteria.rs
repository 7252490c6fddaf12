//! The criteria SC-001 to SC-013 and B-1 to B-9, and with a network in between O-1 to O-10: what an
//! outage costs the server and the callers, and how fast connections are opened.

use std::sync::Arc;
use std::time::Instant;

use pool_benches::footprint;
use pool_core::{Error, Manager, PooledConnection, Validation};
use pool_pages::lines::print;
use tokio::task::JoinSet;

use crate::listening::Log;
use crate::measure::{Times, below_ms, below_seconds, exactly, figure, timed, until};
use crate::report::{Check, Finding, Topic};
use crate::soak::{self, Length};
use crate::subject::Subject;
use crate::{Failure, MS, SECOND, coverage, opening, outage, scenarios, storm};

/// Runs all; `tests` says whether those about the tests are measured too.
pub(crate) async fn run<S: Subject>(
    subject: &Arc<S>,
    log: &Log,
    soak_length: Length,
    tests: bool,
) -> Vec<Check> {
    // Before anything large was done in this process.
    let memory = memory(&**subject).await;
    let (recovery, crashes) = match outage::ridden_out(subject).await {
        Ok((took, panicked)) => (
            Ok(below_seconds(took, 30 * SECOND)),
            Ok(exactly(panicked, 0)),
        ),
        Err(error) => (Err(error.to_string().into()), Err(error)),
    };
    let mut checks = vec![
        topic("SC-001", "pool initialisation, p95", "< 2", "s", "20 pools of min 2, max 10, opened and validated")
            .settle(initialisation(&**subject).await),
        topic("SC-002", "checkout and SELECT 1, p95", "< 10", "ms", "1,000, one after another, a pool of 10")
            .settle(checkouts_with_queries(&**subject).await),
        topic("SC-003", "health check, p99", "< 10", "ms", "10,000 calls of pool.health()")
            .settle(health(&**subject).await),
        topic("SC-004", "recovery after an outage of 3 s: the last of 100 callers served", "< 30", "s", "the server is killed and started; each caller tries again 10 ms after an error")
            .settle(recovery),
        topic("SC-005", "shutdown while a query of 5 s runs", "4.5 to 6", "s", "close waits for it, and the query completes")
            .settle(scenarios::shutdown(subject).await),
        topic("SC-006", "connections lost in a long run", "0", "connections", "32 tasks; one checkout in ten is cancelled, others panic, are killed or given up, and two outages; the pool's count against the server's (10 million checkouts, or --duration)")
            .settle(soak::lost(subject, soak_length).await),
        topic("SC-007", "staleness of statistics, p99", "< 1", "ms", "from a checkout to a snapshot that shows it")
            .settle(staleness(&**subject).await),
        topic("SC-008", "100 requests at once on 10 connections: answered", "100", "requests", "each with a query")
            .settle(at_once(subject).await),
        topic("SC-009", "tasks that crashed in an outage", "0", "tasks", "the callers of SC-004")
            .settle(crashes),
        topic("SC-011", "memory of the process with max_size 10", "< 100", "MB", "resident memory with 10 connections that have answered")
            .settle(memory),
        topic("SC-012", "start-up overhead", "< 200", "ms", "a pool and its first checkout, less a bare connect; median of 10")
            .settle(overhead(&**subject).await),
        topic("SC-013", "health checks per second", "> 1000", "1/s", "one task")
            .settle(health_rate(&**subject).await),
        topic("B-1", "checkout, p95 (p99 below 5 ms)", "< 1", "ms", "10 tasks on 10 connections, each with a query; the wait for a connection alone")
            .settle(checkout_latency(subject).await),
        topic("B-3", "response of auto-scaling", "< 2", "s", "9 of 10 open connections held; until more are opened")
            .settle(scaling(&**subject).await),
        topic("B-6", "dead connections handed out, of 10 killed", "0", "connections", "killed behind the pool's back; each checkout is tried with a query")
            .settle(dead(&**subject).await),
        topic("B-7", "breaker open after the server's end", "< 5", "s", "10 callers wait; all are told the cause")
            .settle(outage::breaker_opens(subject).await),
        topic("B-8", "connections the server counts after close", "0", "connections", "10 open, 3 of them held and returned meanwhile")
            .settle(all_closed(&**subject).await),
    ];
    if subject.has_network() {
        checks.extend(storm::run(subject).await);
        checks.push(
            topic(
                "O-10",
                "rate of opening, as a share of the bare driver's",
                ">= 0.9",
                "of it",
                "1,000 connections, 8 at once; medians of 7 interleaved rounds",
            )
            .settle(opening::share_of_the_bare_rate(subject).await),
        );
    }
    checks.extend(extreme::<S>().await);
    checks.push(
        topic(
            "SC-010",
            "log messages of an outage and a leak that say what and why",
            "7",
            "messages",
            "captured; each with its pool and the fields an operator needs",
        )
        .settle(Ok(messages(log))),
    );
    checks.push(
        topic(
            "B-9",
            "line coverage of pool-core",
            ">= 95",
            "%",
            "scripts/coverage: all tests but the million random steps",
        )
        .settle(if tests {
            coverage::of_pool_core().await
        } else {
            Ok(Finding::NotMeasured("--skip-coverage".to_owned()))
        }),
    );
    checks
}

fn topic(
    id: &'static str,
    title: &'static str,
    target: &'static str,
    unit: &'static str,
    method: &'static str,
) -> Topic {
    Topic {
        id,
        title,
        target,
        unit,
        method,
    }
}

async fn initialisation<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let mut times = Times::default();
    for _ in 0..20 {
        let (took, pool) = timed(subject.builder().min_size(2).max_size(10).connect()).await;
        times.add(took);
        pool?.close().await;
    }
    Ok(below_seconds(times.percentile(95), 2 * SECOND))
}

async fn checkouts_with_queries<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let mut times = Times::default();
    for _ in 0..1_000 {
        let began = Instant::now();
        let mut conn = pool.get().await?;
        subject.query(&mut conn).await?;
        times.add(began.elapsed());
    }
    pool.close().await;
    Ok(below_ms(times.percentile(95), 10 * MS))
}

async fn health<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let mut times = Times::default();
    for _ in 0..10_000 {
        let began = Instant::now();
        std::hint::black_box(pool.health());
        times.add(began.elapsed());
    }
    pool.close().await;
    Ok(below_ms(times.percentile(99), 10 * MS))
}

async fn health_rate<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    const CHECKS: u32 = 50_000;
    let pool = subject.builder().connect().await?;
    let began = Instant::now();
    for _ in 0..CHECKS {
        std::hint::black_box(pool.health());
    }
    let rate = f64::from(CHECKS) / began.elapsed().as_secs_f64();
    pool.close().await;
    Ok(Finding::Measured(rate, rate > 1_000.0))
}

async fn staleness<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let mut times = Times::default();
    for _ in 0..1_000 {
        let before = pool.stats().acquired;
        let conn = pool.get().await?;
        let began = Instant::now();
        while pool.stats().acquired == before {
            if began.elapsed() > SECOND {
                return Err("a checkout never shows".into());
            }
        }
        times.add(began.elapsed());
        drop(conn);
    }
    pool.close().await;
    Ok(below_ms(times.percentile(99), MS))
}

async fn at_once<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().max_size(10).build()?;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        tasks.spawn(async move {
            let mut conn = pool.get().await?;
            subject.query(&mut conn).await
        });
    }
    let answered = tasks.join_all().await.into_iter().flatten().count();
    pool.close().await;
    Ok(exactly(answered, 100))
}

fn messages(log: &Log) -> Finding {
    const WANTED: [&[&str]; 7] = [
        &["cannot connect", "pool=", "error=", "retry_in="],
        &["circuit breaker opened", "pool=", "error="],
        &["connects succeed again", "pool=", "failures="],
        &[
            "connection held for longer than leak_threshold",
            "site=",
            "held_for=",
        ],
        &["came back", "held_for="],
        &["checkout timed out", "waited=", "stage=", "snapshot="],
        &["pool closed", "pool="],
    ];
    let unsaid: Vec<_> = WANTED.iter().filter(|parts| !log.says(parts)).collect();
    if !unsaid.is_empty() {
        print(&format!("never said: {unsaid:?}"));
    }
    exactly(WANTED.len() - unsaid.len(), WANTED.len())
}

async fn memory<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject
        .builder()
        .min_size(10)
        .max_size(10)
        .connect()
        .await?;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut conn = pool.get().await?;
        subject.query(&mut conn).await?;
        held.push(conn);
    }
    let resident = footprint::resident_bytes();
    drop(held);
    pool.close().await;
    let Some(bytes) = resident else {
        return Ok(Finding::NotMeasured("the system does not tell".to_owned()));
    };
    let megabytes = figure(bytes) / 1e6;
    Ok(Finding::Measured(megabytes, megabytes < 100.0))
}

async fn overhead<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let (mut pooled, mut bare) = (Times::default(), Times::default());
    for _ in 0..10 {
        let manager = subject.manager();
        let (took, conn) = timed(manager.connect()).await;
        bare.add(took);
        manager.close(conn?).await;
        let began = Instant::now();
        let pool = subject.builder().build()?;
        drop(pool.get().await?);
        pooled.add(began.elapsed());
        pool.close().await;
    }
    let overhead = pooled.percentile(50).saturating_sub(bare.percentile(50));
    Ok(below_ms(overhead, 200 * MS))
}

async fn checkout_latency<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject
        .builder()
        .min_size(10)
        .max_size(10)
        .connect()
        .await?;
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        tasks.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..1_000 {
                let began = Instant::now();
                let mut conn = pool.get().await?;
                times.push(began.elapsed());
                subject.query(&mut conn).await?;
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut times = Times::default();
    for task in tasks.join_all().await {
        task?.into_iter().for_each(|time| times.add(time));
    }
    pool.close().await;
    let (p95, p99) = (times.percentile(95), times.percentile(99));
    let is_good = p95 < MS && p99 < 5 * MS;
    Ok(Finding::Measured(p95.as_secs_f64() * 1e3, is_good))
}

async fn scaling<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject
        .builder()
        .min_size(10)
        .max_size(20)
        .auto_scaling(true)
        .connect()
        .await?;
    let mut held = Vec::new();
    let began = Instant::now();
    for _ in 0..9 {
        held.push(pool.get().await?);
    }
    let grown = until(10 * SECOND, || pool.stats().total > 10).await;
    let took = began.elapsed();
    drop(held);
    pool.close().await;
    match grown {
        Some(_) => Ok(below_seconds(took, 2 * SECOND)),
        None => Err("it did not grow".into()),
    }
}

async fn dead<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject
        .builder()
        .max_size(10)
        .validation(Validation::Always)
        .build()?;
    let mut held: Vec<PooledConnection<_>> = Vec::new();
    for _ in 0..10 {
        held.push(pool.get().await?);
    }
    for conn in &mut held {
        // It may be gone before the answer is.
        let _killed = subject.kill(conn).await;
    }
    drop(held);
    let mut handed_out = 0;
    for _ in 0..20 {
        let mut conn = pool.get().await?;
        handed_out += usize::from(subject.query(&mut conn).await.is_err());
    }
    pool.close().await;
    Ok(exactly(handed_out, 0))
}

async fn all_closed<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject
        .builder()
        .min_size(10)
        .max_size(10)
        .connect()
        .await?;
    let before = subject.open_now()?;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(pool.get().await?);
    }
    let returning = tokio::spawn(async move {
        tokio::time::sleep(100 * MS).await;
        drop(held);
    });
    let report = pool.close().await;
    returning.await?;
    if !report.is_complete() || before < 10 {
        return Err(format!("{before} before; {report:?}").into());
    }
    if !matches!(pool.get().await, Err(Error::Closed)) {
        return Err("a closed pool gives connections".into());
    }
    // The server may still count the session that asked last.
    let mut open = before;
    let settled = until(10 * SECOND, || {
        open = subject.open_now().unwrap_or(open);
        open == 0
    });
    settled.await;
    Ok(exactly(open, 0))
}

/// B-2, B-4 and B-5: what the extreme scenario of the load bench found.
async fn extreme<S: Subject>() -> Vec<Check> {
    const CONNECTIONS: usize = 10_000;
    let run = S::extreme(CONNECTIONS)
        .await
        .map_err(|error| error.to_string());
    let of = |figure: &dyn Fn(&pool_benches::report::Report) -> Finding| match &run {
        Ok(report) if report.problems.is_empty() => Ok(figure(report)),
        Ok(report) => Err(report.problems.join("; ").into()),
        Err(error) => Err(error.clone().into()),
    };
    vec![
        topic(
            "B-2",
            "connections held at the same time",
            "10000",
            "connections",
            "the extreme scenario of cargo load: each has answered a query",
        )
        .settle(of(&|report| {
            exactly(report.connections_held_at_once_peak, CONNECTIONS)
        })),
        topic(
            "B-4",
            "memory for each of them, on this side",
            "< 500",
            "KB",
            "resident memory, less that before",
        )
        .settle(of(&|report| match report.bytes_per_connection {
            Some(bytes) => Finding::Measured(figure(bytes) / 1e3, bytes < 500_000),
            None => Finding::NotMeasured("the system does not tell".to_owned()),
        })),
        topic(
            "B-5",
            "leaked under load",
            "0",
            "connections",
            "10,000 connections worked by 20,000 tasks for 5 s, then closed",
        )
        .settle(of(&|report| exactly(report.leaked, 0))),
    ]
}
