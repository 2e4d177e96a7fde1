use super::*;
use proptest::prelude::*;
use threat::threats::Indicators;
use threat::{ThreatId, Timestamp};

fn entity(text: &str) -> Entity {
    text.strip_prefix("user:")
        .map_or_else(|| Entity::Host(Host::parse(text)), |u| Entity::User(u.into()))
}

fn threat(who: &str, class: ThreatClass, targets: &[&str], count: u64) -> Threat {
    let entity = entity(who);
    let mut kept = Indicators::default();
    for t in targets {
        kept.add(t, count.div_ceil(targets.len() as u64));
    }
    Threat {
        id: ThreatId::of(&entity, class, 7),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::Medium,
        score: 3.0,
        first_seen: Timestamp::from_micros(1),
        last_seen: Timestamp::from_micros(2),
        count,
        targets: kept,
        rules: Indicators::default(),
        voters: BTreeMap::new(),
        missing: BTreeMap::new(),
        labels: Indicators::default(),
    }
}

#[test]
fn targets_are_read_in_all_their_forms() {
    let ip = |s: &str| Host::parse(s);
    let read = |s| target_host(s);
    assert_eq!(read("192.168.1.4:22/tcp"), Some((ip("192.168.1.4"), Some(22))));
    assert_eq!(read("192.168.1.4"), Some((ip("192.168.1.4"), None)));
    assert_eq!(read("10.0.0.1/icmp"), Some((ip("10.0.0.1"), None)));
    assert_eq!(read("fe80::1:53/udp"), Some((ip("fe80::1"), Some(53))));
    assert_eq!(read("[fe80::1]:53/udp"), Some((ip("fe80::1"), Some(53))));
    assert_eq!(read("fe80::1"), Some((ip("fe80::1"), None)));
    assert_eq!(read("LabSZ:22/tcp"), Some((ip("LabSZ"), Some(22))));
    assert_eq!(read("root"), None);
    assert_eq!(read("a.example.org"), None);
    assert_eq!(read("10.0.0.1:99999/tcp"), None);
}

#[test]
fn many_scanners_of_one_host_are_one_incident() {
    let threats: Vec<_> = (0..1_600u32)
        .map(|i| {
            let who = format!("203.{}.{}.9", i / 250, i % 250);
            threat(&who, ThreatClass::Scan, &["192.168.1.194:23/tcp"], 5 + u64::from(i == 7) * 100)
        })
        .collect();
    let incidents = group(&threats, MAX_INCIDENTS);
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].actor_count, 1_600);
    assert_eq!(incidents[0].actors[0], ("203.0.7.9".into(), 105));
    assert!(
        incidents[0].title.starts_with("1,600 hosts scan 192.168.1.194 (most active: 203.0.7.9,")
    );
}

#[test]
fn an_infected_host_is_one_story_with_raised_severity() {
    let host = "192.168.1.116";
    let threats = [
        threat(host, ThreatClass::DomainGeneration, &["xkqjz.example.org"], 900),
        threat(host, ThreatClass::CommandAndControl, &["198.51.100.7:6667/tcp"], 60),
        threat(host, ThreatClass::Anomaly, &["198.51.100.7:6667/tcp"], 10),
        // The controller itself was flagged too: part of the same story.
        threat("198.51.100.7", ThreatClass::CommandAndControl, &["192.168.1.116:4000/tcp"], 3),
    ];
    let incidents = group(&threats, MAX_INCIDENTS);
    assert_eq!(incidents.len(), 1);
    let i = &incidents[0];
    assert_eq!(
        i.title,
        "Host 192.168.1.116 looks infected: command and control, generated domain names"
    );
    assert_eq!(i.severity, Severity::High);
    assert_eq!((i.count, i.threats.len()), (973, 4));
    assert!(i.advice.starts_with("Isolate the host"));
}

#[test]
fn an_outsider_alone_does_not_make_a_host_look_infected() {
    let class = ThreatClass::CommandAndControl;
    let only = [threat("198.51.100.7", class, &["192.168.1.116:4000/tcp"], 30)];
    let incidents = group(&only, MAX_INCIDENTS);
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        incidents[0].title,
        "198.51.100.7 takes part in command and control with 192.168.1.116"
    );
}

#[test]
fn capped_targets_are_a_lower_bound() {
    let mut t =
        threat("192.168.1.77", ThreatClass::Scan, &["10.0.0.1:1/tcp", "10.0.0.2:1/tcp"], 50);
    t.targets.turned_away = 400;
    let title = |t: &Threat| group(std::slice::from_ref(t), MAX_INCIDENTS)[0].title.clone();
    assert_eq!(title(&t), "Host 192.168.1.77 scans at least 2 hosts");
    t.targets.kept.retain(|target, _| target.starts_with("10.0.0.1"));
    assert_eq!(title(&t), "Host 192.168.1.77 scans ports of 10.0.0.1");
}

#[test]
fn a_hundred_thousand_threats_are_grouped_without_quadratic_work() {
    let threats: Vec<_> = (0..100_000u32)
        .map(|i| {
            let who = Host::Ip(std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into()).to_string();
            let mut t = threat(&who, ThreatClass::ALL[i as usize % 10], &["192.0.2.1:80/tcp"], 30);
            t.severity = Severity::High;
            t
        })
        .collect();
    let incidents = group(&threats, MAX_INCIDENTS);
    assert_eq!(incidents.len(), MAX_INCIDENTS);
    assert_eq!(incidents.iter().map(|i| i.threats.len()).sum::<usize>(), threats.len());
}

#[test]
fn guessers_sweepers_and_insiders_are_told_apart() {
    let mut threats: Vec<_> = (0..240)
        .map(|i| {
            threat(&format!("203.0.113.{i}"), ThreatClass::BruteForce, &["192.168.1.5:22/tcp"], 9)
        })
        .collect();
    threats.push(threat(
        "198.51.100.1",
        ThreatClass::Scan,
        &["10.0.0.1:80/tcp", "10.0.0.2:80/tcp", "10.0.0.3:80/tcp", "10.0.0.4:80/tcp"],
        400,
    ));
    threats.push(threat(
        "192.168.1.77",
        ThreatClass::Scan,
        &["10.0.0.1:1/tcp", "10.0.0.2:1/tcp"],
        50,
    ));
    threats.push(threat("user:eve", ThreatClass::InsiderMisuse, &[], 30));
    let titles: Vec<_> = group(&threats, MAX_INCIDENTS).into_iter().map(|i| i.title).collect();
    let has = |t: &str| assert!(titles.iter().any(|x| x.starts_with(t)), "{t}: {titles:?}");
    assert_eq!(titles.len(), 4);
    has("240 hosts guess SSH credentials on 192.168.1.5 (most active: 203.0.113.0, ");
    has("198.51.100.1 reaches 4 internal hosts: network scan");
    has("Host 192.168.1.77 scans 2 hosts");
    has("Account eve acts unlike itself");
}

#[test]
fn guessed_accounts_of_a_log_without_addresses_are_one_incident() {
    let threats: Vec<_> =
        (0..500).map(|i| threat(&format!("user:u{i}"), ThreatClass::BruteForce, &[], 2)).collect();
    let incidents = group(&threats, MAX_INCIDENTS);
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].title.starts_with("Credentials of 500 accounts are guessed"));
}

#[test]
fn small_leftovers_become_background_and_grave_ones_never_lose_their_severity() {
    let mut threats: Vec<_> = (0..60)
        .map(|i| threat(&format!("10.0.0.{i}"), ThreatClass::Anomaly, &["192.0.2.1:80/tcp"], 3))
        .collect();
    let quiet = group(&threats, MAX_INCIDENTS);
    assert_eq!(quiet.len(), 1);
    assert_eq!(quiet[0].severity, Severity::Low);
    assert!(quiet[0].title.starts_with("Background: 60 hosts behave unusually"));
    for t in &mut threats {
        t.severity = Severity::High;
    }
    let grave = group(&threats, MAX_INCIDENTS);
    assert_eq!(grave.len(), MAX_INCIDENTS);
    assert!(grave.iter().all(|i| i.severity == Severity::High));
    assert_eq!(grave.iter().filter(|i| i.title.starts_with("Further")).count(), 1);
}

fn any_threats() -> impl Strategy<Value = Vec<Threat>> {
    let one = (0u8..40, 0usize..10, 0u8..6, 1u64..80, 0usize..5, any::<bool>());
    prop::collection::vec(one, 0..120).prop_map(|rows| {
        let mut by_id = BTreeMap::new();
        for (who, class, target, count, severity, inside) in rows {
            let who = match (inside, who % 5) {
                (true, 0) => format!("user:u{who}"),
                (true, _) => format!("10.1.0.{who}"),
                _ => format!("203.0.113.{who}"),
            };
            let targets = [format!("192.168.0.{target}:22/tcp"), format!("u{target}")];
            let refs: Vec<&str> = targets[usize::from(target % 2)..].iter().map(|s| &**s).collect();
            let mut t = threat(&who, ThreatClass::ALL[class], &refs, count);
            t.severity = Severity::ALL[severity];
            by_id.insert(t.id, t);
        }
        by_id.into_values().collect()
    })
}

proptest! {
    #[test]
    fn every_threat_is_in_exactly_one_incident(threats in any_threats()) {
        let incidents = group(&threats, MAX_INCIDENTS);
        prop_assert!(incidents.len() <= MAX_INCIDENTS);
        let mut seen: Vec<_> = incidents.iter().flat_map(|i| i.threats.clone()).collect();
        seen.sort_unstable();
        let mut all: Vec<_> = threats.iter().map(|t| t.id).collect();
        all.sort_unstable();
        prop_assert_eq!(seen, all);
        let total: u64 = incidents.iter().map(|i| i.count).sum();
        prop_assert_eq!(total, threats.iter().map(|t| t.count).sum::<u64>());
        let ids: BTreeSet<_> = incidents.iter().map(|i| &i.id).collect();
        prop_assert_eq!(ids.len(), incidents.len());
        prop_assert!(incidents.windows(2).all(|w| w[0].severity >= w[1].severity));
    }

    #[test]
    fn order_of_threats_does_not_matter(threats in any_threats(), seed: u64, limit in 12usize..30) {
        let mut shuffled = threats.clone();
        threat::entropy::Rng::new(seed).shuffle(&mut shuffled);
        prop_assert_eq!(group(&threats, limit), group(&shuffled, limit));
    }

    #[test]
    fn a_further_threat_never_lowers_a_host(threats in any_threats(), class in 0usize..10) {
        let host = "10.9.9.9";
        let at = |ts: &[Threat]| {
            let refs: Vec<&Threat> = ts.iter().collect();
            severity(&Key::Own(entity(host)), &refs)
        };
        let before = at(&threats);
        let mut more = threats.clone();
        more.push(threat(host, ThreatClass::ALL[class], &[], 1));
        prop_assert!(at(&more) >= before);
        let most = threats.iter().map(|t| t.severity).max().unwrap_or_default();
        prop_assert!(before.id() <= most.id() + 1);
    }
}
