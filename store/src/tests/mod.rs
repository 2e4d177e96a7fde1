//! Tests of the store as a whole, and what they share.

mod corruption;
mod files;
mod power_cuts;
mod reads;
mod records;

use crate::{Commit, Count, EntityState, LedgerEntry};
use threat::entity::Entity;
use threat::event::Position;
use threat::verdict::{Absence, Abstention};
use threat::{
    Ballot, Contribution, DetectorKind, EventClass, Example, Host, RuleHit, Severity, Threat,
    ThreatClass, ThreatId, Timestamp, Verdict, VerdictSource, Vote,
};

/// A threat of host `n` that was seen so often.
fn threat(n: u32, count: u64) -> Threat {
    let entity = Entity::Host(Host::Ip(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()));
    let class = ThreatClass::ALL[n as usize % ThreatClass::ALL.len()];
    let mut t = Threat {
        id: ThreatId::of(&entity, class, 462_350),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::ALL[n as usize % 5],
        score: 4.5,
        first_seen: Timestamp::from_micros(1_664_462_456_000_000),
        last_seen: Timestamp::from_micros(1_664_462_456_000_000 + i64::from(n) * 1_000_000),
        count,
        targets: Default::default(),
        rules: Default::default(),
        voters: [(DetectorKind::Forest, count)].into(),
        missing: Default::default(),
        labels: Default::default(),
    };
    t.targets.add("192.168.1.4:445", count);
    t.rules.add("Scan of many ports", 1);
    t
}

fn example() -> Example {
    let vote = |detector, ballot| Vote { detector, ballot };
    Example {
        time: Timestamp::from_micros(1_664_462_456_755_299),
        source: "conn.log".into(),
        position: Position { offset: 1_024, line: 9 },
        raw: "1664462456.755299\tC1\t10.0.0.1".into(),
        class: EventClass::Flow,
        summary: "10.0.0.1 to 192.168.1.4:445".into(),
        verdict: Verdict {
            event: 3,
            threat: true,
            score: 4.5,
            severity: Severity::High,
            source: VerdictSource::Ml,
            votes: [
                vote(DetectorKind::Forest, Ballot::Voted { score: 0.7, tail: 4.5, threat: true }),
                vote(DetectorKind::Sequence, Ballot::Abstained(Abstention::NoModel)),
                vote(DetectorKind::Bayes, Ballot::Missing(Absence::Late)),
            ],
            rules: vec![RuleHit {
                id: "r1".into(),
                title: "Scan of many ports".into(),
                severity: Severity::Medium,
                technique: Some("T1046".into()),
                fields: vec![("id.resp_p".into(), "445".into())],
                correlation: false,
            }],
            bundle: 7,
            inputs: 9,
        },
        contributions: vec![Contribution {
            feature: "fan_out".into(),
            share: 0.5,
            observed: "312".into(),
            value: Some(312.0),
            baseline: Some([1.0, 2.0, 9.0]),
            frequency: None,
        }],
        replay: threat::Replay {
            numeric: vec![0.5; 4],
            categories: vec![1, 2],
            token: 3,
            history: vec![4, 5],
        },
    }
}

fn entry(source: &str, start: u64, end: u64, events: u64) -> LedgerEntry {
    let verdicts = *blake3::hash(&end.to_le_bytes()).as_bytes();
    LedgerEntry { source: source.into(), start, end, events, threats: 1, verdicts }
}

fn count(threat: ThreatId, segment: &str, offset: u64, count: u64) -> Count {
    Count { threat, segment: segment.into(), offset, count }
}

fn entity(workload: u32, key: u64, sequence: u64) -> EntityState {
    let bytes = vec![sequence as u8; 5];
    EntityState { workload, kind: 2, key, epoch: 4, sequence, owner: key + 9, bytes }
}

/// A commit with one of everything.
fn one_of_each() -> Commit {
    let t = threat(4, 3);
    Commit {
        checkpoints: vec![("source/a".into(), b"position 10".to_vec())],
        ledger: vec![entry("run1/a", 0, 10, 2)],
        counts: vec![count(t.id, "a@0", 10, 3)],
        entities: vec![entity(7, 3, 1)],
        examples: vec![(t.id, 0, example()), (t.id, 2, example())],
        threats: vec![t],
        durable: true,
        ..Commit::default()
    }
}
