//! What the process takes of its machine: resident memory and open files, as the kernel counts them.
//!
//! Read from `/proc` on Linux. Elsewhere memory is not known (`None`) and descriptors are counted in
//! `/dev/fd`, without what they lead to.

use std::fs;
use std::path::Path;

/// Bytes of the process in memory now.
pub fn resident_bytes() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The most bytes of the process that were in memory since [`forget_peak`].
pub fn resident_peak_bytes() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Starts the peak of memory anew, so that one scenario does not report another's.
pub fn forget_peak() {
    // "5" resets the peak (proc(5)); where the kernel refuses, the peak is that of the process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// How many descriptors the process has open.
pub fn open_descriptors() -> Option<usize> {
    let directory = ["/proc/self/fd", "/dev/fd"]
        .into_iter()
        .find_map(|directory| fs::read_dir(directory).ok());
    // Reading the directory takes one itself.
    Some(directory?.count().saturating_sub(1))
}

/// How many descriptors lead to `file` or to what SQLite puts beside it (`-journal`, `-wal`, `-shm`),
/// also when it has been deleted. `None` where the system does not tell.
pub fn descriptors_of(file: &Path) -> Option<usize> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let file = file.to_str()?;
    let links = fs::read_dir("/proc/self/fd").ok()?;
    let target = |link: fs::DirEntry| fs::read_link(link.path()).ok();
    Some(
        links
            .flatten()
            .filter_map(target)
            .filter(|target| leads_to(target, file))
            .count(),
    )
}

fn leads_to(target: &Path, file: &str) -> bool {
    target
        .to_str()
        .and_then(|target| target.strip_prefix(file))
        .is_some_and(|rest| {
            matches!(
                rest.trim_end_matches(" (deleted)"),
                "" | "-journal" | "-wal" | "-shm"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn memory_is_read_from_the_status_file() {
        let status = "Name:\tload\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(1024 * 1024));
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2048 * 1024));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_has_memory_and_descriptors() {
        assert!(resident_bytes().unwrap() > 0);
        assert!(resident_peak_bytes().unwrap() > 0);
        assert!(open_descriptors().unwrap() >= 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn descriptors_of_a_file_and_its_companions_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("data.db");
        let open = |name: &str| File::create(directory.path().join(name)).unwrap();

        let database_twice = (open("data.db"), open("data.db"));
        let beside = (
            open("data.db-journal"),
            open("data.db-wal"),
            open("data.db-shm"),
        );
        let _others = (open("data.db2"), open("other.db"));
        assert_eq!(descriptors_of(&database), Some(5));

        drop(beside);
        assert_eq!(descriptors_of(&database), Some(2));
        drop(database_twice);
        assert_eq!(descriptors_of(&database), Some(0));
    }

    #[test]
    fn a_deleted_file_still_counts() {
        let file = "/tmp/x/data.db";
        assert!(leads_to(Path::new("/tmp/x/data.db (deleted)"), file));
        assert!(!leads_to(Path::new("/tmp/x/data.database"), file));
    }
}
