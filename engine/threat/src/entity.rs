//! Whom an event is about: the key of all state.

use crate::Text;
use crate::entropy::mix64;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A host by address or by name.
///
/// Serialised as its text, so that JSON reads well and the binary codec needs no tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Text", into = "Text")]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, where the log gives no address.
    Name(Text),
}

impl Host {
    /// An address if the text is one, else a name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.into()), Self::Ip)
    }

    /// Inside of the organisation: private, loopback, link-local, unique-local, multicast and
    /// broadcast addresses, and bare names (a sensor names the machines it runs on).
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Ip(IpAddr::V4(a)) => {
                a.is_private()
                    || a.is_loopback()
                    || a.is_link_local()
                    || a.is_multicast()
                    || a.is_broadcast()
                    || a.is_unspecified()
            }
            Self::Ip(IpAddr::V6(a)) => {
                a.is_loopback()
                    || a.is_unspecified()
                    || a.is_multicast()
                    || a.is_unique_local()
                    || a.is_unicast_link_local()
            }
            Self::Name(n) => !n.contains('.'),
        }
    }

    /// A stable 64-bit hash, the same on every machine and in every run.
    pub fn hash64(&self) -> u64 {
        match self {
            Self::Ip(IpAddr::V4(a)) => mix64(u64::from(a.to_bits())),
            Self::Ip(IpAddr::V6(a)) => {
                let bits = a.to_bits();
                mix64(mix64((bits >> 64) as u64) ^ bits as u64)
            }
            Self::Name(n) => hash_bytes(n.as_bytes()),
        }
    }
}

impl From<Text> for Host {
    fn from(text: Text) -> Self {
        Self::parse(&text)
    }
}

impl From<Host> for Text {
    fn from(host: Host) -> Self {
        compact_str::format_compact!("{host}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(a) => write!(f, "{a}"),
            Self::Name(n) => f.write_str(n),
        }
    }
}

/// A stable 64-bit hash of bytes for state keys and categories: seeded once, the same everywhere.
/// Not for secrets and not collision-proof against an adversary who picks 2^32 inputs.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut h = mix64(bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for c in &mut chunks {
        h = mix64(h ^ c.iter().rev().fold(0u64, |a, &b| (a << 8) | u64::from(b)));
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        h = mix64(h ^ tail.iter().rev().fold(0u64, |a, &b| (a << 8) | u64::from(b)));
    }
    h
}

/// The entity that owns an event's state: a source host, or a user of an authentication or command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A machine.
    Host(Host),
    /// An account.
    User(Text),
    /// A record that names nobody; its source stands in.
    Source(Text),
}

impl Entity {
    /// The key of this entity's state.
    pub fn id(&self) -> EntityId {
        EntityId(match self {
            Self::Host(h) => h.hash64(),
            Self::User(u) => mix64(hash_bytes(u.as_bytes()) ^ 0x75),
            Self::Source(s) => mix64(hash_bytes(s.as_bytes()) ^ 0x73),
        })
    }

    /// `host`, `user` or `source`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::User(_) => "user",
            Self::Source(_) => "source",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(h) => write!(f, "{h}"),
            Self::User(u) | Self::Source(u) => f.write_str(u),
        }
    }
}

/// The hash of an [`Entity`]: what state tables and shards are keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityId(pub u64);

impl EntityId {
    /// The shard of this entity among `shards`: the high bits, so that shard and table slot differ.
    pub fn shard(self, shards: usize) -> usize {
        ((u128::from(self.0) * shards as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_parse_and_know_their_side() {
        assert!(Host::parse("192.168.1.4").is_internal());
        assert!(Host::parse("fd77::1").is_internal());
        assert!(!Host::parse("8.8.8.8").is_internal());
        assert!(!Host::parse("host.example.org").is_internal());
        assert!(Host::parse("LabSZ").is_internal());
    }

    #[test]
    fn shards_are_even() {
        let mut count = [0usize; 4];
        for i in 0..40_000u32 {
            let e = Entity::Host(Host::Ip(IpAddr::V4(std::net::Ipv4Addr::from_bits(i))));
            count[e.id().shard(4)] += 1;
        }
        assert!(count.iter().all(|&c| (9_500..10_500).contains(&c)), "{count:?}");
    }
}
