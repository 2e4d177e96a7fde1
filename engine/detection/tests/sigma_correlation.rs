//! The eight kinds of Sigma correlation: what they find, that shards do not matter, that the
//! answers are rsigma's, and that state stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test reads files, and fails where these do"
)]

mod support;

use detection::rules::{
    CorrelationInput, Correlator, EventView, Released, Resequencer, RuleSet, WindowValues,
};
use rsigma_eval::{CorrelationConfig, CorrelationEngine};
use support::{event, flow, side};
use threat::entropy::Rng;
use threat::event::{Authentication, Flow, Outcome};
use threat::{Body, Event, RuleHit};

const BASE: &str = r"
title: Base flow
id: 00000000-0000-0000-0000-00000000000a
name: base_flow
logsource: { product: zeek, service: conn }
detection:
  selection: { dst_port: [22, 443] }
  condition: selection
level: low
---
title: Base failure
id: 00000000-0000-0000-0000-00000000000b
name: base_failure
logsource: { product: watchfire, category: authentication }
detection:
  selection: { status: failure }
  condition: selection
level: low
---
title: Base success
id: 00000000-0000-0000-0000-00000000000c
name: base_success
logsource: { product: watchfire, category: authentication }
detection:
  selection: { status: success }
  condition: selection
level: low
";

fn correlation(name: &str, kind: &str, rules: &str, condition: &str) -> String {
    format!(
        "---\ntitle: {name}\nid: {name}\nname: {name}\ncorrelation:\n  type: {kind}\n  \
         rules: [{rules}]\n  group-by: [src_ip]\n  timespan: 60s\n{condition}level: high\n\
         tags: [attack.t1110]\n"
    )
}

/// Base rules and one correlation of each kind.
fn eight_kinds() -> String {
    let failure_then_success = "base_failure, base_success";
    let mut yaml = BASE.to_owned();
    for (name, kind, rules, condition) in [
        ("many", "event_count", "base_flow", "  condition: { gte: 5 }\n"),
        ("spread", "value_count", "base_flow", "  condition: { field: dst_ip, gte: 3 }\n"),
        ("both", "temporal", failure_then_success, ""),
        ("ordered", "temporal_ordered", failure_then_success, ""),
        ("sum", "value_sum", "base_flow", "  condition: { field: orig_bytes, gt: 3000 }\n"),
        ("mean", "value_avg", "base_flow", "  condition: { field: orig_bytes, gt: 800 }\n"),
        (
            "high",
            "value_percentile",
            "base_flow",
            "  condition: { field: orig_bytes, percentile: 90, gte: 900 }\n",
        ),
        ("middle", "value_median", "base_flow", "  condition: { field: orig_bytes, gt: 700 }\n"),
    ] {
        yaml += &correlation(name, kind, rules, condition);
    }
    yaml
}

fn load(yaml: &str) -> RuleSet {
    let (set, problems) = RuleSet::load(false, &[("test.yml".to_owned(), yaml.to_owned())]);
    assert!(problems.is_empty(), "{problems:?}");
    set
}

fn logon(secs: i64, src: &str, outcome: Outcome) -> Event {
    let auth = Authentication { outcome, attempts: 1, ..Authentication::default() };
    let mut e = event("linux", "sshd", secs, Body::Authentication(Box::new(auth)));
    e.src = side(src, 50_000);
    e.user = Some("root".into());
    e
}

/// Flows and logons of a few sources, in time order.
fn traffic(seed: u64, count: usize) -> Vec<Event> {
    let mut rng = Rng::new(seed);
    let mut secs = 1_000;
    (0..count)
        .map(|_| {
            secs += rng.below(9) as i64;
            let src = format!("203.0.113.{}", rng.below(4));
            if rng.chance(0.3) {
                let outcome = if rng.chance(0.7) { Outcome::Failure } else { Outcome::Success };
                return logon(secs, &src, outcome);
            }
            let bytes = Some(rng.below(1_200) as u64);
            let port = if rng.chance(0.8) { 22 } else { 80 };
            let dst = format!("192.168.1.{}", rng.below(5));
            flow(secs, &src, &dst, port, Flow { orig_bytes: bytes, ..Flow::default() })
        })
        .collect()
}

fn input(set: &RuleSet, event: &Event) -> Option<CorrelationInput> {
    let quiet = WindowValues::default();
    set.evaluate(&EventView::new(event, &quiet, &[])).correlation
}

fn in_order(set: &RuleSet, events: &[Event]) -> Vec<RuleHit> {
    let mut correlator = Correlator::new(set);
    events.iter().filter_map(|e| input(set, e)).flat_map(|i| correlator.feed(&i)).collect()
}

/// As `in_order`, but every event is matched by one of four shards, whose parts arrive in any
/// order.
fn over_four_shards(set: &RuleSet, events: &[Event], seed: u64) -> Vec<RuleHit> {
    let mut rng = Rng::new(seed);
    let mut parts: Vec<(u64, Vec<(u32, CorrelationInput)>)> = Vec::new();
    for (sequence, batch) in events.chunks(16).enumerate() {
        let mut of_shard = vec![Vec::new(); 4];
        for (row, event) in batch.iter().enumerate() {
            // By destination or source, so that the groups of correlations are split over shards.
            let shard = if rng.chance(0.5) { event.entity().id().shard(4) } else { rng.below(4) };
            of_shard[shard].extend(input(set, event).map(|i| (row as u32, i)));
        }
        parts.extend(of_shard.into_iter().map(|items| (sequence as u64, items)));
    }
    rng.shuffle(&mut parts);
    let (mut buffer, mut correlator) = (Resequencer::new(0), Correlator::new(set));
    let mut hits = Vec::new();
    let mut released: Vec<Released<CorrelationInput>> = Vec::new();
    for (sequence, items) in parts {
        buffer.push(sequence, 4, items, &mut released).unwrap();
        for batch in released.drain(..) {
            assert!(batch.complete);
            hits.extend(batch.items.iter().flat_map(|(_, i)| correlator.feed(i)));
        }
    }
    hits
}

#[test]
fn every_kind_fires_the_same_over_one_shard_and_four() {
    let set = load(&eight_kinds());
    let mut fired = std::collections::BTreeMap::new();
    for seed in 0..20 {
        let events = traffic(seed, 200);
        let alone = in_order(&set, &events);
        assert_eq!(over_four_shards(&set, &events, seed), alone, "seed {seed}");
        for hit in &alone {
            assert!(hit.correlation && hit.technique.as_deref() == Some("T1110"));
            *fired.entry(hit.title.to_string()).or_insert(0) += 1;
        }
    }
    println!("{fired:?}");
    assert_eq!(fired.len(), 8, "{fired:?}");
}

/// rsigma's own correlation engine is the reference: it is exact as long as nothing is bounded.
#[test]
fn answers_are_those_of_the_reference_engine() {
    let yaml = eight_kinds();
    let set = load(&yaml);
    // The reference looks a temporal rule up by id where a correlation names it.
    let by_id = yaml
        .replace("base_failure, base_success", "BF, BS")
        .replace("BF", "00000000-0000-0000-0000-00000000000b")
        .replace("BS", "00000000-0000-0000-0000-00000000000c");
    let parsed = rsigma_parser::parse_sigma_yaml(&by_id).unwrap();
    let quiet = WindowValues::default();
    for seed in 100..120 {
        let mut reference = CorrelationEngine::new(CorrelationConfig::default());
        reference.add_collection(&parsed).unwrap();
        let mut correlator = Correlator::new(&set);
        for event in traffic(seed, 300) {
            let view = EventView::new(&event, &quiet, &[]);
            let is_flow = matches!(event.body, Body::Flow(_));
            let detections = reference.evaluate(&view);
            // The reference does not route; status and port tell the classes apart here.
            assert!(detections.iter().all(|d| (d.header.rule_title == "Base flow") == is_flow));
            let mut want: Vec<(String, String)> = reference
                .process_with_detections(&view, detections, event.time.secs())
                .iter()
                .filter_map(|r| Some((r, r.as_correlation()?)))
                .map(|(r, c)| (r.header.rule_title.clone(), format!("{:.3}", c.aggregated_value)))
                .collect();
            let hits = input(&set, &event).map(|i| correlator.feed(&i)).unwrap_or_default();
            let mut got: Vec<(String, String)> = hits
                .iter()
                .map(|h| {
                    let value = h.fields[h.fields.len() - 2].1.parse::<f64>().unwrap();
                    (h.title.to_string(), format!("{value:.3}"))
                })
                .collect();
            want.sort();
            got.sort();
            assert_eq!(got, want, "seed {seed}");
        }
    }
}

#[test]
fn correlations_of_correlations_and_silent_rules() {
    let chain = correlation("guessed", "event_count", "base_failure", "  condition: { gte: 3 }\n")
        + &correlation("twice", "event_count", "guessed", "  condition: { gte: 2 }\n");
    // A correlation may stand before what it counts.
    let set = load(&(BASE.to_owned() + &chain));
    let mut correlator = Correlator::new(&set);
    let mut titles = Vec::new();
    for i in 0..5 {
        let event = logon(i, "203.0.113.1", Outcome::Failure);
        let quiet = WindowValues::default();
        let matched = set.evaluate(&EventView::new(&event, &quiet, &[]));
        assert!(matched.hits.is_empty(), "a rule that only feeds correlations is silent");
        let hits = correlator.feed(&matched.correlation.unwrap());
        titles.push(hits.iter().map(|h| h.title.to_string()).collect::<Vec<_>>());
    }
    // The inner one is silent too; the outer one holds from its second firing on.
    assert_eq!(
        titles,
        [vec![], vec![], vec![], vec!["twice".to_owned()], vec!["twice".to_owned()]]
    );
    let shown = chain.replace("level: high", "generate: true\nlevel: high");
    let set = load(&(BASE.to_owned() + &shown.replace("\ngenerate", "\n  generate")));
    let hits = in_order(&set, &[0, 1, 2].map(|i| logon(i, "203.0.113.1", Outcome::Failure)));
    assert_eq!(hits.len(), 1, "{hits:?}");
}

#[test]
fn what_refers_to_nothing_or_itself_is_reported() {
    let bad = correlation("lost", "event_count", "nothing", "  condition: { gte: 2 }\n")
        + &correlation("egg", "event_count", "hen", "  condition: { gte: 2 }\n")
        + &correlation("hen", "event_count", "egg", "  condition: { gte: 2 }\n");
    let files = [
        ("a.yml".to_owned(), BASE.to_owned() + &bad),
        ("b.yml".to_owned(), "title: [".to_owned()),
        ("c.yml".to_owned(), BASE.to_owned()),
        ("d.yml".to_owned(), BASE.replace("condition: selection", "condition: nowhere")),
    ];
    let (set, problems) = RuleSet::load(false, &files);
    assert_eq!(set.rules().count(), 3);
    let of = |file: &str| problems.iter().filter(|p| p.file == file).count();
    assert_eq!([of("a.yml"), of("b.yml"), of("c.yml"), of("d.yml")], [3, 1, 3, 3], "{problems:#?}");
}

#[test]
fn a_million_groups_and_a_flood_stay_bounded() {
    let count = correlation("many", "event_count", "base_flow", "  condition: { gte: 5 }\n");
    let set = load(&(BASE.to_owned() + &count));
    let event = |i: u32, secs: i64| {
        let src = std::net::Ipv4Addr::from_bits(0x0b00_0000 + i).to_string();
        let bytes = Flow { orig_bytes: Some(1), ..Flow::default() };
        flow(secs, &src, "192.168.1.1", 22, bytes)
    };
    let mut correlator = Correlator::new(&set);
    let mut most = 0;
    for i in 0..1_000_000 {
        correlator.feed(&input(&set, &event(i, 0)).unwrap());
        most = most.max(correlator.counts().groups.max(correlator.counts().entries));
    }
    assert!(most <= 65_536, "{most}");
    assert!(correlator.counts().evicted_groups > 900_000);

    // One group of every kind: as many entries as its limit, however long the flood.
    let set = load(&eight_kinds());
    let mut correlator = Correlator::new(&set);
    let one = input(&set, &event(0, 5)).unwrap();
    for _ in 0..10_000 {
        correlator.feed(&one);
    }
    let counts = correlator.counts();
    assert!(counts.entries < 3 * 1_025 + 2 * 4_097, "{counts:?}");
    assert!(counts.dropped_entries > 10_000, "{counts:?}");
}
