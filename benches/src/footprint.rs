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

/// How many descriptors lead to `file`, also when it has been deleted. `None` where the system does
/// not tell.
pub fn descriptors_of(file: &Path) -> Option<usize> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let links = fs::read_dir("/proc/self/fd").ok()?;
    let targets = links
        .flatten()
        .filter_map(|link| fs::read_link(link.path()).ok());
    Some(targets.filter(|target| leads_to(target, &file)).count())
}

fn leads_to(target: &Path, file: &Path) -> bool {
    let deleted = || target.to_str()?.strip_suffix(" (deleted)").map(Path::new);
    target == file || deleted() == Some(file)
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
    fn descriptors_of_a_file_are_counted_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| File::create(directory.path().join(name)).unwrap();

        let twice = (open("data.db"), open("data.db"));
        let _others = (open("data.db-journal"), open("data.db2"), open("other.db"));
        let file = directory.path().join("data.db");
        assert_eq!(descriptors_of(&file), Some(2));

        drop(twice);
        assert_eq!(descriptors_of(&file), Some(0));
    }

    #[test]
    fn a_deleted_file_still_counts() {
        let file = Path::new("/tmp/x/data.db");
        assert!(leads_to(Path::new("/tmp/x/data.db (deleted)"), file));
        assert!(!leads_to(Path::new("/tmp/x/data.database"), file));
    }
}
