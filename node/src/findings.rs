//! Threats as OCSF 1.8 Detection Findings (class 2004), one JSON object each, and the way back: which
//! finding a person means, and what is needed to score it again.
//!
//! Votes, bundle, rules and everything that the voters saw stand under `unmapped.watchfire`; numbers
//! of 64 bits stand there as hex, since many JSON readers round them. Floats are widened to 64 bits,
//! which loses nothing. Nothing here reads the clock: `time` is the finding's last event time.

use crate::report::words::visible;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use threat::entity::Entity;
use threat::{
    Contribution, Example, Host, Replay, RuleHit, Severity, Threat, ThreatId, VerdictSource, Vote,
};

/// OCSF version written.
pub const OCSF_VERSION: &str = "1.8.0";

/// `class_uid` of a Detection Finding.
const CLASS_UID: u32 = 2004;

/// Fewer digits of an id name too many findings.
const PREFIX_DIGITS: usize = 6;

/// Longest text taken for a finding's JSON: an unbounded line is not a finding.
const JSON_BYTES: usize = 1 << 20;

/// Why a text names no finding, or holds nothing to score again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither an id, nor a beginning of one, nor a JSON object.
    #[error(
        "{0:?} is no finding id: give at least {PREFIX_DIGITS} of its 32 hex digits, or its JSON"
    )]
    NotAnId(String),
    /// JSON, but no finding of ours.
    #[error("the JSON has no finding_info.uid of 32 hex digits")]
    NoUid,
    /// Not JSON.
    #[error("not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than any finding.
    #[error("{0} bytes are no finding")]
    TooLong(usize),
}

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

/// What a verdict needs to be scored again, as it stands in a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Event time in microseconds.
    pub micros: i64,
    /// Class of the event.
    pub class: threat::EventClass,
    /// The source's name.
    pub source: String,
    /// 1-based line in it.
    pub line: u64,
    /// Byte offset in it.
    pub offset: u64,
    /// Who decided.
    pub decided_by: VerdictSource,
    /// The ensemble's score.
    pub score: f32,
    /// The three votes.
    pub votes: [Vote; 3],
    /// The bundle and snapshot, 16 hex digits.
    pub bundle: String,
    /// Hash of the inputs, 16 hex digits.
    pub inputs: String,
    /// Rules that matched.
    pub rules: Vec<RuleHit>,
    /// What the voters saw; category hashes as 16 hex digits each.
    pub replay: StoredReplay,
}

/// [`Replay`] with its 64-bit hashes as hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredReplay {
    /// Numeric features in the schema's order.
    pub numeric: Vec<f32>,
    /// Category hashes in the schema's order, 16 hex digits each.
    pub categories: Vec<String>,
    /// The event's token.
    pub token: u16,
    /// The entity's tokens before it.
    pub history: Vec<u16>,
}

impl From<&Replay> for StoredReplay {
    fn from(r: &Replay) -> Self {
        Self {
            numeric: r.numeric.clone(),
            categories: r.categories.iter().map(|c| hex(*c)).collect(),
            token: r.token,
            history: r.history.clone(),
        }
    }
}

impl StoredReplay {
    /// The inputs as the voters take them; `None` when a hash is not hex.
    pub fn inputs(&self) -> Option<Replay> {
        let categories = self.categories.iter().map(|c| u64::from_str_radix(c, 16).ok());
        Some(Replay {
            numeric: self.numeric.clone(),
            categories: categories.collect::<Option<_>>()?,
            token: self.token,
            history: self.history.clone(),
        })
    }
}

fn hex(n: u64) -> String {
    format!("{n:016x}")
}

impl From<&Example> for Stored {
    fn from(e: &Example) -> Self {
        Self {
            micros: e.time.micros(),
            class: e.class,
            source: e.source.to_string(),
            line: e.position.line,
            offset: e.position.offset,
            decided_by: e.verdict.source,
            score: e.verdict.score,
            votes: e.verdict.votes,
            bundle: hex(e.verdict.bundle),
            inputs: hex(e.verdict.inputs),
            rules: e.verdict.rules.clone(),
            replay: (&e.replay).into(),
        }
    }
}

/// The finding of a threat as a JSON object; `examples` are its kept verdicts, `version` the tool's.
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
                "observations": [observation(c.observed.to_string(), 1)],
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

fn baseline(c: &Contribution) -> Option<Value> {
    if let Some(range) = c.baseline {
        let observations: Vec<Value> =
            range.iter().map(|v| observation(format!("{v}"), 1)).collect();
        return Some(json!({
            "observation_parameter": c.feature, "observations": observations,
            "observed_pattern": "5th, 50th and 95th percentile of benign rows",
        }));
    }
    let frequency = c.frequency?;
    Some(json!({
        "observation_parameter": c.feature,
        "observations": [observation(c.observed.to_string(), 1)],
        "observed_pattern": format!("in {:.4}% of benign rows", frequency * 100.0),
    }))
}

/// How a person named a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingRef {
    /// Its whole id.
    Id(ThreatId),
    /// The first hex digits of its id, lower case, at least six.
    Prefix(String),
}

impl FindingRef {
    /// Whether this names the finding of that id.
    pub fn matches(&self, id: ThreatId) -> bool {
        match self {
            Self::Id(own) => *own == id,
            Self::Prefix(p) => id.to_string().starts_with(p.as_str()),
        }
    }
}

/// Reads which finding `text` names: an id (32 hex digits), at least six digits that it begins
/// with, or a finding's JSON line. An id copied from the report may carry its `f-`.
pub fn parse_finding_id(text: &str) -> Result<FindingRef, Error> {
    let text = text.trim();
    if text.starts_with('{') {
        let value = parse(text)?;
        let uid = value.pointer("/finding_info/uid").and_then(Value::as_str).ok_or(Error::NoUid)?;
        return match by_digits(uid) {
            Some(id @ FindingRef::Id(_)) => Ok(id),
            _ => Err(Error::NoUid),
        };
    }
    let digits = text.strip_prefix("f-").unwrap_or(text);
    by_digits(digits).ok_or_else(|| Error::NotAnId(text.chars().take(80).collect()))
}

fn by_digits(digits: &str) -> Option<FindingRef> {
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    match digits.len() {
        32 if hex => digits.parse().ok().map(FindingRef::Id),
        PREFIX_DIGITS..32 if hex => Some(FindingRef::Prefix(digits.to_ascii_lowercase())),
        _ => None,
    }
}

fn parse(line: &str) -> Result<Value, Error> {
    if line.len() > JSON_BYTES {
        return Err(Error::TooLong(line.len()));
    }
    Ok(serde_json::from_str(line)?)
}

/// The verdicts in a finding's JSON line, ready to be scored again; empty when it holds none.
pub fn stored_examples(line: &str) -> Result<Vec<Stored>, Error> {
    let mut value = parse(line.trim())?;
    match value.pointer_mut("/unmapped/watchfire/examples") {
        Some(found) => Ok(serde_json::from_value(found.take())?),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_named_by_id_prefix_or_json() {
        let id = ThreatId(0x00ab_cdef_0123_4567_89ab_cdef_0123_4567);
        let whole = id.to_string();
        assert_eq!(parse_finding_id(&whole).unwrap(), FindingRef::Id(id));
        assert!(parse_finding_id("00ABCDEF").unwrap().matches(id));
        assert!(parse_finding_id("f-00abcdef0123").unwrap().matches(id));
        assert!(!parse_finding_id("10abcdef").unwrap().matches(id));
        let json = format!("{{\"finding_info\":{{\"uid\":\"{whole}\"}}}}\n");
        assert_eq!(parse_finding_id(&json).unwrap(), FindingRef::Id(id));
    }

    #[test]
    fn what_names_no_finding_is_refused() {
        for bad in ["", "12345", "xyzxyzxyz", "+12345", &"a".repeat(33), "00abcdeg"] {
            assert!(matches!(parse_finding_id(bad), Err(Error::NotAnId(_))), "{bad}");
        }
        assert!(matches!(parse_finding_id("{}"), Err(Error::NoUid)));
        assert!(matches!(
            parse_finding_id("{\"finding_info\":{\"uid\":\"abcdef\"}}"),
            Err(Error::NoUid)
        ));
        assert!(matches!(parse_finding_id("{oops"), Err(Error::Json(_))));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_BYTES));
        assert!(matches!(parse_finding_id(&long), Err(Error::TooLong(_))));
    }
}
