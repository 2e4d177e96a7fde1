//! Threats into incidents: what a person is asked to handle. A flood of findings is a failure of
//! the detector, so related threats are told as one story.
//!
//! The rules, in order:
//! 1. An internal entity (a host or account of ours) is one incident with all of its classes.
//! 2. An external entity that is a controller, a tunnel's end or a drop zone for an internal host
//!    which was flagged itself belongs to that host's incident: the story is the infected host.
//! 3. An external entity that reaches many internal hosts is an incident of its own, for the few
//!    most active ones.
//! 4. Other external entities are grouped by what they do and to whom: 1,600 scanners of one host
//!    are one incident with 1,600 actors. What is merely unusual joins its entity's named deeds.
//! 5. Several small incidents of one family, and whatever is over the limit, fold into one each.
//!
//! Pure and independent of the threats' order. What is said to the person is in [`words`].

mod words;

use std::collections::{BTreeMap, BTreeSet};
use threat::entity::Entity;
use threat::limits::THREAT_INDICATORS;
use threat::{Host, Incident, Severity, Text, Threat, ThreatClass};

/// Incidents of one run at most: what a person can read and act on in one sitting. Below
/// [`FAMILIES`] times two it cannot be kept, since nothing is ever dropped.
pub const MAX_INCIDENTS: usize = 20;

/// Families of classes; a background incident holds one.
pub const FAMILIES: usize = 6;

/// An external entity reaching at least so many internal hosts is looked at by itself: fewer is
/// what every host on the Internet sees.
const SWEEP_HOSTS: usize = 3;

/// And only with at least so many verdicts: a handful of probes is noise.
const SWEEP_COUNT: u64 = 20;

/// Sweeping entities named by themselves, the most active first: the others are listed as actors.
const SWEEPERS_NAMED: usize = 5;

/// An incident of fewer verdicts may go into the background.
const SMALL_COUNT: u64 = 20;

/// So many small incidents of one family make a background; fewer are read faster one by one.
const BACKGROUND_MIN: usize = 4;

/// Classes that ask for the same handling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Reconnaissance,
    Credentials,
    Compromise,
    Misuse,
    Signature,
    Unusual,
}

impl Family {
    const fn of(class: ThreatClass) -> Self {
        match class {
            ThreatClass::Scan => Self::Reconnaissance,
            ThreatClass::BruteForce => Self::Credentials,
            ThreatClass::CommandAndControl
            | ThreatClass::DomainGeneration
            | ThreatClass::DnsTunnel
            | ThreatClass::Exfiltration
            | ThreatClass::LateralMovement => Self::Compromise,
            ThreatClass::InsiderMisuse => Self::Misuse,
            ThreatClass::Signature => Self::Signature,
            ThreatClass::Anomaly => Self::Unusual,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Reconnaissance => "reconnaissance",
            Self::Credentials => "credentials",
            Self::Compromise => "compromise",
            Self::Misuse => "misuse",
            Self::Signature => "signature",
            Self::Unusual => "unusual",
        }
    }
}

/// What threats of one incident have in common. Its canonical text makes the incident's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// One of ours, with all that it did.
    Own(Entity),
    /// An outsider that reaches many of ours.
    Sweep(Entity),
    /// Outsiders doing one kind of thing to one host (or to a host that the log does not name).
    Attack(Family, Option<Host>),
    /// What is left over of a family; `loud` when it holds high severities.
    Background { family: Family, loud: bool },
}

impl Key {
    /// The canonical text: ids made of it stay the same for ever.
    fn text(&self) -> String {
        match self {
            Self::Own(e) => format!("own/{}/{e}", e.kind()),
            Self::Sweep(e) => format!("sweep/{}/{e}", e.kind()),
            Self::Attack(f, Some(v)) => format!("attack/{}/{v}", f.name()),
            Self::Attack(f, None) => format!("attack/{}", f.name()),
            Self::Background { family, loud } => format!("background/{}/{loud}", family.name()),
        }
    }
}

/// The threats of one key.
struct Group<'a> {
    key: Key,
    threats: Vec<&'a Threat>,
}

/// The host that a target indicator (`host:port/proto`, an address, a name) tells of, with its
/// port. A bare name may be an account or a domain, so it is no host.
pub fn target_host(target: &str) -> Option<(Host, Option<u16>)> {
    let body = match target.rsplit_once('/') {
        Some((b, proto)) if proto.starts_with(|c: char| c.is_ascii_alphabetic()) => b,
        _ => target,
    };
    let plain = body.trim_start_matches('[').trim_end_matches(']');
    let portless = body.len() == target.len() || !body.contains(':');
    if let (true, Ok(ip)) = (portless, plain.parse()) {
        return Some((Host::Ip(ip), None));
    }
    let (host, port) = body.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (Host::parse(host), Some(port)))
}

/// One of ours: an internal host, an account, or a log that names nobody.
fn is_own(entity: &Entity) -> bool {
    match entity {
        Entity::Host(h) => h.is_internal(),
        Entity::User(_) | Entity::Source(_) => true,
    }
}

/// Sightings by target host, of the given threats.
fn hosts<'a>(threats: impl IntoIterator<Item = &'a Threat>) -> BTreeMap<Host, u64> {
    let mut seen = BTreeMap::new();
    for t in threats {
        for (target, &n) in &t.targets.kept {
            if let Some((host, _)) = target_host(target) {
                *seen.entry(host).or_insert(0) += n;
            }
        }
    }
    seen
}

/// The host that suffers most: an internal one if there is any; ties by the host itself.
fn victim(threat: &Threat) -> Option<Host> {
    let seen = hosts([threat]);
    seen.into_iter()
        .max_by(|a, b| {
            let rank = |(h, n): &(Host, u64)| (h.is_internal(), *n);
            rank(a).cmp(&rank(b)).then_with(|| b.0.cmp(&a.0))
        })
        .map(|(h, _)| h)
}

/// Outsiders that deserve an incident of their own, most active first.
fn sweepers(by_entity: &BTreeMap<&Entity, Vec<&Threat>>) -> BTreeSet<Entity> {
    let mut all: Vec<(u64, &Entity)> = by_entity
        .iter()
        .filter(|(e, _)| !is_own(e))
        .filter_map(|(&e, ts)| {
            let count = ts.iter().map(|t| t.count).sum();
            let reached = hosts(ts.iter().copied()).keys().filter(|h| h.is_internal()).count();
            (count >= SWEEP_COUNT && reached >= SWEEP_HOSTS).then_some((count, e))
        })
        .collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    all.into_iter().take(SWEEPERS_NAMED).map(|(_, e)| e.clone()).collect()
}

/// What the whole run says about entities, for the choice of keys.
struct Known<'a> {
    /// Entities of ours with a threat of their own.
    flagged: BTreeSet<&'a Entity>,
    /// Outsiders that are told by themselves.
    sweepers: BTreeSet<Entity>,
}

/// The classes in which an outsider is the far end of an infected host.
const fn is_far_end(class: ThreatClass) -> bool {
    matches!(
        class,
        ThreatClass::CommandAndControl
            | ThreatClass::DomainGeneration
            | ThreatClass::DnsTunnel
            | ThreatClass::Exfiltration
    )
}

/// The key of one threat; `named` is its entity's gravest threat that is more than unusual.
fn key(threat: &Threat, named: Option<&Threat>, known: &Known<'_>) -> Key {
    let told = match threat.class {
        ThreatClass::Anomaly => named.unwrap_or(threat),
        _ => threat,
    };
    let family = Family::of(told.class);
    let guessed = matches!(threat.entity, Entity::User(_)) && family == Family::Credentials;
    if is_own(&threat.entity) && !guessed {
        return Key::Own(threat.entity.clone());
    }
    let victim = victim(told);
    if let (true, Some(host)) = (is_far_end(told.class), &victim) {
        let infected = Entity::Host(host.clone());
        if known.flagged.contains(&infected) {
            return Key::Own(infected);
        }
    }
    if known.sweepers.contains(&threat.entity) {
        return Key::Sweep(threat.entity.clone());
    }
    Key::Attack(family, victim)
}

/// Every threat with its key, by key.
fn assign(threats: &[Threat]) -> Vec<Group<'_>> {
    let mut by_entity: BTreeMap<&Entity, Vec<&Threat>> = BTreeMap::new();
    for t in threats {
        by_entity.entry(&t.entity).or_default().push(t);
    }
    let known = Known {
        flagged: by_entity.keys().copied().filter(|e| is_own(e)).collect(),
        sweepers: sweepers(&by_entity),
    };
    let mut groups: BTreeMap<Key, Vec<&Threat>> = BTreeMap::new();
    for ts in by_entity.values() {
        let named = ts
            .iter()
            .filter(|t| t.class != ThreatClass::Anomaly)
            .max_by(|a, b| (a.severity, a.count, b.id).cmp(&(b.severity, b.count, a.id)));
        for &t in ts {
            groups.entry(key(t, named.copied(), &known)).or_default().push(t);
        }
    }
    groups.into_iter().map(|(key, threats)| Group { key, threats }).collect()
}

/// The severity of one story: its gravest threat's, one more when an entity of ours does several
/// named bad things (each alone may be a mistake, together they are a chain). Never falls when a
/// threat is added, never passes `Critical`.
fn severity(key: &Key, threats: &[&Threat]) -> Severity {
    let most = threats.iter().map(|t| t.severity).max().unwrap_or_default();
    match key {
        Key::Background { loud: false, .. } => most.min(Severity::Low),
        Key::Own(_) => {
            let named: BTreeSet<ThreatClass> =
                threats.iter().map(|t| t.class).filter(|&c| c != ThreatClass::Anomaly).collect();
            let raised = usize::from(most.id()) - 1 + usize::from(named.len() > 1);
            Severity::ALL[raised.min(Severity::ALL.len() - 1)]
        }
        _ => most,
    }
}

/// Where a group goes when it is folded.
fn background(g: &Group<'_>) -> Key {
    let class = words::gravest(&g.threats).class;
    let loud = severity(&g.key, &g.threats) >= Severity::High;
    Key::Background { family: Family::of(class), loud }
}

/// Small enough to be background even when there is room.
fn is_small(g: &Group<'_>) -> bool {
    let count: u64 = g.threats.iter().map(|t| t.count).sum();
    let family = Family::of(words::gravest(&g.threats).class);
    count < SMALL_COUNT
        && family != Family::Compromise
        && severity(&g.key, &g.threats) <= Severity::Medium
}

/// Merges groups by their background key.
fn fold(groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    let mut merged: BTreeMap<Key, Vec<&Threat>> = BTreeMap::new();
    for g in groups {
        merged.entry(background(&g)).or_default().extend(g.threats);
    }
    merged.into_iter().map(|(key, threats)| Group { key, threats }).collect()
}

/// Small incidents of a family that has many of them become one.
fn fold_small(groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    let mut small: BTreeMap<Key, usize> = BTreeMap::new();
    for g in groups.iter().filter(|g| is_small(g)) {
        *small.entry(background(g)).or_default() += 1;
    }
    let (fold_them, mut kept): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| {
        is_small(g) && small.get(&background(g)).is_some_and(|&n| n >= BACKGROUND_MIN)
    });
    kept.extend(fold(fold_them));
    kept
}

/// What is over the limit becomes background, the least grave first.
fn fold_excess(mut groups: Vec<Group<'_>>, limit: usize) -> Vec<Group<'_>> {
    if groups.len() <= limit {
        return groups;
    }
    groups.sort_by_cached_key(|g| words::rank(&incident(g)));
    // Background that exists already merges with what joins it.
    let (mut rest, mut kept): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|g| matches!(g.key, Key::Background { .. }));
    let mut kinds: BTreeSet<Key> = rest.iter().map(background_or_own).collect();
    while kept.len() + kinds.len() > limit {
        let Some(last) = kept.pop() else { break };
        kinds.insert(background(&last));
        rest.push(last);
    }
    let mut merged: BTreeMap<Key, Vec<&Threat>> = BTreeMap::new();
    for g in rest {
        merged.entry(background_or_own(&g)).or_default().extend(g.threats);
    }
    kept.extend(merged.into_iter().map(|(key, threats)| Group { key, threats }));
    kept
}

fn background_or_own(g: &Group<'_>) -> Key {
    match &g.key {
        Key::Background { .. } => g.key.clone(),
        _ => background(g),
    }
}

/// The incident of a group of at least one threat.
fn incident(group: &Group<'_>) -> Incident {
    let ts = &group.threats;
    let gravest = words::gravest(ts);
    let mut by_actor: BTreeMap<&Entity, u64> = BTreeMap::new();
    for t in ts {
        *by_actor.entry(&t.entity).or_default() += t.count;
    }
    let mut actors: Vec<(&Entity, u64)> = by_actor.into_iter().collect();
    actors.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let severity = severity(&group.key, ts);
    let techniques: BTreeSet<&Text> = ts.iter().filter_map(|t| t.technique.as_ref()).collect();
    let mut ids: Vec<_> = ts.iter().map(|t| t.id).collect();
    ids.sort_unstable();
    let hash = blake3::hash(group.key.text().as_bytes()).to_hex();
    Incident {
        id: compact_id(&hash),
        title: words::title(group, &actors),
        entity: match &group.key {
            Key::Own(e) | Key::Sweep(e) => e.clone(),
            Key::Attack(_, Some(v)) => Entity::Host(v.clone()),
            _ => gravest.entity.clone(),
        },
        class: gravest.class,
        techniques: techniques.into_iter().cloned().collect(),
        severity,
        score: ts.iter().map(|t| t.score).max_by(f32::total_cmp).unwrap_or_default(),
        first_seen: ts.iter().map(|t| t.first_seen).min().unwrap_or_default(),
        last_seen: ts.iter().map(|t| t.last_seen).max().unwrap_or_default(),
        count: ts.iter().map(|t| t.count).sum(),
        threats: ids,
        actor_count: actors.len() as u64,
        advice: words::advice(group, gravest),
        actors: actors
            .into_iter()
            .take(THREAT_INDICATORS)
            .map(|(e, n)| (e.to_string().into(), n))
            .collect(),
    }
}

/// `inc-` and twelve hex digits: enough that no run sees two the same.
fn compact_id(hash: &str) -> Text {
    let mut id = Text::from("inc-");
    id.push_str(&hash[..12]);
    id
}

/// The incidents of a run's threats, gravest first (severity, score, count, id), at most `limit`
/// (usually [`MAX_INCIDENTS`]) of them. Each threat is in exactly one; counts add up.
pub fn group(threats: &[Threat], limit: usize) -> Vec<Incident> {
    let groups = fold_excess(fold_small(assign(threats)), limit);
    let mut out: Vec<Incident> = groups.iter().map(incident).collect();
    out.sort_by_cached_key(words::rank);
    out
}

#[cfg(test)]
mod tests;
