//! Suricata's EVE: one JSON object per line, `event_type` naming the object that holds the rest.
//! Written are `flow`, `dns` (a query and an answer), `http`, `tls` and `ssh`; no alerts.

use super::line::{iso, json};
use super::zeek_json::{Object, list};
use super::{Label, Writer, campaign};
use crate::traffic::record::{Body, Conn, ConnId, Dns, Http, Record, Ssh, Ssl};
use std::io::{self, Write};
use threat::Timestamp;
use threat::event::{ConnState, Protocol};

/// Writes EVE lines.
#[derive(Clone, Debug)]
pub struct Eve {
    labelled: bool,
    line: Vec<u8>,
}

impl Eve {
    /// `labelled` adds the keys `label` and `detailedlabel`.
    pub fn new(labelled: bool) -> Self {
        Self { labelled, line: Vec::with_capacity(1_024) }
    }

    fn put(
        &mut self,
        out: &mut dyn Write,
        (record, labels): (&Record, &[Label]),
        kind: &str,
        id: &ConnId,
        fill: impl FnOnce(&mut Object),
    ) -> io::Result<u64> {
        let mut o = Object::new(std::mem::take(&mut self.line));
        stamp(o.key("timestamp"), record.time);
        // Suricata's ids are 53 bits so that JavaScript can hold them.
        o.int("flow_id", id.uid.high >> 11);
        o.str("in_iface", "eth0");
        o.str("event_type", kind);
        o.ip("src_ip", id.orig);
        if id.protocol != Protocol::Icmp {
            o.int("src_port", id.orig_port.into());
        }
        o.ip("dest_ip", id.resp);
        if id.protocol != Protocol::Icmp {
            o.int("dest_port", id.resp_port.into());
        }
        o.str("proto", proto(id));
        fill(&mut o);
        if self.labelled {
            let name = campaign(record, labels);
            o.str("label", if name.is_some() { "Malicious" } else { "Benign" });
            o.opt("detailedlabel", name);
        }
        let line = o.finish();
        let wrote = out.write_all(&line);
        self.line = line;
        wrote.map(|()| 1)
    }
}

const fn proto(id: &ConnId) -> &'static str {
    match (id.protocol, id.orig.is_ipv6()) {
        (Protocol::Tcp, _) => "TCP",
        (Protocol::Udp, _) => "UDP",
        (_, true) => "IPv6-ICMP",
        (_, false) => "ICMP",
    }
}

fn stamp(line: &mut Vec<u8>, t: Timestamp) {
    line.push(b'"');
    iso(line, t);
    line.extend_from_slice(b"+0000\"");
}

impl Writer for Eve {
    fn write(&mut self, out: &mut dyn Write, record: &Record, labels: &[Label]) -> io::Result<u64> {
        let who = (record, labels);
        match &record.body {
            Body::Conn(c) => self.put(out, who, "flow", &c.id, |o| flow(o, record.time, c)),
            Body::Dns(d) => {
                let mut lines = self.put(out, who, "dns", &d.id, |o| query(o, d))?;
                if d.rcode.is_some() {
                    lines += self.put(out, who, "dns", &d.id, |o| answer(o, d))?;
                }
                Ok(lines)
            }
            Body::Http(h) => self.put(out, who, "http", &h.id, |o| http(o, h)),
            Body::Ssl(s) => self.put(out, who, "tls", &s.id, |o| tls(o, s)),
            Body::Ssh(s) => self.put(out, who, "ssh", &s.id, |o| ssh(o, s)),
            Body::Auth(_) => Ok(0),
        }
    }
}

fn flow(o: &mut Object, t: Timestamp, c: &Conn) {
    let app = match c.service {
        Some("ssl") => Some("tls"),
        Some(s) if s.contains("smb") => Some("smb"),
        Some(s) if s.starts_with("krb") => Some("krb5"),
        Some("rdp,ssl") => Some("rdp"),
        Some("ldap_tcp") => Some("ldap"),
        Some(s) if s.contains(',') => Some("failed"),
        Some(s) => Some(s),
        None => (c.resp_packets > 0 && c.id.protocol != Protocol::Icmp).then_some("failed"),
    };
    o.opt("app_proto", app);
    o.nest("flow");
    o.int("pkts_toserver", c.orig_packets);
    o.int("pkts_toclient", c.resp_packets);
    // Suricata counts whole frames.
    o.int("bytes_toserver", c.orig_ip_bytes + 14 * c.orig_packets);
    o.int("bytes_toclient", c.resp_ip_bytes + 14 * c.resp_packets);
    let duration = c.duration.unwrap_or(0.0);
    stamp(o.key("start"), t);
    stamp(o.key("end"), t.plus_secs(duration));
    o.int("age", duration as u64);
    let established = c.resp_packets > 0;
    let closed = matches!(
        c.state,
        ConnState::SF | ConnState::RSTO | ConnState::RSTR | ConnState::REJ | ConnState::RSTOS0
    ) && c.id.protocol == Protocol::Tcp;
    o.str(
        "state",
        if closed {
            "closed"
        } else if established {
            "established"
        } else {
            "new"
        },
    );
    o.str("reason", "timeout");
    o.bool("alerted", false);
    o.close();
}

fn query(o: &mut Object, d: &Dns) {
    o.nest("dns");
    o.str("type", "query");
    o.int("id", d.trans_id.into());
    o.str("rrname", &d.query);
    o.str("rrtype", d.qtype.name());
    o.int("tx_id", 0);
    o.close();
}

fn answer(o: &mut Object, d: &Dns) {
    o.nest("dns");
    o.int("version", 2);
    o.str("type", "answer");
    o.int("id", d.trans_id.into());
    o.str("flags", "8180");
    o.bool("qr", true);
    o.bool("rd", true);
    o.bool("ra", true);
    o.str("rrname", &d.query);
    o.str("rrtype", d.qtype.name());
    o.opt("rcode", d.rcode.map(|r| r.name()));
    if !d.answers.is_empty() {
        list(o.key("answers"), &d.answers, |line, a| {
            let mut one = Object::new(Vec::with_capacity(128));
            one.str("rrname", &d.query);
            let is_address = a.parse::<std::net::IpAddr>().is_ok();
            one.str(
                "rrtype",
                if is_address || d.qtype.name() != "A" { d.qtype.name() } else { "CNAME" },
            );
            one.int("ttl", d.ttl as u64);
            json(one.key("rdata"), a);
            one.close();
            line.extend_from_slice(&one.line);
        });
    }
    o.close();
}

fn http(o: &mut Object, h: &Http) {
    o.int("tx_id", u64::from(h.depth) - 1);
    o.nest("http");
    o.str("hostname", &h.host);
    o.str("url", &h.uri);
    o.str("http_user_agent", h.user_agent);
    o.opt("http_content_type", h.mime);
    o.opt("http_refer", h.referrer.as_deref());
    o.str("http_method", h.method);
    o.str("protocol", "HTTP/1.1");
    o.int("status", h.status.into());
    o.int("length", h.response_bytes);
    o.close();
}

fn tls(o: &mut Object, s: &Ssl) {
    o.nest("tls");
    if s.resumed {
        o.bool("session_resumed", true);
    }
    if s.validation.is_some() {
        let name = s.server_name.as_deref().unwrap_or("localhost");
        let mut subject = String::from("CN=");
        subject.push_str(name);
        o.str("subject", &subject);
        let known = s.validation == Some("ok");
        o.str("issuerdn", if known { "C=ZZ, O=Example Trust, CN=Example CA 3" } else { &subject });
    }
    o.opt("sni", s.server_name.as_deref());
    o.str("version", if s.version == "TLSv13" { "TLS 1.3" } else { "TLS 1.2" });
    o.nest("ja3");
    o.hex("hash", s.ja3, None);
    o.close();
    o.nest("ja3s");
    o.hex("hash", s.ja3s, None);
    o.close();
    o.close();
}

fn ssh(o: &mut Object, s: &Ssh) {
    o.nest("ssh");
    for (side, software) in [("client", s.client), ("server", s.server)] {
        o.nest(side);
        o.str("proto_version", "2.0");
        o.str("software_version", software.trim_start_matches("SSH-2.0-"));
        o.close();
    }
    o.close();
}
