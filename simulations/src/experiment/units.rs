//! Times, rates and ranges as people write them: `40ms`, `1s..30s`, `2000/s`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use threat::entropy::Rng;

/// Units of time, longest name first.
const UNITS: [(&str, u64); 6] =
    [("ms", 1_000), ("us", 1), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("", 0)];

/// Microseconds of a text such as `1.5s`, of either sign.
pub fn micros(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let unsigned = text.trim_start_matches(['-', '+']);
    let digits = unsigned.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(digits);
    let wrong = || format!("`{text}` is not a time such as 40ms, 2s or 1m");
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let value: f64 = number.parse().map_err(|_| wrong())?;
    if *scale == 0 && value != 0.0 || !value.is_finite() || value < 0.0 {
        return Err(wrong());
    }
    let all = value * *scale as f64;
    if all > 1e15 {
        return Err(format!("`{text}` is longer than 30 years"));
    }
    let all = all.round() as i64;
    Ok(if text.starts_with('-') { -all } else { all })
}

/// A duration as people write it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let micros = micros(text)?;
    u64::try_from(micros).map(Duration::from_micros).map_err(|_| format!("`{text}` is negative"))
}

/// A duration as people read it.
pub fn show(duration: Duration) -> String {
    let micros = duration.as_micros() as u64;
    match micros {
        m if m % 1_000_000 == 0 => format!("{}s", m / 1_000_000),
        m if m % 1_000 == 0 => format!("{}ms", m / 1_000),
        m => format!("{m}us"),
    }
}

/// For fields of one duration.
pub mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, de};

    /// Writes it as text.
    pub fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::show(*value))
    }

    /// Reads it from text.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(d)?;
        super::parse(&text).map_err(de::Error::custom)
    }
}

/// A range of values to draw from, both ends included; one value is a range of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<T> {
    /// The least.
    pub from: T,
    /// The greatest.
    pub to: T,
}

/// A range of durations.
pub type Span = Words<Duration>;

impl Span {
    /// One duration.
    pub const fn of(duration: Duration) -> Self {
        Self { from: duration, to: duration }
    }

    /// One of the range. Wide ranges are drawn by order of magnitude, so that short times come as
    /// often as long ones.
    pub fn draw(&self, rng: &mut Rng) -> Duration {
        let (from, to) = (self.from.as_micros() as f64, self.to.as_micros() as f64);
        let micros = if from > 0.0 && to / from > 10.0 {
            (rng.range(from.ln(), to.ln())).exp()
        } else {
            rng.range(from, to)
        };
        Duration::from_micros(micros.clamp(from, to.max(from)) as u64)
    }
}

impl Words<u32> {
    /// One of the range.
    pub fn draw(&self, rng: &mut Rng) -> u32 {
        self.from + rng.below((self.to.saturating_sub(self.from) + 1) as usize) as u32
    }
}

/// A value that is a word in a file.
pub trait Word: Sized + Copy + PartialOrd {
    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes it.
    fn write(self) -> String;
}

impl Word for Duration {
    fn read(text: &str) -> Result<Self, String> {
        parse(text)
    }

    fn write(self) -> String {
        show(self)
    }
}

impl Word for u32 {
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("`{text}` is not a number"))
    }

    fn write(self) -> String {
        self.to_string()
    }
}

impl<T: Word> FromStr for Words<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (T::read(from)?, T::read(to)?);
        if from > to {
            Err(format!("`{text}` ends before it begins"))
        } else {
            Ok(Self { from, to })
        }
    }
}

impl<T: Word> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            f.write_str(&self.from.write())
        } else {
            write!(f, "{}..{}", self.from.write(), self.to.write())
        }
    }
}

impl<T: Word> Serialize for Words<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de, T: Word> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// So many a second: `2000/s`, `30/m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64);

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}/s", self.0))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || de::Error::custom(format!("`{text}` is not a rate such as 20/s or 30/m"));
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let per = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(number.is_finite() && number > 0.0) {
            return Err(wrong());
        }
        Ok(Self(number / per))
    }
}
