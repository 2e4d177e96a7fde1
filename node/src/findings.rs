//! Threats as OCSF 1.8 Detection Findings (class 2004), one JSON object each, and the way back:
//! which finding a person means, and what is needed to score it again.
//!
//! Votes, bundle, rules and everything that the voters saw stand under `unmapped.watchfire`; there
//! numbers of 64 bits are hex, since many JSON readers round them. Floats are widened to 64 bits,
//! which loses nothing. Nothing here reads the clock: `time` is the finding's last event time.

mod reference;
mod stored;

pub use reference::{Error, FindingRef, parse_finding_id, stored_examples};
pub use stored::{Stored, StoredReplay};

use crate::report::words::visible;
use serde_json::{Map, Value, json};
use threat::entity::Entity;
use threat::{Contribution, Example, Host, Severity, Threat};

/// OCSF version written.
pub const OCSF_VERSION: &str = "1.8.0";

/// `class_uid` of a Detection Finding.
const CLASS_UID: u32 = 2004;

/// What happened to the finding, as OCSF's `activity_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Seen for the first time.
    Create,
    /// More was seen of it.
    Update,
    /// Handled.
    Close,
}

impl Activity {
    const fn id(self) -> u32 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Close => 3,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Close => "Close",
        }
    }
}

/// The finding of a threat as a JSON object; `examples` are its kept verdicts, `version` is the
/// tool's.
pub fn finding(threat: &Threat, examples: &[Example], version: &str, activity: Activity) -> Value {
    let f = threat;
    let title = format!("{}: {}", f.class.title(), f.entity);
    let (confidence_id, confidence, score) = confidence(f);
    let mut out = json!({
        "activity_id": activity.id(), "activity_name": activity.name(),
        "category_uid": 2, "category_name": "Findings",
        "class_uid": CLASS_UID, "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + activity.id(),
        "type_name": format!("Detection Finding: {}", activity.name()),
        "severity_id": f.severity.id(), "severity": f.severity.name(),
        "time": f.last_seen.millis(), "start_time": f.first_seen.millis(),
        "end_time": f.last_seen.millis(), "count": f.count,
        "message": title,
        "metadata": {
            "version": OCSF_VERSION, "uid": f.id,
            "product": { "name": "Watchfire", "vendor_name": "Watchfire", "version": version },
        },
        "finding_info": info(f, &title, version),
        "confidence_id": confidence_id, "confidence": confidence, "confidence_score": score,
        "risk_score": risk(f),
        "is_alert": f.severity >= Severity::Medium,
        "status_id": if activity == Activity::Close { 4 } else { 1 },
        "status": if activity == Activity::Close { "Resolved" } else { "New" },
        "evidences": evidences(f, examples),
        "resources": resources(f), "observables": observables(f),
        "unmapped": { "watchfire": {
            "class": f.class, "score": f64::from(f.score), "voters": f.voters, "missing": f.missing,
            "rules": f.rules, "targets": f.targets, "labels": f.labels,
            "examples": examples.iter().map(Stored::from).collect::<Vec<_>>(),
        } },
    });
    let analyses = analyses(f, examples);
    if let (false, Some(object)) = (analyses.is_empty(), out.as_object_mut()) {
        object.insert("anomaly_analyses".to_owned(), Value::Array(analyses));
    }
    out
}

/// The finding as one line without its end.
pub fn line(threat: &Threat, examples: &[Example], version: &str, activity: Activity) -> String {
    finding(threat, examples, version, activity).to_string()
}

/// The rules decided, since no voter took it for a threat.
fn by_rules(f: &Threat) -> bool {
    f.voters.values().all(|&n| n == 0) && !f.rules.kept.is_empty()
}

fn info(f: &Threat, title: &str, version: &str) -> Value {
    let (type_id, kind, name) = if by_rules(f) {
        let rule = f.rules.top().first().map_or("rules".to_owned(), |(r, _)| r.to_string());
        (1, "Rule", rule)
    } else {
        (4, "Learning (ML/DL)", "Watchfire ensemble".to_owned())
    };
    let mut info = json!({
        "uid": f.id, "title": title, "desc": description(f), "types": [f.class.title()],
        "analytic": { "type_id": type_id, "type": kind, "name": name, "version": version },
        "first_seen_time": f.first_seen.millis(), "last_seen_time": f.last_seen.millis(),
    });
    if let (Some(t), Some(object)) = (&f.technique, info.as_object_mut()) {
        object.insert("attacks".to_owned(), json!([{ "technique": { "uid": t } }]));
    }
    info
}

fn description(f: &Threat) -> String {
    let targets = f.targets.top();
    let towards = match targets.first() {
        None => String::new(),
        Some((t, _)) if targets.len() == 1 => format!(" towards {t}"),
        Some((t, _)) => format!(" towards {t} and {} more", targets.len() - 1),
    };
    format!(
        "{} by {} {}{towards}: {} verdicts",
        f.class.title(),
        f.entity.kind(),
        f.entity,
        f.count
    )
}

/// OCSF confidence from how many of the possible votes said "threat": two of three is what a
/// verdict needs (Medium), nearly all is High. Rules alone are Medium: they are exact, and blind to
/// context.
fn confidence(f: &Threat) -> (u32, &'static str, u64) {
    if by_rules(f) {
        return (2, "Medium", 50);
    }
    let votes: u64 = f.voters.values().sum();
    let score = (votes * 100).checked_div(f.count.saturating_mul(3)).unwrap_or(0).min(100);
    match score {
        85.. => (3, "High", score),
        50.. => (2, "Medium", score),
        _ => (1, "Low", score),
    }
}

/// 0 to 100: twenty points a level of severity, up to twenty more for the score (a tail of 5 fills
/// them), so that findings of one severity keep their order.
fn risk(f: &Threat) -> u32 {
    let base = u32::from(f.severity.id() - 1) * 20;
    base + (f.score.clamp(0.0, 5.0) * 4.0).round() as u32
}

/// An OCSF endpoint, or a user, of an entity: key and object.
fn party(entity: &Entity) -> Option<(&'static str, Value)> {
    match entity {
        Entity::Host(h) => Some(("src_endpoint", endpoint(h, None))),
        Entity::User(u) => Some(("user", json!({ "name": u }))),
        Entity::Source(_) => None,
    }
}

fn endpoint(host: &Host, port: Option<u16>) -> Value {
    let mut out = Map::new();
    match host {
        Host::Ip(ip) => out.insert("ip".to_owned(), json!(ip.to_string())),
        Host::Name(n) => out.insert("hostname".to_owned(), json!(n)),
    };
    if let Some(p) = port {
        out.insert("port".to_owned(), json!(p));
    }
    Value::Object(out)
}

/// One evidence for each example: its record, who, and the target that its summary names.
fn evidences(f: &Threat, examples: &[Example]) -> Vec<Value> {
    examples
        .iter()
        .map(|e| {
            let mut out = Map::new();
            out.extend(party(&f.entity).map(|(k, v)| (k.to_owned(), v)));
            let target = f.targets.top().into_iter().find_map(|(t, _)| {
                let (host, port) = detection::incidents::target_host(t)?;
                e.summary.contains(&host.to_string()).then_some((host, port))
            });
            if let Some((host, port)) = target {
                out.insert("dst_endpoint".to_owned(), endpoint(&host, port));
            }
            let data = json!({
                "raw": visible(&e.raw), "summary": visible(&e.summary), "source": e.source,
                "line": e.position.line, "event_time": e.time.millis(),
                "event_class_uid": e.class.class_uid(),
            });
            out.insert("data".to_owned(), data);
            Value::Object(out)
        })
        .collect()
}

/// Our own things that the finding touches: the entity when it is inside, and internal targets.
fn resources(f: &Threat) -> Vec<Value> {
    let mut out = Vec::new();
    match &f.entity {
        Entity::Host(h) if h.is_internal() => {
            out.push(json!({ "name": h.to_string(), "type": "host" }));
        }
        Entity::User(u) => out.push(json!({ "name": u, "type": "user" })),
        _ => {}
    }
    for (target, _) in f.targets.top() {
        if let Some((host, _)) = detection::incidents::target_host(target) {
            let one = json!({ "name": host.to_string(), "type": "host" });
            if host.is_internal() && !out.contains(&one) {
                out.push(one);
            }
        }
    }
    out
}

/// The values to search other logs for.
fn observables(f: &Threat) -> Vec<Value> {
    let of_host = |name: &str, h: &Host| {
        let (id, kind) = match h {
            Host::Ip(_) => (2, "IP Address"),
            Host::Name(_) => (1, "Hostname"),
        };
        json!({ "name": name, "type_id": id, "type": kind, "value": h.to_string() })
    };
    let mut out = Vec::new();
    match &f.entity {
        Entity::Host(h) => out.push(of_host("entity", h)),
        Entity::User(u) => {
            out.push(json!({ "name": "entity", "type_id": 4, "type": "User Name", "value": u }));
        }
        Entity::Source(_) => {}
    }
    for (target, _) in f.targets.top() {
        let one = match detection::incidents::target_host(target) {
            Some((h, _)) => of_host("target", &h),
            None => json!({ "name": "target", "type_id": 99, "type": "Other", "value": target }),
        };
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

fn observation(value: String, count: u64) -> Value {
    json!({ "value": value, "count": count })
}

/// What was seen against what is usual, for the first example that has reasons.
fn analyses(f: &Threat, examples: &[Example]) -> Vec<Value> {
    let Some(e) = examples.iter().find(|e| !e.contributions.is_empty()) else {
        return Vec::new();
    };
    let anomalies: Vec<Value> = e
        .contributions
        .iter()
        .map(|c| {
            json!({
                "observation_parameter": c.feature,
                "observations": [observation(observed(c), 1)],
                "observed_pattern": format!("{:.1}% of the score", c.share * 100.0),
            })
        })
        .collect();
    let baselines: Vec<Value> = e.contributions.iter().filter_map(baseline).collect();
    let target = json!({ "name": f.entity.to_string(), "type": f.entity.kind() });
    let mut out = json!({ "analysis_targets": [target], "anomalies": anomalies });
    if let (false, Some(object)) = (baselines.is_empty(), out.as_object_mut()) {
        object.insert("baselines".to_owned(), Value::Array(baselines));
    }
    vec![out]
}

/// What was seen, as a number that scripts can read where it is one.
fn observed(c: &Contribution) -> String {
    c.value.map_or_else(|| c.observed.to_string(), |v| v.to_string())
}

fn baseline(c: &Contribution) -> Option<Value> {
    if let Some(range) = c.baseline {
        let observations: Vec<Value> =
            range.iter().map(|v| observation(format!("{v}"), 1)).collect();
        return Some(json!({
            "observation_parameter": c.feature, "observations": observations,
            "observed_pattern": "5th, 50th and 95th percentile of benign rows",
        }));
    }
    let words = c.frequency_words()?;
    Some(json!({
        "observation_parameter": c.feature,
        "observations": [observation(c.observed.to_string(), 1)],
        "observed_pattern": words,
    }))
}
