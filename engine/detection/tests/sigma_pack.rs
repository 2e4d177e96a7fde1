//! The shipped rules: each is complete, loads, fires on what it is about and not on what is
//! ordinary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test reads files, and fails where these do"
)]

#[path = "support/pack_cases.rs"]
mod pack_cases;
mod support;

use detection::rules::pack::PACK;
use detection::rules::{Correlator, EventView, RuleSet, WindowValues};
use pack_cases::{Case, attacks, auth_case, ordinary, tcp};
use rsigma_parser::parse_sigma_yaml;
use std::collections::BTreeSet;
use support::flow;
use threat::Event;
use threat::event::{ConnState, Outcome};

fn titles(set: &RuleSet, (event, window): &Case) -> Vec<String> {
    let view = EventView::new(event, window, &[]);
    set.matches(&view).into_iter().map(|h| h.title.to_string()).collect()
}

#[test]
fn every_rule_is_complete() {
    let (set, problems) = RuleSet::load(true, &[]);
    assert!(problems.is_empty(), "{problems:?}");
    let mut ids = BTreeSet::new();
    let mut complete = |id: &Option<String>, title: &str, parts: [bool; 3], tags: &[String]| {
        let id = id.clone().unwrap_or_default();
        assert_eq!(id.len(), 36, "{title}: a UUID");
        assert!(ids.insert(id), "{title}: its own id");
        assert!(parts.iter().all(|p| *p), "{title}: level, description, falsepositives");
        let technique = tags.iter().any(|t| {
            t.strip_prefix("attack.t").is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
        });
        // A foreign alert's technique is its signature's to tell.
        let foreign = tags == ["watchfire.signature"] && title.starts_with("Suricata alert");
        assert!(technique != foreign, "{title}: a technique");
    };
    let mut count = 0;
    for (file, yaml) in PACK {
        let parsed = parse_sigma_yaml(yaml).unwrap();
        assert!(parsed.errors.is_empty(), "{file}: {:?}", parsed.errors);
        for r in &parsed.rules {
            let parts = [r.level.is_some(), r.description.is_some(), !r.falsepositives.is_empty()];
            complete(&r.id, &r.title, parts, &r.tags);
        }
        for c in &parsed.correlations {
            let parts = [c.level.is_some(), c.description.is_some(), !c.falsepositives.is_empty()];
            complete(&c.id, &c.title, parts, &c.tags);
        }
        count += parsed.rules.len() + parsed.correlations.len();
    }
    assert_eq!(set.rules().count(), count);
}

#[test]
fn every_stateless_rule_fires_on_its_attack() {
    let (set, _) = RuleSet::load(true, &[]);
    let attacks = attacks();
    let base = ["Connection attempt without an answer", "ssh session of unknown outcome"];
    for rule in set.rules().filter(|r| !r.correlation && !base.contains(&r.title)) {
        let case = attacks.get(rule.title).unwrap_or_else(|| panic!("no case: {}", rule.title));
        let fired = titles(&set, case);
        assert!(fired.iter().any(|t| t == rule.title), "{}: only {fired:?}", rule.title);
    }
}

#[test]
fn nothing_fires_on_the_ordinary() {
    let (set, _) = RuleSet::load(true, &[]);
    for case in ordinary() {
        assert_eq!(titles(&set, &case), Vec::<String>::new(), "{:?}", case.0);
    }
}

/// Feeds events through matching and correlation; titles of the correlations that fired.
fn correlated(events: impl Iterator<Item = Event>) -> BTreeSet<String> {
    let (set, _) = RuleSet::load(true, &[]);
    let mut correlator = Correlator::new(&set);
    let quiet = WindowValues::default();
    let mut fired = BTreeSet::new();
    for event in events {
        let matched = set.evaluate(&EventView::new(&event, &quiet, &[]));
        let hits = matched.correlation.map(|input| correlator.feed(&input)).unwrap_or_default();
        fired.extend(hits.into_iter().map(|h| h.title.to_string()));
    }
    fired
}

#[test]
fn slow_scans_and_session_floods_are_correlated() {
    let probe = |i: i64, dst: &str, port: u16| {
        flow(i * 1_800, "203.0.113.9", dst, port, tcp(ConnState::S0))
    };
    let ports = correlated((0..30).map(|i| probe(i, "192.168.1.2", 100 + i as u16)));
    assert_eq!(ports, BTreeSet::from(["Ports of one host tried over a day".to_owned()]));
    let hosts = correlated((0..60).map(|i| probe(i / 2, &format!("192.168.1.{i}"), 23)));
    assert_eq!(hosts, BTreeSet::from(["One port tried on many hosts over a day".to_owned()]));
    let retries = correlated((0..500).map(|i| probe(i % 40, "192.168.1.2", 443)));
    assert_eq!(retries, BTreeSet::new());

    let session = |i: i64, outcome| {
        let (mut e, _) = auth_case(outcome, &[]);
        e.time = threat::Timestamp::from_micros(i * 25_000_000);
        e
    };
    let flood = correlated((0..24).map(|i| session(i, Outcome::Unknown)));
    assert_eq!(flood, BTreeSet::from(["Flood of ssh sessions from one source".to_owned()]));
    assert_eq!(correlated((0..24).map(|i| session(i, Outcome::Success))), BTreeSet::new());
    assert_eq!(correlated((0..24).map(|i| session(4 * i, Outcome::Unknown))), BTreeSet::new());
}
