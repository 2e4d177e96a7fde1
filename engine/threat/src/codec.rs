//! The one place where values become bytes and bytes values: bincode 2, little-endian, fixed-width.
//!
//! A frame is a version byte and the value. Lengths are checked against the cap before anything is
//! allocated, all bytes must be used, and no type with unbounded recursion may pass through here.
//!
//! Messages between nodes have numbers of variable width ([`encode_narrow`]; [`append`] for many
//! values behind one frame), which is slower and shorter.

use crate::limits::CODEC_BYTES;
use bincode::config::Config;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Why a value could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Larger than [`CODEC_BYTES`].
    #[error("{0} bytes are over the limit of {CODEC_BYTES}")]
    TooLarge(usize),
    /// Nothing there at all.
    #[error("empty frame")]
    Empty,
    /// Written by another version of the format.
    #[error("frame has version {found}, this build reads {expected}")]
    Version {
        /// The version byte read.
        found: u8,
        /// The version asked for.
        expected: u8,
    },
    /// Bytes left over after the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// The value does not serialise.
    #[error("cannot encode: {0}")]
    Encode(#[from] EncodeError),
    /// The bytes are not such a value.
    #[error("cannot decode: {0}")]
    Decode(#[from] DecodeError),
}

fn config() -> impl Config {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<CODEC_BYTES>()
}

fn narrow() -> impl Config {
    bincode::config::standard().with_limit::<CODEC_BYTES>()
}

/// Writes at the end of a vector: `std::io::Write` would pass a result of its own around each
/// field.
struct Appending<'a>(&'a mut Vec<u8>);

impl Writer for Appending<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The bytes of `value` under a format `version`.
pub fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode_into(version, value, &mut out)?;
    Ok(out)
}

/// [`encode`] behind what `out` holds, for frames that are made of several values.
pub fn encode_into<T: Serialize>(version: u8, value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    write(version, value, out, config())
}

/// The value of `bytes`, which must have been written under `version`.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Error> {
    read(version, bytes, config())
}

/// As [`encode`], but numbers take as many bytes as they need: for messages, of which the network
/// is the dearest part.
pub fn encode_narrow<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(version, value, &mut out, narrow())?;
    Ok(out)
}

/// The value of bytes of [`encode_narrow`], which must have been written under `version`.
pub fn decode_narrow<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Error> {
    read(version, bytes, narrow())
}

fn write<T: Serialize>(
    version: u8,
    value: &T,
    out: &mut Vec<u8>,
    config: impl Config,
) -> Result<(), Error> {
    let before = out.len();
    out.push(version);
    bincode::serde::encode_into_writer(value, Appending(out), config)?;
    let bytes = out.len() - before;
    if bytes > CODEC_BYTES { Err(Error::TooLarge(bytes)) } else { Ok(()) }
}

fn read<T: DeserializeOwned>(version: u8, bytes: &[u8], config: impl Config) -> Result<T, Error> {
    if bytes.len() > CODEC_BYTES {
        return Err(Error::TooLarge(bytes.len()));
    }
    let (&found, body) = bytes.split_first().ok_or(Error::Empty)?;
    if found != version {
        return Err(Error::Version { found, expected: version });
    }
    // Texts are lent from the bytes, not copied on the way into the value.
    let (value, used) = bincode::serde::borrow_decode_from_slice(body, config)?;
    if used == body.len() { Ok(value) } else { Err(Error::Trailing(body.len() - used)) }
}

/// Appends one of many values that stand behind a frame, whose version is theirs, as
/// [`encode_narrow`] writes them.
pub fn append<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    bincode::serde::encode_into_writer(value, Appending(out), narrow())?;
    Ok(())
}

/// Takes a value that was [`append`]ed from the front of bytes. It may borrow texts from them.
pub fn take<'a, T: Deserialize<'a>>(bytes: &mut &'a [u8]) -> Result<T, Error> {
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, narrow())?;
    *bytes = bytes.get(used..).unwrap_or_default();
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_round_trip(v: Vec<(u64, String, Option<f64>)>) {
            let bytes = encode(3, &v).unwrap();
            let back: Vec<(u64, String, Option<f64>)> = decode(3, &bytes).unwrap();
            prop_assert_eq!(format!("{v:?}"), format!("{back:?}"));
            let narrow = encode_narrow(3, &v).unwrap();
            let back: Vec<(u64, String, Option<f64>)> = decode_narrow(3, &narrow).unwrap();
            prop_assert_eq!(format!("{v:?}"), format!("{back:?}"));
        }

        #[test]
        fn appended_values_are_taken_in_their_order(values: Vec<(u64, String, Option<i32>)>) {
            let mut bytes = Vec::new();
            values.iter().for_each(|v| append(v, &mut bytes).unwrap());
            let mut left = bytes.as_slice();
            for (a, b, c) in &values {
                let (x, y, z): (u64, &str, Option<i32>) = take(&mut left).unwrap();
                prop_assert_eq!((x, y, z), (*a, &**b, *c));
            }
            prop_assert!(left.is_empty());
        }

        #[test]
        fn no_bytes_panic_or_allocate_without_bound(bytes: Vec<u8>) {
            let _ = decode::<Vec<String>>(1, &bytes);
            let _ = take::<Vec<&str>>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn hostile_length_other_version_and_leftovers_are_refused() {
        let mut hostile = vec![1];
        hostile.extend(u64::MAX.to_le_bytes());
        assert!(matches!(decode::<Vec<u8>>(1, &hostile), Err(Error::Decode(_))));
        let mut frame = encode(1, &7u32).unwrap();
        assert!(matches!(decode::<u32>(2, &frame), Err(Error::Version { found: 1, expected: 2 })));
        frame.push(0);
        assert!(matches!(decode::<u32>(1, &frame), Err(Error::Trailing(1))));
    }
}
