//! What a pooled connection takes on this side, beside one of the bare driver.
//!
//! The counts are of the whole process, so this is a test of its own.

use std::alloc::System;

use pool_mysql::mysql_async::prelude::Queryable;
use pool_mysql::mysql_async::{Conn, Opts, OptsBuilder};
use pool_mysql::{MySqlManager, Pool};
use pool_servers::MySql;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 100;

fn each(region: &Region<'_, System>) -> usize {
    let change = region.change();
    (change.bytes_allocated - change.bytes_deallocated) / CONNECTIONS
}

#[tokio::test]
async fn a_pooled_connection_takes_hardly_more_than_one_of_the_bare_driver() {
    let count = u32::try_from(CONNECTIONS).unwrap();
    let server = MySql::new()
        .for_connections(2 * count)
        .start_async()
        .await
        .unwrap();
    let pooled = |size: usize| {
        let manager = MySqlManager::from_url(&server.url()).unwrap();
        Pool::builder(manager)
            .min_size(size)
            .max_size(size)
            .connect()
    };
    let opts = Opts::from_url(&server.url()).unwrap();
    let opts: Opts = OptsBuilder::from_opts(opts).prefer_socket(false).into();
    let bare = async || {
        let mut conn = Conn::new(opts.clone()).await.unwrap();
        conn.ping().await.unwrap();
        conn
    };
    // What the first one brings along is shared by all.
    let first = (bare().await, pooled(1).await.unwrap());

    let region = Region::new(COUNTED);
    let mut held = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        held.push(bare().await);
    }
    let of_the_driver = each(&region);
    let region = Region::new(COUNTED);
    let pool = pooled(CONNECTIONS).await.unwrap();
    tokio::task::yield_now().await;
    let of_the_pool = each(&region);
    println!("{of_the_driver} bytes for each connection of the driver, {of_the_pool} pooled");
    assert!(
        of_the_pool <= of_the_driver * 11 / 10 + 600,
        "{of_the_pool} bytes, the driver's {of_the_driver}"
    );
    drop((first, held, pool));
}
