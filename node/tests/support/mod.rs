//! Made-up reports for tests and for the demo: seeded, so that golden files stay the same.

use node::report::model::*;
use std::collections::BTreeMap;
use threat::entity::Entity;
use threat::entropy::Rng;
use threat::event::Position;
use threat::threats::Indicators;
use threat::verdict::{Absence, Abstention};
use threat::*;

/// 2019-01-09 00:00:00 UTC.
const START: i64 = 1_546_992_000_000_000;

fn at(secs: f64) -> Timestamp {
    Timestamp::from_micros(START).plus_secs(secs)
}

fn indicators(items: &[(&str, u64)]) -> Indicators {
    let mut out = Indicators::default();
    items.iter().for_each(|(name, n)| out.add(name, *n));
    out
}

fn contribution(feature: &str, share: f32, seen: f32, base: [f32; 3]) -> Contribution {
    Contribution {
        feature: feature.into(),
        share,
        observed: node::report::words::value(seen).into(),
        value: Some(seen),
        baseline: Some(base),
        frequency: None,
    }
}

fn category(feature: &str, share: f32, seen: &str, frequency: f32) -> Contribution {
    Contribution {
        feature: feature.into(),
        share,
        observed: seen.into(),
        value: None,
        baseline: None,
        frequency: Some(frequency),
    }
}

fn voted(detector: DetectorKind, score: f32, tail: f32, threat: bool) -> Vote {
    Vote { detector, ballot: Ballot::Voted { score, tail, threat } }
}

/// A replayable verdict with all kinds of reasons.
pub fn example(t: &Threat, raw: &str, third: Ballot) -> Example {
    let target = t.targets.top().first().map_or("?".to_owned(), |x| x.0.to_string());
    Example {
        time: t.first_seen,
        source: "conn.log".into(),
        position: Position { offset: 4_096, line: 42 },
        raw: raw.to_owned(),
        class: EventClass::Flow,
        summary: format!("{} to {target}, no answer", t.entity),
        verdict: Verdict {
            event: 3,
            threat: true,
            score: t.score,
            severity: t.severity,
            source: VerdictSource::Ml,
            votes: [
                voted(DetectorKind::Forest, 0.713, t.score + 0.9, true),
                voted(DetectorKind::Bayes, 41.25, t.score, true),
                Vote { detector: DetectorKind::Sequence, ballot: third },
            ],
            rules: vec![RuleHit {
                id: "5f1a".into(),
                title: "Repeated contact to an uncommon port".into(),
                severity: Severity::Medium,
                technique: Some("T1571".into()),
                fields: vec![("id.resp_p".into(), "6667".into()), ("count".into(), "60".into())],
                correlation: true,
            }],
            bundle: 0x8f3a_77aa_0192_bc5e,
            inputs: 0xffff_ffff_ffff_fff1,
        },
        contributions: vec![
            category("port", 0.38, "6667", 0.0),
            contribution("orig_bytes", 0.27, 812_000.0, [40.0, 310.0, 4_800.0]),
            contribution("duration", 0.14, 2.999_5, [0.001, 0.2, 65.0]),
            category("history", 0.11, "S", 0.012),
            contribution("gap", 0.06, -3.5, [-1.0, 0.0, 0.25]),
            contribution("orig_packets", 0.04, 5.0, [1.0, 4.0, 22.0]),
        ],
        replay: Replay {
            numeric: vec![0.1, 812_000.0, 2.999_5],
            categories: vec![u64::MAX, 7],
            token: 12,
            history: vec![1, 2, 3],
        },
    }
}

/// A threat of `who` with usual values.
pub fn threat(
    who: &str,
    class: ThreatClass,
    severity: Severity,
    targets: &[(&str, u64)],
) -> Threat {
    let entity = Entity::Host(Host::parse(who));
    let count = targets.iter().map(|t| t.1).sum::<u64>().max(1);
    Threat {
        id: ThreatId::of(&entity, class, at(0.0).hour()),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity,
        score: 3.25 + severity.id() as f32 * 0.5,
        first_seen: at(95.0),
        last_seen: at(2_460.5),
        count,
        targets: indicators(targets),
        rules: indicators(&[("Repeated contact to an uncommon port", count / 2 + 1)]),
        voters: BTreeMap::from([(DetectorKind::Forest, count), (DetectorKind::Bayes, count)]),
        missing: BTreeMap::new(),
        labels: Indicators::default(),
    }
}

const RAW: &str = "1547000095.231\tCnA3ib2VxS6dQ7fT8j\t192.168.1.116\t38422\t198.51.100.7\t6667\
    \ttcp\tirc\t2.999500\t812000\t0\tS0\t-\t-\t0\tS\t5\t300\t0\t0\t-";

/// Frame of a report over given threats.
fn frame(threats: Vec<Threat>, events: u64) -> RunReport {
    let flagged: u64 = threats.iter().map(|t| t.count).sum();
    let mut by_severity = BTreeMap::new();
    for t in &threats {
        *by_severity.entry(t.severity).or_insert(0) += t.count;
    }
    RunReport {
        version: "0.1.0".into(),
        started: Timestamp::from_micros(1_790_000_000_000_000),
        finished: Timestamp::from_micros(1_790_000_001_400_000),
        elapsed_secs: 1.4,
        command: ["watchfire", "detect", "conn.log"].map(String::from).to_vec(),
        sources: vec![SourceReport {
            name: "conn.log".into(),
            format: "zeek tsv".into(),
            counts: IntakeCounts {
                read: events + 9,
                events,
                quarantined: 0,
                comments: 9,
                bytes: events * 120,
            },
            ..SourceReport::default()
        }],
        state: RunState::Ready,
        bundle: Some(BundleReport {
            version: "1".into(),
            id: "8f3a77aa0192bc5e8f3a77aa0192bc5e8f3a77aa0192bc5e8f3a77aa0192bc5e".into(),
            rows: 8_200,
            classes: BTreeMap::from([(
                EventClass::Flow,
                ClassReport {
                    voters: vec![DetectorKind::Forest, DetectorKind::Bayes, DetectorKind::Sequence],
                    rows: 8_200,
                    threshold: 3.0,
                },
            )]),
        }),
        budget: "0.1% of events".into(),
        events_per_second: events as f64 / 1.4,
        first_event: Some(at(0.0)),
        last_event: Some(at(7_200.0)),
        verdicts: VerdictCounts {
            total: events,
            by_voters: events,
            threats: flagged,
            by_severity,
            ..VerdictCounts::default()
        },
        incidents: detection::incidents::group(&threats, detection::incidents::MAX_INCIDENTS),
        threats,
        ..RunReport::default()
    }
}

/// One finding, one incident.
pub fn one() -> RunReport {
    let t = threat(
        "192.168.1.116",
        ThreatClass::CommandAndControl,
        Severity::High,
        &[("198.51.100.7:6667/tcp", 60)],
    );
    let e = example(&t, RAW, Ballot::Abstained(Abstention::NothingToSay));
    let mut r = frame(vec![t.clone()], 10_403);
    r.examples.insert(t.id, vec![e]);
    charts(&mut r, 60, 1);
    r
}

/// An infected host, many scanners and guessers, trouble with a source and a voter.
pub fn mixed() -> RunReport {
    let mut all = vec![
        threat(
            "192.168.1.116",
            ThreatClass::DomainGeneration,
            Severity::High,
            &[("xkqjzvw.example.org", 900)],
        ),
        threat(
            "192.168.1.116",
            ThreatClass::CommandAndControl,
            Severity::High,
            &[("198.51.100.7:6667/tcp", 60)],
        ),
    ];
    for i in 0..240 {
        let n = 9 + (240 - i) / 20;
        all.push(threat(
            &format!("203.0.113.{i}"),
            ThreatClass::BruteForce,
            Severity::Medium,
            &[("192.168.1.194:22/tcp", n)],
        ));
    }
    for i in 0..6 {
        all.push(threat(
            &format!("192.168.1.{}", 20 + i),
            ThreatClass::Anomaly,
            Severity::Low,
            &[("192.0.2.80:443/tcp", 2 + i)],
        ));
    }
    let mut r = frame(all, 10_403);
    for t in r.threats.clone() {
        let missing = Ballot::Missing(Absence::Late);
        r.examples.insert(t.id, vec![example(&t, RAW, missing), example(&t, RAW, missing)]);
    }
    r.sources[0].counts.quarantined = 3;
    r.sources[0].counts.read += 3;
    r.sources[0].quarantined.push(QuarantineExample {
        line: 311,
        reason: "21 fields expected, 7 found".into(),
        excerpt: "1547000311.2\tCx".into(),
    });
    r.verdicts.missing.push(MissingVoter {
        detector: DetectorKind::Sequence,
        reason: Absence::Late,
        verdicts: 120,
    });
    r.labelled = Some(BTreeMap::from([
        ("Benign".into(), LabelReport { rows: 8_100, found: 7 }),
        ("C&C".into(), LabelReport { rows: 61, found: 60 }),
        ("PartOfAHorizontalPortScan".into(), LabelReport { rows: 2_242, found: 2_240 }),
    ]));
    r.outputs.findings = Some("findings.jsonl".into());
    charts(&mut r, 120, 7);
    r
}

/// As many findings as wanted, of many kinds.
pub fn many(findings: usize) -> RunReport {
    let mut rng = Rng::new(5);
    let mut all = BTreeMap::new();
    while all.len() < findings {
        let class = ThreatClass::ALL[rng.below(10)];
        let who = if rng.chance(0.1) {
            format!("10.{}.{}.{}", rng.below(4), rng.below(200), rng.below(250))
        } else {
            format!(
                "{}.{}.{}.{}",
                30 + rng.below(90),
                rng.below(250),
                rng.below(250),
                rng.below(250)
            )
        };
        let target = format!("192.168.1.{}:{}/tcp", rng.below(9), [22, 23, 80, 445][rng.below(4)]);
        let severity = Severity::ALL[1 + rng.below(2) + usize::from(rng.chance(0.02)) * 2];
        let mut t = threat(&who, class, severity, &[(target.as_str(), 1 + rng.below(60) as u64)]);
        t.score = rng.range(3.0, 7.0) as f32;
        t.first_seen = at(rng.range(0.0, 3_000.0));
        t.last_seen = t.first_seen.plus_secs(rng.exponential(600.0));
        all.insert(t.id, t);
    }
    let mut r = frame(all.into_values().collect(), 1_204_000);
    for t in r.threats.clone() {
        let e = example(&t, RAW, voted(DetectorKind::Sequence, 4.1, 2.2, false).ballot);
        r.examples.insert(t.id, vec![e.clone(), e.clone(), e]);
    }
    charts(&mut r, 400, 11);
    r
}

/// Nothing found yet.
pub fn learning() -> RunReport {
    let mut r = frame(Vec::new(), 1_200);
    r.state = RunState::Learning { rows: 1_200, needed: 5_000 };
    r.bundle = None;
    r.verdicts.by_voters = 0;
    r.verdicts.by_rules = 1_200;
    r.first_event = Some(Timestamp::from_micros(0));
    r.last_event = Some(Timestamp::from_micros(123_400_000));
    r
}

fn charts(r: &mut RunReport, buckets: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    r.timeline = (0..buckets)
        .map(|i| {
            let wave = 60.0 + 40.0 * (i as f64 / 9.0).sin();
            let mut threats = BTreeMap::new();
            if i % 9 < 4 && i > buckets / 5 {
                threats.insert(Severity::Medium, rng.below(14) as u64);
                threats.insert(Severity::High, rng.below(5) as u64);
                threats.insert(Severity::Low, rng.below(4) as u64);
            }
            let seconds = 7_200.0 / buckets as f64;
            Bucket {
                start: at(i as f64 * seconds),
                seconds,
                events: (wave + rng.exponential(15.0)) as u64,
                threats,
            }
        })
        .collect();
    let scorers = [
        Scorer::Detector(DetectorKind::Forest),
        Scorer::Detector(DetectorKind::Bayes),
        Scorer::Ensemble,
    ];
    r.histograms = scorers
        .map(|scorer| {
            let mut h = Histogram {
                class: EventClass::Flow,
                scorer,
                threshold: 3.0,
                width: 0.25,
                benign: vec![0; 32],
                threats: vec![0; 32],
            };
            for _ in 0..9_000 {
                let tail = rng.exponential(0.43);
                let i = ((tail / 0.25) as usize).min(31);
                if tail < 3.4 { h.benign[i] += 1 } else { h.threats[i] += 1 }
            }
            for _ in 0..1_100 {
                h.threats[((4.5 + rng.normal()) / 0.25).clamp(12.0, 31.0) as usize] += 1;
            }
            h
        })
        .to_vec();
    let mut by: BTreeMap<String, (u64, f32)> = BTreeMap::new();
    for t in &r.threats {
        let e = by.entry(t.entity.to_string()).or_default();
        *e = (e.0 + t.count, e.1.max(t.score));
    }
    r.top_entities = by
        .into_iter()
        .map(|(entity, (threats, max_score))| EntityReport {
            entity: entity.into(),
            kind: "host".into(),
            events: threats + threats / 3,
            threats,
            max_score,
        })
        .collect();
    r.top_entities.sort_by_key(|e| std::cmp::Reverse(e.threats));
    r.top_entities.truncate(20);
}
