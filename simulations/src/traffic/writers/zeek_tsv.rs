//! Zeek's ASCII logs: header lines, then tab-separated values, `-` for unset and `(empty)` for
//! empty, as the reference of Zeek's logging framework describes them.

use super::line::{base62, hex, int, ip, micros, seconds};
use super::{Label, Log, Writer, campaign, status_words};
use crate::traffic::calendar::Civil;
use crate::traffic::record::{Body, Conn, ConnId, Dns, Http, Record, Ssh, Ssl, Uid};
use crate::traffic::world::is_local;
use std::io::{self, Write};
use threat::Timestamp;

const ID: &str = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p";
const ID_TYPES: &str = "time string addr port addr port";

/// Fields and types after the connection's id.
const fn columns(log: Log) -> (&'static str, &'static str) {
    match log {
        Log::Conn => (
            "proto service duration orig_bytes resp_bytes conn_state local_orig local_resp \
             missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
            "enum string interval count count string bool bool count string count count count \
             count set[string]",
        ),
        Log::Dns => (
            "proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC \
             RD RA Z answers TTLs rejected",
            "enum count interval string count string count string count string bool bool bool \
             bool count vector[string] vector[interval] bool",
        ),
        Log::Http => (
            "trans_depth method host uri referrer version user_agent origin request_body_len \
             response_body_len status_code status_msg info_code info_msg tags username password \
             proxied orig_fuids orig_filenames orig_mime_types resp_fuids resp_filenames \
             resp_mime_types",
            "count string string string string string string string count count count string \
             count string set[enum] string string set[string] vector[string] vector[string] \
             vector[string] vector[string] vector[string] vector[string]",
        ),
        Log::Ssl => (
            "version cipher curve server_name resumed last_alert next_protocol established \
             ssl_history cert_chain_fps client_cert_chain_fps sni_matches_cert validation_status \
             ja3 ja3s",
            "string string string string bool string string bool string vector[string] \
             vector[string] bool string string string",
        ),
        Log::Ssh => (
            "version auth_success auth_attempts direction client server cipher_alg mac_alg \
             compression_alg kex_alg host_key_alg host_key",
            "count bool count enum string string string string string string string string",
        ),
    }
}

/// Writes one Zeek log as TSV.
#[derive(Clone, Debug)]
pub struct ZeekTsv {
    log: Log,
    labelled: bool,
    line: Vec<u8>,
}

impl ZeekTsv {
    /// For one log; `labelled` adds the columns `label` and `detailedlabel`.
    pub fn new(log: Log, labelled: bool) -> Self {
        Self { log, labelled, line: Vec::with_capacity(512) }
    }
}

fn stamp(t: Timestamp) -> String {
    let c = Civil::of(t);
    let (y, mo, d, h, mi, s) = (c.year, c.month, c.day, c.hour, c.minute, c.second);
    format!("{y:04}-{mo:02}-{d:02}-{h:02}-{mi:02}-{s:02}")
}

impl Writer for ZeekTsv {
    fn begin(&mut self, out: &mut dyn Write, start: Timestamp) -> io::Result<()> {
        let (fields, types) = columns(self.log);
        let extra = if self.labelled { ["label detailedlabel", "string string"] } else { [""; 2] };
        let row = |first: &str, id: &str, rest: &str, extra: &str| {
            [first, id, rest, extra]
                .iter()
                .flat_map(|s| s.split_whitespace())
                .collect::<Vec<_>>()
                .join("\t")
        };
        writeln!(out, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)")?;
        writeln!(out, "#unset_field\t-\n#path\t{}\n#open\t{}", self.log.name(), stamp(start))?;
        writeln!(out, "{}", row("#fields", ID, fields, extra[0]))?;
        writeln!(out, "{}", row("#types", ID_TYPES, types, extra[1]))
    }

    fn write(&mut self, out: &mut dyn Write, record: &Record, labels: &[Label]) -> io::Result<u64> {
        if !self.log.takes(&record.body) {
            return Ok(0);
        }
        let mut row = Row { line: std::mem::take(&mut self.line) };
        row.line.clear();
        match &record.body {
            Body::Conn(c) => row.conn(record.time, c),
            Body::Dns(d) => row.dns(record.time, d),
            Body::Http(h) => row.http(record.time, h),
            Body::Ssl(s) => row.ssl(record.time, s),
            Body::Ssh(s) => row.ssh(record.time, s),
            Body::Auth(_) => return Ok(0),
        }
        if self.labelled {
            let name = campaign(record, labels);
            row.str(if name.is_some() { "Malicious" } else { "Benign" });
            row.str(name.unwrap_or("-"));
        }
        row.line.push(b'\n');
        let wrote = out.write_all(&row.line);
        self.line = row.line;
        wrote.map(|()| 1)
    }

    fn end(&mut self, out: &mut dyn Write, end: Timestamp) -> io::Result<()> {
        writeln!(out, "#close\t{}", stamp(end))
    }
}

/// One line under way. Every method but the first puts its tab before its value.
struct Row {
    line: Vec<u8>,
}

impl Row {
    fn head(&mut self, t: Timestamp, id: &ConnId) {
        micros(&mut self.line, t.micros());
        self.tab();
        base62(&mut self.line, b'C', id.uid);
        self.tab();
        ip(&mut self.line, id.orig);
        self.int(id.orig_port.into());
        self.tab();
        ip(&mut self.line, id.resp);
        self.int(id.resp_port.into());
    }

    fn tab(&mut self) {
        self.line.push(b'\t');
    }

    fn int(&mut self, n: u64) {
        self.tab();
        int(&mut self.line, n);
    }

    fn count(&mut self, n: Option<u64>) {
        match n {
            Some(n) => self.int(n),
            None => self.str("-"),
        }
    }

    fn interval(&mut self, secs: Option<f64>) {
        self.tab();
        match secs {
            Some(s) => seconds(&mut self.line, s),
            None => self.line.push(b'-'),
        }
    }

    fn bool(&mut self, b: bool) {
        self.str(if b { "T" } else { "F" });
    }

    /// Text that cannot hold a tab.
    fn str(&mut self, s: &str) {
        self.tab();
        self.line.extend_from_slice(s.as_bytes());
    }

    fn opt(&mut self, s: Option<&str>) {
        self.str(s.unwrap_or("-"));
    }

    /// Text from outside: separators, line ends and unset marks are escaped as Zeek does.
    fn free(&mut self, s: &str) {
        self.tab();
        match s {
            "" => self.line.extend_from_slice(b"(empty)"),
            "-" => self.line.extend_from_slice(b"\\x2d"),
            _ => {
                for &b in s.as_bytes() {
                    if b < 0x20 || b == b'\\' {
                        super::line::text(&mut self.line, format_args!("\\x{b:02x}"));
                    } else {
                        self.line.push(b);
                    }
                }
            }
        }
    }

    fn conn(&mut self, t: Timestamp, c: &Conn) {
        self.head(t, &c.id);
        self.str(c.id.protocol.name());
        self.opt(c.service);
        self.interval(c.duration);
        self.count(c.orig_bytes);
        self.count(c.resp_bytes);
        self.str(c.state.name());
        self.bool(is_local(c.id.orig));
        self.bool(is_local(c.id.resp));
        self.int(0);
        self.str(if c.history.is_empty() { "-" } else { &c.history });
        self.int(c.orig_packets);
        self.int(c.orig_ip_bytes);
        self.int(c.resp_packets);
        self.int(c.resp_ip_bytes);
        self.str("-");
    }

    fn dns(&mut self, t: Timestamp, d: &Dns) {
        self.head(t, &d.id);
        self.str(d.id.protocol.name());
        self.int(d.trans_id.into());
        self.interval(d.rtt);
        self.free(&d.query);
        self.int(1);
        self.str("C_INTERNET");
        self.int(d.qtype.number().into());
        self.str(d.qtype.name());
        self.count(d.rcode.map(|r| r.number().into()));
        self.opt(d.rcode.map(|r| r.name()));
        self.bool(d.authoritative);
        self.bool(false);
        self.bool(true);
        self.bool(d.rcode.is_some());
        self.int(0);
        if d.answers.is_empty() {
            self.str("-\t-");
        } else {
            self.tab();
            for (i, answer) in d.answers.iter().enumerate() {
                if i > 0 {
                    self.line.push(b',');
                }
                // The set separator inside an element is escaped.
                for &b in answer.as_bytes() {
                    if b == b',' {
                        self.line.extend_from_slice(b"\\x2c")
                    } else {
                        self.line.push(b)
                    }
                }
            }
            self.tab();
            for i in 0..d.answers.len() {
                if i > 0 {
                    self.line.push(b',');
                }
                seconds(&mut self.line, d.ttl);
            }
        }
        self.bool(false);
    }

    fn http(&mut self, t: Timestamp, h: &Http) {
        self.head(t, &h.id);
        self.int(h.depth.into());
        self.str(h.method);
        self.free(&h.host);
        self.free(&h.uri);
        match &h.referrer {
            Some(r) => self.free(r),
            None => self.str("-"),
        }
        self.str("1.1");
        self.free(h.user_agent);
        self.str("-");
        self.int(h.request_bytes);
        self.int(h.response_bytes);
        self.int(h.status.into());
        self.str(status_words(h.status));
        self.str("-\t-\t(empty)\t-\t-\t-");
        self.file(h.request_bytes, h.id.uid, 0x51, None);
        self.file(h.response_bytes, h.id.uid, 0xa3, h.mime);
    }

    /// File id, name and media type of a body, if there was one.
    fn file(&mut self, bytes: u64, uid: Uid, salt: u64, mime: Option<&str>) {
        if bytes == 0 {
            return self.str("-\t-\t-");
        }
        self.tab();
        let high = threat::entropy::mix64(uid.high ^ salt);
        base62(&mut self.line, b'F', Uid { high, low: (high >> 7) as u32 ^ uid.low });
        self.str("-");
        self.opt(mime);
    }

    fn ssl(&mut self, t: Timestamp, s: &Ssl) {
        self.head(t, &s.id);
        self.str(s.version);
        self.str(s.cipher);
        self.str(s.curve);
        match &s.server_name {
            Some(name) => self.free(name),
            None => self.str("-"),
        }
        self.bool(s.resumed);
        self.str("-");
        self.opt(s.next_protocol);
        self.bool(s.established);
        self.str(super::zeek_json::ssl_history(s));
        if s.validation.is_some() {
            self.tab();
            let server = threat::Host::Ip(s.id.resp).hash64();
            for half in [1, 0x1_0001] {
                let print = u128::from(server).wrapping_mul(0x9e37_79b9_7f4a_7c15 * half);
                hex(&mut self.line, print, 16, None);
            }
            self.str("(empty)\tT");
        } else {
            self.str("-\t-\t-");
        }
        self.opt(s.validation);
        self.tab();
        hex(&mut self.line, s.ja3, 16, None);
        self.tab();
        hex(&mut self.line, s.ja3s, 16, None);
    }

    fn ssh(&mut self, t: Timestamp, s: &Ssh) {
        self.head(t, &s.id);
        self.int(2);
        self.opt(s.success.map(|ok| if ok { "T" } else { "F" }));
        self.int(s.attempts.into());
        self.opt(super::zeek_json::direction(&s.id));
        self.free(s.client);
        self.free(s.server);
        for (_, value) in super::zeek_json::SSH_ALGORITHMS {
            self.str(value);
        }
        self.tab();
        hex(&mut self.line, s.host_key, 16, Some(b':'));
    }
}
