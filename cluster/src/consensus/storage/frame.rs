//! Changes of the log as a frame of the journal: what they are, by the codec, and the records of
//! the entries behind that as they are.

use super::log_disk::{VERSION, Write};
use crate::consensus::types::{LogId, Vote};
use serde::{Deserialize, Serialize};
use store::{Error, Result};
use threat::codec;

/// Bytes before the head: its length.
const LENGTH: usize = 4;

/// A change without the records of its entries.
#[derive(Serialize, Deserialize)]
enum Head {
    /// Entries by their place, with the lengths of their records.
    Append(Vec<(LogId, u32)>),
    Vote(Vote),
    Committed(Option<LogId>),
    Truncate(u64),
    Purge(LogId),
}

/// The frame of some changes.
pub(super) fn pack(writes: &[Write]) -> Result<Vec<u8>> {
    let head = |write: &Write| match write {
        // A record is bounded by the codec, far below this.
        Write::Append(new) => {
            Head::Append(new.iter().map(|(id, sealed)| (*id, sealed.len() as u32)).collect())
        }
        Write::Vote(vote) => Head::Vote(*vote),
        Write::Committed(upto) => Head::Committed(*upto),
        Write::Truncate(from) => Head::Truncate(*from),
        Write::Purge(upto) => Head::Purge(*upto),
    };
    let heads: Vec<Head> = writes.iter().map(head).collect();
    let mut frame = vec![0; LENGTH];
    codec::encode_into(VERSION, &heads, &mut frame)?;
    let length = (frame.len() - LENGTH) as u32;
    frame[..LENGTH].copy_from_slice(&length.to_le_bytes());
    for write in writes {
        if let Write::Append(new) = write {
            new.iter().for_each(|(_, sealed)| frame.extend(sealed));
        }
    }
    Ok(frame)
}

/// The changes of a frame.
pub(super) fn unpack(frame: &[u8]) -> Result<Vec<Write>> {
    let corrupt = || Error::Corrupt { what: "a frame of the journal of consensus".into() };
    let (length, rest) = frame.split_first_chunk::<LENGTH>().ok_or_else(corrupt)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (heads, mut records) = rest.split_at_checked(length).ok_or_else(corrupt)?;
    let heads: Vec<Head> = codec::decode(VERSION, heads).map_err(|_| corrupt())?;
    let mut record = |(id, length): (LogId, u32)| {
        let (own, others) = records.split_at_checked(length as usize).ok_or_else(corrupt)?;
        records = others;
        Ok((id, own.to_vec()))
    };
    let write = |head: Head| {
        Ok(match head {
            Head::Append(new) => {
                Write::Append(new.into_iter().map(&mut record).collect::<Result<_>>()?)
            }
            Head::Vote(vote) => Write::Vote(vote),
            Head::Committed(upto) => Write::Committed(upto),
            Head::Truncate(from) => Write::Truncate(from),
            Head::Purge(upto) => Write::Purge(upto),
        })
    };
    heads.into_iter().map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::CommittedLeaderId;
    use proptest::prelude::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    proptest! {
        #[test]
        fn changes_round_trip(records: Vec<Vec<u8>>, more: Vec<Vec<u8>>) {
            let append = |records: Vec<Vec<u8>>| {
                Write::Append(records.into_iter().zip(5..).map(|(r, n)| (id(n), r)).collect())
            };
            let writes = [
                append(records),
                Write::Vote(Vote::new(3, 1)),
                Write::Committed(Some(id(4))),
                Write::Truncate(7),
                append(more),
                Write::Purge(id(2)),
            ];
            let frame = pack(&writes).unwrap();
            prop_assert_eq!(unpack(&frame).unwrap(), writes);
            prop_assert!(unpack(&frame[..frame.len() / 2]).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
        }
    }
}
