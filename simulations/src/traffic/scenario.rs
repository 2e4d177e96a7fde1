//! What to simulate: seed, span, size of the organisation, rate, campaigns. Parsed from words as a
//! command line has them, and validated before anything runs.

use super::calendar::Civil;
use super::campaign::Campaign;
use threat::Timestamp;

/// Fewer machines than the roles that every office has (servers, printer, admin box, desks).
pub const HOSTS_MIN: usize = 20;
/// More machines than the internal /16 has room for beside its servers.
pub const HOSTS_MAX: usize = 20_000;
/// Four people share one desk at most.
pub const USERS_MAX: usize = 80_000;
/// A quarter of a year: enough for any seasonal baseline, and microseconds stay exact in a double.
pub const DURATION_MAX: f64 = 92.0 * 86_400.0;
/// Flows per second beyond which an office of [`HOSTS_MAX`] would be implausible.
pub const RATE_MAX: f64 = 100_000.0;
/// Campaigns in one scenario; their ids are 16 bits and a table of labels should stay readable.
pub const CAMPAIGNS_MAX: usize = 256;

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A setting that does not exist.
    #[error(
        "unknown setting `{0}`; known are seed, start, duration, hours, hosts, users, rate, \
         campaign, scanner"
    )]
    Setting(String),
    /// A value that is not one.
    #[error("`{value}` is no {what}")]
    Value {
        /// What was expected.
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// A number out of its range.
    #[error("{what} must be from {min} to {max}, not {value}")]
    Range {
        /// Which number.
        what: &'static str,
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
        /// What was given.
        value: f64,
    },
    /// A kind of campaign that does not exist.
    #[error("unknown campaign `{0}`; known are {known}", known = super::campaign::known())]
    Campaign(String),
    /// An option that this kind of campaign does not have.
    #[error("campaign {kind} has no option `{option}`; it has {known}")]
    Option {
        /// The kind.
        kind: &'static str,
        /// What was given.
        option: String,
        /// What it has.
        known: &'static str,
    },
    /// A campaign that would begin after the end.
    #[error("campaign {kind} starts {start} s in, but the scenario lasts {duration} s")]
    Late {
        /// The kind.
        kind: &'static str,
        /// Its start.
        start: f64,
        /// The scenario's length.
        duration: f64,
    },
}

/// What to simulate. Everything that comes out is a function of this value.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Event time of the first moment; UTC is the office's clock.
    pub start: Timestamp,
    /// Seconds.
    pub duration: f64,
    /// Machines inside: servers, printers and other things, an admin box, desks.
    pub hosts: usize,
    /// People.
    pub users: usize,
    /// Mean benign flows per second in a working hour. Machines have a floor of their own (about
    /// 0.015 per machine) that is not scaled down; people are scaled to the rest.
    pub rate: f64,
    /// Attacks.
    pub campaigns: Vec<Campaign>,
    /// The organisation scans itself for holes, nightly: benign, and looks like an attack.
    pub scanner: bool,
}

impl Default for Scenario {
    /// An hour of a Monday morning, 60 machines, 40 people, about 20,000 records.
    fn default() -> Self {
        Self {
            seed: 1,
            // 2026-03-02T09:00:00Z, a Monday.
            start: Timestamp::from_micros(1_772_442_000_000_000),
            duration: 3_600.0,
            hosts: 60,
            users: 40,
            rate: 3.4,
            campaigns: Vec::new(),
            scanner: false,
        }
    }
}

impl Scenario {
    /// From `key=value` pairs over the defaults; validated.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        let mut scenario = Self::default();
        for (key, value) in pairs {
            scenario.set(key, value)?;
        }
        scenario.validate()?;
        Ok(scenario)
    }

    /// Changes one setting: `seed`, `start` (`2026-03-02T09:00:00Z`), `duration` (`90m`), `hours`,
    /// `hosts`, `users`, `rate`, `campaign` (adds one), `scanner` (`true`).
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "seed" => self.seed = number(value, "whole number")?,
            "start" => {
                self.start = Civil::parse(value).and_then(Civil::timestamp).ok_or_else(|| {
                    Error::Value { what: "time like 2026-03-02T09:00:00Z", value: value.into() }
                })?;
            }
            "duration" => self.duration = seconds(value)?,
            "hours" => self.duration = 3_600.0 * number::<f64>(value, "number of hours")?,
            "hosts" => self.hosts = number(value, "whole number")?,
            "users" => self.users = number(value, "whole number")?,
            "rate" => self.rate = number(value, "number")?,
            "campaign" => self.campaigns.push(value.parse()?),
            "scanner" => self.scanner = number(value, "true or false")?,
            _ => return Err(Error::Setting(key.into())),
        }
        Ok(())
    }

    /// Checks every number against its range and every campaign against the scenario.
    pub fn validate(&self) -> Result<(), Error> {
        range("duration", self.duration, 1.0, DURATION_MAX)?;
        range("hosts", self.hosts as f64, HOSTS_MIN as f64, HOSTS_MAX as f64)?;
        range("users", self.users as f64, 1.0, USERS_MAX as f64)?;
        range("rate", self.rate, 0.01, RATE_MAX)?;
        range("number of campaigns", self.campaigns.len() as f64, 0.0, CAMPAIGNS_MAX as f64)?;
        for campaign in &self.campaigns {
            campaign.validate()?;
            if let Some(start) = campaign.start.filter(|&s| s >= self.duration) {
                let kind = campaign.kind.name();
                return Err(Error::Late { kind, start, duration: self.duration });
            }
        }
        Ok(())
    }

    /// The first moment after the end.
    pub fn end(&self) -> Timestamp {
        self.start.plus_secs(self.duration)
    }
}

pub(super) fn number<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Error> {
    text.trim().parse().map_err(|_| Error::Value { what, value: text.into() })
}

/// Seconds of `90`, `90s`, `15m`, `2h` or `1d`.
pub(super) fn seconds(text: &str) -> Result<f64, Error> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3_600.0),
        Some((at, 'd')) => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let what = "length of time like 90s, 15m, 2h or 1d";
    let n: f64 = digits.parse().map_err(|_| Error::Value { what, value: text.into() })?;
    if n.is_finite() && n >= 0.0 {
        Ok(n * unit)
    } else {
        Err(Error::Value { what, value: text.into() })
    }
}

pub(super) fn range(what: &'static str, value: f64, min: f64, max: f64) -> Result<(), Error> {
    if value >= min && value <= max { Ok(()) } else { Err(Error::Range { what, min, max, value }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::campaign::CampaignKind;

    #[test]
    fn words_become_a_scenario() {
        let s = Scenario::parse([
            ("seed", "7"),
            ("start", "2026-03-07T02:00:00Z"),
            ("duration", "90m"),
            ("hosts", "200"),
            ("rate", "12.5"),
            ("campaign", "beacon:period=30s,jitter=0.2,start=5m"),
            ("campaign", "scan:horizontal"),
        ])
        .unwrap();
        assert_eq!((s.seed, s.hosts, s.users), (7, 200, 40));
        assert!((s.duration - 5_400.0).abs() < 1e-9);
        assert_eq!(s.campaigns[0].start, Some(300.0));
        assert_eq!(s.campaigns[0].kind, CampaignKind::Beacon { period: 30.0, jitter: 0.2 });
    }

    #[test]
    fn mistakes_are_named() {
        let message =
            |key: &str, value: &str| Scenario::parse([(key, value)]).unwrap_err().to_string();
        assert!(message("hostz", "3").contains("known are seed"));
        assert_eq!(message("hosts", "3"), "hosts must be from 20 to 20000, not 3");
        assert_eq!(message("hosts", "-"), "`-` is no whole number");
        assert!(message("rate", "NaN").starts_with("rate must be"));
        assert!(message("start", "yesterday").contains("no time like"));
        assert!(message("duration", "2 weeks").contains("15m"));
        assert!(message("campaign", "worm").contains("dns-tunnel"));
        assert!(message("campaign", "scan:quick").contains("vertical"));
        assert!(message("campaign", "beacon:period=0").contains("period must be"));
        assert!(message("campaign", "scan:start=2h").contains("lasts 3600 s"));
    }
}
