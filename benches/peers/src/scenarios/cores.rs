//! Whether a run had the cores it is about.
//!
//! Two threads that contend are three times slower than one that does all the work alone. So when
//! something else keeps a core busy, a contended run looks three times faster than it is. Each run
//! therefore says how many cores it used; one that had too few is repeated.

use std::fs;
use std::time::{Duration, Instant};

use super::Sample;

/// Cores a run for two must have used.
const ENOUGH: f64 = 1.6;

/// How often a run is repeated, with a pause, before it counts as it is.
const ATTEMPTS: usize = 10;

/// Runs `work` until it used two cores, and adds how many it used to what it measured.
pub(super) fn on_two(work: impl Fn() -> Vec<Sample>) -> Vec<Sample> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (began, cpu) = (Instant::now(), cpu_time());
        let mut samples = work();
        let elapsed = began.elapsed().as_secs_f64();
        let used = cpu
            .zip(cpu_time())
            .map(|(before, after)| after.saturating_sub(before).as_secs_f64() / elapsed);
        if used.is_none_or(|used| used >= ENOUGH) || attempt == ATTEMPTS {
            samples.push(Sample::new("cores_used", "cores", used));
            return samples;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Processor time of the process so far; `None` where the system does not tell.
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name is in parentheses and may have spaces; user and system time are the 12th
    // and 13th field after it (proc(5)), in hundredths of a second.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let hundredths = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(hundredths * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn work_takes_processor_time() {
        let before = cpu_time().unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(200) {}
        assert!(cpu_time().unwrap() > before);
    }
}
