//! Records become bytes: Zeek's TSV and JSON logs, Suricata's EVE, syslog of sshd and PAM, CSV
//! flows, and the table of labels. A writer puts one stream of bytes into whatever it is given;
//! which file that is, is the caller's business. Files (`files.log`) and alerts are not written.

pub mod auth_log;
pub mod csv_flows;
pub mod eve;
pub mod labels;
pub(crate) mod line;
pub mod zeek_json;
pub mod zeek_tsv;

use super::label::Label;
use super::record::{Body, Record};
use std::io::{self, Write};
use threat::Timestamp;

/// Writes the records of one log.
pub trait Writer {
    /// What stands before the first record.
    ///
    /// # Errors
    /// Those of `out`.
    fn begin(&mut self, out: &mut dyn Write, start: Timestamp) -> io::Result<()> {
        let _ = (out, start);
        Ok(())
    }

    /// Writes the record if it belongs into this log; how many lines that made.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&mut self, out: &mut dyn Write, record: &Record, labels: &[Label]) -> io::Result<u64>;

    /// What stands after the last record.
    ///
    /// # Errors
    /// Those of `out`.
    fn end(&mut self, out: &mut dyn Write, end: Timestamp) -> io::Result<()> {
        let _ = (out, end);
        Ok(())
    }
}

/// A Zeek log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// `conn`
    Conn,
    /// `dns`
    Dns,
    /// `http`
    Http,
    /// `ssl`
    Ssl,
    /// `ssh`
    Ssh,
}

impl Log {
    /// All.
    pub const ALL: [Self; 5] = [Self::Conn, Self::Dns, Self::Http, Self::Ssl, Self::Ssh];

    /// Its `#path`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Ssl => "ssl",
            Self::Ssh => "ssh",
        }
    }

    const fn takes(self, body: &Body) -> bool {
        matches!(
            (self, body),
            (Self::Conn, Body::Conn(_))
                | (Self::Dns, Body::Dns(_))
                | (Self::Http, Body::Http(_))
                | (Self::Ssl, Body::Ssl(_))
                | (Self::Ssh, Body::Ssh(_))
        )
    }
}

/// A way of writing a scenario down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Zeek logs with headers, one file per log.
    ZeekTsv,
    /// Zeek logs as JSON lines, one file per log.
    ZeekJson,
    /// Suricata EVE, one file.
    Eve,
    /// Authentication log, RFC 3164.
    AuthLog,
    /// Authentication log, RFC 5424.
    AuthLog5424,
    /// Connections as CSV with a label.
    CsvFlows,
}

impl Format {
    /// All with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("zeek-tsv", Self::ZeekTsv),
        ("zeek-json", Self::ZeekJson),
        ("eve", Self::Eve),
        ("auth", Self::AuthLog),
        ("auth-5424", Self::AuthLog5424),
        ("csv", Self::CsvFlows),
    ];

    /// By name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(n, _)| *n == name).map(|(_, f)| f)
    }

    /// Usual file names with their writers. `labelled` adds the label to each record where the
    /// format has a place for it (CSV always has it, syslog never).
    pub fn streams(self, labelled: bool) -> Vec<(String, Box<dyn Writer>)> {
        let zeek = |make: fn(Log, bool) -> Box<dyn Writer>, ending: &str| {
            Log::ALL
                .into_iter()
                .map(|log| (format!("{}.{ending}", log.name()), make(log, labelled)))
                .collect()
        };
        match self {
            Self::ZeekTsv => zeek(|l, on| Box::new(zeek_tsv::ZeekTsv::new(l, on)), "log"),
            Self::ZeekJson => zeek(|l, on| Box::new(zeek_json::ZeekJson::new(l, on)), "json"),
            Self::Eve => vec![("eve.json".into(), Box::new(eve::Eve::new(labelled)))],
            Self::AuthLog => {
                vec![("auth.log".into(), Box::new(auth_log::AuthLog::new(auth_log::Rfc::Rfc3164)))]
            }
            Self::AuthLog5424 => {
                let writer = auth_log::AuthLog::new(auth_log::Rfc::Rfc5424);
                vec![("auth-5424.log".into(), Box::new(writer))]
            }
            Self::CsvFlows => vec![("flows.csv".into(), Box::new(csv_flows::CsvFlows::new()))],
        }
    }
}

/// The campaign's name, if the record belongs to one.
fn campaign<'a>(record: &Record, labels: &'a [Label]) -> Option<&'a str> {
    let label = labels.get(usize::from(record.campaign?.0))?;
    Some(label.id.as_str())
}

/// The words of an HTTP status.
const fn status_words(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        304 => "Not Modified",
        404 => "Not Found",
        _ => "-",
    }
}
