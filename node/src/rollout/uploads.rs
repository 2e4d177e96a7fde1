//! What operators hand over, piece by piece, until all of it is there.

use super::limits::{BUNDLE_BYTES, PIECE_BYTES, UPLOAD_TIME, UPLOADS};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is handed over, by the number that was drawn for it.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<BTreeMap<u64, (Duration, Vec<u8>)>>);

impl Uploads {
    /// Takes the bytes from `offset` on. A piece that came before changes nothing.
    ///
    /// # Errors
    /// Why they are not taken.
    pub fn hand(
        &self,
        upload: u64,
        offset: u64,
        piece: &[u8],
        now: Duration,
    ) -> Result<(), String> {
        if piece.len() > PIECE_BYTES {
            return Err(format!("at most {PIECE_BYTES} bytes are taken at once"));
        }
        // Nothing panics while it is held.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (last, _)| now.saturating_sub(*last) < UPLOAD_TIME);
        if !all.contains_key(&upload) && all.len() >= UPLOADS {
            let oldest = all.iter().min_by_key(|(_, (last, _))| *last).map(|(upload, _)| *upload);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let (last, bytes) = all.entry(upload).or_default();
        *last = now;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset > bytes.len() {
            return Err("what comes before is not here: hand it over from the beginning".into());
        }
        let end = offset + piece.len();
        if end > BUNDLE_BYTES {
            return Err(format!("at most {BUNDLE_BYTES} bytes are taken"));
        }
        if end > bytes.len() {
            bytes.truncate(offset);
            bytes.extend_from_slice(piece);
        }
        Ok(())
    }

    /// All of it, once its hash is the one that it should have. What is not whole stays.
    pub fn take(&self, upload: u64, hash: [u8; 32]) -> Option<Vec<u8>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, bytes) = all.get(&upload)?;
        if *blake3::hash(bytes).as_bytes() != hash {
            return None;
        }
        all.remove(&upload).map(|(_, bytes)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn pieces_that_come_again_change_nothing(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            cut in 1..50usize,
            again in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let uploads = Uploads::default();
            let pieces: Vec<(u64, &[u8])> =
                bytes.chunks(cut).enumerate().map(|(n, c)| ((n * cut) as u64, c)).collect();
            for (n, (offset, piece)) in pieces.iter().enumerate() {
                uploads.hand(9, *offset, piece, NOW).unwrap();
                for index in &again {
                    let (offset, piece) = pieces[index.index(n + 1)];
                    uploads.hand(9, offset, piece, NOW).unwrap();
                }
            }
            let hash = *blake3::hash(&bytes).as_bytes();
            prop_assert_eq!(uploads.take(9, [0; 32]), None);
            prop_assert_eq!(uploads.take(9, hash), Some(bytes));
            prop_assert_eq!(uploads.take(9, hash), None);
        }
    }

    #[test]
    fn gaps_and_what_is_too_large_are_refused_and_the_oldest_makes_room() {
        let uploads = Uploads::default();
        assert!(uploads.hand(1, 5, b"x", NOW).is_err());
        assert!(uploads.hand(1, 0, &vec![0; PIECE_BYTES + 1], NOW).is_err());
        for n in 0..(BUNDLE_BYTES / PIECE_BYTES) as u64 {
            uploads.hand(1, n * PIECE_BYTES as u64, &vec![0; PIECE_BYTES], NOW).unwrap();
        }
        assert!(uploads.hand(1, BUNDLE_BYTES as u64, b"x", NOW).is_err());
        uploads.hand(2, 0, b"b", 2 * NOW).unwrap();
        uploads.hand(3, 0, b"c", 3 * NOW).unwrap();
        assert!(uploads.hand(1, 1, b"x", 3 * NOW).is_err(), "its room was needed");
        let hash = *blake3::hash(b"c").as_bytes();
        assert!(uploads.hand(4, 0, b"d", 3 * NOW + UPLOAD_TIME).is_ok());
        assert_eq!(uploads.take(3, hash), None, "nothing came for too long");
    }
}
