//! The feature row of an event: numbers and category hashes in its schema's order.
//!
//! A row is made of the event and its window values alone; the state behind the window is
//! elsewhere.

use super::account::hour_of_day;
use super::places;
use crate::rules::window_fields::{WindowField as W, WindowValues};
use threat::entity::hash_bytes;
use threat::event::{Authentication, Dns, Flow, Http, Outcome, Tls};
use threat::{Body, Endpoint, Event, Text, Timestamp};

/// Columns under construction.
#[derive(Default)]
pub struct Row {
    /// Numeric columns.
    pub numeric: Vec<f32>,
    /// Category hashes.
    pub categories: Vec<u64>,
    /// The categories' values in words, when somebody asked for them.
    pub words: Option<Vec<Text>>,
}

impl Row {
    fn amount(&mut self, value: Option<f64>) {
        // Formats refuse what is not finite; an absent amount is 0 by the schema's rule.
        self.numeric.push(value.unwrap_or(0.0) as f32);
    }

    fn count(&mut self, value: Option<u64>) {
        self.amount(value.map(|v| v as f64));
    }

    fn number(&mut self, value: f32) {
        self.numeric.push(value);
    }

    fn kind(&mut self, value: Option<&str>) {
        self.hashed(value.map_or(0, |v| hash_bytes(v.as_bytes())), || value.unwrap_or("-").into());
    }

    fn hashed(&mut self, hash: u64, word: impl FnOnce() -> Text) {
        self.categories.push(hash);
        if let Some(words) = &mut self.words {
            words.push(word());
        }
    }

    fn flag(&mut self, value: Option<bool>) {
        self.kind(value.map(|v| if v { "true" } else { "false" }));
    }

    fn port(&mut self, event: &Event) {
        let port = event.dst.as_ref().and_then(|d| d.port);
        self.hashed(u64::from(port_kind(port)), || {
            port.map_or("-".into(), |p| text_of(format_args!("{p}")))
        });
    }
}

/// A responder's port as a category: exact under 1024, else registered or high (see the study of
/// detectors: exact high ports make every flow a surprise).
pub const fn port_kind(port: Option<u16>) -> u32 {
    match port {
        None => 0,
        Some(p) if p < 1_024 => p as u32 + 1,
        Some(p) if p < 32_768 => 2_000,
        Some(_) => 3_000,
    }
}

/// Shannon entropy of a text's bytes, in bits a byte; 0 for the empty text.
pub fn entropy(text: &str) -> f32 {
    let mut counts = [0u32; 256];
    for b in text.bytes() {
        counts[usize::from(b)] += 1;
    }
    let n = text.len() as f32;
    counts
        .iter()
        .filter(|&&c| c > 0)
        .map(|&c| {
            let p = c as f32 / n;
            -p * p.log2()
        })
        .sum()
}

/// The registered domain: the last two labels, or three under a short second level (`co.uk`). An
/// approximation of the public suffix list that needs no list.
pub fn registered_domain(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let mut dots = name.rmatch_indices('.').map(|(i, _)| i);
    let (Some(last), second) = (dots.next(), dots.next()) else { return name };
    let Some(second) = second else { return name };
    if last - second <= 4 && name.len() - last == 3 {
        return dots.next().map_or(name, |third| &name[third + 1..]);
    }
    &name[second + 1..]
}

fn text_of(words: std::fmt::Arguments<'_>) -> Text {
    Text::from(words.to_string())
}

/// Fills the row of an event.
pub fn fill(event: &Event, record_length: usize, window: &WindowValues, row: &mut Row) {
    row.numeric.clear();
    row.categories.clear();
    if let Some(words) = &mut row.words {
        words.clear();
    }
    match &event.body {
        Body::Flow(body) => flow(event, body, window, row),
        Body::Dns(body) => dns(body, window, row),
        Body::Http(body) => http(event, body, window, row),
        Body::Tls(body) => tls(event, body, window, row),
        Body::Authentication(body) => authentication(event, body, window, row),
        _ => record(event, record_length, row),
    }
}

fn mean_size(bytes: Option<u64>, packets: Option<u64>) -> f32 {
    match (bytes, packets) {
        (Some(b), Some(p)) if p > 0 => b as f32 / p as f32,
        _ => 0.0,
    }
}

fn flow(event: &Event, f: &Flow, window: &WindowValues, row: &mut Row) {
    row.amount(f.duration);
    row.count(f.orig_bytes);
    row.count(f.resp_bytes);
    row.count(f.missed_bytes);
    row.count(f.orig_packets);
    row.count(f.orig_ip_bytes);
    row.count(f.resp_packets);
    row.count(f.resp_ip_bytes);
    row.number(mean_size(f.orig_ip_bytes, f.orig_packets));
    row.number(mean_size(f.resp_ip_bytes, f.resp_packets));
    row.number(f.history.as_ref().map_or(0, |h| h.len()) as f32);
    row.number(window.get(W::UploadRatio));
    row.number(window.get(W::SrcFlows1m));
    row.number(window.get(W::SrcFailedRatio1m));
    row.number(window.get(W::SrcHosts10m));
    row.number(window.get(W::SrcPorts1m));
    row.number(window.get(W::PairInterval));
    row.number(window.get(W::PairIntervalCv));
    row.kind(Some(f.protocol.name()));
    row.kind(f.service.as_deref());
    row.kind(Some(f.state.name()));
    row.kind(f.history.as_deref());
    row.port(event);
}

fn dns(d: &Dns, window: &WindowValues, row: &mut Row) {
    let query = d.query.as_deref().unwrap_or_default();
    let digits = query.bytes().filter(u8::is_ascii_digit).count() as f32;
    row.number(query.len() as f32);
    row.number(query.split('.').count() as f32);
    row.number(window.get(W::DnsQueryEntropy));
    row.number(digits / query.len().max(1) as f32);
    row.number(d.answers.len() as f32);
    row.amount(d.rtt);
    row.number(window.get(W::DnsQueries10m));
    row.number(window.get(W::DnsNxdomainRatio10m));
    row.number(window.get(W::DnsSubdomains10m));
    row.kind(d.qtype.as_deref());
    row.kind(d.rcode.as_deref());
    row.kind(query.rsplit('.').next());
}

fn http(event: &Event, h: &Http, window: &WindowValues, row: &mut Row) {
    let length = |t: &Option<Text>| t.as_ref().map_or(0, |t| t.len()) as f32;
    row.number(length(&h.uri));
    row.count(h.request_bytes);
    row.count(h.response_bytes);
    row.number(length(&h.host));
    row.number(entropy(h.uri.as_deref().unwrap_or_default()));
    row.number(length(&h.user_agent));
    row.number(window.get(W::HttpHostsUa10m));
    row.kind(h.method.as_deref());
    let status = h.status.unwrap_or(0);
    row.hashed(u64::from(status), || text_of(format_args!("{status}")));
    row.kind(h.mime.as_deref());
    row.kind(h.user_agent.as_deref());
    row.port(event);
}

fn tls(event: &Event, t: &Tls, window: &WindowValues, row: &mut Row) {
    let name = t.server_name.as_deref().unwrap_or_default();
    row.number(name.len() as f32);
    row.number(entropy(name));
    row.number(t.subject.as_ref().map_or(0, |s| s.len()) as f32);
    row.number(window.get(W::PairIntervalCv));
    row.kind(t.version.as_deref());
    row.kind(t.cipher.as_deref());
    row.flag(t.established);
    row.kind(t.validation.as_deref());
    row.kind(t.issuer.as_deref());
    row.kind(t.ja3.as_deref());
    row.port(event);
}

fn authentication(event: &Event, a: &Authentication, window: &WindowValues, row: &mut Row) {
    row.number(a.attempts as f32);
    row.number(window.get(W::AuthFailuresSrc10m));
    row.number(window.get(W::AuthFailuresUser10m));
    row.number(window.get(W::AuthUsersSrc10m));
    row.number(window.get(W::AuthHostsUser1h));
    row.number(window.get(W::AuthHourRarity));
    row.number(window.get(W::AuthAccountRisk));
    row.hashed(a.activity as u64, || text_of(format_args!("{:?}", a.activity)));
    row.kind(Some(a.outcome.name()));
    row.kind(a.service.as_deref());
    row.kind(a.method.as_deref());
    row.flag(Some(a.invalid_user));
    row.kind(a.client.as_deref());
    identity(event, a, row);
}

/// Who, where and when. Who fails to log on was not shown to be the account's owner, and nobody
/// owns an account that is not there: such rows name none.
fn identity(event: &Event, a: &Authentication, row: &mut Row) {
    let shown = a.outcome != Outcome::Failure && !a.invalid_user;
    let host = |e: &Option<Endpoint>, row: &mut Row| {
        let hash = e.as_ref().map_or(0, |e| e.host.hash64());
        row.hashed(hash, || e.as_ref().map_or("-".into(), |e| text_of(format_args!("{}", e.host))));
    };
    row.kind(event.user.as_deref().filter(|_| shown));
    host(&event.dst, row);
    host(&event.src, row);
    row.kind(places::country(event));
    let doing = [Some(a.activity.name()), a.service.as_deref(), a.method.as_deref()];
    let doing = doing.map(|part| part.unwrap_or("-")).join(" ");
    row.kind(Some(&doing));
    let hour = hour_of_day(event.time);
    row.hashed(hour as u64 + 1, || text_of(format_args!("{hour} to {} o'clock UTC", hour + 1)));
    let day = weekday(event.time);
    row.hashed(day as u64 + 1, || WEEKDAYS[day].into());
}

/// Days of the week, from the one that the epoch began on.
const WEEKDAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// The day of the week, UTC, as a place in [`WEEKDAYS`].
fn weekday(time: Timestamp) -> usize {
    time.secs().div_euclid(86_400).rem_euclid(7) as usize
}

fn record(event: &Event, length: usize, row: &mut Row) {
    row.number(length as f32);
    row.number(event.extra.len() as f32);
    let (name, kind) = match &event.body {
        Body::Finding(f) => (Some(f.name.as_str()), f.category.as_deref()),
        Body::File(f) => (f.mime.as_deref(), f.source.as_deref()),
        Body::Anomaly(a) => (Some(a.name.as_str()), None),
        _ => (
            event.extra("EventID").or_else(|| event.extra("name")).and_then(|v| v.as_str()),
            event.extra("event_type").and_then(|v| v.as_str()),
        ),
    };
    let shape = event
        .extra
        .iter()
        .fold(0u64, |h, (name, _)| threat::entropy::mix64(h ^ hash_bytes(name.as_bytes())));
    row.kind(Some(&event.origin.service));
    row.kind(name);
    row.kind(kind);
    row.hashed(shape, || text_of(format_args!("{} fields", event.extra.len())));
    row.port(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::schemas;
    use threat::Timestamp;
    use threat::event::{FileSeen, Finding, Oddity, Origin};

    #[test]
    fn every_declared_feature_is_produced_for_every_class() {
        let bodies = [
            Body::Flow(Flow::default()),
            Body::Http(Box::default()),
            Body::Dns(Box::default()),
            Body::Tls(Box::default()),
            Body::Authentication(Box::default()),
            Body::Finding(Box::<Finding>::default()),
            Body::File(Box::<FileSeen>::default()),
            Body::Anomaly(Box::<Oddity>::default()),
            Body::Generic,
        ];
        for body in bodies {
            let event = Event::new(Timestamp::default(), Origin::new("t", "t"), body);
            let schema = schemas::of(event.class());
            let mut row = Row::default();
            fill(&event, 0, &WindowValues::default(), &mut row);
            assert_eq!(row.numeric.len(), schema.numeric.len(), "{:?}", event.class());
            assert_eq!(row.categories.len(), schema.categories.len(), "{:?}", event.class());
            assert!(row.numeric.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn domains_are_cut_where_they_are_registered() {
        for (name, domain) in [
            ("a.b.example.com", "example.com"),
            ("example.com.", "example.com"),
            ("www.bbc.co.uk", "bbc.co.uk"),
            ("localhost", "localhost"),
            ("", ""),
            ("x.example.io", "example.io"),
        ] {
            assert_eq!(registered_domain(name), domain, "{name}");
        }
    }

    #[test]
    fn entropy_is_shannons() {
        assert_eq!(entropy(""), 0.0);
        assert_eq!(entropy("aaaa"), 0.0);
        assert!((entropy("abcd") - 2.0).abs() < 1e-6);
    }
}
