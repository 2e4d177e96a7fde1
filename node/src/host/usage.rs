//! What this process has used of the machine, as Linux tells it.

use std::fs;
use std::time::Duration;

/// Clock ticks a second of `/proc/self/stat`: fixed at 100 in the kernel's interface to programs.
const TICKS: u64 = 100;

/// Processor time of all threads so far; zero where the host does not tell.
pub fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command name may hold blanks: count fields after its closing bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// The most memory that was resident at once, in MiB; 0 where the host does not tell.
pub fn peak_memory_mib() -> f64 {
    status_mib("VmHWM:")
}

/// The memory that is resident now, in MiB; 0 where the host does not tell.
pub fn memory_mib() -> f64 {
    status_mib("VmRSS:")
}

fn status_mib(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_tells() {
        assert!(memory_mib() > 1.0 && peak_memory_mib() >= memory_mib());
        let before = processor_time();
        let mut x = 1u64;
        for i in 0..200_000_000u64 {
            x = std::hint::black_box(x.wrapping_mul(i | 1));
        }
        assert!(processor_time() > before, "{x}");
    }
}
