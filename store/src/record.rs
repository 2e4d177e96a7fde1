//! How a record lies in a table: a version byte, the value, and a CRC-32 over the key and both.
//!
//! redb checks its page checksums when a file is opened, not on reads, so a bit that flips while
//! the process runs would go unseen without this. The key is part of the sum, so that a value under
//! another record's key is found too. Not a defence against someone who edits the file.

use crate::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use threat::codec;

/// Bytes of the CRC-32 (IEEE 802.3, little-endian) at the end of a record.
const CRC_BYTES: usize = 4;

fn crc(key: &[u8], frame: &[u8]) -> [u8; CRC_BYTES] {
    let mut h = crc32fast::Hasher::new();
    h.update(key);
    h.update(frame);
    h.finalize().to_le_bytes()
}

/// The record of `value` under `key`, in the table's record `version`.
pub fn seal<T: Serialize>(version: u8, key: &[u8], value: &T) -> Result<Vec<u8>> {
    let mut frame = codec::encode(version, value)?;
    frame.extend(crc(key, &frame));
    Ok(frame)
}

/// The record of bytes that are a value already.
pub fn seal_bytes(version: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(value.len() + 1 + CRC_BYTES);
    frame.push(version);
    frame.extend_from_slice(value);
    let sum = crc(key, &frame);
    frame.extend(sum);
    frame
}

/// The checked frame (version byte and value) of a record.
fn frame<'a>(table: &str, key: &[u8], stored: &'a [u8]) -> Result<&'a [u8]> {
    let corrupt = |why: &str| Error::Corrupt { what: format!("a record of {table} {why}") };
    let at = stored.len().checked_sub(CRC_BYTES).ok_or_else(|| corrupt("is cut off"))?;
    let (frame, sum) = stored.split_at(at);
    if crc(key, frame) == sum { Ok(frame) } else { Err(corrupt("fails its checksum")) }
}

/// The value of a record.
///
/// # Errors
/// [`Error::Corrupt`] when the CRC, the version or the encoding is not as written.
pub fn open<T: DeserializeOwned>(table: &str, version: u8, key: &[u8], stored: &[u8]) -> Result<T> {
    codec::decode(version, frame(table, key, stored)?)
        .map_err(|e| Error::Corrupt { what: format!("a record of {table}: {e}") })
}

/// The bytes of a record sealed by [`seal_bytes`]. Errors as [`open`].
pub fn open_bytes<'a>(table: &str, version: u8, key: &[u8], stored: &'a [u8]) -> Result<&'a [u8]> {
    match frame(table, key, stored)?.split_first() {
        Some((&found, value)) if found == version => Ok(value),
        other => Err(Error::Corrupt {
            what: format!("a record of {table} has version {:?}", other.map(|(v, _)| v)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_round_trip_and_any_flipped_bit_is_found(
            key: Vec<u8>, value: Vec<u8>, bit: usize,
        ) {
            let sealed = seal_bytes(1, &key, &value);
            prop_assert_eq!(open_bytes("t", 1, &key, &sealed).unwrap(), &value[..]);
            let typed = seal(1, &key, &value).unwrap();
            prop_assert_eq!(open::<Vec<u8>>("t", 1, &key, &typed).unwrap(), value);
            for mut record in [sealed, typed] {
                let bit = bit % (record.len() * 8);
                record[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(open_bytes("t", 1, &key, &record).is_err());
                prop_assert!(open::<Vec<u8>>("t", 1, &key, &record).is_err());
            }
        }
    }

    #[test]
    fn another_key_version_or_a_stump_is_found() {
        let sealed = seal(1, b"a", &7u32).unwrap();
        assert_eq!(open::<u32>("t", 1, b"a", &sealed).unwrap(), 7);
        assert!(open::<u32>("t", 1, b"b", &sealed).unwrap_err().is_fatal());
        assert!(open::<u32>("t", 2, b"a", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(open::<u32>("t", 1, b"a", &sealed[..cut]).is_err());
        }
    }
}
