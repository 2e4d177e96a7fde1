//! Threats in words and as JSON.

use node::membership::{Classification, Record, Said, Status};
use node::report::words::{cut, number, span, time, value, visible};
use serde_json::{Value, json};
use std::fmt::Write as _;
use threat::{DetectorKind, Severity};

/// Characters of an entity in a list.
const ENTITY: usize = 28;

/// What stands over the lines of a list.
pub const HEADING: &str = "id            severity       status       verdicts  last seen  \
     \x20          entity                        class";

fn status(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::InProgress => "in-progress",
        Status::Closed => "closed",
    }
}

fn classification(word: Option<Classification>) -> &'static str {
    match word {
        Some(Classification::TruePositive) => "true positive",
        Some(Classification::FalsePositive) => "false positive",
        None => "none",
    }
}

fn level(severity: Severity) -> String {
    severity.name().to_lowercase()
}

/// A threat in a line of a list.
pub fn line(r: &Record) -> String {
    format!(
        "{:.12}  {:13}  {:11}  {:>8}  {:20}  {:28}  {}",
        r.id.to_string(),
        level(r.gravity()),
        status(r.status()),
        number(r.verdicts()),
        time(r.last_seen),
        cut(&visible(&r.entity.to_string()), ENTITY),
        r.class.name()
    )
}

/// The detectors that took some of its events for a threat.
fn voters(r: &Record) -> Vec<&'static str> {
    let voted = |d: &&DetectorKind| r.voters & (1 << **d as u16) != 0;
    DetectorKind::ALL.iter().filter(voted).map(|d| d.name()).collect()
}

/// All that is known of a threat.
pub fn whole(r: &Record) -> String {
    let mut out = String::new();
    let mut row = |key: &str, text: String| _ = writeln!(out, "{key:15} {text}");
    let list = |texts: &mut dyn Iterator<Item = String>| texts.collect::<Vec<_>>().join(", ");
    row("threat", r.id.to_string());
    row(r.entity.kind(), visible(&r.entity.to_string()));
    let technique = r.technique.as_ref().map(|t| format!(" ({})", visible(t)));
    row("class", format!("{}{}", r.class.name(), technique.unwrap_or_default()));
    let by_hand = r.gravity() != r.severity;
    let verdicts = format!("{}, by hand; verdicts say {}", level(r.gravity()), level(r.severity));
    row("severity", if by_hand { verdicts } else { level(r.severity) });
    row("score", value(r.score));
    row("seen", span(r.first_seen, r.last_seen));
    let logs = r.counts().len();
    row("verdicts", format!("{} from {logs} logs", number(r.verdicts())));
    row("voters", list(&mut voters(r).iter().map(|v| (*v).to_owned())));
    let targets = list(&mut r.targets.iter().map(|t| visible(t)));
    row("targets", format!("{targets} ({} in all)", number(r.targets.distinct())));
    row("rules", list(&mut r.rules.iter().map(|t| visible(t))));
    let by = |stamp: Option<node::membership::Stamp>| {
        stamp.map_or_else(String::new, |s| {
            format!(", since {} by node {}", time(s.wall), s.replica.node)
        })
    };
    let handling = r.handling().cloned().unwrap_or_default();
    row("status", format!("{}{}", status(r.status()), by(handling.status.stamp())));
    if let Some(who) = handling.assignee.get() {
        let name = who.as_ref().map_or_else(|| "nobody".into(), |n| visible(n));
        row("assignee", format!("{name}{}", by(handling.assignee.stamp())));
    }
    if let Some(word) = handling.classification.get() {
        let stamp = by(handling.classification.stamp());
        row("classification", format!("{}{stamp}", classification(*word)));
    }
    out
}

/// A threat for programs.
pub fn json(r: &Record) -> Value {
    let handling = r.handling().cloned().unwrap_or_default();
    json!({
        "id": r.id,
        "entity": { "kind": r.entity.kind(), "name": r.entity.to_string() },
        "class": r.class.name(),
        "technique": r.technique,
        "severity": level(r.gravity()),
        "severity_of_verdicts": level(r.severity),
        "score": r.score,
        "first_seen": time(r.first_seen),
        "last_seen": time(r.last_seen),
        "verdicts": r.verdicts(),
        "voters": voters(r),
        "targets": r.targets,
        "distinct_targets": r.targets.distinct(),
        "rules": r.rules,
        "status": status(r.status()),
        "assignee": handling.assignee.get().cloned().flatten(),
        "classification": handling.classification.get().copied().flatten(),
        "handled": r.handling(),
    })
}

/// What would be different after somebody says this, in words.
pub fn changes(r: &Record, said: &Said) -> Vec<String> {
    let handling = r.handling().cloned().unwrap_or_default();
    let mut all = Vec::new();
    let mut from_to = |what: &str, before: String, after: String| {
        if before != after {
            all.push(format!("{what} {before} becomes {after}"));
        }
    };
    if let Some(new) = said.status {
        from_to("status", status(r.status()).into(), status(new).into());
    }
    if let Some(new) = &said.assignee {
        let name = |who: Option<&threat::Text>| who.map_or_else(|| "nobody".into(), |n| visible(n));
        let before = handling.assignee.get().and_then(Option::as_ref);
        from_to("assignee", name(before), name(new.as_ref()));
    }
    if let Some(new) = said.classification {
        let before = handling.classification.get().copied().flatten();
        from_to("classification", classification(before).into(), classification(new).into());
    }
    if let Some(new) = said.severity {
        let word = |s: Option<Severity>| s.map_or_else(|| "of its verdicts".into(), level);
        let before = handling.severity.get().copied().flatten();
        from_to("severity", word(before), word(new));
    }
    all
}
