//! Events as OCSF 1.8 JSON. `formats::ocsf` reads it back to an equal event, apart from `position`
//! and `raw`, which belong to the source that an event was read from.
//!
//! Standard attributes carry what OCSF has a place for. What it has none for, or only a coarser
//! one (microseconds, wire bytes, the origin's log), is repeated exactly under
//! `unmapped.watchfire`, and `extra` goes to `unmapped` by name. Classes without endpoints carry
//! the sides there as well. Numbers that are not finite have no JSON form and become null; intake
//! makes none.
//!
//! Mapping: Flow, Tls -> 4001; Http -> 4002; Dns -> 4003; Authentication -> 3002; Finding -> 2004;
//! File -> 4010; Anomaly, Generic -> base event. `conn_state` -> `activity_id` and `status_code`.

use serde_json::{Map, Value as Out, json};
use threat::event::{
    AuthActivity, Authentication, Body, ConnState, Dns, Endpoint, Event, FileSeen, Finding, Flow,
    Host, Http, Outcome, Protocol, Tls, Value,
};

/// The schema version written into `metadata.version`.
const OCSF_VERSION: &str = "1.8.0";

/// The member of `unmapped` that holds what OCSF has no exact place for.
pub(crate) const OWN: &str = "watchfire";

type Object = Map<String, Out>;

/// An event as an OCSF object.
pub fn emit(event: &Event) -> Out {
    let mut top = Object::new();
    let mut own = Object::new();
    own.insert("product".into(), event.origin.product.as_str().into());
    own.insert("service".into(), event.origin.service.as_str().into());
    own.insert("class".into(), event.class().name().into());
    put(&mut own, "label", &event.label);
    if event.time.micros() % 1_000 != 0 {
        own.insert("time".into(), event.time.micros().into());
    }
    let (activity, severity) = body(&event.body, &mut top, &mut own);
    let class_uid = event.class().class_uid();
    top.insert("class_uid".into(), class_uid.into());
    top.insert("category_uid".into(), (class_uid / 1_000).into());
    top.insert("activity_id".into(), activity.into());
    top.insert("type_uid".into(), (class_uid * 100 + activity).into());
    top.insert("severity_id".into(), severity.into());
    top.insert("time".into(), event.time.millis().into());
    let mut metadata = Object::new();
    metadata.insert("version".into(), OCSF_VERSION.into());
    metadata.insert("product".into(), json!({ "name": event.origin.product.as_str() }));
    metadata.insert("log_name".into(), event.origin.service.as_str().into());
    put(&mut metadata, "correlation_uid", &event.uid);
    top.insert("metadata".into(), metadata.into());
    sides(event, &mut top, &mut own);
    if let Some(user) = &event.user {
        let user = json!({ "name": user.as_str() });
        match event.body {
            Body::Authentication(_) => top.insert("user".into(), user),
            _ => top.insert("actor".into(), json!({ "user": user })),
        };
    }
    top.insert("unmapped".into(), unmapped(event, own).into());
    Out::Object(top)
}

/// `extra` by name beside our own member, with the order of the names where it is not theirs.
fn unmapped(event: &Event, mut own: Object) -> Object {
    let names: Vec<&str> = event.extra.iter().map(|(n, _)| n.as_str()).collect();
    if !names.is_sorted() {
        own.insert("order".into(), names.into());
    }
    let mut members = Object::new();
    for (name, value) in &event.extra {
        if name == OWN {
            own.insert("same_name".into(), out(value));
        } else {
            members.insert(name.to_string(), out(value));
        }
    }
    members.insert(OWN.into(), own.into());
    members
}

/// An untyped value.
fn out(value: &Value) -> Out {
    match value {
        Value::Null => Out::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Float(n) => (*n).into(),
        Value::Text(t) => t.as_str().into(),
        Value::List(items) => items.iter().map(out).collect::<Vec<_>>().into(),
        Value::Map(members) => {
            members.iter().map(|(n, v)| (n.to_string(), out(v))).collect::<Object>().into()
        }
    }
}

fn put<T: Clone + Into<PutValue>>(object: &mut Object, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        object.insert(name.into(), value.clone().into().0);
    }
}

/// Typed values as JSON.
struct PutValue(Out);

macro_rules! put_value {
    ($($kind:ty),*) => { $(impl From<$kind> for PutValue {
        fn from(v: $kind) -> Self { Self(v.into()) }
    })* };
}
put_value!(u64, u32, u16, f64, bool);

impl From<threat::Text> for PutValue {
    fn from(v: threat::Text) -> Self {
        Self(v.as_str().into())
    }
}

fn endpoint(e: &Endpoint) -> Out {
    let mut object = Object::new();
    match &e.host {
        Host::Ip(ip) => object.insert("ip".into(), ip.to_string().into()),
        Host::Name(name) => object.insert("hostname".into(), name.as_str().into()),
    };
    put(&mut object, "port", &e.port);
    object.into()
}

/// Endpoints stand at the top where the class has them, in the evidence of a finding, else with
/// us.
fn sides(event: &Event, top: &mut Object, own: &mut Object) {
    let mut both = Object::new();
    for (name, side) in [("src_endpoint", &event.src), ("dst_endpoint", &event.dst)] {
        if let Some(side) = side {
            both.insert(name.into(), endpoint(side));
        }
    }
    if both.is_empty() {
        return;
    }
    match event.body {
        Body::Finding(_) => {
            top.insert("evidences".into(), json!([both]));
        }
        Body::Anomaly(_) | Body::Generic => own.extend(both),
        _ => top.extend(both),
    }
}

/// Fills in the class's own attributes; answers with the activity and the severity.
fn body(body: &Body, top: &mut Object, own: &mut Object) -> (u32, u8) {
    let informational = 1;
    let activity = match body {
        Body::Flow(f) => flow(f, top, own),
        Body::Http(h) => http(h, top),
        Body::Dns(d) => dns(d, top, own),
        Body::Tls(t) => tls(t, top, own),
        Body::Authentication(a) => authentication(a, top, own),
        Body::Finding(f) => {
            finding(f, top);
            return (1, f.severity.id());
        }
        Body::File(f) => file(f, top),
        Body::Anomaly(a) => {
            top.insert("message".into(), a.name.as_str().into());
            own.insert("name".into(), a.name.as_str().into());
            put(own, "detail", &a.detail);
            99
        }
        Body::Generic => 0,
    };
    (activity, informational)
}

fn flow(f: &Flow, top: &mut Object, own: &mut Object) -> u32 {
    let (number, name) = match f.protocol {
        Protocol::Tcp => (6, "tcp"),
        Protocol::Udp => (17, "udp"),
        Protocol::Icmp => (1, "icmp"),
        Protocol::Other => (-1, "other"),
    };
    let direction = match (f.local_orig, f.local_resp) {
        (Some(false), Some(true)) => 1,
        (Some(true), Some(false)) => 2,
        (Some(true), Some(true)) => 3,
        _ => 0,
    };
    let mut connection =
        json!({ "protocol_num": number, "protocol_name": name, "direction_id": direction });
    if let (Some(object), Some(history)) = (connection.as_object_mut(), &f.history) {
        object.insert("flag_history".into(), history.as_str().into());
    }
    top.insert("connection_info".into(), connection);
    put(top, "app_name", &f.service);
    top.insert("status_code".into(), f.state.name().into());
    let mut traffic = Object::new();
    put(&mut traffic, "bytes_out", &f.orig_bytes);
    put(&mut traffic, "bytes_in", &f.resp_bytes);
    put(&mut traffic, "packets_out", &f.orig_packets);
    put(&mut traffic, "packets_in", &f.resp_packets);
    put(&mut traffic, "bytes_missed", &f.missed_bytes);
    if !traffic.is_empty() {
        top.insert("traffic".into(), traffic.into());
    }
    if let Some(seconds) = f.duration {
        top.insert("duration".into(), ((seconds * 1e3).round() as i64).into());
    }
    put(own, "duration", &f.duration);
    put(own, "orig_ip_bytes", &f.orig_ip_bytes);
    put(own, "resp_ip_bytes", &f.resp_ip_bytes);
    put(own, "local_orig", &f.local_orig);
    put(own, "local_resp", &f.local_resp);
    flow_activity(f.state)
}

/// What each of the thirteen states means in OCSF's words: open, close, reset, fail, refuse,
/// traffic.
const fn flow_activity(state: ConnState) -> u32 {
    match state {
        ConnState::S1 => 1,
        ConnState::SF | ConnState::S2 | ConnState::S3 => 2,
        ConnState::RSTO | ConnState::RSTR | ConnState::RSTOS0 | ConnState::RSTRH => 3,
        ConnState::S0 | ConnState::SH | ConnState::SHR => 4,
        ConnState::REJ => 5,
        ConnState::OTH => 6,
    }
}

fn http(h: &Http, top: &mut Object) -> u32 {
    let mut url = Object::new();
    put(&mut url, "hostname", &h.host);
    put(&mut url, "url_string", &h.uri);
    let mut request = Object::new();
    put(&mut request, "http_method", &h.method);
    put(&mut request, "referrer", &h.referrer);
    put(&mut request, "user_agent", &h.user_agent);
    put(&mut request, "length", &h.request_bytes);
    if !url.is_empty() {
        request.insert("url".into(), url.into());
    }
    let mut response = Object::new();
    put(&mut response, "code", &h.status);
    put(&mut response, "length", &h.response_bytes);
    put(&mut response, "content_type", &h.mime);
    for (name, part) in [("http_request", request), ("http_response", response)] {
        if !part.is_empty() {
            top.insert(name.into(), part.into());
        }
    }
    let method = h.method.as_deref().unwrap_or_default();
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"];
    known.iter().position(|m| *m == method).map_or(99, |i| i as u32 + 1)
}

fn dns(d: &Dns, top: &mut Object, own: &mut Object) -> u32 {
    let mut query = Object::new();
    put(&mut query, "hostname", &d.query);
    put(&mut query, "type", &d.qtype);
    if !query.is_empty() {
        top.insert("query".into(), query.into());
    }
    put(top, "rcode", &d.rcode);
    if !d.answers.is_empty() {
        let answers: Vec<Out> = d.answers.iter().map(|a| json!({ "rdata": a.as_str() })).collect();
        top.insert("answers".into(), answers.into());
    }
    put(own, "rtt", &d.rtt);
    put(own, "rejected", &d.rejected);
    if d.rcode.is_some() { 6 } else { 1 }
}

fn tls(t: &Tls, top: &mut Object, own: &mut Object) -> u32 {
    let mut tls = Object::new();
    put(&mut tls, "version", &t.version);
    put(&mut tls, "cipher", &t.cipher);
    put(&mut tls, "sni", &t.server_name);
    if let Some(ja3) = &t.ja3 {
        tls.insert("ja3_hash".into(), json!({ "algorithm_id": 1, "value": ja3.as_str() }));
    }
    let mut certificate = Object::new();
    put(&mut certificate, "subject", &t.subject);
    put(&mut certificate, "issuer", &t.issuer);
    if !certificate.is_empty() {
        tls.insert("certificate".into(), certificate.into());
    }
    top.insert("tls".into(), tls.into());
    put(own, "established", &t.established);
    put(own, "resumed", &t.resumed);
    put(own, "validation", &t.validation);
    match t.established {
        Some(true) => 1,
        Some(false) => 4,
        None => 6,
    }
}

fn authentication(a: &Authentication, top: &mut Object, own: &mut Object) -> u32 {
    let status = match a.outcome {
        Outcome::Unknown => 0,
        Outcome::Success => 1,
        Outcome::Failure => 2,
    };
    top.insert("status_id".into(), status.into());
    top.insert("count".into(), a.attempts.into());
    if let Some(service) = &a.service {
        top.insert("service".into(), json!({ "name": service.as_str() }));
    }
    put(top, "auth_protocol", &a.method);
    if a.invalid_user {
        own.insert("invalid_user".into(), true.into());
    }
    put(own, "client", &a.client);
    put(own, "server", &a.server);
    match a.activity {
        AuthActivity::Logon => 1,
        AuthActivity::Logoff => 2,
        AuthActivity::Switch => 7,
    }
}

fn finding(f: &Finding, top: &mut Object) {
    let uid = f.rule_id.as_ref().unwrap_or(&f.name);
    let mut info = json!({ "uid": uid.as_str(), "title": f.name.as_str() });
    if let Some(info) = info.as_object_mut() {
        if let Some(category) = &f.category {
            info.insert("types".into(), json!([category.as_str()]));
        }
        if let Some(rule) = &f.rule_id {
            info.insert("analytic".into(), json!({ "type_id": 1, "uid": rule.as_str() }));
        }
    }
    top.insert("finding_info".into(), info);
    put(top, "message", &f.message);
    if let Some(action) = &f.action {
        let id = match action.as_str() {
            "allowed" => 1,
            "blocked" | "denied" => 2,
            _ => 99,
        };
        top.insert("action_id".into(), id.into());
        top.insert("action".into(), action.as_str().into());
    }
}

fn file(f: &FileSeen, top: &mut Object) -> u32 {
    let mut file = Object::new();
    put(&mut file, "mime_type", &f.mime);
    put(&mut file, "name", &f.name);
    put(&mut file, "size", &f.bytes);
    let hash = |id: u8, value: &Option<threat::Text>| {
        value.as_ref().map(|v| json!({ "algorithm_id": id, "value": v.as_str() }))
    };
    let hashes: Vec<Out> =
        [hash(1, &f.md5), hash(2, &f.sha1), hash(3, &f.sha256)].into_iter().flatten().collect();
    if !hashes.is_empty() {
        file.insert("hashes".into(), hashes.into());
    }
    top.insert("file".into(), file.into());
    put(top, "app_name", &f.source);
    99
}
