//! OCSF 1.x as JSON lines: network (4001), HTTP (4002), DNS (4003), authentication (3002),
//! detection finding (2004) and network file (4010) are typed, other classes are generic.
//!
//! What Watchfire wrote itself (`emit`) carries `unmapped.watchfire` and is read back to an equal
//! event. Of other producers every attribute without a typed place is kept under its dotted name.

use crate::emit::OWN;
use crate::error::Error;
use crate::json::{self, Fields, Json};
use crate::record::{Draft, Parsed};
use crate::taker::Taker;
use std::collections::BTreeMap;
use threat::event::{
    AuthActivity, Authentication, Body, ConnState, Dns, FileSeen, Finding, Flow, Http, Oddity,
    Outcome, Protocol, Tls,
};
use threat::{EventClass, Severity, Text, Timestamp};

/// A class and nothing that another format writes.
pub(crate) fn claims(fields: &Fields<'_>) -> bool {
    json::has(fields, "class_uid") && (json::has(fields, "metadata") || json::has(fields, "time"))
}

/// Attributes that follow from the typed ones; of our own records they are not kept.
struct Ours<'a> {
    own: Taker<'a>,
    /// Place of each name of `extra`, where it is not their own order.
    order: BTreeMap<Text, usize>,
    extra: Fields<'a>,
}

/// Reads one record.
pub(crate) fn read(mut fields: Fields<'_>) -> Result<Parsed, Error> {
    if !claims(&fields) {
        return Err(Error::Foreign("OCSF"));
    }
    let ours = take_own(&mut fields);
    let foreign = ours.is_none();
    let Ours { mut own, order, extra } =
        ours.unwrap_or(Ours { own: Taker::default(), order: BTreeMap::new(), extra: Vec::new() });
    let mut t = Taker::new(fields);
    let class_uid = t.peek("class_uid").map_or(Ok(None), Json::count)?.unwrap_or(0);
    let class = own.text("class").and_then(|c| EventClass::parse(&c));
    let class = class.unwrap_or_else(|| class_of(class_uid, &t));
    let mut draft = Draft::new(Body::Generic);
    draft.time = time(&mut t, &mut own)?;
    draft.uid = t.text("metadata.correlation_uid");
    if draft.uid.is_none() {
        draft.uid = t.text("connection_info.uid");
    }
    draft.label = own.text("label");
    sides(&mut draft, &mut t, &mut own, class)?;
    draft.user = t.text("user.name");
    if draft.user.is_none() {
        draft.user = t.text("actor.user.name");
    }
    draft.body = body(class, &mut t, &mut own)?;
    let (product, service) = match (own.text("product"), own.text("service")) {
        (Some(product), Some(service)) => (product, service),
        _ => (Text::from("ocsf"), class_name(class_uid, &t)),
    };
    draft.typed = t.taken + own.taken;
    if foreign {
        let unmapped = t.fields.into_iter().map(|(n, v)| match n.strip_prefix("unmapped.") {
            Some(inner) => (inner.to_owned().into(), v),
            None => (n, v),
        });
        draft.keep_all(unmapped.collect());
    } else {
        draft.keep_all(extra);
        draft.extra.sort_by_key(|(n, _)| order.get(n).copied());
    }
    draft.finish(&product, &service)
}

/// Takes `unmapped` where it is our own: our member, and `extra` beside it.
fn take_own<'a>(fields: &mut Fields<'a>) -> Option<Ours<'a>> {
    let is_own =
        |v: &Json<'_>| matches!(v, Json::Map(m) if matches!(json::get(m, OWN), Some(Json::Map(_))));
    let index = fields.iter().position(|(n, v)| n == "unmapped" && is_own(v))?;
    let Json::Map(mut extra) = fields.remove(index).1 else { return None };
    let index = extra.iter().position(|(n, _)| n == OWN)?;
    let Json::Map(mut own) = extra.remove(index).1 else { return None };
    if let Some(i) = own.iter().position(|(n, _)| n == "same_name") {
        extra.push((OWN.into(), own.remove(i).1));
    }
    let order = match own.iter().position(|(n, _)| n == "order").map(|i| own.remove(i).1) {
        Some(Json::List(names)) => {
            let names = names.iter().filter_map(Json::as_str).map(Text::from);
            names.enumerate().map(|(i, n)| (n, i)).collect()
        }
        _ => {
            extra.sort_by(|a, b| a.0.cmp(&b.0));
            BTreeMap::new()
        }
    };
    Some(Ours { own: Taker::new(own), order, extra })
}

/// Milliseconds since the epoch, as OCSF says; our own microseconds where they say more.
fn time(t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Option<Timestamp>, Error> {
    if let Some(Json::Int(micros)) = own.take("time") {
        t.take("time");
        return Ok(Some(Timestamp::from_micros(micros)));
    }
    match t.take("time").or_else(|| t.take("time_dt")) {
        Some(Json::Int(millis)) => match millis.checked_mul(1_000) {
            Some(micros) => Ok(Some(Timestamp::from_micros(micros))),
            None => Err(Error::Time(millis.to_string())),
        },
        Some(other) => other.time(0).map(Some),
        None => Ok(None),
    }
}

fn class_of(class_uid: u64, t: &Taker<'_>) -> EventClass {
    let tls = t.fields.iter().any(|(n, _)| n.starts_with("tls."));
    let traffic = t.fields.iter().any(|(n, _)| n.starts_with("traffic."));
    match class_uid {
        4001 if tls && !traffic => EventClass::Tls,
        4001 => EventClass::Flow,
        4002 => EventClass::Http,
        4003 => EventClass::Dns,
        3002 => EventClass::Authentication,
        2004 => EventClass::Finding,
        4010 => EventClass::File,
        _ => EventClass::Generic,
    }
}

/// A foreign record's log: the class by name, or by number.
fn class_name(class_uid: u64, t: &Taker<'_>) -> Text {
    let known = match class_uid {
        2004 => "detection_finding",
        3002 => "authentication",
        4001 => "network_activity",
        4002 => "http_activity",
        4003 => "dns_activity",
        4010 => "network_file_activity",
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    match t.peek_str("class_name") {
        "" => Text::from(class_uid.to_string()),
        name => Text::from(name.to_ascii_lowercase().replace(' ', "_")),
    }
}

/// The endpoints: at the top, in a finding's first evidence, or in our own member.
fn sides(
    draft: &mut Draft,
    t: &mut Taker<'_>,
    own: &mut Taker<'_>,
    class: EventClass,
) -> Result<(), Error> {
    let first = match t.peek("evidences") {
        Some(Json::List(list)) if class == EventClass::Finding => list.first().cloned(),
        _ => None,
    };
    if let Some(Json::Map(evidence)) = first {
        let mut evidence = Taker::new(evidence);
        endpoints(draft, &mut evidence)?;
        let only = matches!(t.peek("evidences"), Some(Json::List(list)) if list.len() == 1);
        // what else the evidence says is kept with it
        if only && evidence.fields.is_empty() {
            t.take("evidences");
        }
    }
    if draft.src_host.is_none() && draft.dst_host.is_none() {
        endpoints(draft, own)?;
    }
    if draft.src_host.is_none() && draft.dst_host.is_none() {
        endpoints(draft, t)?;
    }
    Ok(())
}

fn endpoints(draft: &mut Draft, t: &mut Taker<'_>) -> Result<(), Error> {
    let mut host =
        |side: &str| ["ip", "hostname", "name"].iter().find_map(|n| t.host(&format!("{side}.{n}")));
    (draft.src_host, draft.dst_host) = (host("src_endpoint"), host("dst_endpoint"));
    if draft.src_host.is_some() {
        draft.src_port = t.port("src_endpoint.port")?;
    }
    if draft.dst_host.is_some() {
        draft.dst_port = t.port("dst_endpoint.port")?;
    }
    Ok(())
}

fn body(class: EventClass, t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Body, Error> {
    Ok(match class {
        EventClass::Flow => Body::Flow(flow(t, own)?),
        EventClass::Http => Body::Http(Box::new(http(t)?)),
        EventClass::Dns => Body::Dns(Box::new(dns(t, own)?)),
        EventClass::Tls => Body::Tls(Box::new(tls(t, own)?)),
        EventClass::Authentication => Body::Authentication(Box::new(authentication(t, own)?)),
        EventClass::Finding => Body::Finding(Box::new(finding(t)?)),
        EventClass::File => Body::File(Box::new(file(t)?)),
        EventClass::Anomaly => Body::Anomaly(Box::new(Oddity {
            name: own.text("name").unwrap_or_default(),
            detail: own.text("detail"),
        })),
        EventClass::Generic => Body::Generic,
    })
}

fn flow(t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Flow, Error> {
    let number = t.peek("connection_info.protocol_num").and_then(Json::text).unwrap_or_default();
    let protocol = match Protocol::parse(&number) {
        Protocol::Other => Protocol::parse(t.peek_str("connection_info.protocol_name")),
        known => known,
    };
    if protocol != Protocol::Other {
        t.take("connection_info.protocol_num");
        t.take("connection_info.protocol_name");
    }
    let activity = t.peek("activity_id").and_then(Json::text).unwrap_or_default();
    let state = match ConnState::parse(t.peek_str("status_code")) {
        Some(state) => {
            t.take("status_code");
            state
        }
        // the middle of what `emit` maps to each activity
        None => match activity.as_str() {
            "1" => ConnState::S1,
            "2" => ConnState::SF,
            "3" => ConnState::RSTO,
            "4" => ConnState::S0,
            "5" => ConnState::REJ,
            _ => ConnState::OTH,
        },
    };
    let millis = t.amount("duration")?;
    Ok(Flow {
        protocol,
        service: t.text("app_name"),
        state,
        duration: own.amount("duration")?.or(millis.map(|ms| ms / 1e3)),
        orig_bytes: t.count("traffic.bytes_out")?,
        resp_bytes: t.count("traffic.bytes_in")?,
        orig_packets: t.count("traffic.packets_out")?,
        resp_packets: t.count("traffic.packets_in")?,
        orig_ip_bytes: own.count("orig_ip_bytes")?,
        resp_ip_bytes: own.count("resp_ip_bytes")?,
        missed_bytes: t.count("traffic.bytes_missed")?,
        history: t.text("connection_info.flag_history"),
        local_orig: own.flag("local_orig")?,
        local_resp: own.flag("local_resp")?,
    })
}

fn http(t: &mut Taker<'_>) -> Result<Http, Error> {
    let uri = t.text("http_request.url.url_string").or_else(|| t.text("http_request.url.path"));
    Ok(Http {
        method: t.text("http_request.http_method"),
        host: t.text("http_request.url.hostname"),
        uri,
        referrer: t.text("http_request.referrer"),
        user_agent: t.text("http_request.user_agent"),
        status: t.port("http_response.code")?,
        request_bytes: t.count("http_request.length")?,
        response_bytes: t.count("http_response.length")?,
        mime: t.text("http_response.content_type"),
    })
}

fn dns(t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Dns, Error> {
    let rdata = |a: &Json<'_>| match a {
        Json::Map(members) => json::get(members, "rdata").and_then(Json::text),
        _ => None,
    };
    let answers = match t.peek("answers") {
        Some(Json::List(list)) => list.iter().filter_map(rdata).collect(),
        _ => Vec::new(),
    };
    Ok(Dns {
        query: t.text("query.hostname"),
        qtype: t.text("query.type"),
        rcode: t.text("rcode"),
        answers,
        rtt: own.amount("rtt")?,
        rejected: own.flag("rejected")?,
    })
}

fn tls(t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Tls, Error> {
    Ok(Tls {
        version: t.text("tls.version"),
        cipher: t.text("tls.cipher"),
        server_name: t.text("tls.sni"),
        established: own.flag("established")?,
        resumed: own.flag("resumed")?,
        ja3: t.text("tls.ja3_hash.value"),
        subject: t.text("tls.certificate.subject"),
        issuer: t.text("tls.certificate.issuer"),
        validation: own.text("validation"),
    })
}

fn authentication(t: &mut Taker<'_>, own: &mut Taker<'_>) -> Result<Authentication, Error> {
    let activity = match t.count("activity_id")? {
        Some(2) => AuthActivity::Logoff,
        Some(7) => AuthActivity::Switch,
        _ => AuthActivity::Logon,
    };
    let outcome = match t.count("status_id")? {
        Some(1) => Outcome::Success,
        Some(2) => Outcome::Failure,
        _ => Outcome::Unknown,
    };
    let count = t.count("count")?.unwrap_or(1);
    Ok(Authentication {
        activity,
        outcome,
        service: t.text("service.name"),
        method: t.text("auth_protocol"),
        invalid_user: own.flag("invalid_user")?.unwrap_or(false),
        attempts: u32::try_from(count).unwrap_or(u32::MAX).max(1),
        client: own.text("client"),
        server: own.text("server"),
    })
}

fn finding(t: &mut Taker<'_>) -> Result<Finding, Error> {
    let severity = match t.count("severity_id")? {
        Some(2) => Severity::Low,
        Some(3) => Severity::Medium,
        Some(4) => Severity::High,
        Some(5 | 6) => Severity::Critical,
        _ => Severity::Informational,
    };
    let titled = t.peek("finding_info.title").is_some();
    let title = t.text("finding_info.title");
    let uid = t.peek("finding_info.uid").and_then(Json::text).filter(|_| !titled);
    let category = match t.peek("finding_info.types") {
        Some(Json::List(types)) if types.len() == 1 => {
            let only = types[0].text();
            t.take("finding_info.types");
            only
        }
        _ => None,
    };
    Ok(Finding {
        name: title.or(uid).unwrap_or_default(),
        category,
        rule_id: t.text("finding_info.analytic.uid"),
        severity,
        message: t.text("message"),
        action: t.text("action"),
    })
}

fn file(t: &mut Taker<'_>) -> Result<FileSeen, Error> {
    let hashes = match t.take("file.hashes") {
        Some(Json::List(list)) => list,
        _ => Vec::new(),
    };
    let hash = |id: i64| {
        hashes.iter().find_map(|h| match h {
            Json::Map(m) if json::get(m, "algorithm_id") == Some(&Json::Int(id)) => {
                json::get(m, "value").and_then(Json::text)
            }
            _ => None,
        })
    };
    Ok(FileSeen {
        mime: t.text("file.mime_type"),
        name: t.text("file.name"),
        bytes: t.count("file.size")?,
        source: t.text("app_name"),
        md5: hash(1),
        sha1: hash(2),
        sha256: hash(3),
    })
}
