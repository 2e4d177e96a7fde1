//! Suricata's EVE: one JSON object a line, common members and one object named as `event_type`.
//!
//! A flow's time is when it was logged, after its end, as for the other types: so the records of a
//! source stay nearly in order. Where that says nothing (all flows are flushed at the exit, and
//! when a capture is replayed they carry its start) it is the flow's end.
//!
//! flow, alert, dns, http, tls, ssh and anomaly are typed; other types are generic. What has no
//! typed place stays under its dotted name (`flow.reason`). `flow_id` becomes the uid; the sides
//! are as given. Flow byte counts of Suricata include headers: they fill the wire bytes, payload
//! bytes stay unset.

use crate::error::Error;
use crate::json::{self, Fields, Json};
use crate::record::{Draft, Parsed};
use crate::taker::Taker;
use threat::event::{
    AuthActivity, Authentication, Body, ConnState, Dns, Finding, Flow, Http, Oddity, Protocol, Tls,
};
use threat::{Severity, Text, Timestamp};

/// Members that only EVE has together.
pub(crate) fn claims(fields: &Fields<'_>) -> bool {
    let text = |name| json::get(fields, name).and_then(Json::as_str).is_some();
    let sided = ["flow_id", "src_ip", "pcap_cnt", "in_iface"].map(|n| json::has(fields, n));
    text("event_type")
        && text("timestamp")
        && (sided.contains(&true)
            || json::get(fields, "event_type")
                .and_then(Json::as_str)
                .is_some_and(|t| matches!(json::get(fields, t), Some(Json::Map(_)))))
}

/// Reads one record.
pub(crate) fn read(fields: Fields<'_>) -> Result<Parsed, Error> {
    if !claims(&fields) {
        return Err(Error::Foreign("EVE"));
    }
    let mut t = Taker::new(fields);
    let event_type = t.text("event_type").unwrap_or_default();
    let mut draft = Draft::new(Body::Generic);
    draft.time = t.take("timestamp").map(|v| v.time(0)).transpose()?;
    draft.uid = t.text("flow_id");
    draft.src_host = t.take("src_ip").and_then(|v| v.host());
    draft.src_port = t.port("src_port")?;
    draft.dst_host = t.take("dest_ip").and_then(|v| v.host());
    draft.dst_port = t.port("dest_port")?;
    draft.body = match event_type.as_str() {
        "flow" => {
            let ended = t.peek("flow.end").map(|v| v.time(0)).transpose()?;
            let flushed = t.peek_str("flow.reason") == "shutdown";
            if let (Some(end), Some(logged)) = (ended, draft.time)
                && (flushed || logged < end)
            {
                draft.time = Some(end);
            }
            Body::Flow(flow(&mut t)?)
        }
        "alert" => Body::Finding(Box::new(alert(&mut t)?)),
        "dns" => Body::Dns(Box::new(dns(&mut t))),
        "http" => Body::Http(Box::new(http(&mut t)?)),
        "tls" => Body::Tls(Box::new(tls(&mut t)?)),
        "ssh" => Body::Authentication(Box::new(ssh(&mut t))),
        "anomaly" => Body::Anomaly(Box::new(anomaly(&mut t))),
        _ => Body::Generic,
    };
    draft.typed = t.taken;
    draft.keep_all(t.fields);
    draft.finish("suricata", if event_type.is_empty() { "eve" } else { event_type.as_str() })
}

fn flow(t: &mut Taker<'_>) -> Result<Flow, Error> {
    let protocol = Protocol::parse(t.peek_str("proto"));
    if protocol != Protocol::Other {
        t.take("proto");
    }
    let unknown = |s: &Text| matches!(s.as_str(), "failed" | "unknown");
    let service = match t.peek("app_proto").and_then(Json::text) {
        Some(name) if !unknown(&name) => t.text("app_proto"),
        _ => None,
    };
    let at = |v: Option<&Json<'_>>| -> Result<Option<Timestamp>, Error> {
        v.map(|v| v.time(0)).transpose()
    };
    let (start, end) = (at(t.peek("flow.start"))?, at(t.peek("flow.end"))?);
    let duration = match (start, end) {
        (Some(start), Some(end)) => Some(end.since(start)).filter(|s| *s >= 0.0),
        _ => t.peek("flow.age").map_or(Ok(None), Json::amount)?,
    };
    let flow = Flow {
        protocol,
        service,
        duration,
        orig_packets: t.count("flow.pkts_toserver")?,
        resp_packets: t.count("flow.pkts_toclient")?,
        orig_ip_bytes: t.count("flow.bytes_toserver")?,
        resp_ip_bytes: t.count("flow.bytes_toclient")?,
        ..Flow::default()
    };
    Ok(Flow { state: state(&flow, t), ..flow })
}

/// Suricata's flow and TCP states as Zeek would name them.
///
/// Not TCP: who spoke (`S0` one way, `SF` both), and `OTH` for ICMP, as in Zeek. TCP: the flow
/// state says how far it came, the TCP state which side began to close, the flags which side
/// reset.
fn state(flow: &Flow, t: &Taker<'_>) -> ConnState {
    let (to_server, to_client) = (flow.orig_packets.unwrap_or(0), flow.resp_packets.unwrap_or(0));
    if flow.protocol != Protocol::Tcp {
        return match (flow.protocol, to_server > 0, to_client > 0) {
            (Protocol::Icmp, ..) | (_, false, false) => ConnState::OTH,
            (_, true, false) => ConnState::S0,
            (_, false, true) => ConnState::SHR,
            (_, true, true) => ConnState::SF,
        };
    }
    let flags = |name| u8::from_str_radix(t.peek_str(name), 16).unwrap_or(0);
    let (client, server) = (flags("tcp.tcp_flags_ts"), flags("tcp.tcp_flags_tc"));
    let (reset, syn) = (4u8, 2u8);
    let tcp = t.peek_str("tcp.state");
    match t.peek_str("flow.state") {
        "new" if to_client == 0 => ConnState::S0,
        "new" if server & reset != 0 => ConnState::REJ,
        "new" if tcp == "syn_recv" => ConnState::S1,
        "closed" if server & reset != 0 && server & syn == 0 && to_server <= 3 => ConnState::REJ,
        "closed" if server & reset != 0 => ConnState::RSTR,
        "closed" if client & reset != 0 => ConnState::RSTO,
        "closed" => ConnState::SF,
        "established" => match tcp {
            "close_wait" | "last_ack" => ConnState::S2,
            "fin_wait1" | "fin_wait2" => ConnState::S3,
            "closing" | "time_wait" => ConnState::SF,
            _ => ConnState::S1,
        },
        "bypassed" => ConnState::S1,
        _ => ConnState::OTH,
    }
}

fn alert(t: &mut Taker<'_>) -> Result<Finding, Error> {
    Ok(Finding {
        name: t.text("alert.signature").unwrap_or_default(),
        category: t.text("alert.category"),
        rule_id: t.text("alert.signature_id"),
        severity: match t.count("alert.severity")? {
            Some(1) => Severity::High,
            Some(2) => Severity::Medium,
            Some(3) => Severity::Low,
            _ => Severity::Informational,
        },
        message: None,
        action: t.text("alert.action"),
    })
}

/// Both the older form (one `rrname`) and the newer (`dns.queries`).
fn dns(t: &mut Taker<'_>) -> Dns {
    let mut dns = Dns {
        query: t.text("dns.rrname"),
        qtype: t.text("dns.rrtype"),
        rcode: t.text("dns.rcode"),
        ..Dns::default()
    };
    if let (None, Some(Json::List(queries))) = (&dns.query, t.peek("dns.queries"))
        && let Some(Json::Map(first)) = queries.first()
    {
        dns.query = json::get(first, "rrname").and_then(Json::text);
        dns.qtype = json::get(first, "rrtype").and_then(Json::text);
    }
    if let Some(Json::List(answers)) = t.peek("dns.answers") {
        let rdata = |a: &Json<'_>| match a {
            Json::Map(members) => json::get(members, "rdata").and_then(Json::text),
            _ => None,
        };
        dns.answers = answers.iter().filter_map(rdata).collect();
    } else if let Some(answer) = t.text("dns.rdata") {
        dns.answers.push(answer);
    }
    dns.rejected = dns.rcode.as_ref().map(|code| code == "REFUSED");
    dns
}

fn http(t: &mut Taker<'_>) -> Result<Http, Error> {
    let status = t.count("http.status")?.and_then(|n| u16::try_from(n).ok());
    Ok(Http {
        method: t.text("http.http_method"),
        host: t.text("http.hostname"),
        uri: t.text("http.url"),
        referrer: t.text("http.http_refer"),
        user_agent: t.text("http.http_user_agent"),
        status,
        request_bytes: None,
        response_bytes: t.count("http.length")?,
        mime: t.text("http.http_content_type"),
    })
}

fn tls(t: &mut Taker<'_>) -> Result<Tls, Error> {
    Ok(Tls {
        version: t.text("tls.version"),
        server_name: t.text("tls.sni"),
        resumed: t.flag("tls.session_resumed")?,
        ja3: t.text("tls.ja3.hash"),
        subject: t.text("tls.subject"),
        issuer: t.text("tls.issuerdn"),
        ..Tls::default()
    })
}

fn ssh(t: &mut Taker<'_>) -> Authentication {
    Authentication {
        activity: AuthActivity::Logon,
        service: Some("ssh".into()),
        attempts: 1,
        client: t.text("ssh.client.software_version"),
        server: t.text("ssh.server.software_version"),
        ..Authentication::default()
    }
}

fn anomaly(t: &mut Taker<'_>) -> Oddity {
    let code = t.peek("anomaly.code").and_then(Json::text);
    Oddity {
        name: t.text("anomaly.event").or(code).unwrap_or_default(),
        detail: t.text("anomaly.layer"),
    }
}
