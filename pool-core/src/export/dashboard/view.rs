//! What the page shows of each pool.

use serde::Serialize;

use crate::health::HealthStatus;
use crate::registry::{AnyPool, Pools};
use crate::stats::{Buckets, Holder, Stats, Windows};

/// Of a pool's holders so many are shown, the longest.
const HOLDERS: usize = 20;

/// All pools at one moment.
#[derive(Serialize)]
pub(super) struct View {
    /// The upper bounds of `waited`, in seconds.
    bounds: [f64; Buckets::BOUNDS.len()],
    /// Whether the page may offer actions.
    actions: bool,
    pools: Vec<PoolView>,
}

#[derive(Serialize)]
struct PoolView {
    name: String,
    status: HealthStatus,
    reasons: Vec<String>,
    paused: bool,
    closed: bool,
    stats: Stats,
    windows: Windows,
    /// The waits in buckets, for quantiles of the last while.
    waited: Waited,
    holders: Vec<HolderView>,
}

#[derive(Serialize)]
struct Waited {
    count: u64,
    within: [u64; Buckets::BOUNDS.len()],
}

#[derive(Serialize)]
struct HolderView {
    connection: u64,
    site: String,
    held_for: f64,
}

impl View {
    pub(super) fn of(pools: &Pools, actions: bool) -> Self {
        let pools = pools.all().into_iter();
        Self {
            bounds: Buckets::BOUNDS.map(|bound| bound.as_secs_f64()),
            actions,
            pools: pools
                .map(|(name, pool)| PoolView::of(name, &*pool))
                .collect(),
        }
    }

    /// Whether there were pools and all are closed.
    pub(super) fn is_over(&self) -> bool {
        !self.pools.is_empty() && self.pools.iter().all(|pool| pool.closed)
    }
}

impl PoolView {
    fn of(name: String, pool: &dyn AnyPool) -> Self {
        let health = pool.health();
        let Buckets { count, within, .. } = health.stats.wait.buckets;
        let holders = pool.holders().into_iter().take(HOLDERS);
        Self {
            name,
            status: health.status,
            reasons: health.reasons,
            paused: pool.is_paused(),
            closed: pool.is_closed(),
            stats: health.stats,
            windows: pool.windows(),
            waited: Waited { count, within },
            holders: holders.map(|holder| HolderView::of(&holder)).collect(),
        }
    }
}

impl HolderView {
    fn of(holder: &Holder) -> Self {
        Self {
            connection: holder.connection,
            site: holder.site.to_string(),
            held_for: holder.held_for.as_secs_f64(),
        }
    }
}
