//! The processes of a server: who they are, signals to all of them, and waiting for what a signal
//! does.
//!
//! Backends of PostgreSQL lead sessions of their own, so a signal to the process group of the
//! server does not reach them. They are found as what they are, children of the first process.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to do what a signal that it cannot refuse tells it to.
const OBEYS_WITHIN: Duration = Duration::from_secs(10);

/// The process and all below it, the first one first.
pub(crate) fn tree(first: Pid) -> Vec<Pid> {
    let mut all = vec![first];
    let mut looked = 0;
    while let Some(&pid) = all.get(looked) {
        looked += 1;
        all.extend(children(pid));
    }
    all
}

/// The children of a process, of any of its threads.
fn children(pid: Pid) -> Vec<Pid> {
    fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(parse)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn parse(number: &str) -> Option<Pid> {
    Pid::from_raw(number.parse().ok()?)
}

/// Whether `id` is a direct child of `first`; then it.
pub(crate) fn child(first: Pid, id: u32) -> Option<Pid> {
    let wanted = Pid::from_raw(i32::try_from(id).ok()?)?;
    children(first).contains(&wanted).then_some(wanted)
}

/// Sends a signal; a process that is gone already is fine.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// Stops the whole tree. The first process first: then nothing new appears below it.
pub(crate) fn stop(first: Pid) {
    stop_each(&[first]);
    stop_each(&tree(first)[1..]);
}

/// Stops these processes and returns when they have stopped.
pub(crate) fn stop_each(pids: &[Pid]) {
    for &pid in pids {
        signal(pid, Signal::STOP);
    }
    until(|| {
        pids.iter()
            .all(|&pid| matches!(state(pid), None | Some('T' | 'Z')))
    });
}

/// Continues the whole tree.
pub(crate) fn resume(first: Pid) {
    for pid in tree(first).into_iter().rev() {
        signal(pid, Signal::CONT);
    }
}

/// Kills the whole tree; returns when none of it can act any more.
pub(crate) fn kill(first: Pid) {
    stop_each(&[first]);
    let all = tree(first);
    for &pid in &all {
        signal(pid, Signal::KILL);
    }
    gone(&all);
}

/// Waits until none of `pids` can act any more.
pub(crate) fn gone(pids: &[Pid]) -> bool {
    until(|| pids.iter().all(|&pid| !is_alive(pid)))
}

/// Whether the process is there and not only waiting to be reaped.
pub(crate) fn is_alive(pid: Pid) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The state letter of `/proc/PID/stat`: the first field after the name, which may hold anything.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Polls until `done`, or gives up.
fn until(done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + OBEYS_WITHIN;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
