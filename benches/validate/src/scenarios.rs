//! The ten scenarios.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::{HealthStatus, PoolConfig};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::listening::Log;
use crate::measure::{Times, below_ms, below_seconds, exactly, figure, timed, until};
use crate::outage;
use crate::report::{Check, Finding, Topic};
use crate::subject::Subject;
use crate::{Failure, MS, SECOND};

/// Runs all ten.
pub(crate) async fn run<S: Subject>(subject: &Arc<S>, log: &Log) -> Vec<Check> {
    vec![
        Topic {
            id: "1",
            title: "initialisation: 2 open and healthy",
            target: "< 2",
            unit: "s",
            method: "min 2, max 10, opened and validated; total 2, idle 2, healthy",
        }
        .settle(initialisation(&**subject).await),
        Topic {
            id: "2",
            title: "20 checkouts, each with a query, p95",
            target: "< 10",
            unit: "ms",
            method: "get and SELECT 1, one after another; 20 acquired and released",
        }
        .settle(acquisition(&**subject).await),
        Topic {
            id: "3",
            title: "outage: healthy again after the server is",
            target: "< 30",
            unit: "s",
            method: "the server is killed and started; health leaves healthy, returns, and a query works",
        }
        .settle(outage::told_by_health(subject).await),
        Topic {
            id: "4",
            title: "100 tasks on 10 connections: most in use at once",
            target: "<= 10",
            unit: "connections",
            method: "100 tasks with a query of 10 ms; nobody waits at the end",
        }
        .settle(load(subject).await),
        Topic {
            id: "5",
            title: "shutdown while a query of 5 s runs",
            target: "4.5 to 6",
            unit: "s",
            method: "the query completes, and close waits for it",
        }
        .settle(shutdown(subject).await),
        Topic {
            id: "6",
            title: "100 health checks, p99",
            target: "< 5",
            unit: "ms",
            method: "no connection is validated or used for them",
        }
        .settle(health(&**subject).await),
        Topic {
            id: "7",
            title: "wrong settings that are refused, of 4",
            target: "4",
            unit: "settings",
            method: "min above max, max 0, a share above 1, a URL of another scheme; a good one is taken",
        }
        .settle(configuration(&**subject)),
        Topic {
            id: "8",
            title: "a connection held past leak_threshold is told with its place",
            target: "1",
            unit: "warnings",
            method: "threshold 10 s, held for 12 s; the log names this file; the pool is as before",
        }
        .settle(leak(&**subject, log).await),
        Topic {
            id: "9",
            title: "statistics before, during and after; two reads",
            target: "< 1",
            unit: "ms",
            method: "active 0, 5 and 0 again",
        }
        .settle(statistics(&**subject).await),
        Topic {
            id: "10",
            title: "a sixth waits for five that hold for 3 s",
            target: ">= 2.5",
            unit: "s",
            method: "max 5; the sixth is served when one returns",
        }
        .settle(exhaustion(subject).await),
    ]
}

async fn initialisation<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let opening = subject.builder().min_size(2).max_size(10).connect();
    let (took, pool) = timed(opening).await;
    let pool = pool?;
    let (stats, health) = (pool.stats(), pool.health());
    let is_as_wanted = (stats.total, stats.idle, health.status) == (2, 2, HealthStatus::Healthy);
    pool.close().await;
    if !is_as_wanted {
        return Err(format!("{stats}; {health}").into());
    }
    Ok(below_seconds(took, 2 * SECOND))
}

async fn acquisition<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let mut times = Times::default();
    for _ in 0..20 {
        let began = Instant::now();
        let mut conn = pool.get().await?;
        subject.query(&mut conn).await?;
        times.add(began.elapsed());
    }
    let stats = pool.stats();
    pool.close().await;
    if stats.acquired < 20 || stats.released < 20 {
        return Err(format!("{} acquired, {} released", stats.acquired, stats.released).into());
    }
    Ok(below_ms(times.percentile(95), 10 * MS))
}

async fn load<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().max_size(10).build()?;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (pool, subject) = (pool.clone(), Arc::clone(subject));
        tasks.spawn(async move {
            let mut conn = pool.get().await?;
            subject.slow_query(&mut conn, 10 * MS).await
        });
    }
    let answered = tasks.join_all().await.into_iter().flatten().count();
    let stats = pool.stats();
    pool.close().await;
    if answered != 100 || stats.waiting != 0 {
        return Err(format!("{answered} of 100 answered, {} wait", stats.waiting).into());
    }
    let peak = stats.peak_active;
    Ok(Finding::Measured(figure(peak as u64), peak <= 10))
}

pub(crate) async fn shutdown<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let mut conn = pool.get().await?;
    let held = Arc::clone(subject);
    let querying = tokio::spawn(async move { held.slow_query(&mut conn, 5 * SECOND).await });
    let (took, report) = timed(pool.close()).await;
    querying.await??;
    if !report.is_complete() {
        return Err(format!("not complete: {report:?}").into());
    }
    let seconds = took.as_secs_f64();
    Ok(Finding::Measured(seconds, (4.5..=6.0).contains(&seconds)))
}

async fn health<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().connect().await?;
    let before = pool.stats();
    let mut times = Times::default();
    for _ in 0..100 {
        let began = Instant::now();
        let health = pool.health();
        times.add(began.elapsed());
        if health.status != HealthStatus::Healthy {
            return Err(health.to_string().into());
        }
    }
    let after = pool.stats();
    pool.close().await;
    if (before.validate.count, before.acquired) != (after.validate.count, after.acquired) {
        return Err("a health check used a connection".into());
    }
    Ok(below_ms(times.percentile(99), 5 * MS))
}

fn configuration<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let wrong = [
        (subject.builder().min_size(10).max_size(5), "min_size (10)"),
        (subject.builder().max_size(0), "max_size (0)"),
        (
            subject.builder().lifetime_jitter(2.0),
            "lifetime_jitter (2)",
        ),
    ];
    let mut refused = 0;
    for (builder, says) in wrong {
        let error = builder.build().err().map(|error| error.to_string());
        refused += usize::from(error.is_some_and(|error| error.contains(says)));
    }
    refused += usize::from(subject.refuses_url("mongodb://localhost/app").is_some());
    PoolConfig::default().validate()?;
    subject.builder().min_size(0).max_size(5).build()?;
    Ok(exactly(refused, 4))
}

async fn leak<S: Subject>(subject: &S, log: &Log) -> Result<Finding, Failure> {
    let name = "validate-leak";
    let pool = subject
        .builder()
        .name(name)
        .leak_threshold(10 * SECOND)
        .connect()
        .await?;
    let before = pool.stats();
    let held = pool.get().await?;
    sleep(12 * SECOND).await;
    let leaked = pool.stats().leaked;
    drop(held);
    let after = pool.stats();
    pool.close().await;
    if !log.says(&[name, "leak_threshold", "scenarios.rs"]) {
        return Err("the log does not name the place of the checkout".into());
    }
    if (after.total, after.idle) != (before.total, before.idle) {
        return Err(format!("before: {before}; after: {after}").into());
    }
    Ok(exactly(usize::try_from(leaked)?, 1))
}

async fn statistics<S: Subject>(subject: &S) -> Result<Finding, Failure> {
    let pool = subject.builder().min_size(5).connect().await?;
    let mut active = vec![pool.stats().active];
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(pool.get().await?);
    }
    let began = Instant::now();
    active.extend([pool.stats().active, pool.stats().active]);
    let took = began.elapsed();
    drop(held);
    active.push(pool.stats().active);
    pool.close().await;
    if active != [0, 5, 5, 0] {
        return Err(format!("active: {active:?}").into());
    }
    Ok(below_ms(took, MS))
}

async fn exhaustion<S: Subject>(subject: &Arc<S>) -> Result<Finding, Failure> {
    let pool = subject.builder().max_size(5).build()?;
    let mut holders = JoinSet::new();
    for _ in 0..5 {
        let conn = pool.get().await?;
        holders.spawn(async move {
            sleep(3 * SECOND).await;
            drop(conn);
        });
    }
    match pool.get_timeout(10 * MS).await {
        Err(error) if error.is_timeout() => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("six connections of five".into()),
    }
    let (waited, sixth) = timed(pool.get()).await;
    let mut sixth = sixth?;
    subject.query(&mut sixth).await?;
    drop(sixth);
    until(SECOND, || pool.stats().waiting == 0).await;
    pool.close().await;
    let seconds = waited.as_secs_f64();
    Ok(Finding::Measured(
        seconds,
        waited >= Duration::from_millis(2_500),
    ))
}
