//! What an incident says to a person: its title, what to do next, and its place in the list.

use super::{Family, Group, Key, target_host};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use threat::entity::Entity;
use threat::{Host, Incident, Severity, Text, Threat, ThreatClass};

/// Names of actors in a title; more would hide its verb.
const TITLE_ACTORS: usize = 3;

/// The threat that a story is about: the gravest, a named class before an unnamed one, then score.
pub(super) fn gravest<'a>(threats: &[&'a Threat]) -> &'a Threat {
    let mut best = threats[0];
    for &t in threats {
        let rank = |t: &Threat| {
            (t.class != ThreatClass::Anomaly, t.severity, ordered(t.score), t.count, Reverse(t.id))
        };
        if rank(t) > rank(best) {
            best = t;
        }
    }
    best
}

/// A score's place, as a whole number that sorts like it.
fn ordered(score: f32) -> i64 {
    (f64::from(score) * 1e6) as i64
}

/// The key that puts the gravest incident first.
pub(super) fn rank(i: &Incident) -> (Reverse<Severity>, Reverse<i64>, Reverse<u64>, Text) {
    (Reverse(i.severity), Reverse(ordered(i.score)), Reverse(i.count), i.id.clone())
}

/// A whole number with thousands set apart.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", number(n)) }
}

/// Classes of the threats in catalogue order, in lower-case words; the unnamed one only by itself.
fn classes(threats: &[&Threat]) -> Vec<ThreatClass> {
    let all: BTreeSet<ThreatClass> = threats.iter().map(|t| t.class).collect();
    let named: Vec<_> = all.iter().copied().filter(|&c| c != ThreatClass::Anomaly).collect();
    if named.is_empty() { all.into_iter().collect() } else { named }
}

fn class_words(c: ThreatClass) -> &'static str {
    match c {
        ThreatClass::Scan => "network scan",
        ThreatClass::BruteForce => "credential guessing",
        ThreatClass::CommandAndControl => "command and control",
        ThreatClass::DomainGeneration => "generated domain names",
        ThreatClass::DnsTunnel => "DNS tunnel",
        ThreatClass::Exfiltration => "data exfiltration",
        ThreatClass::LateralMovement => "lateral movement",
        ThreatClass::InsiderMisuse => "misuse",
        ThreatClass::Signature => "signature match",
        ThreatClass::Anomaly => "unusual behaviour",
    }
}

/// The service of the port that most of the targets name, where its name says more than the port.
fn service(threats: &[&Threat]) -> Option<&'static str> {
    let mut ports: BTreeMap<u16, u64> = BTreeMap::new();
    for t in threats {
        for (target, &n) in &t.targets.kept {
            if let Some((_, Some(port))) = target_host(target) {
                *ports.entry(port).or_default() += n;
            }
        }
    }
    let total: u64 = ports.values().sum();
    let (&port, &n) = ports.iter().max_by_key(|&(&p, &n)| (n, Reverse(p)))?;
    if n * 2 <= total {
        return None;
    }
    Some(match port {
        21 => "FTP",
        22 | 2222 => "SSH",
        23 | 2323 => "Telnet",
        25 | 465 | 587 => "SMTP",
        110 | 995 => "POP3",
        143 | 993 => "IMAP",
        445 => "SMB",
        1433 => "SQL Server",
        3306 => "MySQL",
        3389 => "RDP",
        5432 => "PostgreSQL",
        5900 => "VNC",
        6379 => "Redis",
        _ => return None,
    })
}

/// The entity with its kind, as the start of a sentence.
fn subject(e: &Entity) -> String {
    match e {
        Entity::Host(h) => format!("Host {h}"),
        Entity::User(u) => format!("Account {u}"),
        Entity::Source(s) => format!("Log {s}"),
    }
}

/// The rule that matched most often in the gravest threats, so that it fits the severity beside it.
fn rule(threats: &[&Threat]) -> Option<Text> {
    let mut seen: BTreeMap<&Text, u64> = BTreeMap::new();
    let worst = threats.iter().map(|t| t.severity).max();
    let gravest = threats.iter().filter(|t| Some(t.severity) == worst);
    for (rule, &n) in gravest.flat_map(|t| &t.rules.kept) {
        *seen.entry(rule).or_default() += n;
    }
    seen.into_iter().max_by_key(|&(r, n)| (n, Reverse(r))).map(|(r, _)| r.clone())
}

/// What one of ours did.
fn own_title(entity: &Entity, threats: &[&Threat]) -> String {
    let who = subject(entity);
    let classes = classes(threats);
    let list = classes.iter().map(|&c| class_words(c)).collect::<Vec<_>>().join(", ");
    let reached = super::hosts(threats.iter().copied());
    // A threat keeps only so many targets: then their number is a lower bound.
    let more = threats.iter().any(|t| t.targets.turned_away > 0);
    let place = match (reached.len(), more) {
        (1, false) => reached.keys().next().map_or(String::new(), |h| format!(" on {h}")),
        // What was kept is one host with many ports; the others may be more of its ports.
        (1, true) => reached.keys().next().map_or(String::new(), |h| format!(" on ports of {h}")),
        (n, false) => format!(" on {}", plural(n as u64, "host")),
        (n, true) => format!(" on at least {}", plural(n as u64, "host")),
    };
    if classes.iter().any(|&c| Family::of(c) == Family::Compromise) {
        let looks = if matches!(entity, Entity::Host(_)) { "looks infected" } else { "is abused" };
        return format!("{who} {looks}: {list}");
    }
    match classes.as_slice() {
        [ThreatClass::Scan] if reached.is_empty() => format!("{who} scans the network"),
        [ThreatClass::Scan] => format!("{who} scans{}", place.replacen(" on", "", 1)),
        [ThreatClass::BruteForce] => {
            let what = service(threats).map_or(String::new(), |s| format!("{s} "));
            let place = if reached.is_empty() { "" } else { &place };
            format!("{who} guesses {what}credentials{place}")
        }
        [ThreatClass::InsiderMisuse] => format!("{who} acts unlike itself"),
        [ThreatClass::Signature] => {
            format!("{who}: {}", rule(threats).unwrap_or_else(|| "signature match".into()))
        }
        [ThreatClass::Anomaly] => format!("{who} behaves unusually"),
        _ => format!("{who}: {list}"),
    }
}

/// The verb of a family, for one actor and for several; it may need a preposition to its object.
fn deed(family: Family, many: bool, threats: &[&Threat]) -> (String, &'static str) {
    let s = if many { "" } else { "s" };
    match family {
        Family::Reconnaissance => (format!("scan{s}"), " "),
        Family::Credentials => {
            let guess = if many { "guess" } else { "guesses" };
            let what = service(threats).map_or(String::new(), |s| format!("{s} "));
            (format!("{guess} {what}credentials"), " on ")
        }
        Family::Compromise => {
            let list: Vec<_> = classes(threats).into_iter().map(class_words).collect();
            let take = if many { "take" } else { "takes" };
            (format!("{take} part in {}", list.join(", ")), " with ")
        }
        Family::Misuse => {
            (format!("act{s} unlike {}", if many { "themselves" } else { "itself" }), " on ")
        }
        Family::Signature => {
            let name = rule(threats).map_or("a signature".into(), |r| format!("\"{r}\""));
            (format!("trigger{s} {name}"), " against ")
        }
        Family::Unusual => (format!("behave{s} unusually"), " towards "),
    }
}

/// `240 hosts`, or the one by its name.
fn crowd(actors: &[(&Entity, u64)]) -> String {
    match actors {
        [(one, _)] => one.to_string(),
        _ => {
            let kind = match actors.first().map(|a| a.0) {
                Some(e) if actors.iter().all(|a| a.0.kind() == e.kind()) => match e {
                    Entity::Host(_) => "host",
                    Entity::User(_) => "account",
                    Entity::Source(_) => "log",
                },
                _ => "entity",
            };
            let n = actors.len() as u64;
            if kind == "entity" { format!("{} entities", number(n)) } else { plural(n, kind) }
        }
    }
}

fn most_active(actors: &[(&Entity, u64)]) -> String {
    if actors.len() < 2 {
        return String::new();
    }
    let names: Vec<_> = actors.iter().take(TITLE_ACTORS).map(|a| a.0.to_string()).collect();
    format!(" (most active: {})", names.join(", "))
}

/// One line for a person. `actors` are the group's entities, most active first.
pub(super) fn title(group: &Group<'_>, actors: &[(&Entity, u64)]) -> String {
    let ts = &group.threats;
    let many = actors.len() > 1;
    match &group.key {
        Key::Own(e) => own_title(e, ts),
        Key::Sweep(e) => {
            let n = super::hosts(ts.iter().copied()).keys().filter(|h| h.is_internal()).count();
            let list: Vec<_> = classes(ts).into_iter().map(class_words).collect();
            format!("{e} reaches {}: {}", plural(n as u64, "internal host"), list.join(", "))
        }
        Key::Attack(Family::Credentials, victim)
            if actors.iter().all(|a| matches!(a.0, Entity::User(_))) =>
        {
            let of = if many { crowd(actors) } else { format!("account {}", actors[0].0) };
            let on = victim.as_ref().map_or(String::new(), |v| format!(" on {v}"));
            format!("Credentials of {of} are guessed{on}{}", most_active(actors))
        }
        Key::Attack(family, victim) => {
            let (verb, to) = deed(*family, many, ts);
            let whom = victim.as_ref().map_or(String::new(), |v: &Host| format!("{to}{v}"));
            format!("{} {verb}{whom}{}", crowd(actors), most_active(actors))
        }
        Key::Background { family, loud } => {
            let (verb, _) = deed(*family, many, ts);
            let what = if *loud { "Further" } else { "Background" };
            format!("{what}: {} {verb}{}", crowd(actors), most_active(actors))
        }
    }
}

/// What to do next, concretely.
pub(super) fn advice(group: &Group<'_>, gravest: &Threat) -> String {
    if let Key::Background { loud: false, .. } = group.key {
        return "Nothing to do now. Look through the list when there is time, and tune or suppress \
                what you know."
            .to_owned();
    }
    let inside = match &group.key {
        Key::Own(e) => Some(e),
        _ => None,
    };
    match (gravest.class, inside) {
        (ThreatClass::Scan, Some(_)) => {
            "Find the process that scans on this host; unless it is your own scanner, take the \
             host off the network and look for what came before."
        }
        (ThreatClass::Scan, None) => {
            "Check that the firewall closes what nobody needs to reach, and that no probed service \
             answered; then block the most active sources."
        }
        (ThreatClass::BruteForce, _) => {
            "Look for a successful logon from these sources after the failures; if there is one, \
             reset the account and isolate the host. Block the sources and allow keys only."
        }
        (ThreatClass::CommandAndControl, _) => {
            "Isolate the host, keep its memory and disk, and block the controller's address; then \
             search all logs for other hosts that talk to it."
        }
        (ThreatClass::DomainGeneration, _) => {
            "Isolate the host and find the process that asks for these names; sinkhole those that \
             resolved, and search the DNS logs for other hosts asking for them."
        }
        (ThreatClass::DnsTunnel, _) => {
            "Block the parent domain at the resolver, isolate the host, and estimate from the \
             query sizes how much has left."
        }
        (ThreatClass::Exfiltration, _) => {
            "Stop the transfer at the firewall, find out which data and which account it was, and \
             keep the flow records for the report."
        }
        (ThreatClass::LateralMovement, _) => {
            "Disable the account or isolate the host that reaches out, then check every host that \
             it logged on to for new services, tasks and keys."
        }
        (ThreatClass::InsiderMisuse, _) => {
            "Ask the account's owner whether it was them; if not, end its sessions, reset its \
             credentials and review what it read."
        }
        (ThreatClass::Signature, _) => {
            "Read the matched rule beside the raw record: if the traffic was let through, check \
             the target for what the rule describes; if it is expected, suppress the rule for this \
             pair."
        }
        (ThreatClass::Anomaly, Some(_)) => {
            "Compare what was seen with what is usual for the top features; if the host has a new \
             role, mark the findings benign, otherwise look at its processes and logons."
        }
        (ThreatClass::Anomaly, None) => {
            "Check whether the attacked host answered these contacts; if it did and nobody expects \
             them, block the sources and look at the host."
        }
    }
    .to_owned()
}
