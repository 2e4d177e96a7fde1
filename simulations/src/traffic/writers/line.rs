//! Bytes of single values: integers, times, addresses, ids, JSON strings. Formatting through `fmt`
//! would be most of the generator's time; these push digits themselves.

use crate::traffic::calendar::Civil;
use crate::traffic::record::Uid;
use std::io::Write;
use std::net::IpAddr;
use threat::Timestamp;

/// A whole number.
pub(super) fn int(line: &mut Vec<u8>, n: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = n;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
}

/// A whole number with at least `width` digits.
pub(super) fn padded(line: &mut Vec<u8>, n: u64, width: usize) {
    let mut scale = 1;
    for _ in 1..width {
        scale *= 10;
        if n < scale {
            line.push(b'0');
        }
    }
    // Zeros were pushed for each missing place, greatest last: the count is what matters.
    int(line, n);
}

/// Seconds with six decimals, as Zeek prints `time` and `interval`.
pub(super) fn seconds(line: &mut Vec<u8>, secs: f64) {
    micros(line, (secs.max(0.0) * 1e6).round() as i64);
}

/// Microseconds as seconds with six decimals.
pub(super) fn micros(line: &mut Vec<u8>, micros: i64) {
    if micros < 0 {
        line.push(b'-');
    }
    let n = micros.unsigned_abs();
    int(line, n / 1_000_000);
    line.push(b'.');
    padded(line, n % 1_000_000, 6);
}

/// An address.
pub(super) fn ip(line: &mut Vec<u8>, addr: IpAddr) {
    match addr {
        IpAddr::V4(a) => {
            let [a, b, c, d] = a.octets();
            for (i, octet) in [a, b, c, d].into_iter().enumerate() {
                if i > 0 {
                    line.push(b'.');
                }
                int(line, octet.into());
            }
        }
        IpAddr::V6(a) => text(line, format_args!("{a}")),
    }
}

/// Anything that can be displayed.
pub(super) fn text(line: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = line.write_fmt(args);
}

/// A connection's or file's id as Zeek prints them: a letter and base-62 digits.
pub(crate) fn base62(line: &mut Vec<u8>, letter: u8, uid: Uid) {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    line.push(letter);
    for mut part in [uid.high, u64::from(uid.low)] {
        while part > 0 {
            line.push(DIGITS[(part % 62) as usize]);
            part /= 62;
        }
    }
}

/// `n` low bytes of a number as hexadecimal digits, with a separator if given.
pub(super) fn hex(line: &mut Vec<u8>, n: u128, bytes: usize, between: Option<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for i in (0..bytes).rev() {
        let byte = (n >> (8 * i)) as u8;
        line.push(DIGITS[usize::from(byte >> 4)]);
        line.push(DIGITS[usize::from(byte & 15)]);
        if let (Some(b), true) = (between, i > 0) {
            line.push(b);
        }
    }
}

/// A JSON string with its quotes.
pub(super) fn json(line: &mut Vec<u8>, s: &str) {
    line.push(b'"');
    for &b in s.as_bytes() {
        match b {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', b]),
            0..=0x1f => text(line, format_args!("\\u{b:04x}")),
            _ => line.push(b),
        }
    }
    line.push(b'"');
}

/// `2026-03-02T09:00:00.000000` without a zone.
pub(super) fn iso(line: &mut Vec<u8>, t: Timestamp) {
    let c = Civil::of(t);
    let parts = [
        (c.year as u64, 4, b'-'),
        (c.month.into(), 2, b'-'),
        (c.day.into(), 2, b'T'),
        (c.hour.into(), 2, b':'),
        (c.minute.into(), 2, b':'),
        (c.second.into(), 2, b'.'),
    ];
    for (n, width, after) in parts {
        padded(line, n, width);
        line.push(after);
    }
    padded(line, c.micros.into(), 6);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn values_read_back(n: u64, t in 0i64..4_000_000_000_000_000, s: String, a: [u8; 4]) {
            prop_assert_eq!(line(|l| int(l, n)), n.to_string());
            prop_assert_eq!(line(|l| padded(l, n % 10_000, 6)), format!("{:06}", n % 10_000));
            prop_assert_eq!(
                line(|l| micros(l, t)),
                format!("{}.{:06}", t / 1_000_000, t % 1_000_000)
            );
            prop_assert_eq!(line(|l| ip(l, a.into())), IpAddr::from(a).to_string());
            let back: String = serde_json::from_str(&line(|l| json(l, &s))).unwrap();
            prop_assert_eq!(back, s);
        }
    }

    #[test]
    fn ids_and_dates_look_right() {
        let uid = Uid { high: u64::MAX, low: u32::MAX };
        assert_eq!(line(|l| base62(l, b'C', uid)).len(), 18);
        assert_eq!(line(|l| hex(l, 0xab01, 2, Some(b':'))), "ab:01");
        let t = Timestamp::from_micros(1_772_442_000_000_042);
        assert_eq!(line(|l| iso(l, t)), "2026-03-02T09:00:00.000042");
    }
}
