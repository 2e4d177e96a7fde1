//! What is watched of a record: which fields its class has, and what stands in them.

use threat::entity::hash_bytes;
use threat::entropy::mix64;
use threat::event::{Body, Flow, Http, Outcome, Protocol, Tls, Value};
use threat::{Event, EventClass, Text};

/// Typed fields of a class: those of every event and at most fourteen of its own.
pub(super) const TYPED: usize = 20;
/// Untyped fields of a class that are watched, by name: a sensor's schema; further ones are not.
pub(super) const EXTRA: usize = 32;
/// The bit of the first untyped field in [`Readings::present`].
pub(super) const FIRST_EXTRA: usize = 32;

/// A typed field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name, as Zeek and this crate's rules have it.
    pub name: &'static str,
    /// Whether it says what kind of record this is, so that what else is there depends on it.
    pub kind: bool,
}

const fn field(name: &'static str) -> Field {
    Field { name, kind: false }
}

const fn kind(name: &'static str) -> Field {
    Field { name, kind: true }
}

const COMMON: [Field; 6] = [
    field("src_host"),
    field("src_port"),
    field("dst_host"),
    field("dst_port"),
    field("user"),
    field("uid"),
];

const FLOW: [Field; 14] = [
    kind("proto"),
    kind("conn_state"),
    field("service"),
    field("duration"),
    field("orig_bytes"),
    field("resp_bytes"),
    field("orig_pkts"),
    field("resp_pkts"),
    field("orig_ip_bytes"),
    field("resp_ip_bytes"),
    field("missed_bytes"),
    field("history"),
    field("local_orig"),
    field("local_resp"),
];

const HTTP: [Field; 9] = [
    kind("method"),
    field("host"),
    field("uri"),
    field("referrer"),
    field("user_agent"),
    kind("status_code"),
    field("request_body_len"),
    field("response_body_len"),
    field("mime"),
];

const DNS: [Field; 6] = [
    field("query"),
    kind("qtype"),
    kind("rcode"),
    field("answers"),
    field("rtt"),
    field("rejected"),
];

const TLS: [Field; 9] = [
    kind("version"),
    field("cipher"),
    field("server_name"),
    kind("established"),
    kind("resumed"),
    field("ja3"),
    field("subject"),
    field("issuer"),
    field("validation_status"),
];

const AUTHENTICATION: [Field; 7] = [
    kind("activity"),
    kind("outcome"),
    kind("service"),
    field("auth_method"),
    field("attempts"),
    field("client"),
    field("server"),
];

const FINDING: [Field; 6] = [
    field("name"),
    field("category"),
    field("rule_id"),
    field("severity"),
    field("message"),
    field("action"),
];

const FILE: [Field; 7] = [
    field("mime"),
    field("name"),
    field("bytes"),
    kind("source"),
    field("md5"),
    field("sha1"),
    field("sha256"),
];

const ANOMALY: [Field; 2] = [kind("name"), field("detail")];

/// The typed field of a class at a bit of [`Readings::present`].
pub(super) fn typed(class: EventClass, bit: usize) -> Option<Field> {
    let own: &[Field] = match class {
        EventClass::Flow => &FLOW,
        EventClass::Http => &HTTP,
        EventClass::Dns => &DNS,
        EventClass::Tls => &TLS,
        EventClass::Authentication => &AUTHENTICATION,
        EventClass::Finding => &FINDING,
        EventClass::File => &FILE,
        EventClass::Anomaly => &ANOMALY,
        EventClass::Generic => &[],
    };
    COMMON.iter().chain(own).nth(bit).copied()
}

/// What stands in a field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Reading {
    /// Nothing.
    #[default]
    Absent,
    /// Something, of which only that is watched.
    Present,
    /// A number.
    Amount(f64),
    /// A word of a vocabulary that the sensor sets, by its hash.
    Category(u64),
    /// What the traffic names, by its hash: hosts, accounts, programs. New ones are its nature.
    Name(u64),
}

/// What is watched of a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    /// What kind of record: what a field's presence depends on, and its log.
    pub kind: u64,
    /// The typed fields that are present by their place, from [`FIRST_EXTRA`] on the untyped ones.
    pub present: u64,
    /// The typed fields.
    pub values: [Reading; TYPED],
    filled: usize,
}

impl Readings {
    /// Of an event. `names` are the untyped fields that are watched.
    pub fn of(event: &Event, names: &[Text]) -> Self {
        let mut all = Self::default();
        let sides = [&event.src, &event.dst];
        for (side, endpoint) in sides.into_iter().enumerate() {
            all.seen(endpoint.is_some());
            let port = endpoint.as_ref().and_then(|e| e.port);
            // Which port is called is behaviour; that a client's port never changes is not.
            all.push(match port {
                Some(port) if side == 0 => Reading::Name(u64::from(port)),
                Some(_) => Reading::Present,
                None => Reading::Absent,
            });
        }
        all.name(event.user.as_ref());
        all.name(event.uid.as_ref());
        let kind = all.body(&event.body);
        all.kind = mix64(kind ^ hash_bytes(event.origin.service.as_bytes()));
        all.extra(&event.extra, names);
        all
    }

    fn push(&mut self, reading: Reading) {
        if reading != Reading::Absent {
            self.present |= 1 << self.filled;
        }
        self.values[self.filled] = reading;
        self.filled += 1;
    }

    fn seen(&mut self, there: bool) {
        self.push(if there { Reading::Present } else { Reading::Absent });
    }

    fn word(&mut self, text: Option<&Text>) {
        self.push(
            text.filter(|t| !t.is_empty())
                .map_or(Reading::Absent, |t| Reading::Category(hash_bytes(t.as_bytes()))),
        );
    }

    fn name(&mut self, text: Option<&Text>) {
        self.push(
            text.filter(|t| !t.is_empty())
                .map_or(Reading::Absent, |t| Reading::Name(hash_bytes(t.as_bytes()))),
        );
    }

    fn count(&mut self, count: Option<u64>) {
        self.push(count.map_or(Reading::Absent, |n| Reading::Amount(n as f64)));
    }

    fn amount(&mut self, amount: Option<f64>) {
        self.push(amount.map_or(Reading::Absent, Reading::Amount));
    }

    /// Reads the typed part and returns what kind of record it is.
    fn body(&mut self, body: &Body) -> u64 {
        match body {
            Body::Flow(flow) => self.flow(flow),
            Body::Http(http) => self.http(http),
            Body::Dns(dns) => {
                let hash = |t: &Option<Text>| t.as_ref().map_or(0, |t| hash_bytes(t.as_bytes()));
                let kind = hash(&dns.rcode) ^ mix64(hash(&dns.qtype));
                self.name(dns.query.as_ref());
                self.word(dns.qtype.as_ref());
                self.word(dns.rcode.as_ref());
                self.seen(!dns.answers.is_empty());
                self.amount(dns.rtt);
                self.seen(dns.rejected.is_some());
                kind
            }
            Body::Tls(tls) => self.tls(tls),
            Body::Authentication(a) => {
                self.push(Reading::Category(a.activity as u64));
                let known = a.outcome != Outcome::Unknown;
                self.push(if known {
                    Reading::Category(a.outcome as u64)
                } else {
                    Reading::Absent
                });
                self.word(a.service.as_ref());
                self.word(a.method.as_ref());
                self.amount(Some(f64::from(a.attempts)));
                self.name(a.client.as_ref());
                self.name(a.server.as_ref());
                let service = a.service.as_ref().map_or(0, |s| hash_bytes(s.as_bytes()));
                service ^ mix64(a.activity as u64 * 4 + a.outcome as u64)
            }
            Body::Finding(f) => {
                self.name(Some(&f.name));
                self.word(f.category.as_ref());
                self.seen(f.rule_id.is_some());
                self.push(Reading::Category(f.severity as u64));
                self.seen(f.message.is_some());
                self.word(f.action.as_ref());
                0
            }
            Body::File(f) => {
                self.name(f.mime.as_ref());
                self.seen(f.name.is_some());
                self.count(f.bytes);
                self.word(f.source.as_ref());
                self.seen(f.md5.is_some());
                self.seen(f.sha1.is_some());
                self.seen(f.sha256.is_some());
                f.source.as_ref().map_or(0, |s| hash_bytes(s.as_bytes()))
            }
            Body::Anomaly(oddity) => {
                self.name(Some(&oddity.name));
                self.seen(oddity.detail.is_some());
                hash_bytes(oddity.name.as_bytes())
            }
            Body::Generic => 0,
        }
    }

    fn flow(&mut self, f: &Flow) -> u64 {
        let told = f.protocol != Protocol::Other;
        let proto = f.protocol as u64;
        self.push(if told { Reading::Category(proto) } else { Reading::Absent });
        self.push(Reading::Category(f.state as u64));
        self.word(f.service.as_ref());
        self.amount(f.duration);
        self.count(f.orig_bytes);
        self.count(f.resp_bytes);
        self.count(f.orig_packets);
        self.count(f.resp_packets);
        self.count(f.orig_ip_bytes);
        self.count(f.resp_ip_bytes);
        self.count(f.missed_bytes);
        self.word(f.history.as_ref());
        self.seen(f.local_orig.is_some());
        self.seen(f.local_resp.is_some());
        proto * 16 + f.state as u64
    }

    fn http(&mut self, h: &Http) -> u64 {
        self.word(h.method.as_ref());
        self.name(h.host.as_ref());
        self.name(h.uri.as_ref());
        self.seen(h.referrer.is_some());
        self.name(h.user_agent.as_ref());
        self.count(h.status.map(u64::from));
        self.count(h.request_bytes);
        self.count(h.response_bytes);
        self.name(h.mime.as_ref());
        let method = h.method.as_ref().map_or(0, |m| hash_bytes(m.as_bytes()));
        method ^ mix64(u64::from(h.status.unwrap_or(0) / 100))
    }

    fn tls(&mut self, t: &Tls) -> u64 {
        self.word(t.version.as_ref());
        self.word(t.cipher.as_ref());
        self.name(t.server_name.as_ref());
        self.seen(t.established.is_some());
        self.seen(t.resumed.is_some());
        self.name(t.ja3.as_ref());
        self.name(t.subject.as_ref());
        self.seen(t.issuer.is_some());
        self.word(t.validation.as_ref());
        let flag = |f: Option<bool>| f.map_or(0, |f| 1 + u64::from(f));
        let version = t.version.as_ref().map_or(0, |v| hash_bytes(v.as_bytes()));
        version ^ mix64(3 * flag(t.established) + flag(t.resumed))
    }

    /// Notes which of `names` are there. Records of a log have their fields in one order, so the
    /// next name is mostly the next field.
    fn extra(&mut self, extra: &[(Text, Value)], names: &[Text]) {
        let mut next = 0;
        for (name, value) in extra {
            let after = names.iter().skip(next).position(|n| n == name).map(|i| next + i);
            let Some(at) = after.or_else(|| names.iter().position(|n| n == name)) else { continue };
            next = at + 1;
            if *value != Value::Null {
                self.present |= 1 << (FIRST_EXTRA + at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::Timestamp;
    use threat::event::Origin;

    fn event(body: Body) -> Event {
        Event::new(Timestamp::default(), Origin::new("zeek", "conn"), body)
    }

    #[test]
    fn every_class_has_a_name_for_every_reading() {
        let bodies = [
            Body::Flow(Flow::default()),
            Body::Http(Box::default()),
            Body::Dns(Box::default()),
            Body::Tls(Box::default()),
            Body::Authentication(Box::default()),
            Body::Finding(Box::default()),
            Body::File(Box::default()),
            Body::Anomaly(Box::default()),
            Body::Generic,
        ];
        for body in bodies {
            let class = body.class();
            let readings = Readings::of(&event(body), &[]);
            let named = (0..TYPED).take_while(|&bit| typed(class, bit).is_some()).count();
            assert_eq!(readings.filled, named, "{}", class.name());
        }
    }

    #[test]
    fn an_untyped_field_is_found_in_any_order() {
        let names = [Text::from("a"), Text::from("b"), Text::from("c")];
        let mut e = event(Body::Generic);
        e.extra = ["c", "other", "a"].map(|n| (Text::from(n), Value::Int(1))).to_vec();
        e.extra.push((Text::from("b"), Value::Null));
        assert_eq!(Readings::of(&e, &names).present >> FIRST_EXTRA, 0b101);
    }
}
