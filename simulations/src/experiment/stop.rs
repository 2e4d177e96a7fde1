//! When an experiment is given up, so that it takes no more of the host than it may.

use super::units;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Units of memory, longest name first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// When all of it ends; what was given up never counts as a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// At the first of these.
    #[serde(default)]
    pub when: Vec<Limit>,
}

impl Stop {
    /// Whether nothing ends it early.
    pub const fn is_never(&self) -> bool {
        self.when.is_empty()
    }

    /// The first limit that is passed. `node` is the most memory of one node's process; in worlds
    /// that have all nodes in this process that of this one counts.
    pub fn reached(&self, began: Instant, node: Option<u64>) -> Option<&Limit> {
        self.when.iter().find(|limit| match limit {
            Limit::Wall(most) => began.elapsed() > *most,
            Limit::HostFree(least) => host_free().is_some_and(|free| free < *least),
            Limit::Node(most) => node.or_else(own).is_some_and(|has| has > *most),
        })
    }
}

/// A limit: `wall > 10m`, `host_free_mem < 2GiB`, `rss_node > 1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It takes longer than this.
    Wall(Duration),
    /// The host has less free memory than so many bytes.
    HostFree(u64),
    /// A node has more memory than so many bytes.
    Node(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no limit such as wall > 10m, host_free_mem < 2GiB or rss_node > 1GiB"
            )
        };
        let (name, value) = text.split_once(['<', '>']).ok_or_else(wrong)?;
        match (name.trim(), text.contains('>')) {
            ("wall", true) => Ok(Self::Wall(units::parse(value)?)),
            ("host_free_mem", false) => Ok(Self::HostFree(bytes(value)?)),
            ("rss_node", true) => Ok(Self::Node(bytes(value)?)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall(most) => write!(f, "wall > {}", units::show(*most)),
            Self::HostFree(least) => write!(f, "host_free_mem < {}", show(*least)),
            Self::Node(most) => write!(f, "rss_node > {}", show(*most)),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a size such as 512MiB or 2GiB", text.trim());
    let known = |(name, scale): &(&str, u64)| Some((text.trim().strip_suffix(name)?, *scale));
    let (number, scale) = UNITS.iter().find_map(known).ok_or_else(wrong)?;
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    number.checked_mul(scale).ok_or_else(wrong)
}

fn show(bytes: u64) -> String {
    let (name, scale) =
        UNITS.into_iter().find(|(_, scale)| bytes.is_multiple_of(*scale)).unwrap_or(UNITS[3]);
    format!("{}{name}", bytes / scale)
}

/// Memory that the host can give still, where it says so.
pub(crate) fn host_free() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Memory of this process.
fn own() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The bytes of a line such as `VmHWM:  51234 kB` of Linux' files on memory.
pub(crate) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_written() {
        for text in ["wall > 10m", "host_free_mem < 2GiB", "rss_node > 512MiB", "rss_node > 77B"] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.to_string().parse(), Ok(limit), "{text}");
        }
        for text in ["wall < 10m", "wall", "rss_node > 1", "rss_node > -1GiB", "cpu > 3s"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        assert!("rss_node > 99999999999999GiB".parse::<Limit>().is_err());
    }

    #[test]
    fn the_most_memory_is_read() {
        let status = "Name:\twatchfire\nVmPeak:\t  999 kB\nVmHWM:\t   51234 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(51_234 << 10));
        assert_eq!(kibibytes("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn the_first_limit_that_is_passed_ends_it() {
        let began = Instant::now();
        let stop = |text: &str| Stop { when: vec![text.parse().unwrap()] };
        assert_eq!(stop("wall > 1h").reached(began, None), None);
        assert_eq!(stop("rss_node > 1GiB").reached(began, Some(1 << 29)), None);
        let over = stop("rss_node > 1GiB");
        assert_eq!(over.reached(began, Some(1 << 31)), over.when.first());
        let over = stop("wall > 0s");
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(over.reached(began, None), over.when.first());
    }
}
