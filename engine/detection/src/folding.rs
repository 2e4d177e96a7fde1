//! Folding verdicts into threats: one record per entity, class and event-time hour, with counts
//! inside.

use std::collections::{BTreeMap, BTreeSet};
use threat::entity::Entity;
use threat::threats::Indicators;
use threat::{
    Ballot, Body, DetectorKind, Event, Severity, Text, Threat, ThreatClass, ThreatId, Timestamp,
    Verdict,
};

/// Threats held open at once: a flood of forged sources must not take the memory. At about 1 KiB
/// each this is 100 MB; what finds no room is counted and still stands in the ledger.
pub const OPEN_THREATS: usize = 100_000;

/// A threat's hour is over, and its record closed, when event time is so far past it.
pub const CLOSE_AFTER_HOURS: i64 = 2;

/// The threats of a node that may still grow.
#[derive(Debug, Default)]
pub struct Folder {
    open: BTreeMap<ThreatId, Threat>,
    changed: BTreeSet<ThreatId>,
    turned_away: u64,
}

/// What folding a verdict did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// A threat that was not known.
    New(ThreatId),
    /// A known threat grew.
    Grown(ThreatId),
    /// No room: only counted.
    TurnedAway,
}

impl Folder {
    /// Takes back threats that a checkpoint kept.
    pub fn restore(&mut self, threats: impl IntoIterator<Item = Threat>) {
        self.open.extend(threats.into_iter().map(|t| (t.id, t)));
    }

    /// Folds the verdict on an event in. Call for verdicts that are threats.
    pub fn fold(&mut self, event: &Event, verdict: &Verdict) -> Folded {
        let (class, technique) = classify(verdict);
        let entity = entity_of(event, class);
        let id = ThreatId::of(&entity, class, event.time.hour());
        let known = self.open.contains_key(&id);
        if !known && self.open.len() >= OPEN_THREATS {
            self.turned_away += 1;
            return Folded::TurnedAway;
        }
        let threat =
            self.open.entry(id).or_insert_with(|| fresh(id, entity, class, technique, event.time));
        grow(threat, event, verdict);
        self.changed.insert(id);
        if known { Folded::Grown(id) } else { Folded::New(id) }
    }

    /// The threats that changed since the last call.
    pub fn take_changed(&mut self) -> Vec<Threat> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|id| self.open.get(&id).cloned())
            .collect()
    }

    /// Gives up the threats whose hour is over at `now` in event time.
    pub fn close(&mut self, now: Timestamp) -> Vec<Threat> {
        let over: Vec<ThreatId> = self
            .open
            .iter()
            .filter(|(id, t)| over(t, now) && !self.changed.contains(id))
            .map(|(id, _)| *id)
            .collect();
        over.into_iter().filter_map(|id| self.open.remove(&id)).collect()
    }

    /// The open threats.
    pub fn open(&self) -> impl Iterator<Item = &Threat> {
        self.open.values()
    }

    /// How many threats are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// One open threat.
    pub fn get(&self, id: ThreatId) -> Option<&Threat> {
        self.open.get(&id)
    }

    /// Verdicts that found no room.
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }
}

/// Whether a threat's hour is over at `now` in event time.
pub fn over(threat: &Threat, now: Timestamp) -> bool {
    threat.last_seen.hour() < now.hour() - CLOSE_AFTER_HOURS
}

/// What a verdict says is going on: by its gravest rule that names a technique, else by its gravest
/// rule, else that an account acts unlike itself or the voters find it unusual.
pub fn classify(verdict: &Verdict) -> (ThreatClass, Option<Text>) {
    let gravest = verdict.rules.iter().max_by_key(|h| {
        let named = h.technique.as_deref().and_then(ThreatClass::of_technique).is_some();
        (h.severity >= Severity::Medium, named, h.severity)
    });
    match gravest {
        None => {
            let unlike_itself = verdict.votes.iter().any(|v| {
                v.detector == DetectorKind::Users
                    && matches!(v.ballot, Ballot::Voted { threat: true, .. })
            });
            let class =
                if unlike_itself { ThreatClass::InsiderMisuse } else { ThreatClass::Anomaly };
            (class, class.technique().map(Text::from))
        }
        Some(hit) => {
            let class = hit
                .technique
                .as_deref()
                .and_then(ThreatClass::of_technique)
                .unwrap_or(ThreatClass::Signature);
            let technique = hit.technique.clone().or_else(|| class.technique().map(Text::from));
            (class, technique)
        }
    }
}

/// Who did it: an account when the class is about accounts, else the event's entity.
fn entity_of(event: &Event, class: ThreatClass) -> Entity {
    match (&event.user, class) {
        (Some(user), ThreatClass::InsiderMisuse) => Entity::User(user.clone()),
        _ => event.entity(),
    }
}

fn fresh(
    id: ThreatId,
    entity: Entity,
    class: ThreatClass,
    technique: Option<Text>,
    time: Timestamp,
) -> Threat {
    Threat {
        id,
        entity,
        class,
        technique,
        severity: Severity::Informational,
        score: 0.0,
        first_seen: time,
        last_seen: time,
        count: 0,
        targets: Indicators::default(),
        rules: Indicators::default(),
        voters: BTreeMap::new(),
        missing: BTreeMap::new(),
        labels: Indicators::default(),
    }
}

fn grow(threat: &mut Threat, event: &Event, verdict: &Verdict) {
    threat.severity = threat.severity.max(verdict.severity);
    threat.score = threat.score.max(verdict.score);
    threat.first_seen = threat.first_seen.min(event.time);
    threat.last_seen = threat.last_seen.max(event.time);
    threat.count += 1;
    if let Some(target) = target_of(event) {
        threat.targets.add(&target, 1);
    }
    for hit in &verdict.rules {
        threat.rules.add(&hit.title, 1);
    }
    for vote in &verdict.votes {
        match vote.ballot {
            Ballot::Voted { threat: true, .. } => {
                *threat.voters.entry(vote.detector).or_default() += 1;
            }
            Ballot::Missing(_) => *threat.missing.entry(vote.detector).or_default() += 1,
            _ => {}
        }
    }
    if let Some(label) = &event.label {
        threat.labels.add(label, 1);
    }
}

/// Whom an event was done to: `host:port/protocol`, a host, or a name asked for.
pub fn target_of(event: &Event) -> Option<String> {
    if let Body::Dns(dns) = &event.body {
        let query = dns.query.as_deref()?;
        return Some(crate::features::rows::registered_domain(query).to_owned());
    }
    let dst = event.dst.as_ref()?;
    let protocol = match &event.body {
        Body::Flow(flow) => flow.protocol.name(),
        _ => "tcp",
    };
    Some(match (dst.port, &dst.host) {
        (None, host) => host.to_string(),
        (Some(port), host @ threat::Host::Ip(std::net::IpAddr::V6(_))) => {
            format!("[{host}]:{port}/{protocol}")
        }
        (Some(port), host) => format!("{host}:{port}/{protocol}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::event::{Flow, Origin};
    use threat::verdict::Absence;
    use threat::{Endpoint, Host, RuleHit, VerdictSource, Vote};

    fn event(secs: f64, src: &str) -> Event {
        let mut e = Event::new(
            Timestamp::from_secs_f64(secs).unwrap(),
            Origin::new("zeek", "conn"),
            Body::Flow(Flow::default()),
        );
        e.src = Some(Endpoint { host: Host::parse(src), port: Some(1) });
        e.dst = Some(Endpoint { host: Host::parse("fd00::1"), port: Some(22) });
        e
    }

    fn verdict(hits: &[(&str, Severity)]) -> Verdict {
        Verdict {
            event: 0,
            threat: true,
            score: 1.0,
            severity: Severity::High,
            source: VerdictSource::Rules,
            votes: [DetectorKind::Forest, DetectorKind::Sequence, DetectorKind::Bayes]
                .map(|detector| Vote { detector, ballot: Ballot::Missing(Absence::Down) }),
            rules: hits
                .iter()
                .map(|(technique, severity)| RuleHit {
                    id: (*technique).into(),
                    title: (*technique).into(),
                    severity: *severity,
                    technique: (!technique.is_empty()).then(|| (*technique).into()),
                    fields: Vec::new(),
                    correlation: false,
                })
                .collect(),
            bundle: 0,
            inputs: 0,
        }
    }

    #[test]
    fn an_hour_of_verdicts_is_one_threat_with_the_count_inside() {
        let mut folder = Folder::default();
        let scan = verdict(&[("T1046", Severity::High)]);
        for i in 0..500 {
            folder.fold(&event(f64::from(i), "10.0.0.1"), &scan);
        }
        folder.fold(&event(4_000.0, "10.0.0.1"), &scan);
        folder.fold(&event(10.0, "10.0.0.2"), &scan);
        let mut counts: Vec<u64> = folder.open().map(|t| t.count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 1, 500]);
        let first = folder.open().find(|t| t.count == 500).unwrap();
        assert_eq!(
            first.targets.top()[0],
            (&Text::from("[fd00::1]:22/tcp".replace("tcp", "unknown_transport")), 500)
        );
        assert_eq!(first.missing[&DetectorKind::Forest], 500);
    }

    #[test]
    fn what_changed_is_told_once_and_what_is_over_is_closed() {
        let mut folder = Folder::default();
        folder.fold(&event(0.0, "10.0.0.1"), &verdict(&[]));
        assert_eq!(folder.take_changed().len(), 1);
        assert!(folder.take_changed().is_empty());
        assert!(folder.close(Timestamp::from_secs_f64(3_600.0).unwrap()).is_empty());
        assert_eq!(folder.close(Timestamp::from_secs_f64(4.0 * 3_600.0).unwrap()).len(), 1);
        assert_eq!(folder.open().count(), 0);
    }

    #[test]
    fn an_account_that_acts_unlike_itself_is_told_as_such() {
        let mut told = verdict(&[]);
        told.votes[1].detector = DetectorKind::Users;
        assert_eq!(classify(&told).0, ThreatClass::Anomaly);
        told.votes[1].ballot = Ballot::Voted { score: 9.0, tail: 6.0, threat: true };
        assert_eq!(classify(&told), (ThreatClass::InsiderMisuse, Some("T1078".into())));
        told.rules = verdict(&[("T1110", Severity::Medium)]).rules;
        assert_eq!(classify(&told).0, ThreatClass::BruteForce);
    }

    #[test]
    fn the_gravest_rule_that_names_something_gives_the_class() {
        let class = |hits: &[(&str, Severity)]| classify(&verdict(hits)).0;
        assert_eq!(class(&[]), ThreatClass::Anomaly);
        assert_eq!(class(&[("", Severity::High)]), ThreatClass::Signature);
        assert_eq!(
            class(&[("", Severity::Critical), ("T1110.001", Severity::Medium)]),
            ThreatClass::BruteForce
        );
        assert_eq!(
            class(&[("T1110", Severity::Low), ("", Severity::Medium)]),
            ThreatClass::Signature
        );
    }
}
