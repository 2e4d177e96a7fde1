//! Verdicts of the virtual world: what voters say follows from what the harness knows of an event;
//! the vote is production's.

use crate::journal::Truth;
use detection::blend::Tails;
use detection::ensemble::{settle, voters};
use regions::threats::{Count, Record};
use std::collections::BTreeMap;
use threat::verdict::Absence;
use threat::{
    Ballot, DetectorKind, EventClass, RuleHit, Severity, Threat, ThreatClass, ThreatId, Timestamp,
    Verdict, VerdictSource, Vote,
};

/// Tails of what a voter takes for a threat and for none, and the threshold between.
const HIGH: f32 = 5.0;
const LOW: f32 = 0.5;
const THRESHOLD: f32 = 3.0;

/// The vote on an event, by production's rules.
pub fn vote(truth: Truth, answers: &BTreeMap<DetectorKind, Result<(), Absence>>) -> Verdict {
    let tail = if truth == Truth::Benign { LOW } else { HIGH };
    let votes = voters(EventClass::Flow).map(|detector| Vote {
        detector,
        ballot: match answers.get(&detector) {
            Some(Ok(())) => Ballot::Voted { score: tail, tail, threat: tail >= THRESHOLD },
            Some(Err(why)) => Ballot::Missing(*why),
            None => Ballot::Missing(Absence::Down),
        },
    });
    let voted = answers.iter().filter(|(_, a)| a.is_ok()).map(|(kind, _)| (*kind, tail));
    let decided = Tails { voters: voted.collect(), labelled: None }.decisive(0.0);
    let rules = if truth == Truth::KnownBad { vec![hit()] } else { Vec::new() };
    let mut verdict = Verdict {
        event: 0,
        threat: decided.is_some_and(|tail| tail >= THRESHOLD),
        score: decided.unwrap_or_default(),
        severity: Severity::Informational,
        source: if decided.is_some() { VerdictSource::Ml } else { VerdictSource::Rules },
        votes,
        rules,
        bundle: 0,
        inputs: 0,
    };
    settle(&mut verdict, THRESHOLD);
    verdict
}

fn hit() -> RuleHit {
    RuleHit {
        id: "known-bad".into(),
        title: "Known bad".into(),
        severity: Severity::High,
        technique: None,
        fields: Vec::new(),
        correlation: false,
    }
}

/// The record of a threat of which one event is known.
pub fn record(host: u32, truth: Truth, micros: i64, count: Count) -> Record {
    let address = std::net::Ipv4Addr::from(0x0a00_0000 + host);
    let entity = threat::entity::Entity::Host(threat::Host::Ip(address.into()));
    let class = if truth == Truth::KnownBad { ThreatClass::Scan } else { ThreatClass::Anomaly };
    let at = Timestamp::from_micros(micros);
    let id = ThreatId::of(&entity, class, at.hour());
    let threat = Threat {
        id,
        entity,
        class,
        technique: None,
        severity: Severity::Medium,
        score: HIGH,
        first_seen: at,
        last_seen: at,
        count: 1,
        targets: Default::default(),
        rules: Default::default(),
        voters: BTreeMap::new(),
        missing: BTreeMap::new(),
        labels: Default::default(),
    };
    Record::of(&threat, count)
}
