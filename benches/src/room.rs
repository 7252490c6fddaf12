//! What a server of so many connections takes, and whether it is there: told before the run begins,
//! with what to do.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::table::grouped;

/// What each connection takes of a throw-away server, measured with 10,000 of them.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Bytes of memory.
    pub bytes: u64,
    /// Processes.
    pub processes: usize,
}

/// Something is short.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoRoom {
    /// Memory for a throw-away server.
    #[error(
        "{connections} connections of a server on this machine take about {needed} MiB of memory, and {available} MiB \
         are available. Free some, take fewer: --connections {fits}, or a server of another machine: --url URL",
        connections = grouped(*.connections), needed = grouped(*.needed), available = grouped(*.available),
    )]
    Memory {
        /// As asked for.
        connections: usize,
        /// In MiB.
        needed: usize,
        /// In MiB.
        available: usize,
        /// How many there is room for.
        fits: usize,
    },
    /// Processes for a throw-away server.
    #[error(
        "{connections} connections are as many processes of the server, and {limit} allows {allowed}. Raise it ({how}), \
         take fewer: --connections {fits}, or a server of another machine: --url URL",
        connections = grouped(*.connections), allowed = grouped(*.allowed),
    )]
    Processes {
        /// As asked for.
        connections: usize,
        /// Which limit it is.
        limit: &'static str,
        /// What it is.
        allowed: usize,
        /// How it is raised.
        how: &'static str,
        /// How many there is room for.
        fits: usize,
    },
    /// Connections of the user's server.
    #[error(
        "the server takes {allowed} connections and {used} are in use or reserved, so {connections} do not fit. Raise \
         max_connections there ({how}) or take fewer: --connections {fits}",
        allowed = grouped(*.allowed), used = grouped(*.used), connections = grouped(*.connections),
    )]
    Server {
        /// As asked for.
        connections: usize,
        /// The server's `max_connections`.
        allowed: usize,
        /// In use or reserved.
        used: usize,
        /// How it is raised.
        how: &'static str,
        /// How many there is room for.
        fits: usize,
    },
}

/// Left for everything else.
const SPARE_MIB: usize = 512;
const SPARE_PROCESSES: usize = 200;
const MIB: u64 = 1 << 20;

/// Whether a throw-away server of that size fits this machine.
///
/// # Errors
///
/// When memory or processes are short. What the system does not tell is taken for enough.
pub fn for_throw_away(connections: usize, share: Share) -> Result<(), NoRoom> {
    if let Some(available) = available_mib() {
        memory(connections, share.bytes, available)?;
    }
    for (limit, allowed, how) in process_limits() {
        processes(connections, share.processes, limit, allowed, how)?;
    }
    Ok(())
}

/// Whether the user's server takes so many more.
///
/// # Errors
///
/// When its `max_connections` is too low.
pub fn on_server(
    connections: usize,
    allowed: usize,
    used: usize,
    how: &'static str,
) -> Result<(), NoRoom> {
    let fits = allowed.saturating_sub(used);
    if connections <= fits {
        return Ok(());
    }
    Err(NoRoom::Server {
        connections,
        allowed,
        used,
        how,
        fits,
    })
}

fn memory(connections: usize, bytes: u64, available: usize) -> Result<(), NoRoom> {
    let mib = |connections: usize| {
        let bytes = bytes.saturating_mul(connections as u64).div_ceil(MIB);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    };
    let free = available.saturating_sub(SPARE_MIB);
    if mib(connections) <= free {
        return Ok(());
    }
    let fits = (free as u64).saturating_mul(MIB) / bytes.max(1);
    Err(NoRoom::Memory {
        connections,
        needed: mib(connections).saturating_add(SPARE_MIB),
        available,
        fits: usize::try_from(fits).unwrap_or(usize::MAX),
    })
}

fn processes(
    connections: usize,
    each: usize,
    limit: &'static str,
    allowed: usize,
    how: &'static str,
) -> Result<(), NoRoom> {
    let free = allowed.saturating_sub(SPARE_PROCESSES);
    if connections.saturating_mul(each) <= free {
        return Ok(());
    }
    Err(NoRoom::Processes {
        connections,
        limit,
        allowed,
        how,
        fits: free / each.max(1),
    })
}

/// The least of what the system and the container leave.
fn available_mib() -> Option<usize> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let system = line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024;
    let container = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, now)| most.saturating_sub(now));
    usize::try_from(container.map_or(system, |left| left.min(system)) / MIB).ok()
}

/// Each limit that is known, what it is, and how it is raised.
fn process_limits() -> impl Iterator<Item = (&'static str, usize, &'static str)> {
    let of_user = getrlimit(Resource::Nproc).current;
    let limits = [
        ("the user's limit", of_user, "`ulimit -u`"),
        (
            "kernel.pid_max",
            number("/proc/sys/kernel/pid_max"),
            "`sysctl kernel.pid_max=4194304`",
        ),
        (
            "the container's limit",
            number("/sys/fs/cgroup/pids.max"),
            "`--pids-limit` of the container",
        ),
    ];
    limits
        .into_iter()
        .filter_map(|(name, limit, how)| Some((name, usize::try_from(limit?).ok()?, how)))
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_fit_the_memory_is_told_with_what_would() {
        assert_eq!(memory(10_000, 2 * MIB, 20_512), Ok(()));
        let told = memory(10_000, 2 * MIB, 10_512).unwrap_err().to_string();
        assert!(
            told.contains("20,512 MiB") && told.contains("--connections 5000"),
            "{told}"
        );
    }

    #[test]
    fn processes_are_told_with_the_limit_in_the_way() {
        assert_eq!(processes(10_000, 0, "a limit", 300, "so"), Ok(()));
        let told = processes(10_000, 1, "kernel.pid_max", 4_200, "sysctl")
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("kernel.pid_max allows 4,200") && told.contains("--connections 4000"),
            "{told}"
        );
    }

    #[test]
    fn a_server_with_too_few_connections_is_told_what_to_set() {
        assert_eq!(on_server(90, 100, 10, "so"), Ok(()));
        let told = on_server(91, 100, 10, "ALTER SYSTEM")
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("takes 100 connections and 10") && told.contains("ALTER SYSTEM"),
            "{told}"
        );
        assert!(told.contains("--connections 90"), "{told}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory_and_processes() {
        assert!(available_mib().is_some_and(|mib| mib > 0));
        assert!(process_limits().count() > 0);
        for_throw_away(
            1,
            Share {
                bytes: 1,
                processes: 1,
            },
        )
        .unwrap();
    }
}
