//! Connections that could have been: packets, bytes on the wire, history letters and state agree,
//! as Zeek's `conn.log` documents them. All records of connections are made here.
//!
//! Laws (tested): a direction has payload exactly when its history letter (`D`, `d`) is there;
//! bytes on the wire are at least payload plus headers and fit the packets; the state's letters are
//! there.

use super::draw::{between, lognormal};
use super::record::{Conn, ConnId};
use threat::Text;
use threat::entropy::Rng;
use threat::event::ConnState;

/// Payload of a full TCP segment on an Ethernet path with timestamps.
const SEGMENT: u64 = 1_448;
/// Largest UDP payload that Ethernet carries in one piece.
const DATAGRAM: u64 = 1_472;

/// What passed over a TCP connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Payload bytes of the originator.
    pub up: u64,
    /// Payload bytes of the responder.
    pub down: u64,
    /// Requests with answers: no fewer data packets than this.
    pub turns: u64,
    /// Seconds of a round trip.
    pub rtt: f64,
    /// Seconds in which nothing but waiting happens.
    pub idle: f64,
    /// Bytes a second.
    pub speed: f64,
    /// The responder speaks first (SSH, SMTP).
    pub greets: bool,
    /// TCP timestamps: 52 bytes of headers instead of 40.
    pub stamps: bool,
}

impl Shape {
    /// A short exchange of one request.
    pub(super) const fn new(up: u64, down: u64, rtt: f64) -> Self {
        Self { up, down, turns: 1, rtt, idle: 0.0, speed: 4e6, greets: false, stamps: true }
    }
}

/// A TCP connection that was established. `state` is one of S1, S2, S3, SF, RSTO, RSTR.
pub(super) fn tcp(
    id: ConnId,
    service: Option<&'static str>,
    state: ConnState,
    shape: &Shape,
    rng: &mut Rng,
) -> Conn {
    let segments = |bytes: u64| {
        if bytes == 0 { 0 } else { bytes.div_ceil(SEGMENT).max(shape.turns.min(bytes)) }
    };
    let (up, down) = (segments(shape.up), segments(shape.down));
    let (lost_up, lost_down) = (losses(rng, up), losses(rng, down));
    let (fin_up, fin_down, late_reset) = match state {
        ConnState::SF => (true, true, rng.chance(0.06)),
        ConnState::S2 => (true, false, false),
        ConnState::S3 => (false, true, false),
        _ => (false, false, false),
    };
    let flags = |fin: bool, reset: bool| u64::from(fin) + u64::from(reset);
    let orig_packets = 2
        + up
        + down.div_ceil(2)
        + lost_up
        + flags(fin_up, state == ConnState::RSTO || late_reset)
        + u64::from(fin_down);
    let acks = if shape.up > 0 { up.div_ceil(2) } else { 0 };
    let resp_packets =
        1 + down + acks + lost_down + flags(fin_down, state == ConnState::RSTR) + u64::from(fin_up);
    let header = if shape.stamps { 52 } else { 40 };
    let syn = if shape.stamps { 8 } else { 12 };
    let wire = |bytes: u64, packets: u64, lost: u64| {
        // A retransmission repeats a segment, or what little there was.
        bytes + packets * header + syn + lost * bytes.min(SEGMENT)
    };
    let transfer = (shape.up + shape.down) as f64 / shape.speed;
    let turns = shape.rtt * (1.5 + shape.turns as f64);
    let duration = (turns + transfer + shape.idle) * rng.range(0.97, 1.06);
    Conn {
        id,
        service,
        duration: Some(duration),
        orig_bytes: Some(shape.up),
        resp_bytes: Some(shape.down),
        state,
        history: history(rng, shape, state, (lost_up > 0, lost_down > 0), late_reset),
        orig_packets,
        orig_ip_bytes: wire(shape.up, orig_packets, lost_up),
        resp_packets,
        resp_ip_bytes: wire(shape.down, resp_packets, lost_down),
    }
}

fn losses(rng: &mut Rng, packets: u64) -> u64 {
    if packets == 0 || !rng.chance((packets as f64 * 2e-3).min(0.4)) {
        return 0;
    }
    between(rng, 1, 1 + packets / 200)
}

fn history(
    rng: &mut Rng,
    shape: &Shape,
    state: ConnState,
    lost: (bool, bool),
    late_reset: bool,
) -> Text {
    let mut h = Text::const_new("ShA");
    let ours = if lost.0 { "DT" } else { "D" };
    let theirs = if lost.1 { "dt" } else { "d" };
    match (shape.up > 0, shape.down > 0) {
        (true, true) if shape.greets => [theirs, ours, "a"].map(|s| h.push_str(s)),
        (true, true) if rng.chance(0.25) => [ours, theirs, "a"].map(|s| h.push_str(s)),
        (true, true) => [ours, "a", theirs].map(|s| h.push_str(s)),
        (true, false) => [ours, "a", ""].map(|s| h.push_str(s)),
        (false, true) => [theirs, "", ""].map(|s| h.push_str(s)),
        (false, false) => [(), (), ()],
    };
    h.push_str(match state {
        ConnState::SF if late_reset => "FfR",
        ConnState::SF if shape.greets || rng.chance(0.6) => "Ff",
        ConnState::SF => "fF",
        ConnState::S2 => "F",
        ConnState::S3 => "f",
        ConnState::RSTO => "R",
        ConnState::RSTR => "r",
        _ => "",
    });
    h
}

/// A TCP attempt without a conversation. `state` is one of S0, REJ, RSTOS0, SH; anything else
/// becomes traffic whose beginning was missed (OTH).
pub(super) fn attempt(id: ConnId, state: ConnState, rtt: f64, rng: &mut Rng) -> Conn {
    // (history, packets and bytes of each side, duration)
    let (letters, sent, answered, duration) = match state {
        ConnState::S0 => {
            let tries = [1u32, 1, 1, 2, 3, 4][rng.below(6)];
            // Retries double their wait from a second on.
            let wait = f64::from((1u32 << (tries - 1)) - 1) * rng.range(0.99, 1.04);
            ("S", (u64::from(tries), 60), (0, 0), (tries > 1).then_some(wait))
        }
        ConnState::REJ => ("Sr", (1, 60), (1, 40), Some(rtt)),
        ConnState::RSTOS0 => ("SR", (2, 50), (0, 0), Some(rng.range(0.1, 3.0))),
        ConnState::SH => ("SF", (2, 50), (0, 0), Some(rng.range(0.1, 3.0))),
        _ => {
            let packets = between(rng, 1, 3);
            ("Aa", (packets, 52), (packets, 52), Some(rtt * packets as f64))
        }
    };
    let state = if letters == "Aa" { ConnState::OTH } else { state };
    let seen = duration.map(|_| 0);
    Conn {
        id,
        service: None,
        duration,
        orig_bytes: seen,
        resp_bytes: seen,
        state,
        history: letters.into(),
        orig_packets: sent.0,
        orig_ip_bytes: sent.0 * sent.1,
        resp_packets: answered.0,
        resp_ip_bytes: answered.0 * answered.1,
    }
}

/// A half-open probe that found an open port: SYN, SYN-ACK, RST.
pub(super) fn half_open(id: ConnId, rtt: f64) -> Conn {
    Conn {
        id,
        service: None,
        duration: Some(rtt * 1.01),
        orig_bytes: Some(0),
        resp_bytes: Some(0),
        state: ConnState::RSTO,
        history: "ShR".into(),
        orig_packets: 2,
        orig_ip_bytes: 84,
        resp_packets: 1,
        resp_ip_bytes: 44,
    }
}

/// UDP payloads: (packets, bytes) of each side. More packets are assumed where the bytes need them.
pub(super) fn udp(
    id: ConnId,
    service: Option<&'static str>,
    sent: (u64, u64),
    answered: (u64, u64),
    duration: f64,
) -> Conn {
    let header = if id.orig.is_ipv6() { 48 } else { 28 };
    let packets = |(n, bytes): (u64, u64)| {
        if bytes == 0 { 0 } else { n.max(1).max(bytes.div_ceil(DATAGRAM)) }
    };
    let (orig, resp) = (packets(sent), packets(answered));
    let (state, history) = match (orig, resp) {
        (_, 0) => (ConnState::S0, "D"),
        (0, _) => (ConnState::SHR, "d"),
        _ => (ConnState::SF, "Dd"),
    };
    let seen = orig + resp > 1;
    Conn {
        id,
        service,
        duration: seen.then_some(duration),
        orig_bytes: seen.then_some(sent.1),
        resp_bytes: seen.then_some(answered.1),
        state,
        history: history.into(),
        orig_packets: orig,
        orig_ip_bytes: sent.1 + orig * header,
        resp_packets: resp,
        resp_ip_bytes: answered.1 + resp * header,
    }
}

/// ICMP with `echoes` requests of 56 bytes and as many answers as given.
pub(super) fn icmp(id: ConnId, echoes: u64, answers: u64, rtt: f64) -> Conn {
    let header = if id.orig.is_ipv6() { 48 } else { 28 };
    let seen = echoes + answers > 1;
    Conn {
        id,
        service: None,
        duration: seen.then_some(rtt + echoes.saturating_sub(1) as f64),
        orig_bytes: seen.then_some(echoes * 56),
        resp_bytes: seen.then_some(answers * 56),
        state: ConnState::OTH,
        history: Text::default(),
        orig_packets: echoes,
        orig_ip_bytes: echoes * (56 + header),
        resp_packets: answers,
        resp_ip_bytes: answers * (56 + header),
    }
}

/// How an ordinary TCP conversation ends.
pub(super) fn usual_end(rng: &mut Rng) -> ConnState {
    match rng.below(1000) {
        0..900 => ConnState::SF,
        900..930 => ConnState::RSTO,
        930..960 => ConnState::RSTR,
        960..980 => ConnState::S1,
        980..990 => ConnState::S2,
        _ => ConnState::S3,
    }
}

/// Bytes a second between two machines.
pub(super) fn speed(rng: &mut Rng, inside: bool) -> f64 {
    if inside {
        lognormal(rng, 45e6, 0.5).clamp(2e6, 110e6)
    } else {
        lognormal(rng, 2.5e6, 0.8).clamp(5e4, 4e7)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::traffic::record::Uid;
    use proptest::prelude::*;
    use threat::entropy::Rng;
    use threat::event::Protocol;

    /// Every law of a connection's record; panics with the record that breaks one.
    pub fn check_laws(c: &Conn) {
        let (up, down) = (c.orig_bytes.unwrap_or(0), c.resp_bytes.unwrap_or(0));
        let has = |letter| c.history.contains(letter);
        assert_eq!(c.orig_packets == 0, c.orig_ip_bytes == 0, "{c:?}");
        assert_eq!(c.resp_packets == 0, c.resp_ip_bytes == 0, "{c:?}");
        assert!(c.orig_ip_bytes >= up + 20 * c.orig_packets, "{c:?}");
        assert!(c.resp_ip_bytes >= down + 20 * c.resp_packets, "{c:?}");
        assert!(c.orig_ip_bytes <= 1_520 * c.orig_packets + 20, "{c:?}");
        assert!(c.resp_ip_bytes <= 1_520 * c.resp_packets + 20, "{c:?}");
        assert!(c.duration.is_none_or(|d| d.is_finite() && d >= 0.0), "{c:?}");
        assert_eq!(c.duration.is_some(), c.orig_bytes.is_some(), "{c:?}");
        if c.id.protocol == Protocol::Icmp {
            assert!(c.history.is_empty() && c.state == ConnState::OTH, "{c:?}");
            return;
        }
        if c.orig_bytes.is_some() {
            assert_eq!(has('D'), up > 0, "{c:?}");
            assert_eq!(has('d'), down > 0, "{c:?}");
        }
        if c.id.protocol == Protocol::Udp {
            let state = if !has('d') {
                ConnState::S0
            } else if has('D') {
                ConnState::SF
            } else {
                ConnState::SHR
            };
            assert_eq!(c.state, state, "{c:?}");
            return;
        }
        let ends = (has('F'), has('f'), has('R'), has('r'));
        let agree = match c.state {
            ConnState::S0 => c.history == "S",
            ConnState::S1 => ends == (false, false, false, false) && has('h'),
            ConnState::S2 => ends == (true, false, false, false),
            ConnState::S3 => ends == (false, true, false, false),
            ConnState::SF => ends.0 && ends.1 && !ends.3,
            ConnState::REJ => c.history == "Sr",
            ConnState::RSTO => has('h') && ends.2 && !ends.0,
            ConnState::RSTR => has('h') && ends.3 && !ends.0,
            ConnState::RSTOS0 => c.history == "SR",
            ConnState::SH => c.history == "SF",
            ConnState::OTH => !has('S') && !has('h'),
            ConnState::RSTRH | ConnState::SHR => false,
        };
        assert!(agree, "{c:?}");
    }

    fn id(protocol: Protocol) -> ConnId {
        ConnId {
            uid: Uid { high: 1, low: 2 },
            orig: [10, 20, 1, 2].into(),
            orig_port: 50_000,
            resp: [198, 18, 0, 9].into(),
            resp_port: 443,
            protocol,
        }
    }

    proptest! {
        #[test]
        fn all_connections_keep_the_laws(
            seed: u64, up in 0u64..3_000_000_000, down in 0u64..3_000_000_000, turns in 1u64..400,
            state in 0usize..13, greets: bool, stamps: bool, small: bool,
        ) {
            let mut rng = Rng::new(seed);
            let (up, down) = if small { (up % 40, down % 40) } else { (up, down) };
            let shape = Shape { turns, greets, stamps, ..Shape::new(up, down, 0.03) };
            let state = ConnState::ALL[state];
            use ConnState::{RSTO, RSTR, S1, S2, S3, SF};
            if matches!(state, S1 | S2 | S3 | SF | RSTO | RSTR) {
                check_laws(&tcp(id(Protocol::Tcp), None, state, &shape, &mut rng));
            } else {
                check_laws(&attempt(id(Protocol::Tcp), state, 0.03, &mut rng));
            }
            if up + down > 0 {
                check_laws(&udp(id(Protocol::Udp), None, (turns, up), (turns, down), 0.1));
            }
            check_laws(&icmp(id(Protocol::Icmp), 1 + up % 5, down % 5, 0.01));
            check_laws(&half_open(id(Protocol::Tcp), 0.01));
        }
    }
}
