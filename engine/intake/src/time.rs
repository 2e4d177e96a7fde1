//! Reading times: epoch seconds as text or number, epoch milli-, micro- and nanoseconds by their
//! size, ISO 8601 and RFC 3339 with any common way to write the offset, and syslog's year-less
//! dates.
//!
//! No clock and no time zone database: offsets are in the text or handed in.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use threat::Timestamp;

/// Seconds since the epoch stay below this (the year 5138) and milliseconds above it (1973), so
/// that a bare number tells its unit. The same distance separates milli-, micro- and nanoseconds.
const SECONDS_BELOW: f64 = 1e11;

/// Epoch seconds as decimal text, exact to the microsecond; larger units as in [`epoch`].
pub(crate) fn decimal(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 11 || !digits(whole) || !digits(fraction) {
        let looks_numeric = text.bytes().all(|b| b"0123456789+-.eE".contains(&b));
        return if looks_numeric { text.parse().ok().and_then(epoch) } else { None };
    }
    let seconds: i64 = whole.parse().ok()?;
    let mut micros = 0i64;
    for i in 0..6 {
        let digit = fraction.as_bytes().get(i).map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    let round_up = fraction.as_bytes().get(6).is_some_and(|&b| b >= b'5');
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros + i64::from(round_up)))
}

/// Time since the epoch in seconds, milli-, micro- or nanoseconds, told apart by size.
pub(crate) fn epoch(value: f64) -> Option<Timestamp> {
    let mut seconds = value;
    let mut bound = SECONDS_BELOW;
    for _ in 0..3 {
        if value.abs() < bound {
            break;
        }
        seconds /= 1e3;
        bound *= 1e3;
    }
    Timestamp::from_secs_f64(seconds)
}

/// [`epoch`] of a whole number, exact to the microsecond.
pub(crate) fn epoch_int(value: i64) -> Option<Timestamp> {
    let size = value.unsigned_abs();
    Some(Timestamp::from_micros(match size {
        0..100_000_000_000 => value.checked_mul(1_000_000)?,
        100_000_000_000..100_000_000_000_000 => value.checked_mul(1_000)?,
        100_000_000_000_000..100_000_000_000_000_000 => value,
        _ => value / 1_000,
    }))
}

/// Two ASCII digits.
fn two(bytes: &[u8]) -> Option<i8> {
    match bytes {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(((a - b'0') * 10 + (b - b'0')) as i8),
        _ => None,
    }
}

/// `YYYY-MM-DD` (or `/`), `T` or a space, `HH:MM[:SS[.fraction]]`, then `Z`, `±HH`, `±HHMM`,
/// `±HH:MM` or nothing, which means `offset_seconds` east of UTC. A date alone is its midnight.
pub(crate) fn iso(text: &str, offset_seconds: i32) -> Option<Timestamp> {
    let b = text.as_bytes();
    let separator = *b.get(4)?;
    if !matches!(separator, b'-' | b'/') || b.get(7) != Some(&separator) {
        return None;
    }
    let year = i16::from(two(b.get(0..2)?)?) * 100 + i16::from(two(b.get(2..4)?)?);
    let (month, day) = (two(b.get(5..7)?)?, two(b.get(8..10)?)?);
    if b.len() == 10 {
        return civil(year, month, day, [0; 3], 0, offset_seconds);
    }
    if !matches!(b[10], b'T' | b't' | b' ') || b.get(13) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (two(b.get(11..13)?)?, two(b.get(14..16)?)?);
    let (second, rest) = match b.get(16) {
        Some(b':') => (two(b.get(17..19)?)?, &b[19..]),
        _ => (0, &b[16..]),
    };
    let (nanos, rest) = fraction(rest)?;
    let zone = zone(rest, offset_seconds)?;
    civil(year, month, day, [hour, minute, second], nanos, zone)
}

/// `.` or `,` and up to nine digits, as nanoseconds; further digits are dropped.
fn fraction(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let Some((b'.' | b',', digits)) = bytes.split_first() else { return Some((0, bytes)) };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let at = |i: usize| if i < length { i32::from(digits[i] - b'0') } else { 0 };
    Some(((0..9).fold(0, |n, i| n * 10 + at(i)), &digits[length..]))
}

/// Seconds east of UTC; `default` when nothing is written.
fn zone(bytes: &[u8], default: i32) -> Option<i32> {
    let bytes = bytes.trim_ascii();
    let (sign, rest) = match bytes.split_first() {
        None => return Some(default),
        Some((b'Z' | b'z', [])) => return Some(0),
        Some((_, b"UTC" | b"TC")) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        _ => return None,
    };
    let minutes = match rest.len() {
        2 => 0,
        4 => two(&rest[2..])?,
        5 if rest[2] == b':' => two(&rest[3..])?,
        _ => return None,
    };
    Some(sign * (i32::from(two(&rest[..2])?) * 3_600 + i32::from(minutes) * 60))
}

/// A checked civil date and time at an offset. A leap second is its minute's last second.
pub(crate) fn civil(
    year: i16,
    month: i8,
    day: i8,
    [hour, minute, second]: [i8; 3],
    nanos: i32,
    offset_seconds: i32,
) -> Option<Timestamp> {
    let second = if second == 60 { 59 } else { second };
    let date_time = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    let offset = Offset::from_seconds(offset_seconds).ok()?;
    Some(Timestamp::from_micros(offset.to_timestamp(date_time).ok()?.as_microsecond()))
}

/// Any of the ways above.
pub(crate) fn any(text: &str, offset_seconds: i32) -> Option<Timestamp> {
    iso(text, offset_seconds).or_else(|| decimal(text))
}

/// `Mmm dd hh:mm:ss` at the start of the text, without a year, and what follows it.
pub(crate) fn yearless(text: &str, year: i16, offset: i32) -> Option<(Option<Timestamp>, &str)> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|m| text.starts_with(m))? as i8 + 1;
    let rest = text.get(3..)?.trim_start();
    let (day, rest) = rest.split_once(' ')?;
    let day: i8 = day.parse().ok()?;
    let rest = rest.trim_start();
    // some daemons write the year after the day
    let (year, rest) = match rest.split_once(' ') {
        Some((y, after)) if y.len() == 4 && y.bytes().all(|b| b.is_ascii_digit()) => {
            (y.parse().ok()?, after)
        }
        _ => (year, rest),
    };
    let clock = rest.get(..8)?.as_bytes();
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let clock = [two(&clock[..2])?, two(&clock[3..5])?, two(&clock[6..8])?];
    let (nanos, rest) = fraction(&rest.as_bytes()[8..])?;
    let rest = std::str::from_utf8(rest).ok()?.strip_prefix(' ')?;
    Some((civil(year, month, day, clock, nanos, offset), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_instant_gives_the_same() {
        let expected = Timestamp::from_micros(1_622_987_857_272_281);
        for text in [
            "1622987857.272281",
            "1622987857272.281",
            "1622987857272281",
            "2021-06-06T13:57:37.272281Z",
            "2021-06-06T15:57:37.272281+0200",
            "2021-06-06T15:57:37.272281+02:00",
            "2021-06-06 15:57:37.272281+02",
            "2021/06/06 13:57:37.2722814 UTC",
        ] {
            assert_eq!(any(text, 0), Some(expected), "{text}");
        }
        assert_eq!(iso("2021-06-06 15:57:37.272281", 7_200), Some(expected));
        assert_eq!(epoch(1_622_987_857.272_281), Some(expected));
        assert_eq!(epoch_int(1_622_987_857_272_281), Some(expected));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-", "nan", "inf", "2021-13-01T00:00:00Z", "2021-06-06T25:00:00Z", "x.5"] {
            assert_eq!(any(text, 0), None, "{text}");
        }
        assert_eq!(any("2021-06-06T13:57:37.Z", 0), None);
        assert_eq!(any("2021-02-29T13:57:37Z", 0), None);
    }

    #[test]
    fn yearless_dates_take_the_year_given() {
        let (time, rest) = yearless("Jun  4 15:16:01 combo x", 2005, 0).unwrap();
        assert_eq!(time, iso("2005-06-04T15:16:01Z", 0));
        assert_eq!(rest, "combo x");
        assert_eq!(yearless("Feb 29 00:00:00 h x", 2023, 0).unwrap().0, None);
        assert_eq!(yearless("Foo 29 00:00:00 h x", 2023, 0), None);
        let (time, _) = yearless("Jun 14 2005 15:16:01 combo x", 1970, 0).unwrap();
        assert_eq!(time, iso("2005-06-14T15:16:01Z", 0));
    }
}
