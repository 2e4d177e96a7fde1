//! Timeouts, one profile for the whole cluster, chosen from the widest link between voters.

use std::time::Duration;

/// Timeouts of consensus. A heartbeat takes at least twice the 99th percentile of the round trip,
/// since an append that takes longer than one heartbeat is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// A follower that heard nothing stands for election after this at the earliest.
    pub election_min: Duration,
    /// And after this at the latest; a leader's lease, too.
    pub election_max: Duration,
    /// Time for sending and installing one piece of a snapshot.
    pub install_snapshot: Duration,
}

impl Profile {
    /// Voters in one datacenter or city.
    pub const LAN: Self = Self::of(50, 200, 400);
    /// Voters up to 80 ms apart.
    pub const WAN_80: Self = Self::of(250, 800, 1_500);
    /// Voters up to 150 ms apart.
    pub const WAN_150: Self = Self::of(400, 1_300, 2_500);

    const fn of(heartbeat: u64, election_min: u64, election_max: u64) -> Self {
        Self {
            heartbeat: Duration::from_millis(heartbeat),
            election_min: Duration::from_millis(election_min),
            election_max: Duration::from_millis(election_max),
            // openraft's 200 ms would never get a snapshot over a wide link.
            install_snapshot: Duration::from_millis(5_000),
        }
    }

    /// The profile of a name in configuration: `lan`, `wan80` or `wan150`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "lan" => Some(Self::LAN),
            "wan80" => Some(Self::WAN_80),
            "wan150" => Some(Self::WAN_150),
            _ => None,
        }
    }
}
