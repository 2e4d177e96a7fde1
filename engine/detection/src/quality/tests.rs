//! Planted changes are told, ordinary streams and one host's bursts are not.

use super::*;
use threat::entropy::Rng;
use threat::event::{Body, ConnState, Dns, Endpoint, Flow, Origin, Protocol};
use threat::{Event, Host, Text};

/// Flows of `hosts` machines in an office: some fail, and then have no duration and no bytes.
struct Office {
    rng: Rng,
    now: Timestamp,
    hosts: usize,
}

impl Office {
    fn new(seed: u64, hosts: usize) -> Self {
        Self { rng: Rng::new(seed), now: Timestamp::from_micros(1_767_600_000_000_000), hosts }
    }

    fn flow(&mut self) -> Event {
        self.now = self.now.plus_secs(self.rng.exponential(0.5));
        let from = self.rng.below(self.hosts) as u32;
        let fails = self.rng.chance(0.2);
        let udp = self.rng.chance(0.3);
        let amount = |rng: &mut Rng, mean: f64| (!fails).then(|| (mean + 1.5 * rng.normal()).exp());
        let flow = Flow {
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            state: if fails { ConnState::S0 } else { ConnState::SF },
            service: self.rng.chance(0.7).then(|| Text::from("ssl")),
            duration: amount(&mut self.rng, -1.0),
            orig_bytes: amount(&mut self.rng, 6.0).map(|v| v as u64),
            resp_bytes: amount(&mut self.rng, 8.0).map(|v| v as u64),
            ..Flow::default()
        };
        event(self.now, from, self.rng.below(60_000) as u16, flow)
    }
}

fn event(time: Timestamp, from: u32, port: u16, flow: Flow) -> Event {
    let host = |n: u32| Host::Ip(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into());
    let mut e = Event::new(time, Origin::new("zeek", "conn"), Body::Flow(flow));
    e.src = Some(Endpoint { host: host(from), port: Some(port) });
    e.dst = Some(Endpoint { host: host(70_000), port: Some(443) });
    e.uid = Some(Text::from(format!("C{}", time.micros())));
    e.extra = vec![(Text::from("tunnel"), threat::event::Value::Bool(false))];
    e
}

fn feed(quality: &mut Quality, events: Vec<Event>) {
    let read = events.len() as u64;
    let mut counts = quality.counts.unwrap_or_default();
    counts.add(&IntakeCounts { read, events: read, ..IntakeCounts::default() });
    quality.observe(&EventBatch { events, counts, ..EventBatch::default() });
}

/// Notes after `good` flows as they come, and `bad` ones through `corrupt`.
fn notes(
    seed: u64,
    (good, bad): (usize, usize),
    mut corrupt: impl FnMut(&mut Rng, &mut Event),
) -> Vec<Note> {
    let (mut office, mut quality) = (Office::new(seed, 40), Quality::default());
    let mut rng = Rng::fork(seed, "corrupt");
    for i in 0..good + bad {
        let mut e = office.flow();
        if i >= good {
            corrupt(&mut rng, &mut e);
        }
        feed(&mut quality, vec![e]);
    }
    quality.notes()
}

fn flow(e: &mut Event) -> &mut Flow {
    match &mut e.body {
        Body::Flow(f) => f,
        _ => panic!("a flow"),
    }
}

/// The one note that is told, which is about `field`.
#[track_caller]
fn only(notes: &[Note], field: &str) -> Change {
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].field.as_deref(), Some(field));
    notes[0].change
}

const AMOUNT: (usize, usize) = (10_000, 10_000);

#[test]
fn a_field_that_vanishes_is_told() {
    let told = notes(1, AMOUNT, |_, e| flow(e).orig_bytes = None);
    assert!(matches!(only(&told, "orig_bytes"), Change::Missing { before } if before < 0.01));
    assert!(told[0].cases == told[0].looked_at && told[0].until.is_none());
    let told = notes(2, AMOUNT, |r, e| {
        if r.chance(0.1) {
            flow(e).duration = None;
        }
    });
    assert!(matches!(only(&told, "duration"), Change::Missing { .. }));
    let share = told[0].cases as f64 / told[0].looked_at as f64;
    assert!((0.07..0.14).contains(&share), "{share}");
    let told = notes(3, AMOUNT, |_, e| flow(e).service = None);
    assert!(matches!(only(&told, "service"), Change::Vanished { .. }));
    // Without it a record is of a kind never seen.
    let told = notes(5, AMOUNT, |_, e| flow(e).protocol = Protocol::Other);
    assert!(matches!(only(&told, "proto"), Change::Missing { .. }));
    let told = notes(4, AMOUNT, |_, e| e.extra.clear());
    assert!(matches!(only(&told, "tunnel"), Change::Missing { .. }));
}

#[test]
fn values_that_leave_their_range_are_told() {
    let told = notes(1, AMOUNT, |_, e| {
        let f = flow(e);
        f.duration = f.duration.map(|d| d * 1e6);
    });
    assert!(told.iter().all(|n| n.field.as_deref() == Some("duration")), "{told:?}");
    let far = |n: &Note| matches!(n.change, Change::Outside { now_high: Some(h), .. } if h > 1e4);
    assert!(told.iter().any(far), "{told:?}");
    // Seconds that became hours stay within the extremes.
    let told = notes(2, AMOUNT, |_, e| {
        let f = flow(e);
        f.duration = f.duration.map(|d| d / 3_600.0);
    });
    assert!(matches!(only(&told, "duration"), Change::Shifted { .. }));
    let told = notes(3, AMOUNT, |r, e| {
        if r.chance(0.2) {
            flow(e).duration = Some(f64::NAN);
        }
    });
    assert!(matches!(only(&told, "duration"), Change::Outside { now_high: None, .. }));
}

#[test]
fn one_value_and_too_many_are_told() {
    let told = notes(1, AMOUNT, |_, e| flow(e).protocol = Protocol::Tcp);
    assert!(matches!(only(&told, "proto"), Change::Constant { before: 2 }));
    let told = notes(2, AMOUNT, |_, e| {
        let f = flow(e);
        f.resp_bytes = f.resp_bytes.map(|_| 3_000);
    });
    assert!(matches!(only(&told, "resp_bytes"), Change::Constant { .. }));
    let told = notes(3, AMOUNT, |r, e| {
        flow(e).service = Some(Text::from(format!("s{}", r.below(1_000))));
    });
    let Change::Varied { before: 1, new } = only(&told, "service") else { panic!("{told:?}") };
    assert!((500..1_500).contains(&new), "{new}");
    // Another spelling of as many words.
    let told = notes(4, AMOUNT, |_, e| {
        let f = flow(e);
        f.service = f.service.take().map(|_| Text::from("tls"));
    });
    assert!(matches!(only(&told, "service"), Change::Replaced { before: 1 }));
}

#[test]
fn event_time_that_stops_leaps_or_returns_is_told() {
    let stop = |course: fn(i64) -> f64| {
        let (mut office, mut quality) = (Office::new(1, 40), Quality::default());
        for i in 0..20_000 {
            let mut e = office.flow();
            e.time = e.time.plus_secs(if i < 10_000 { 0.0 } else { course(i - 10_000) });
            feed(&mut quality, vec![e]);
        }
        quality.notes()
    };
    let told = stop(|_| 7_800.0);
    let [Note { change: Change::Gap { seconds, usual }, class: None, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert!((seconds - 7_800.0).abs() < 10.0 && *usual < 10.0);
    let told = stop(|_| -86_400.0);
    assert!(matches!(&told[..], [Note { change: Change::Backwards { .. }, .. }]), "{told:?}");
    let told = stop(|i| if i % 20 == 0 { 1e9 } else { 0.0 });
    assert!(matches!(&told[..], [Note { change: Change::Ahead { .. }, .. }]), "{told:?}");
    let told = notes(1, AMOUNT, |_, e| e.time = Timestamp::from_micros(1_767_605_000_000_000));
    assert!(told.iter().any(|n| n.change == Change::Stuck), "{told:?}");
}

#[test]
fn a_class_that_ends_before_its_source_is_told() {
    let (mut office, mut quality) = (Office::new(1, 40), Quality::default());
    for i in 0..20_000 {
        let mut e = office.flow();
        if i < 12_000 && i % 3 == 0 {
            let answers = vec![Text::from("10.0.0.1")];
            e.body = Body::Dns(Box::new(Dns { answers, ..Dns::default() }));
        }
        feed(&mut quality, vec![e]);
    }
    let told = quality.notes();
    let [note] = &told[..] else { panic!("{told:?}") };
    assert_eq!(note.class, Some(EventClass::Dns));
    assert!(matches!(note.change, Change::Silent { seconds, .. } if seconds > 3_000.0));
}

#[test]
fn a_rising_share_of_malformed_records_is_told() {
    let mut quality = Quality::default();
    let mut office = Office::new(1, 40);
    let mut counts = IntakeCounts::default();
    for i in 0..200u64 {
        let events: Vec<Event> = (0..100).map(|_| office.flow()).collect();
        let quarantined = if i < 100 { 0 } else { 10 };
        let read = 100 + quarantined;
        counts.add(&IntakeCounts { read, events: 100, quarantined, ..IntakeCounts::default() });
        quality.observe(&EventBatch { events, counts, ..EventBatch::default() });
    }
    let told = quality.notes();
    assert!(matches!(&told[..], [Note { change: Change::Malformed { .. }, .. }]), "{told:?}");
}

#[test]
fn a_change_that_ends_is_over() {
    let mut n = 0;
    let told = notes(1, (10_000, 20_000), |_, e| {
        n += 1;
        if n < 8_000 {
            flow(e).orig_bytes = None;
        }
    });
    only(&told, "orig_bytes");
    assert!(told[0].until.is_some_and(|end| end > told[0].last && told[0].last > told[0].since));
}

#[test]
fn ordinary_streams_are_rarely_told_of() {
    // 40 streams of some 4,000 observations each: at one false alarm in a million, 0.16 are due.
    let told: Vec<Note> = (0..40).flat_map(|seed| notes(seed, (24_000, 0), |_, _| {})).collect();
    assert!(told.len() <= 1, "{told:?}");
}

#[test]
fn a_burst_of_one_host_is_not_told() {
    // Each is nothing that was ever seen: ports scanned without an answer by a protocol of which
    // all else was answered, floods of one size, and a transfer of terabytes.
    let bursts: [fn(u16) -> Flow; 3] = [
        |_| Flow { protocol: Protocol::Icmp, state: ConnState::S0, ..Flow::default() },
        |_| Flow {
            protocol: Protocol::Udp,
            state: ConnState::SF,
            service: Some(Text::from("new")),
            duration: Some(0.0),
            orig_bytes: Some(512),
            ..Flow::default()
        },
        |_| Flow {
            protocol: Protocol::Tcp,
            state: ConnState::SF,
            duration: Some(80_000.0),
            orig_bytes: Some(1 << 52),
            resp_bytes: Some(1 << 50),
            ..Flow::default()
        },
    ];
    for (kind, burst) in bursts.into_iter().enumerate() {
        let (mut office, mut quality) = (Office::new(kind as u64, 40), Quality::default());
        for i in 0..40_000u32 {
            let mut events = vec![office.flow()];
            if i > 20_000 && i % 4_000 < 2_000 {
                let now = office.now;
                events.extend((0..10).map(|n| event(now, 99, n * 7, burst(n))));
            }
            feed(&mut quality, events);
        }
        assert_eq!(quality.notes(), [], "burst {kind}");
    }
}
