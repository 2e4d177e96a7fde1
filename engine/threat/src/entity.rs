//! Whom an event is about: the key of all state.

use crate::Text;
use crate::entropy::mix64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host by address or by name.
///
/// Serialised as its text, so that JSON reads well and the binary codec needs no tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, where the log gives no address.
    Name(Text),
}

impl Host {
    /// An address if the text is one, else a name.
    pub fn parse(text: &str) -> Self {
        // What cannot be an address is not tried as one: hosts are read with every event.
        let ip = if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') {
            text.parse::<Ipv4Addr>().map(IpAddr::V4).ok()
        } else {
            None
        };
        let v6 = || text.contains(':').then(|| text.parse::<Ipv6Addr>().ok()).flatten();
        ip.or_else(|| v6().map(IpAddr::V6)).map_or_else(|| Self::Name(text.into()), Self::Ip)
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

/// The bytes of the longest IPv4 address.
const V4_TEXT: usize = 15;

/// Writes an address as [`Ipv4Addr`]'s `Display` does, in a fifth of the time: hosts are written
/// several times with every event that goes to another node.
fn v4_text(address: Ipv4Addr, out: &mut [u8; V4_TEXT]) -> &str {
    let mut end = 0;
    let mut push = |byte: u8| {
        out[end] = byte;
        end += 1;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    // Digits and dots only.
    std::str::from_utf8(&out[..end]).unwrap_or_default()
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ip(IpAddr::V4(a)) => serializer.serialize_str(v4_text(*a, &mut [0; V4_TEXT])),
            Self::Ip(IpAddr::V6(a)) => serializer.collect_str(a),
            Self::Name(n) => serializer.serialize_str(n),
        }
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl de::Visitor<'_> for Read {
            type Value = Host;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Host, E> {
                Ok(Host::parse(text))
            }
        }
        deserializer.deserialize_str(Read)
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

    /// Lends its text, as it is shown. That of an IPv4 address is made on the stack.
    pub fn with_text<R>(&self, tell: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Host(Host::Ip(IpAddr::V4(a))) => tell(v4_text(*a, &mut [0; V4_TEXT])),
            Self::Host(Host::Ip(IpAddr::V6(a))) => tell(&a.to_string()),
            Self::Host(Host::Name(text)) | Self::User(text) | Self::Source(text) => tell(text),
        }
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
    use crate::codec;
    use proptest::prelude::*;

    proptest! {
        /// Stored records hold this text.
        #[test]
        fn a_host_is_written_as_it_is_shown_and_read_back(bits: u32, wide: u128, name: String) {
            let v4 = Host::Ip(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            let v6 = Host::Ip(IpAddr::V6(Ipv6Addr::from_bits(wide)));
            for host in [v4, v6, Host::parse(&name)] {
                let text = Text::from(host.to_string());
                let lent = Entity::Host(host.clone()).with_text(|lent| lent == text);
                prop_assert!(lent);
                let bytes = codec::encode(1, &host).unwrap();
                prop_assert_eq!(&bytes, &codec::encode(1, &text).unwrap());
                prop_assert_eq!(codec::decode::<Host>(1, &bytes).unwrap(), host);
            }
        }

        #[test]
        fn what_is_an_address_is_parsed_as_one(text in "[0-9a-f.:%]{0,18}") {
            let whole = text.parse().map_or_else(|_| Host::Name(text.clone().into()), Host::Ip);
            prop_assert_eq!(Host::parse(&text), whole);
        }
    }

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
