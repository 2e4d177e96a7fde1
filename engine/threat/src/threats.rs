//! What is bad about whom: a record that folds many verdicts about one entity, class and hour.

use crate::entity::Entity;
use crate::{DetectorKind, Severity, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What kind of bad thing, with its usual ATT&CK technique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreatClass {
    /// Probing many ports or hosts (T1046).
    Scan,
    /// Guessing credentials (T1110).
    BruteForce,
    /// Regular contact with a controller (T1071).
    CommandAndControl,
    /// Generated names looked up (T1568.002).
    DomainGeneration,
    /// Data in DNS (T1071.004, T1572).
    DnsTunnel,
    /// Much data going out (T1048).
    Exfiltration,
    /// One account or host reaching into many (T1021).
    LateralMovement,
    /// An account acting unlike itself (T1078).
    InsiderMisuse,
    /// Another product's alert or a rule without a closer class.
    Signature,
    /// Voters agree that it is unlike the benign traffic, and no rule names it.
    Anomaly,
}

impl ThreatClass {
    /// All, in a fixed order.
    pub const ALL: [Self; 10] = [
        Self::Scan,
        Self::BruteForce,
        Self::CommandAndControl,
        Self::DomainGeneration,
        Self::DnsTunnel,
        Self::Exfiltration,
        Self::LateralMovement,
        Self::InsiderMisuse,
        Self::Signature,
        Self::Anomaly,
    ];

    /// A stable short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::BruteForce => "brute_force",
            Self::CommandAndControl => "command_and_control",
            Self::DomainGeneration => "domain_generation",
            Self::DnsTunnel => "dns_tunnel",
            Self::Exfiltration => "exfiltration",
            Self::LateralMovement => "lateral_movement",
            Self::InsiderMisuse => "insider_misuse",
            Self::Signature => "signature",
            Self::Anomaly => "anomaly",
        }
    }

    /// Words for a person.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Scan => "Network scan",
            Self::BruteForce => "Credential guessing",
            Self::CommandAndControl => "Command and control",
            Self::DomainGeneration => "Generated domain names",
            Self::DnsTunnel => "DNS tunnel",
            Self::Exfiltration => "Data exfiltration",
            Self::LateralMovement => "Lateral movement",
            Self::InsiderMisuse => "Insider misuse",
            Self::Signature => "Signature match",
            Self::Anomaly => "Unusual behaviour",
        }
    }

    /// The ATT&CK technique when the evidence names none; `None` for what could be anything.
    pub const fn technique(self) -> Option<&'static str> {
        match self {
            Self::Scan => Some("T1046"),
            Self::BruteForce => Some("T1110"),
            Self::CommandAndControl => Some("T1071"),
            Self::DomainGeneration => Some("T1568.002"),
            Self::DnsTunnel => Some("T1071.004"),
            Self::Exfiltration => Some("T1048"),
            Self::LateralMovement => Some("T1021"),
            Self::InsiderMisuse => Some("T1078"),
            Self::Signature | Self::Anomaly => None,
        }
    }

    /// The class that a technique tells of, if one does.
    pub fn of_technique(technique: &str) -> Option<Self> {
        let base = technique.split('.').next().unwrap_or(technique);
        Some(match (technique, base) {
            ("T1071.004", _) | (_, "T1572") => Self::DnsTunnel,
            ("T1568.002", _) => Self::DomainGeneration,
            (_, "T1046" | "T1595" | "T1018") => Self::Scan,
            (_, "T1110") => Self::BruteForce,
            (_, "T1071" | "T1571" | "T1573" | "T1568" | "T1095" | "T1105") => {
                Self::CommandAndControl
            }
            (_, "T1048" | "T1041" | "T1567" | "T1030" | "T1020") => Self::Exfiltration,
            (_, "T1021" | "T1570") => Self::LateralMovement,
            (_, "T1078") => Self::InsiderMisuse,
            _ => return None,
        })
    }
}

/// The identity of a threat: hash of entity, class and event-time hour. A replay finds the same id.
/// Serialised as its 32 hex digits where a person may read it (a JSON number of 128 bits loses its
/// low digits in most readers), as the number in binary codecs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreatId(pub u128);

impl Serialize for ThreatId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u128(self.0) }
    }
}

impl<'de> Deserialize<'de> for ThreatId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let hex = <std::borrow::Cow<'de, str>>::deserialize(d)?;
            hex.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(d).map(Self)
        }
    }
}

impl ThreatId {
    /// The id of what `entity` did of `class` in that event-time hour.
    pub fn of(entity: &Entity, class: ThreatClass, hour: i64) -> Self {
        // All in one piece: it is short, and hashing it in parts takes several times as long.
        let hour = hour.to_le_bytes();
        let (kind, name) = (entity.kind().as_bytes(), class.name().as_bytes());
        let bytes =
            entity.with_text(|text| [kind, text.as_bytes(), &[name, &hour].concat()].join(&0));
        let mut id = [0u8; 16];
        id.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        Self(u128::from_le_bytes(id))
    }
}

impl fmt::Display for ThreatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ThreatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreatId({self})")
    }
}

impl std::str::FromStr for ThreatId {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(s, 16).map(Self)
    }
}

/// A set of indicators with a cap: the most frequent seen so far, and how many distinct were turned
/// away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Indicators {
    /// Indicator to count.
    pub kept: BTreeMap<Text, u64>,
    /// Sightings that found no room.
    pub turned_away: u64,
}

impl Indicators {
    /// Counts a sighting.
    pub fn add(&mut self, indicator: &str, count: u64) {
        if let Some(c) = self.kept.get_mut(indicator) {
            *c += count;
        } else if self.kept.len() < crate::limits::THREAT_INDICATORS {
            self.kept.insert(indicator.into(), count);
        } else {
            self.turned_away += count;
        }
    }

    /// The kept ones, most frequent first, ties by name.
    pub fn top(&self) -> Vec<(&Text, u64)> {
        let mut all: Vec<_> = self.kept.iter().map(|(k, &c)| (k, c)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }
}

/// A threat: everything that verdicts said about one entity, class and hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threat {
    /// Its identity.
    pub id: ThreatId,
    /// Who.
    pub entity: Entity,
    /// What.
    pub class: ThreatClass,
    /// ATT&CK technique, if the evidence or the class names one.
    pub technique: Option<Text>,
    /// The greatest severity of its verdicts.
    pub severity: Severity,
    /// The greatest score of its verdicts.
    pub score: f32,
    /// Event time of the first verdict.
    pub first_seen: Timestamp,
    /// Event time of the last verdict.
    pub last_seen: Timestamp,
    /// Verdicts folded in.
    pub count: u64,
    /// Whom it was done to, or with: peers with ports, accounts, names.
    pub targets: Indicators,
    /// Rules that matched, by title.
    pub rules: Indicators,
    /// How often each voter took it for a threat.
    pub voters: BTreeMap<DetectorKind, u64>,
    /// Voters that were missing in some of its verdicts.
    pub missing: BTreeMap<DetectorKind, u64>,
    /// Ground-truth labels of its events, where the capture has them.
    pub labels: Indicators,
}
