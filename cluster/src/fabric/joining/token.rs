//! The token of an invitation: one word that a person copies to another machine.

use super::{Error, tls::sha256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The layout: this byte, the second of its end, the pin, the secret, the address, a check.
const VERSION: u8 = 1;

/// Bytes before the address.
const FIXED: usize = 1 + 8 + 32 + 16;

/// Bytes of the check: the beginning of the hash of all before it, against slips of the hand.
const CHECK: usize = 4;

/// Bytes of an address: a host name of 253 and a port.
const ADDRESS: usize = 260;

/// 128 bits that only the two sides of an invitation know.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Secret(pub [u8; 16]);

impl Secret {
    /// Whether they are equal, in a time that does not tell where they differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        let differ = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differ) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a new node needs to be let in. Its text is the word to copy, which is secret.
#[derive(Clone, Debug)]
pub struct Token {
    /// Where the other side listens.
    pub address: String,
    /// When the invitation is over, in seconds since 1970, by the other side's clock.
    pub expires: u64,
    /// SHA-256 of the authority's certificate (DER).
    pub pin: [u8; 32],
    /// The secret.
    pub secret: Secret,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.expires.to_le_bytes());
        bytes.extend(self.pin);
        bytes.extend(self.secret.0);
        bytes.extend(self.address.as_bytes());
        let check = sha256(&bytes);
        bytes.extend(&check[..CHECK]);
        f.write_str(&encode(&bytes))
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = decode(text.trim()).ok_or(Error::Garbled)?;
        let found = *bytes.first().ok_or(Error::Garbled)?;
        if found != VERSION {
            return Err(Error::Version(found));
        }
        let length = bytes.len().checked_sub(CHECK).ok_or(Error::Garbled)?;
        let (body, check) = bytes.split_at(length);
        if !(FIXED + 1..=FIXED + ADDRESS).contains(&length) || sha256(body)[..CHECK] != *check {
            return Err(Error::Garbled);
        }
        let (mut expires, mut pin, mut secret) = ([0; 8], [0; 32], [0; 16]);
        expires.copy_from_slice(&body[1..9]);
        pin.copy_from_slice(&body[9..41]);
        secret.copy_from_slice(&body[41..FIXED]);
        let address = std::str::from_utf8(&body[FIXED..]).map_err(|_| Error::Garbled)?;
        Ok(Self {
            address: address.to_owned(),
            expires: u64::from_le_bytes(expires),
            pin,
            secret: Secret(secret),
        })
    }
}

/// The letters of base64url (RFC 4648, section 5), without padding.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let value = three.iter().fold(0u32, |all, b| all << 8 | u32::from(*b));
        let value = value << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[(value >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let mut value = 0u32;
        for letter in four {
            value = value << 6 | LETTERS.iter().position(|l| l == letter)? as u32;
        }
        value <<= 6 * (4 - four.len());
        // A single letter is less than a byte.
        let count = four.len().checked_sub(2)? + 1;
        bytes.extend_from_slice(&value.to_be_bytes()[1..=count]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> Token {
        let address = "ca.example.net:7799".into();
        Token { address, expires: 1_800_000_000, pin: [7; 32], secret: Secret([9; 16]) }
    }

    #[test]
    fn letters_are_those_of_the_standard() {
        for (bytes, text) in [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        assert!(decode("Z").is_none() && decode("Z=").is_none());
    }

    #[test]
    fn a_token_is_one_word_that_comes_back() {
        let text = token().to_string();
        assert!(text.starts_with('A') && text.bytes().all(|b| LETTERS.contains(&b)), "{text}");
        let back: Token = format!(" {text}\n").parse().unwrap();
        assert_eq!(back.to_string(), text);
        assert_eq!((&*back.address, back.expires), ("ca.example.net:7799", 1_800_000_000));
        assert!(!format!("{back:?}").contains("9, 9"), "the secret is told");
        let mut later = decode(&text).unwrap();
        later[0] = 2;
        assert!(matches!(encode(&later).parse::<Token>(), Err(Error::Version(2))));
    }

    #[test]
    fn a_slip_of_the_hand_is_found() {
        let text = token().to_string();
        for at in 1..text.len() {
            let mut letters = text.clone().into_bytes();
            letters[at] = if letters[at] == b'x' { b'y' } else { b'x' };
            let parsed = String::from_utf8(letters).unwrap().parse::<Token>();
            // Of the last letter only some bits count.
            let same = parsed.as_ref().is_ok_and(|t| t.to_string() == text);
            assert!(parsed.is_err() || same, "letter {at}");
            assert!(matches!(text[..at].parse::<Token>(), Err(Error::Garbled)), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_bytes_come_back(text in ".*", bytes: Vec<u8>) {
            let _ = text.parse::<Token>();
            let _ = encode(&bytes).parse::<Token>();
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }
}
