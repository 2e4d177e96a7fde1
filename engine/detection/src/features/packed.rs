//! Bytes with their zeros taken out: state is mostly windows in which little happened.
//!
//! Eight bytes become a mask of those that are not zero, and these. A mask of 0 is followed by how
//! many more such words come (the packing of Cap'n Proto, without its runs of dense words). The
//! end is filled up with zeros.

/// Bytes that are packed together.
const WORD: usize = 8;

/// Appends the packed bytes to `out`.
pub fn pack(bytes: &[u8], out: &mut Vec<u8>) {
    let mut words = bytes.chunks(WORD).peekable();
    while let Some(word) = words.next() {
        let mask = (0u8..).zip(word).filter(|(_, b)| **b != 0).fold(0, |m, (i, _)| m | 1 << i);
        out.push(mask);
        if mask == 0 {
            let mut more = 0u8;
            while more < u8::MAX && words.next_if(|w| w.iter().all(|b| *b == 0)).is_some() {
                more += 1;
            }
            out.push(more);
        }
        out.extend(word.iter().filter(|b| **b != 0));
    }
}

/// The bytes that were packed, with up to seven zeros behind them; `None` when they are over
/// `limit`, or end too early.
pub fn unpack(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = packed;
    while let Some((mask, behind)) = rest.split_first() {
        rest = behind;
        if *mask == 0 {
            let (more, behind) = rest.split_first()?;
            rest = behind;
            out.resize(out.len() + WORD * (usize::from(*more) + 1), 0);
        } else {
            for place in 0..WORD {
                let mut byte = 0;
                if mask & 1 << place != 0 {
                    (byte, rest) = rest.split_first().map(|(b, behind)| (*b, behind))?;
                }
                out.push(byte);
            }
        }
        if out.len() > limit {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            parts in prop::collection::vec((0usize..3_000, any::<Vec<u8>>()), 0..6)
        ) {
            let mut bytes = Vec::new();
            for (zeros, some) in parts {
                bytes.resize(bytes.len() + zeros, 0);
                bytes.extend(some);
            }
            let mut packed = Vec::new();
            pack(&bytes, &mut packed);
            let back = unpack(&packed, bytes.len() + WORD).unwrap();
            prop_assert_eq!(&back[..bytes.len()], &bytes[..]);
            prop_assert!(back.len() < bytes.len() + WORD);
            prop_assert!(back[bytes.len()..].iter().all(|b| *b == 0));
        }

        #[test]
        fn no_bytes_panic_or_outgrow_the_limit(bytes: Vec<u8>) {
            if let Some(back) = unpack(&bytes, 500) {
                prop_assert!(back.len() <= 500);
            }
        }
    }

    #[test]
    fn zeros_take_next_to_nothing() {
        let mut packed = Vec::new();
        pack(&[0; 2_048], &mut packed);
        assert_eq!(packed, [0, 255]);
    }
}
