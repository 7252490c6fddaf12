//! What the processes of a server take of the machine's memory.
//!
//! PostgreSQL's processes share their buffers: adding up what is resident counts those once for each
//! process. The proportional share divides a shared page by the number of its users, so its sum is
//! what the machine really gives.

use std::fs;

use rustix::process::Pid;

/// The memory of all processes of a server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// How many processes were counted.
    pub processes: usize,
    /// The sum of what is resident, in bytes; shared pages count once for each process.
    pub resident_bytes: u64,
    /// The sum of the proportional shares, in bytes: what the server costs the machine.
    pub proportional_bytes: u64,
}

/// Adds up `pids`. Reading takes about half a millisecond a process: seconds, for 10,000.
pub(crate) fn of(pids: &[Pid]) -> Memory {
    let mut memory = Memory::default();
    for pid in pids {
        let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
        // Gone between the listing and here.
        let Ok(rollup) = fs::read_to_string(path) else {
            continue;
        };
        memory.processes += 1;
        memory.resident_bytes += kilobytes(&rollup, "Rss:");
        memory.proportional_bytes += kilobytes(&rollup, "Pss:");
    }
    memory
}

fn kilobytes(rollup: &str, field: &str) -> u64 {
    rollup
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .unwrap_or(0)
        * 1024
}
