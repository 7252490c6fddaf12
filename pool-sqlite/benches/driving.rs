//! What a call costs by each way of driving SQLite from async code, and what the parts of this
//! crate's way cost.
//!
//! `cargo bench -p pool-sqlite --bench driving` (2 tokio threads; medians of 5 rounds; every task
//! has a connection of its own to one WAL file). The ways are written here as their users write
//! them; the last is this crate.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says where")]

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use pool_core::Manager;
use pool_sqlite::rusqlite::{Connection, Result};
use pool_sqlite::{SqliteConfig, SqliteConnection, SqliteManager};
use tokio::sync::oneshot;

const ROUNDS: usize = 5;
const ROWS: i64 = 1_000;

/// A way of running a closure with a connection.
trait Way: Send + 'static {
    fn call<F>(&mut self, work: F) -> impl Future<Output = i64> + Send
    where
        F: FnOnce(&mut Connection) -> Result<i64> + Send + 'static;
}

struct Inline(Connection);

impl Way for Inline {
    async fn call<F>(&mut self, work: F) -> i64
    where
        F: FnOnce(&mut Connection) -> Result<i64> + Send + 'static,
    {
        let answer = work(&mut self.0).unwrap();
        tokio::task::yield_now().await;
        answer
    }
}

struct SpawnBlocking(Option<Connection>);

impl Way for SpawnBlocking {
    async fn call<F>(&mut self, work: F) -> i64
    where
        F: FnOnce(&mut Connection) -> Result<i64> + Send + 'static,
    {
        let mut conn = self.0.take().unwrap();
        let run = tokio::task::spawn_blocking(move || {
            let answer = work(&mut conn).unwrap();
            (conn, answer)
        });
        let (conn, answer) = run.await.unwrap();
        self.0 = Some(conn);
        answer
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

struct ThreadEach(mpsc::Sender<Job>);

impl ThreadEach {
    fn new(mut conn: Connection) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for job in queue {
                job(&mut conn);
            }
        });
        Self(jobs)
    }
}

impl Way for ThreadEach {
    async fn call<F>(&mut self, work: F) -> i64
    where
        F: FnOnce(&mut Connection) -> Result<i64> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let _ = answer.send(work(conn).unwrap());
        });
        self.0.send(job).unwrap();
        answered.await.unwrap()
    }
}

impl Way for SqliteConnection {
    async fn call<F>(&mut self, work: F) -> i64
    where
        F: FnOnce(&mut Connection) -> Result<i64> + Send + 'static,
    {
        self.interact(work).await.unwrap()
    }
}

/// Nanoseconds a call, by `ways` used at once.
async fn measure<W: Way>(ways: &mut Vec<W>, calls: usize, select: bool) -> f64 {
    let each = calls / ways.len();
    let start = Instant::now();
    let tasks: Vec<_> = ways
        .drain(..)
        .enumerate()
        .map(|(seed, mut way)| {
            tokio::spawn(async move {
                for n in 0..each {
                    let id = i64::try_from(seed * 31 + n).unwrap() % ROWS;
                    if select {
                        way.call(move |c| lookup(c, id)).await;
                    } else {
                        way.call(move |_| Ok(id)).await;
                    }
                }
                way
            })
        })
        .collect();
    for task in tasks {
        ways.push(task.await.unwrap());
    }
    nanos(start.elapsed(), each * ways.len())
}

fn lookup(conn: &Connection, id: i64) -> Result<i64> {
    conn.prepare_cached("SELECT v FROM t WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn nanos(took: Duration, times: usize) -> f64 {
    took.as_nanos() as f64 / times as f64
}

async fn row<W: Way>(name: &str, mut make: impl FnMut() -> W) {
    print!("{name:<28}");
    for (tasks, calls) in [(1, 5_000), (64, 60_000), (1_000, 60_000)] {
        let mut ways: Vec<W> = (0..tasks).map(|_| make()).collect();
        for select in [false, true] {
            let mut figures = Vec::new();
            measure(&mut ways, calls, select).await;
            for _ in 0..ROUNDS {
                figures.push(measure(&mut ways, calls, select).await);
            }
            print!("{:>9.0}", median(figures));
        }
    }
    println!();
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The time of one `work`, in nanoseconds, for a median of rounds of `times`.
fn time(times: usize, mut work: impl FnMut()) -> f64 {
    let mut round = || {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        nanos(start.elapsed(), times)
    };
    round();
    median((0..ROUNDS).map(|_| round()).collect())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench.db");
    let config = SqliteConfig::file(&path);
    let manager = SqliteManager::new(config.clone());
    let mut conn = manager.connect().await.unwrap();
    conn.interact(|c| {
        c.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")?;
        let tx = c.transaction()?;
        for id in 0..ROWS {
            tx.execute("INSERT INTO t VALUES (?1, ?1)", [id])?;
        }
        tx.commit()
    })
    .await
    .unwrap();

    println!("ns a call                    1 task           64 tasks         1000 tasks");
    println!("                              noop   select     noop   select     noop   select");
    let open = || Connection::open(&path).unwrap();
    row("inline (blocks the runtime)", || Inline(open())).await;
    row("spawn_blocking", || SpawnBlocking(Some(open()))).await;
    row("a thread for each connection", || ThreadEach::new(open())).await;
    for workers in [2, 4, 8] {
        let manager = SqliteManager::new(config.clone().workers(workers));
        let manager = &manager;
        let connect = || futures_now(manager.connect()).unwrap();
        row(&format!("this crate, {workers} workers"), connect).await;
    }
    println!();
    parts(&manager, conn, &config).await;
}

/// Runs a future to its end on a thread of its own, for use between awaits.
fn futures_now<F: Future>(future: F) -> F::Output {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| handle.block_on(future))
}

async fn parts(manager: &SqliteManager, mut conn: SqliteConnection, config: &SqliteConfig) {
    println!("parts (ns)");
    println!(
        "  condition           {:>9.0}",
        time(100_000, || {
            std::hint::black_box(manager.condition(&mut conn));
        })
    );
    let select = conn.interact(|c| Ok(time(5_000, || drop(lookup(c, 7)))));
    println!("  SELECT alone        {:>9.0}", select.await.unwrap());
    let plain = conn
        .interact(|c| Ok(time(5_000, || drop(c.prepare(WIDE).unwrap()))))
        .await;
    println!("  prepare, watched    {:>9.0}", plain.unwrap());
    let unwatched = SqliteManager::new(config.clone().reset(pool_sqlite::Reset::Always));
    let mut other = unwatched.connect().await.unwrap();
    let plain = other
        .interact(|c| Ok(time(5_000, || drop(c.prepare(WIDE).unwrap()))))
        .await;
    println!("  prepare, unwatched  {:>9.0}", plain.unwrap());

    for (name, change) in [
        ("rollback", "BEGIN; SELECT v FROM t WHERE id = 1"),
        ("new handle", "CREATE TEMP TABLE x (a)"),
    ] {
        let mut recycled = Vec::new();
        let mut changed = Vec::new();
        for _ in 0..300 {
            let start = Instant::now();
            conn.interact(move |c| c.execute_batch(change))
                .await
                .unwrap();
            changed.push(nanos(start.elapsed(), 1));
            let start = Instant::now();
            manager.recycle(&mut conn).await.unwrap();
            conn.interact(|c| lookup(c, 1)).await.unwrap();
            recycled.push(nanos(start.elapsed(), 1));
        }
        println!(
            "  recycle, {name:<10} {:>9.0} (with the next SELECT)",
            median(recycled)
        );
    }
    let mut figures = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        let conn = manager.connect().await.unwrap();
        figures.push(nanos(start.elapsed(), 1));
        manager.close(conn).await;
    }
    println!("  connect             {:>9.0}", median(figures));
    let c = Connection::open(dir_of(config)).unwrap();
    println!(
        "  SELECT alone, plain {:>9.0}",
        time(5_000, || drop(lookup(&c, 7)))
    );
    hand_over(config).await;
}

const WIDE: &str = "SELECT a.v, b.v FROM t a JOIN t b ON a.id = b.v WHERE a.id = ?1";

/// How long 16 writers of 2 rows each wait for one another, on 4 workers: with the lock wait of this
/// crate, and with SQLite's own on a thread each.
async fn hand_over(config: &SqliteConfig) {
    const WRITERS: usize = 16;
    const TIMES: usize = 50;
    let write = |c: &mut Connection| {
        let tx =
            c.transaction_with_behavior(pool_sqlite::rusqlite::TransactionBehavior::Immediate)?;
        tx.execute("UPDATE t SET v = v + 1 WHERE id IN (1, 2)", [])?;
        tx.commit()?;
        Ok(0)
    };
    let manager = SqliteManager::new(config.clone().workers(4));
    let mut ours = Vec::new();
    for _ in 0..WRITERS {
        ours.push(manager.connect().await.unwrap());
    }
    let pragmas = "PRAGMA busy_timeout = 60000; PRAGMA synchronous = normal";
    let path = dir_of(config);
    let theirs = (0..WRITERS).map(|_| {
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(pragmas).unwrap();
        ThreadEach::new(conn)
    });
    let theirs: Vec<_> = theirs.collect();
    println!("{WRITERS} writers, µs a transaction (mean, longest)");
    let (mean, longest) = writers(ours, TIMES, write).await;
    println!("  this crate          {mean:>9.0} {longest:>9.0}");
    let (mean, longest) = writers(theirs, TIMES, write).await;
    println!("  SQLite's own sleep  {mean:>9.0} {longest:>9.0}");
}

fn dir_of(config: &SqliteConfig) -> String {
    let name = SqliteManager::new(config.clone());
    name.name().trim_start_matches("sqlite:").to_owned()
}

async fn writers<W: Way, F>(ways: Vec<W>, times: usize, write: F) -> (f64, f64)
where
    F: Fn(&mut Connection) -> Result<i64> + Copy + Send + Sync + 'static,
{
    let longest = Arc::new(std::sync::Mutex::new(Duration::ZERO));
    let total = ways.len() * times;
    let start = Instant::now();
    let tasks: Vec<_> = ways
        .into_iter()
        .map(|mut way| {
            let longest = Arc::clone(&longest);
            tokio::spawn(async move {
                for _ in 0..times {
                    let start = Instant::now();
                    way.call(write).await;
                    let mut longest = longest.lock().unwrap();
                    *longest = longest.max(start.elapsed());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let longest = *longest.lock().unwrap();
    (nanos(start.elapsed(), total) / 1e3, nanos(longest, 1) / 1e3)
}
