//! The kinds of attack, their parameters, and the words that name them on a command line:
//! `kind[:item,item,...]`, an item being a variant (`vertical`) or `key=value`.
//! How each one behaves is in `attacks`.

use super::scenario::{Error, number, range, seconds};
use threat::ThreatClass;

/// One attack to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaign {
    /// What it does.
    pub kind: CampaignKind,
    /// Seconds after the scenario's start; drawn when `None`.
    pub start: Option<f64>,
    /// Seconds that it may last; to its natural end, or the scenario's, when `None`.
    pub duration: Option<f64>,
    /// Multiplies rates and volumes: 1 is a usual attack, 0.1 a patient one, 10 a loud one.
    pub intensity: f64,
}

/// What an attack does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CampaignKind {
    /// Probes ports (T1046).
    Scan(ScanShape),
    /// Guesses passwords over SSH (T1110.001).
    BruteForce {
        /// Addresses that guess: 1, or a botnet that shares one list.
        sources: u16,
        /// The last guess is right.
        success: bool,
    },
    /// Calls a controller over HTTPS at regular times (T1071.001).
    Beacon {
        /// Seconds between calls.
        period: f64,
        /// Share of the period by which a call may come early or late, 0 to 1.
        jitter: f64,
    },
    /// Carries data in names and answers of DNS (T1071.004).
    DnsTunnel(TunnelRecord),
    /// Uploads data to a host never seen before (T1048.002).
    Exfiltration {
        /// In small pieces over hours instead of a few large ones.
        slow: bool,
    },
    /// Reaches from one machine into many with a stolen account (T1021).
    LateralMovement,
    /// An account copies unusual data at an unusual hour and uploads it (T1078).
    Insider,
}

/// How a scan goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanShape {
    /// Many ports of one machine.
    Vertical,
    /// One port of many machines.
    Horizontal,
    /// Some ports of many machines, one probe now and then.
    Slow,
}

/// What kind of record a DNS tunnel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelRecord {
    /// `TXT`.
    Txt,
    /// `NULL`.
    Null,
    /// `CNAME`.
    Cname,
    /// All of them.
    Mixed,
}

/// Names of all kinds, in the order of [`CampaignKind`].
pub const KINDS: [&str; 7] =
    ["scan", "brute-force", "beacon", "dns-tunnel", "exfiltration", "lateral-movement", "insider"];

pub(super) fn known() -> String {
    KINDS.join(", ")
}

/// Options that every kind has.
const COMMON: &str = "start=, duration=, intensity=";

impl CampaignKind {
    /// The kind's name, with its usual parameters; `None` when there is no such kind.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "scan" => Self::Scan(ScanShape::Vertical),
            "brute-force" => Self::BruteForce { sources: 1, success: false },
            "beacon" => Self::Beacon { period: 60.0, jitter: 0.1 },
            "dns-tunnel" => Self::DnsTunnel(TunnelRecord::Txt),
            "exfiltration" => Self::Exfiltration { slow: false },
            "lateral-movement" => Self::LateralMovement,
            "insider" => Self::Insider,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scan(_) => KINDS[0],
            Self::BruteForce { .. } => KINDS[1],
            Self::Beacon { .. } => KINDS[2],
            Self::DnsTunnel(_) => KINDS[3],
            Self::Exfiltration { .. } => KINDS[4],
            Self::LateralMovement => KINDS[5],
            Self::Insider => KINDS[6],
        }
    }

    /// Its ATT&CK technique.
    pub const fn technique(self) -> &'static str {
        match self {
            Self::Scan(_) => "T1046",
            Self::BruteForce { .. } => "T1110.001",
            Self::Beacon { .. } => "T1071.001",
            Self::DnsTunnel(_) => "T1071.004",
            Self::Exfiltration { .. } => "T1048.002",
            Self::LateralMovement => "T1021",
            Self::Insider => "T1078",
        }
    }

    /// The class of threat that it should be found as.
    pub const fn class(self) -> ThreatClass {
        match self {
            Self::Scan(_) => ThreatClass::Scan,
            Self::BruteForce { .. } => ThreatClass::BruteForce,
            Self::Beacon { .. } => ThreatClass::CommandAndControl,
            Self::DnsTunnel(_) => ThreatClass::DnsTunnel,
            Self::Exfiltration { .. } => ThreatClass::Exfiltration,
            Self::LateralMovement => ThreatClass::LateralMovement,
            Self::Insider => ThreatClass::InsiderMisuse,
        }
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Scan(_) => "vertical, horizontal, slow",
            Self::BruteForce { .. } => "distributed, success, sources=",
            Self::Beacon { .. } => "period=, jitter=",
            Self::DnsTunnel(_) => "txt, null, cname, mixed",
            Self::Exfiltration { .. } => "slow",
            Self::LateralMovement | Self::Insider => COMMON,
        }
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), Error> {
        match (&mut *self, key, value) {
            (Self::Scan(shape), "vertical", None) => *shape = ScanShape::Vertical,
            (Self::Scan(shape), "horizontal", None) => *shape = ScanShape::Horizontal,
            (Self::Scan(shape), "slow", None) => *shape = ScanShape::Slow,
            (Self::BruteForce { sources, .. }, "distributed", None) => *sources = 24,
            (Self::BruteForce { success, .. }, "success", None) => *success = true,
            (Self::BruteForce { sources, .. }, "sources", Some(v)) => {
                *sources = number(v, "whole number")?;
            }
            (Self::Beacon { period, .. }, "period", Some(v)) => *period = seconds(v)?,
            (Self::Beacon { jitter, .. }, "jitter", Some(v)) => *jitter = number(v, "number")?,
            (Self::DnsTunnel(record), "txt", None) => *record = TunnelRecord::Txt,
            (Self::DnsTunnel(record), "null", None) => *record = TunnelRecord::Null,
            (Self::DnsTunnel(record), "cname", None) => *record = TunnelRecord::Cname,
            (Self::DnsTunnel(record), "mixed", None) => *record = TunnelRecord::Mixed,
            (Self::Exfiltration { slow }, "slow", None) => *slow = true,
            _ => {
                let (kind, known) = (self.name(), self.options());
                return Err(Error::Option { kind, option: key.into(), known });
            }
        }
        Ok(())
    }
}

impl Campaign {
    /// With a drawn start, to its natural end, at the usual intensity.
    pub const fn new(kind: CampaignKind) -> Self {
        Self { kind, start: None, duration: None, intensity: 1.0 }
    }

    /// Checks every number against its range.
    pub fn validate(&self) -> Result<(), Error> {
        range("intensity", self.intensity, 0.01, 100.0)?;
        if let Some(start) = self.start {
            range("start", start, 0.0, f64::MAX)?;
        }
        if let Some(duration) = self.duration {
            range("campaign duration", duration, 1.0, f64::MAX)?;
        }
        match self.kind {
            CampaignKind::BruteForce { sources, .. } => {
                range("sources", f64::from(sources), 1.0, 256.0)
            }
            CampaignKind::Beacon { period, jitter } => {
                range("period", period, 1.0, 86_400.0)?;
                range("jitter", jitter, 0.0, 1.0)
            }
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for Campaign {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, items) = text.split_once(':').unwrap_or((text, ""));
        let kind = CampaignKind::parse(name).ok_or_else(|| Error::Campaign(name.into()))?;
        let mut campaign = Self::new(kind);
        for item in items.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            match item.split_once('=') {
                Some(("start", v)) => campaign.start = Some(seconds(v)?),
                Some(("duration", v)) => campaign.duration = Some(seconds(v)?),
                Some(("intensity", v)) => campaign.intensity = number(v, "number")?,
                Some((key, v)) => campaign.kind.set(key, Some(v))?,
                None => campaign.kind.set(item, None)?,
            }
        }
        campaign.validate()?;
        Ok(campaign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_agrees_with_the_threat_classes() {
        for name in KINDS {
            let kind = CampaignKind::parse(name).unwrap();
            assert_eq!(kind.name(), name);
            assert_eq!(ThreatClass::of_technique(kind.technique()), Some(kind.class()), "{name}");
        }
    }

    #[test]
    fn variants_and_options_are_read() {
        let c: Campaign = "brute-force:distributed,success,intensity=0.5".parse().unwrap();
        assert_eq!(c.kind, CampaignKind::BruteForce { sources: 24, success: true });
        assert!((c.intensity - 0.5).abs() < 1e-12);
        let c: Campaign = "dns-tunnel:null,duration=10m".parse().unwrap();
        assert_eq!(c.kind, CampaignKind::DnsTunnel(TunnelRecord::Null));
        assert_eq!(c.duration, Some(600.0));
        assert!("insider:slow".parse::<Campaign>().is_err());
        assert!("beacon:jitter=2".parse::<Campaign>().is_err());
    }
}
