//! Connections as CSV with a header, Zeek's column names and a label column: what flow datasets
//! look like. Unset values are empty.

use super::line::{base62, int, ip, micros, seconds};
use super::{Label, Writer, campaign};
use crate::traffic::record::{Body, Record};
use crate::traffic::world::is_local;
use std::io::{self, Write};
use threat::Timestamp;

const HEADER: &str = "ts,uid,id.orig_h,id.orig_p,id.resp_h,id.resp_p,proto,service,duration,\
    orig_bytes,resp_bytes,conn_state,local_orig,local_resp,missed_bytes,history,orig_pkts,\
    orig_ip_bytes,resp_pkts,resp_ip_bytes,label,detailed-label";

/// Writes connections as CSV.
#[derive(Clone, Debug, Default)]
pub struct CsvFlows {
    line: Vec<u8>,
}

impl CsvFlows {
    /// Always labelled.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Writer for CsvFlows {
    fn begin(&mut self, out: &mut dyn Write, _start: Timestamp) -> io::Result<()> {
        writeln!(out, "{HEADER}")
    }

    fn write(&mut self, out: &mut dyn Write, record: &Record, labels: &[Label]) -> io::Result<u64> {
        let Body::Conn(c) = &record.body else { return Ok(0) };
        let line = &mut self.line;
        line.clear();
        micros(line, record.time.micros());
        line.push(b',');
        base62(line, b'C', c.id.uid);
        for (addr, port) in [(c.id.orig, c.id.orig_port), (c.id.resp, c.id.resp_port)] {
            line.push(b',');
            ip(line, addr);
            line.push(b',');
            int(line, port.into());
        }
        line.push(b',');
        line.extend_from_slice(c.id.protocol.name().as_bytes());
        line.push(b',');
        // Several services are a set: quoted, since its separator is ours.
        match c.service {
            Some(s) if s.contains(',') => super::line::json(line, s),
            Some(s) => line.extend_from_slice(s.as_bytes()),
            None => {}
        }
        line.push(b',');
        if let Some(duration) = c.duration {
            seconds(line, duration);
        }
        for bytes in [c.orig_bytes, c.resp_bytes] {
            line.push(b',');
            if let Some(n) = bytes {
                int(line, n);
            }
        }
        line.push(b',');
        line.extend_from_slice(c.state.name().as_bytes());
        for addr in [c.id.orig, c.id.resp] {
            line.extend_from_slice(if is_local(addr) { b",T" } else { b",F" });
        }
        line.extend_from_slice(b",0,");
        line.extend_from_slice(c.history.as_bytes());
        for n in [c.orig_packets, c.orig_ip_bytes, c.resp_packets, c.resp_ip_bytes] {
            line.push(b',');
            int(line, n);
        }
        let name = campaign(record, labels);
        line.extend_from_slice(if name.is_some() { b",Malicious," } else { b",Benign," });
        line.extend_from_slice(name.unwrap_or("-").as_bytes());
        line.push(b'\n');
        out.write_all(line).map(|()| 1)
    }
}
