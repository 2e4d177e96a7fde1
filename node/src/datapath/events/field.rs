//! How single fields are written: numbers as LEB128, addresses not as texts.

use super::super::limits::PART_EVENTS;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use threat::event::{ConnState, Endpoint, Flow, Host, Origin, Position, Protocol};
use threat::{Text, Timestamp};

/// What is written by hand: fields that most events have.
pub trait Field: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it from the front. Nothing when the bytes are none of it.
    fn get(from: &mut &[u8]) -> Option<Self>;
}

/// So many bytes from the front.
#[inline]
pub fn bytes_of<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(bytes)
}

/// Seven bits a byte, the lowest first; a byte that is not the last has its highest bit set.
impl Field for u64 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }

    #[inline]
    fn get(from: &mut &[u8]) -> Option<Self> {
        let mut value = 0;
        for shift in (0..Self::BITS).step_by(7) {
            let (&byte, rest) = from.split_first()?;
            *from = rest;
            value |= Self::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// What is a smaller number, or an enum without fields, by its number.
macro_rules! by_number {
    ($type:ty, $number:expr, $of:expr) => {
        impl Field for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                let number: fn(&Self) -> u64 = $number;
                number(self).put(out);
            }

            #[inline]
            fn get(from: &mut &[u8]) -> Option<Self> {
                let of: fn(u64) -> Option<Self> = $of;
                of(u64::get(from)?)
            }
        }
    };
}

by_number!(u32, |n| u64::from(*n), |n| n.try_into().ok());
by_number!(u16, |n| u64::from(*n), |n| n.try_into().ok());
by_number!(bool, |b| u64::from(*b), |n| (n < 2).then_some(n == 1));
by_number!(ConnState, |s| *s as u64, |n| Self::ALL.get(n as usize).copied());
by_number!(Protocol, number_of, |n| PROTOCOLS.get(n as usize).copied());
// Zigzag: the sign is the lowest bit, so that small numbers of either sign are short.
by_number!(Timestamp, |t| ((t.micros() << 1) ^ (t.micros() >> 63)) as u64, |n| Some(
    Self::from_micros((n >> 1) as i64 ^ -((n & 1) as i64))
));

/// All, in the order of their numbers.
const PROTOCOLS: [Protocol; 4] = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Other];

/// A protocol's place in [`PROTOCOLS`]; another one does not compile until it is in both.
fn number_of(protocol: &Protocol) -> u64 {
    match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Icmp => 2,
        Protocol::Other => 3,
    }
}

impl Field for f64 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    #[inline]
    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes_of(from, 8)?.try_into().ok()?))
    }
}

impl Field for Text {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend(self.as_bytes());
    }

    #[inline]
    fn get(from: &mut &[u8]) -> Option<Self> {
        let length = u64::get(from)?.try_into().ok()?;
        Some(std::str::from_utf8(bytes_of(from, length)?).ok()?.into())
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let count = u64::get(from).filter(|count| *count <= PART_EVENTS as u64)?;
        (0..count).map(|_| T::get(from)).collect()
    }
}

impl<T: Field> Field for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }

    #[inline]
    fn get(from: &mut &[u8]) -> Option<Self> {
        if bool::get(from)? { Some(Some(T::get(from)?)) } else { Some(None) }
    }
}

impl Field for Host {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(IpAddr::V4(a)) => {
                out.push(V4);
                out.extend(a.octets());
            }
            Self::Ip(IpAddr::V6(a)) => {
                out.push(V6);
                out.extend(a.octets());
            }
            Self::Name(name) => {
                out.push(NAME);
                name.put(out);
            }
        }
    }

    #[inline]
    fn get(from: &mut &[u8]) -> Option<Self> {
        match bytes_of(from, 1)?[0] {
            V4 => {
                let octets: [u8; 4] = bytes_of(from, 4)?.try_into().ok()?;
                Some(Self::Ip(Ipv4Addr::from(octets).into()))
            }
            V6 => {
                let octets: [u8; 16] = bytes_of(from, 16)?.try_into().ok()?;
                Some(Self::Ip(Ipv6Addr::from(octets).into()))
            }
            // Not taken as it is: one machine must not have two keys.
            NAME => Some(Self::parse(&Text::get(from)?)),
            _ => None,
        }
    }
}

const NAME: u8 = 0;
const V4: u8 = 4;
const V6: u8 = 6;

/// Structs, field by field. One that gets another field does not compile until it is here.
macro_rules! by_fields {
    ($type:ty { $($field:ident),* }) => {
        impl Field for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            #[inline]
            fn get(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Field::get(from)?),* })
            }
        }
    };
}
pub(super) use by_fields;

by_fields!(Origin { product, service });
by_fields!(Endpoint { host, port });
by_fields!(Position { offset, line });
by_fields!(Flow {
    protocol,
    service,
    state,
    duration,
    orig_bytes,
    resp_bytes,
    orig_packets,
    resp_packets,
    orig_ip_bytes,
    resp_ip_bytes,
    missed_bytes,
    history,
    local_orig,
    local_resp
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back<T: Field>(value: &T) -> Option<T> {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        let mut left = bytes.as_slice();
        let back = T::get(&mut left);
        assert!(left.is_empty());
        for end in 0..bytes.len() {
            assert!(T::get(&mut &bytes[..end]).is_none(), "{end} of {} bytes", bytes.len());
        }
        back
    }

    proptest! {
        #[test]
        fn values_round_trip_and_none_is_read_from_a_part(
            number: u64, short: u16, time: i64, text: String, v4: u32, v6: u128
        ) {
            prop_assert_eq!(back(&number), Some(number));
            prop_assert_eq!(back(&Some(short)), Some(Some(short)));
            let time = Timestamp::from_micros(time);
            prop_assert_eq!(back(&time), Some(time));
            let hosts = [
                Host::parse(&text),
                Host::Ip(Ipv4Addr::from_bits(v4).into()),
                Host::Ip(Ipv6Addr::from_bits(v6).into()),
            ];
            for host in hosts {
                prop_assert_eq!(back(&host), Some(host));
            }
            let texts = vec![Text::from(text), Text::default()];
            prop_assert_eq!(back(&texts), Some(texts));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Flow::get(&mut bytes.as_slice());
            let _ = Vec::<Endpoint>::get(&mut bytes.as_slice());
        }
    }

    #[test]
    fn all_states_and_protocols_round_trip() {
        for state in ConnState::ALL {
            assert_eq!(back(&state), Some(state));
        }
        for protocol in PROTOCOLS {
            assert_eq!(back(&protocol), Some(protocol));
        }
        assert_eq!(back(&Timestamp::from_micros(i64::MIN)), Some(Timestamp::from_micros(i64::MIN)));
        assert_eq!(ConnState::get(&mut &[13][..]), None);
    }
}
