//! Open files: how many the run needs, and how many it may have.
//!
//! A shell gives a process 1,024 and lets it raise that itself up to the hard limit. So the bench
//! raises it, and where even the hard limit is too low it says so before it begins, and what to do:
//! ten thousand connections must not fail at the nine hundredth.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::table::grouped;

/// Descriptors beside the connections: standard streams, the runtime's, journals being written.
const SPARE: usize = 128;

/// The hard limit is below what the run needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{connections} connections need {needed} open files ({each} each, {SPARE} to spare), and the hard limit is \
     {hard}. Either raise it (as root `ulimit -Hn {needed}` in this shell; for good `nofile` in \
     /etc/security/limits.conf, or LimitNOFILE= of the service, or `--ulimit nofile={needed}` of \
     the container) or take fewer: --connections {fits}",
    connections = grouped(*connections), hard = grouped(*hard),
)]
pub struct LimitTooLow {
    connections: usize,
    each: usize,
    needed: usize,
    hard: usize,
    fits: usize,
}

/// Makes room for `connections` that take `each` descriptors.
///
/// # Errors
///
/// When the hard limit is too low.
pub fn make_room(connections: usize, each: usize) -> Result<(), LimitTooLow> {
    let limit = getrlimit(Resource::Nofile);
    check(connections, each, limit.maximum)?;
    if limit.current != limit.maximum {
        // Some systems have a lower ceiling than the hard limit says (kern.maxfilesperproc): then
        // what is needed is enough.
        let raised = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        );
        if raised.is_err() && below(limit.current, needed(connections, each)) {
            let current = Some(needed(connections, each) as u64);
            let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
        }
        return check(connections, each, getrlimit(Resource::Nofile).current);
    }
    Ok(())
}

fn check(connections: usize, each: usize, limit: Option<u64>) -> Result<(), LimitTooLow> {
    let needed = needed(connections, each);
    if !below(limit, needed) {
        return Ok(());
    }
    let hard = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let fits = hard.saturating_sub(SPARE) / each.max(1);
    Err(LimitTooLow {
        connections,
        each,
        needed,
        hard,
        fits,
    })
}

fn needed(connections: usize, each: usize) -> usize {
    if each == 0 {
        0
    } else {
        connections.saturating_mul(each).saturating_add(SPARE)
    }
}

/// `None` is no limit at all.
fn below(limit: Option<u64>, needed: usize) -> bool {
    limit.is_some_and(|limit| limit < needed as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_suffices_is_accepted() {
        assert_eq!(check(10_000, 1, Some(20_000)), Ok(()));
        assert_eq!(check(10_000, 2, None), Ok(()));
        assert_eq!(check(1_000_000, 0, Some(256)), Ok(()));
    }

    #[test]
    fn a_limit_that_does_not_says_what_to_set_and_what_fits() {
        let message = check(10_000, 1, Some(4_096)).unwrap_err().to_string();
        assert!(message.contains("ulimit -Hn 10128"), "{message}");
        assert!(message.contains("--connections 3968"), "{message}");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        make_room(1, 1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
