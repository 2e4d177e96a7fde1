//! The generator as a whole: determinism, order, labels, laws, and that it is no toy.

use super::calendar::hour_of_day;
use super::conn::tests::check_laws;
use super::record::{Conn, ConnId};
use super::world::is_local;
use super::writers::{Format, Writer, labels};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use threat::entity::{Entity, Host};
use threat::event::{ConnState, Protocol};

const EVERY_KIND: [&str; 12] = [
    "scan",
    "scan:horizontal",
    "scan:slow",
    "brute-force",
    "brute-force:distributed,success",
    "beacon",
    "dns-tunnel",
    "dns-tunnel:mixed",
    "exfiltration",
    "exfiltration:slow",
    "lateral-movement",
    "insider",
];

fn scenario(seed: u64, hours: f64, campaigns: &[&str]) -> Scenario {
    let campaigns = campaigns.iter().map(|c| c.parse().unwrap()).collect();
    Scenario { seed, duration: hours * 3_600.0, campaigns, ..Scenario::default() }
}

fn run(scenario: &Scenario) -> (Vec<Record>, Vec<Label>) {
    let mut traffic = Traffic::new(scenario).unwrap();
    let records: Vec<Record> = traffic.by_ref().collect();
    (records, traffic.labels().to_vec())
}

fn conns(records: &[Record]) -> impl Iterator<Item = (&Record, &Conn)> {
    records.iter().filter_map(|r| match &r.body {
        Body::Conn(c) => Some((r, c)),
        _ => None,
    })
}

/// All formats' bytes, one after the other.
fn bytes(scenario: &Scenario) -> Vec<(String, Vec<u8>)> {
    let mut traffic = Traffic::new(scenario).unwrap();
    let mut streams: Vec<(String, Box<dyn Writer>, Vec<u8>)> = Format::ALL
        .into_iter()
        .flat_map(|(_, f)| f.streams(true))
        .map(|(name, writer)| (name, writer, Vec::new()))
        .collect();
    for (_, writer, out) in &mut streams {
        writer.begin(out, scenario.start).unwrap();
    }
    while let Some(record) = traffic.next() {
        for (_, writer, out) in &mut streams {
            writer.write(out, &record, traffic.labels()).unwrap();
        }
    }
    for (_, writer, out) in &mut streams {
        writer.end(out, scenario.end()).unwrap();
    }
    let mut table = Vec::new();
    labels::write(&mut table, traffic.labels()).unwrap();
    let logs = streams.into_iter().map(|(name, _, out)| (name, out));
    logs.chain([("labels.csv".to_owned(), table)]).collect()
}

#[test]
fn the_same_seed_is_the_same_bytes() {
    let one = scenario(11, 0.3, &EVERY_KIND);
    assert_eq!(bytes(&one), bytes(&one));
    assert_ne!(bytes(&one), bytes(&scenario(12, 0.3, &EVERY_KIND)));
}

#[test]
fn every_line_of_every_format_is_well_formed() {
    for (name, log) in bytes(&scenario(13, 0.5, &EVERY_KIND)) {
        let text = String::from_utf8(log).unwrap();
        let mut lines = text.lines();
        if name.ends_with(".json") {
            assert!(lines.all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "{name}");
        } else if text.starts_with("#separator") {
            let columns = |l: &str| l.split('\t').count();
            let fields = text.lines().find(|l| l.starts_with("#fields")).map(columns).unwrap();
            let wrong = text.lines().find(|l| !l.starts_with('#') && columns(l) + 1 != fields);
            assert_eq!(wrong, None, "{name}");
            assert!(text.lines().last().unwrap().starts_with("#close\t"));
        } else if name == "flows.csv" {
            // Commas inside of quotes are no separators.
            let columns = |l: &str| {
                l.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>()
            };
            let header = columns(lines.next().unwrap());
            assert!(lines.all(|l| columns(l) == header), "{name}");
        } else if name.starts_with("auth") {
            assert!(text.lines().count() > 50, "{name}");
        }
    }
}

#[test]
fn an_hour_is_about_twenty_thousand_records_in_time_order() {
    let (records, labels) = run(&scenario(1, 1.0, &[]));
    assert!((15_000..26_000).contains(&records.len()), "{}", records.len());
    assert!(records.is_sorted_by_key(|r| r.time));
    assert!(labels.is_empty() && records.iter().all(|r| r.campaign.is_none()));
    let span = Scenario::default();
    assert!(records.iter().all(|r| r.time >= span.start && r.time < span.end()));
}

#[test]
fn a_campaign_adds_records_and_moves_none() {
    let (benign, _) = run(&scenario(4, 0.5, &[]));
    let (all, _) = run(&scenario(4, 0.5, &EVERY_KIND));
    let rest: Vec<_> = all.into_iter().filter(|r| r.campaign.is_none()).collect();
    assert_eq!(benign.len(), rest.len());
    assert_eq!(benign, rest);
}

#[test]
fn labels_agree_with_the_records() {
    let (records, labels) = run(&scenario(5, 2.0, &EVERY_KIND));
    assert_eq!(labels.len(), EVERY_KIND.len());
    for (place, label) in labels.iter().enumerate() {
        let own: Vec<_> =
            records.iter().filter(|r| r.campaign == Some(CampaignId(place as u16))).collect();
        assert_eq!(label.records, own.len() as u64, "{}", label.id);
        assert!(own.len() >= 8, "{}: {}", label.id, own.len());
        assert_eq!(label.first, own.first().map(|r| r.time));
        assert_eq!(label.last, own.last().map(|r| r.time));
        assert!(!label.actors.is_empty() && !label.targets.is_empty(), "{}", label.id);
        // Who is said to have done it did it.
        for record in own {
            if let Some(id) = record.body.conn_id() {
                assert!(label.actors.contains(&Entity::Host(Host::Ip(id.orig))), "{}", label.id);
            }
        }
    }
}

#[test]
fn campaigns_do_what_their_names_say() {
    let (records, labels) = run(&scenario(6, 3.0, &EVERY_KIND));
    let of = |place: usize| {
        conns(&records)
            .filter(move |(r, _)| r.campaign == Some(CampaignId(place as u16)))
            .collect::<Vec<_>>()
    };
    let targets = |c: &[(&Record, &Conn)], port: bool| {
        let key = |c: &Conn| (!port).then_some(c.id.resp).ok_or(c.id.resp_port);
        c.iter().map(|(_, c)| key(c)).collect::<BTreeSet<_>>().len()
    };
    assert!(targets(&of(0), true) > 900 && targets(&of(0), false) == 1);
    assert!(targets(&of(1), true) == 1 && targets(&of(1), false) > 400);
    assert!(targets(&of(2), false) > 40 && of(2).len() < 600);
    let failed = of(0).iter().filter(|(_, c)| c.state.failed()).count();
    assert!(failed * 10 > of(0).len() * 9);
    assert_eq!(labels[4].actors.len(), 24);
    // The right guess is the last, and there is but one.
    let accepted = |place: u16| {
        let own = records.iter().filter(move |r| r.campaign == Some(CampaignId(place)));
        own.filter(|r| {
            use record::AuthEvent::Accepted;
            matches!(&r.body, Body::Auth(a) if matches!(a.event, Accepted { .. }))
        })
        .count()
    };
    assert_eq!((accepted(3), accepted(4)), (0, 1));
    let calls: Vec<_> =
        of(5).iter().filter(|(_, c)| c.service == Some("ssl")).map(|(r, _)| r.time).collect();
    let gaps: Vec<f64> = calls.windows(2).map(|w| w[1].since(w[0])).collect();
    let regular = gaps.iter().filter(|g| (53.9..66.1).contains(*g)).count();
    assert!(regular * 10 > gaps.len() * 6 && regular > 60, "{regular} of {}", gaps.len());
    let up: u64 = of(8).iter().filter_map(|(_, c)| c.orig_bytes).sum();
    assert!(up > 200_000_000, "{up}");
    let peers: BTreeSet<_> = of(10).iter().map(|(_, c)| c.id.resp).collect();
    assert!(peers.len() >= 15 && peers.iter().all(|&p| is_local(p)));
    let queries: BTreeSet<_> = records
        .iter()
        .filter(|r| r.campaign == Some(CampaignId(6)))
        .filter_map(|r| match &r.body {
            Body::Dns(d) => Some(d.query.clone()),
            _ => None,
        })
        .collect();
    assert!(queries.len() > 300 && queries.iter().all(|q| q.len() > 25 && q.len() < 254));
}

#[test]
fn the_insider_comes_at_night_when_there_is_one() {
    let mut s = scenario(3, 24.0, &["insider"]);
    s.rate = 1.0;
    let (records, labels) = run(&s);
    let hour = hour_of_day(labels[0].first.unwrap());
    assert!(!(5.6..21.4).contains(&hour), "{hour}");
    let who = labels[0].actors[0].to_string();
    assert!(
        records
            .iter()
            .any(|r| r.campaign.is_some() && matches!(&r.body, Body::Auth(a) if a.user == who))
    );
}

#[test]
fn every_record_of_a_connection_has_one_id() {
    let (records, _) = run(&scenario(8, 0.5, &EVERY_KIND));
    let mut ids: BTreeMap<record::Uid, ConnId> = BTreeMap::new();
    for (_, conn) in conns(&records) {
        assert_eq!(ids.insert(conn.id.uid, conn.id), None, "an id twice");
    }
    for record in &records {
        if let (Some(id), false) = (record.body.conn_id(), matches!(record.body, Body::Conn(_))) {
            assert_eq!(ids.get(&id.uid), Some(id));
        }
    }
}

#[test]
fn people_have_days_and_machines_have_beats() {
    let mut s = scenario(2, 48.0, &[]);
    s.start = s.start.plus_secs(-9.0 * 3_600.0);
    let (records, _) = run(&s);
    let mut hours = [0u32; 24];
    for (r, c) in conns(&records) {
        hours[hour_of_day(r.time) as usize] += u32::from(c.service == Some("ssl"));
    }
    let (night, noon) = (hours[2] + hours[3], hours[10] + hours[11]);
    assert!(noon > 6 * night && night > 0, "{hours:?}");
    // A directory server's peers see NTP at one interval, within its jitter.
    let mut polls: BTreeMap<_, Vec<Timestamp>> = BTreeMap::new();
    for (r, c) in conns(&records).filter(|(_, c)| c.service == Some("ntp")) {
        polls.entry(c.id.orig).or_default().push(r.time);
    }
    assert_eq!(polls.len(), s.hosts);
    for times in polls.values() {
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1].since(w[0])).collect();
        assert!(gaps.iter().all(|g| (g - gaps[0]).abs() < 4.1), "{gaps:?}");
    }
}

#[test]
fn sizes_have_heavy_tails_and_states_are_mixed() {
    let (records, _) = run(&scenario(9, 3.0, &[]));
    let mut down: Vec<u64> = conns(&records)
        .filter(|(_, c)| c.id.protocol == Protocol::Tcp)
        .filter_map(|(_, c)| c.resp_bytes)
        .collect();
    down.sort_unstable();
    let (median, p99) = (down[down.len() / 2], down[down.len() * 99 / 100]);
    assert!(p99 > 50 * median, "{median} {p99}");
    let top: u64 = down[down.len() * 99 / 100..].iter().sum();
    assert!(top * 2 > down.iter().sum::<u64>(), "the largest hundredth carries most bytes");
    let states: BTreeSet<ConnState> = conns(&records).map(|(_, c)| c.state).collect();
    assert!(states.len() >= 7, "{states:?}");
    let services: BTreeSet<_> = conns(&records).filter_map(|(_, c)| c.service).collect();
    assert!(services.len() >= 12, "{services:?}");
    let names = records
        .iter()
        .filter(|r| matches!(&r.body, Body::Dns(d) if d.rcode == Some(record::RCode::NxDomain)));
    assert!(names.count() > 20);
}

#[test]
fn the_rate_is_what_was_asked_for() {
    for (rate, hosts, users) in [(1.8, 60, 40), (3.6, 60, 40), (20.0, 60, 40), (60.0, 1_000, 700)] {
        // Away from the morning's rush and from lunch.
        let start = Scenario::default().start.plus_secs(3_600.0);
        let s = Scenario { rate, hosts, users, start, seed: 21, ..Scenario::default() };
        let (records, _) = run(&s);
        let flows = conns(&records).count() as f64 / s.duration;
        assert!((flows / rate - 1.0).abs() < 0.25, "asked {rate}, got {flows}");
    }
}

#[test]
fn little_waits_in_memory() {
    let mut traffic = Traffic::new(&scenario(1, 6.0, &EVERY_KIND)).unwrap();
    let count = traffic.by_ref().count();
    let waiting = traffic.net.pending.capacity();
    assert!(waiting * 20 < count, "{waiting} of {count}");
}

#[test]
fn the_scanner_is_benign_and_only_on_request() {
    let refused = |s: &Scenario| {
        let (records, _) = run(s);
        assert!(records.iter().all(|r| r.campaign.is_none()));
        conns(&records).filter(|(_, c)| c.state == ConnState::REJ).count()
    };
    let quiet = scenario(1, 0.5, &[]);
    assert!(refused(&quiet) < 20);
    assert!(refused(&Scenario { scanner: true, ..quiet }) > 300);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_scenario_keeps_the_laws(
        seed: u64, hosts in HOSTS_MIN..300, users in 1usize..200, rate in 0.1f64..30.0,
        at in 0i64..1_000_000, kinds in proptest::sample::subsequence(&EVERY_KIND[..], 0..4),
    ) {
        let mut s = scenario(seed, 0.2, &kinds);
        (s.hosts, s.users, s.rate) = (hosts, users, rate);
        s.start = s.start.plus_secs(at as f64);
        let (records, labels) = run(&s);
        prop_assert!(records.is_sorted_by_key(|r| r.time));
        for (_, conn) in conns(&records) {
            check_laws(conn);
        }
        let labelled = records.iter().filter(|r| r.campaign.is_some()).count() as u64;
        prop_assert_eq!(labelled, labels.iter().map(|l| l.records).sum::<u64>());
    }
}
