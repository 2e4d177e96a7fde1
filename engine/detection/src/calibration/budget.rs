//! How many false verdicts an operator accepts, and the per-event probability that follows.

use super::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Events a day that a budget per day assumes where the rate is not known yet: about twelve a
/// second, a small office. A busier site must measure its rate, or the budget is overrun by it.
pub const EVENTS_PER_DAY: f64 = 1_000_000.0;

/// The smallest probability that a threshold may ask for; finer ones no sample supports.
const LEAST: f64 = 1e-12;

/// A stated budget of false verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// So many false verdicts a day.
    PerDay(f64),
    /// So many false verdicts in a million events.
    PerMillion(f64),
    /// So many false verdicts in a hundred events.
    Percent(f64),
}

impl Budget {
    /// The probability that a benign event gets a false verdict, for a budget used up exactly.
    /// A budget per day needs the rate of events, [`EVENTS_PER_DAY`] where it is unknown or not
    /// a positive number.
    pub fn probability(&self, events_per_day: Option<f64>) -> f64 {
        let p = match *self {
            Self::PerDay(n) => {
                let known = events_per_day.filter(|r| r.is_finite() && *r > 0.0);
                n / known.unwrap_or(EVENTS_PER_DAY)
            }
            Self::PerMillion(n) => n / 1e6,
            Self::Percent(n) => n / 1e2,
        };
        p.clamp(LEAST, 1.0)
    }

    /// The tail above which an event is a threat: −log10 of [`probability`](Self::probability).
    pub fn threshold_tail(&self, events_per_day: Option<f64>) -> f32 {
        (-self.probability(events_per_day).log10()) as f32 + 0.0
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerDay(n) => write!(f, "{n}/day"),
            Self::PerMillion(n) => write!(f, "{n}/million"),
            Self::Percent(n) => write!(f, "{n}%"),
        }
    }
}

impl FromStr for Budget {
    type Err = Error;

    /// Reads `5/day`, `10/million` or `1%`; spaces around the parts do not matter.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Budget { text: text.into(), reason };
        let trimmed = text.trim();
        let (number, make): (&str, fn(f64) -> Self) = if let Some(n) = trimmed.strip_suffix('%') {
            (n, Self::Percent)
        } else {
            match trimmed.split_once('/').map(|(n, unit)| (n, unit.trim())) {
                Some((n, "day")) => (n, Self::PerDay),
                Some((n, "million")) => (n, Self::PerMillion),
                Some(_) => return Err(refuse("the unit after `/` is day or million")),
                None => return Err(refuse("it has no unit")),
            }
        };
        let number: f64 = number.trim().parse().map_err(|_| refuse("it starts with no number"))?;
        if !(number.is_finite() && number > 0.0) {
            return Err(refuse("the number must be above 0"));
        }
        let budget = make(number);
        match budget {
            Self::Percent(n) if n > 100.0 => Err(refuse("a share is at most 100%")),
            Self::PerMillion(n) if n > 1e6 => Err(refuse("at most all of a million are false")),
            _ => Ok(budget),
        }
    }
}

impl TryFrom<String> for Budget {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(b: Budget) -> Self {
        b.to_string()
    }
}
