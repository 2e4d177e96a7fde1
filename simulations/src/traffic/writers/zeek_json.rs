//! Zeek's logs as JSON lines: one object per record, ids under flat keys with dots, unset fields
//! left out, times as seconds.

use super::line::{base62, hex, int, ip, json, micros, seconds};
use super::{Label, Log, Writer, campaign, status_words};
use crate::traffic::record::{Body, Conn, ConnId, Dns, Http, Record, Ssh, Ssl};
use crate::traffic::world::is_local;
use std::io::{self, Write};
use threat::Timestamp;

/// Algorithms of every SSH session here: both sides are recent.
pub(super) const SSH_ALGORITHMS: [(&str, &str); 5] = [
    ("cipher_alg", "chacha20-poly1305@openssh.com"),
    ("mac_alg", "umac-64-etm@openssh.com"),
    ("compression_alg", "none"),
    ("kex_alg", "curve25519-sha256"),
    ("host_key_alg", "ssh-ed25519"),
];

/// Handshake letters of a TLS session.
pub(super) const fn ssl_history(s: &Ssl) -> &'static str {
    match (s.validation.is_some(), s.resumed) {
        // 1.3 and resumed sessions show no certificate.
        (false, true) => "CsiI",
        (false, false) => "CsiI",
        (true, _) => "CsxknGIi",
    }
}

/// Zeek's direction of an SSH session; `None` inside.
pub(super) fn direction(id: &ConnId) -> Option<&'static str> {
    match (is_local(id.orig), is_local(id.resp)) {
        (false, true) => Some("INBOUND"),
        (true, false) => Some("OUTBOUND"),
        _ => None,
    }
}

/// Writes one Zeek log as JSON lines.
#[derive(Clone, Debug)]
pub struct ZeekJson {
    log: Log,
    labelled: bool,
    line: Vec<u8>,
}

impl ZeekJson {
    /// For one log; `labelled` adds the keys `label` and `detailedlabel`.
    pub fn new(log: Log, labelled: bool) -> Self {
        Self { log, labelled, line: Vec::with_capacity(1_024) }
    }
}

impl Writer for ZeekJson {
    fn write(&mut self, out: &mut dyn Write, record: &Record, labels: &[Label]) -> io::Result<u64> {
        if !self.log.takes(&record.body) {
            return Ok(0);
        }
        let mut object = Object::new(std::mem::take(&mut self.line));
        match &record.body {
            Body::Conn(c) => conn(&mut object, record.time, c),
            Body::Dns(d) => dns(&mut object, record.time, d),
            Body::Http(h) => http(&mut object, record.time, h),
            Body::Ssl(s) => ssl(&mut object, record.time, s),
            Body::Ssh(s) => ssh(&mut object, record.time, s),
            Body::Auth(_) => return Ok(0),
        }
        if self.labelled {
            let name = campaign(record, labels);
            object.str("label", if name.is_some() { "Malicious" } else { "Benign" });
            object.opt("detailedlabel", name);
        }
        let line = object.finish();
        let wrote = out.write_all(&line);
        self.line = line;
        wrote.map(|()| 1)
    }
}

/// One object under way.
pub(super) struct Object {
    pub line: Vec<u8>,
    open: bool,
}

impl Object {
    pub(super) fn new(mut line: Vec<u8>) -> Self {
        line.clear();
        line.push(b'{');
        Self { line, open: true }
    }

    /// The key; the value is to follow.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.open {
            self.line.push(b',');
        }
        self.open = false;
        self.line.push(b'"');
        self.line.extend_from_slice(key.as_bytes());
        self.line.extend_from_slice(b"\":");
        &mut self.line
    }

    pub(super) fn str(&mut self, key: &str, value: &str) {
        json(self.key(key), value);
    }

    pub(super) fn opt(&mut self, key: &str, value: Option<&str>) {
        if let Some(v) = value {
            self.str(key, v);
        }
    }

    pub(super) fn int(&mut self, key: &str, n: u64) {
        int(self.key(key), n);
    }

    fn count(&mut self, key: &str, n: Option<u64>) {
        if let Some(n) = n {
            self.int(key, n);
        }
    }

    fn interval(&mut self, key: &str, secs: Option<f64>) {
        if let Some(s) = secs {
            seconds(self.key(key), s);
        }
    }

    pub(super) fn bool(&mut self, key: &str, b: bool) {
        self.key(key).extend_from_slice(if b { b"true" } else { b"false" });
    }

    pub(super) fn ip(&mut self, key: &str, addr: std::net::IpAddr) {
        let line = self.key(key);
        line.push(b'"');
        ip(line, addr);
        line.push(b'"');
    }

    pub(super) fn hex(&mut self, key: &str, n: u128, between: Option<u8>) {
        let line = self.key(key);
        line.push(b'"');
        hex(line, n, 16, between);
        line.push(b'"');
    }

    pub(super) fn nest(&mut self, key: &str) {
        self.key(key).push(b'{');
        self.open = true;
    }

    pub(super) fn close(&mut self) {
        self.line.push(b'}');
        self.open = false;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.line.extend_from_slice(b"}\n");
        self.line
    }
}

fn head(o: &mut Object, t: Timestamp, id: &ConnId) {
    micros(o.key("ts"), t.micros());
    let line = o.key("uid");
    line.push(b'"');
    base62(line, b'C', id.uid);
    line.push(b'"');
    o.ip("id.orig_h", id.orig);
    o.int("id.orig_p", id.orig_port.into());
    o.ip("id.resp_h", id.resp);
    o.int("id.resp_p", id.resp_port.into());
}

fn conn(o: &mut Object, t: Timestamp, c: &Conn) {
    head(o, t, &c.id);
    o.str("proto", c.id.protocol.name());
    o.opt("service", c.service);
    o.interval("duration", c.duration);
    o.count("orig_bytes", c.orig_bytes);
    o.count("resp_bytes", c.resp_bytes);
    o.str("conn_state", c.state.name());
    o.bool("local_orig", is_local(c.id.orig));
    o.bool("local_resp", is_local(c.id.resp));
    o.int("missed_bytes", 0);
    if !c.history.is_empty() {
        o.str("history", &c.history);
    }
    o.int("orig_pkts", c.orig_packets);
    o.int("orig_ip_bytes", c.orig_ip_bytes);
    o.int("resp_pkts", c.resp_packets);
    o.int("resp_ip_bytes", c.resp_ip_bytes);
}

fn dns(o: &mut Object, t: Timestamp, d: &Dns) {
    head(o, t, &d.id);
    o.str("proto", d.id.protocol.name());
    o.int("trans_id", d.trans_id.into());
    o.interval("rtt", d.rtt);
    o.str("query", &d.query);
    o.int("qclass", 1);
    o.str("qclass_name", "C_INTERNET");
    o.int("qtype", d.qtype.number().into());
    o.str("qtype_name", d.qtype.name());
    if let Some(rcode) = d.rcode {
        o.int("rcode", rcode.number().into());
        o.str("rcode_name", rcode.name());
    }
    o.bool("AA", d.authoritative);
    o.bool("TC", false);
    o.bool("RD", true);
    o.bool("RA", d.rcode.is_some());
    o.int("Z", 0);
    if !d.answers.is_empty() {
        list(o.key("answers"), &d.answers, |line, a| json(line, a));
        list(o.key("TTLs"), &d.answers, |line, _| {
            int(line, d.ttl as u64);
            line.extend_from_slice(b".0");
        });
    }
    o.bool("rejected", false);
}

pub(super) fn list<T>(line: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    line.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        write(line, item);
    }
    line.push(b']');
}

fn http(o: &mut Object, t: Timestamp, h: &Http) {
    head(o, t, &h.id);
    o.int("trans_depth", h.depth.into());
    o.str("method", h.method);
    o.str("host", &h.host);
    o.str("uri", &h.uri);
    o.opt("referrer", h.referrer.as_deref());
    o.str("version", "1.1");
    o.str("user_agent", h.user_agent);
    o.int("request_body_len", h.request_bytes);
    o.int("response_body_len", h.response_bytes);
    o.int("status_code", h.status.into());
    o.str("status_msg", status_words(h.status));
    o.key("tags").extend_from_slice(b"[]");
    if let Some(mime) = h.mime {
        list(o.key("resp_mime_types"), &[mime], |line, m| json(line, m));
    }
}

fn ssl(o: &mut Object, t: Timestamp, s: &Ssl) {
    head(o, t, &s.id);
    o.str("version", s.version);
    o.str("cipher", s.cipher);
    o.str("curve", s.curve);
    o.opt("server_name", s.server_name.as_deref());
    o.bool("resumed", s.resumed);
    o.opt("next_protocol", s.next_protocol);
    o.bool("established", s.established);
    o.str("ssl_history", ssl_history(s));
    o.opt("validation_status", s.validation);
    o.hex("ja3", s.ja3, None);
    o.hex("ja3s", s.ja3s, None);
}

fn ssh(o: &mut Object, t: Timestamp, s: &Ssh) {
    head(o, t, &s.id);
    o.int("version", 2);
    if let Some(ok) = s.success {
        o.bool("auth_success", ok);
    }
    o.int("auth_attempts", s.attempts.into());
    o.opt("direction", direction(&s.id));
    o.str("client", s.client);
    o.str("server", s.server);
    for (key, value) in SSH_ALGORITHMS {
        o.str(key, value);
    }
    o.hex("host_key", s.host_key, Some(b':'));
}
