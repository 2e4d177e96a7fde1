//! The formats: one file each, one [`Format`] variant each. To add one, write its file and give
//! its variant a place in `ALL`, `name`, `sniffs` and `read`; nothing else knows of formats.
//!
//! A format reads one record at a time. JSON formats get the record's members and say by `claims`
//! whether it is theirs; the others get bytes and say so by `sniff`. Header state is [`Headers`].

pub(crate) mod csv;
pub(crate) mod eve;
pub(crate) mod ndjson;
pub(crate) mod ocsf;
pub(crate) mod syslog;
pub(crate) mod windows;
pub(crate) mod zeek_json;
pub(crate) mod zeek_tsv;

use crate::Options;
use crate::error::Error;
use crate::json::{self, Fields};
use crate::record::Parsed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A format that intake reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Zeek's tab-separated logs.
    ZeekTsv,
    /// Zeek's JSON logs.
    ZeekJson,
    /// Suricata's EVE.
    SuricataEve,
    /// OCSF 1.x as JSON lines.
    Ocsf,
    /// Windows events as JSON lines or documents.
    Windows,
    /// Syslog by RFC 5424 or RFC 3164.
    Syslog,
    /// Tables with a header line.
    Csv,
    /// JSON lines of any other shape.
    Ndjson,
}

/// What header lines said: the part of a decoder that outlives a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) zeek: Option<Arc<zeek_tsv::Header>>,
    pub(crate) csv: Option<Arc<csv::Header>>,
}

impl Format {
    /// All, the most telling first: the order in which a record is offered to them.
    pub const ALL: [Self; 8] = [
        Self::ZeekTsv,
        Self::ZeekJson,
        Self::SuricataEve,
        Self::Ocsf,
        Self::Windows,
        Self::Syslog,
        Self::Csv,
        Self::Ndjson,
    ];

    /// A stable short name, used on the command line and in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeekTsv => "zeek-tsv",
            Self::ZeekJson => "zeek-json",
            Self::SuricataEve => "suricata-eve",
            Self::Ocsf => "ocsf",
            Self::Windows => "windows",
            Self::Syslog => "syslog",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format of that [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// The format of the first record in `beginning` that one of them knows.
    pub fn sniff(beginning: &[u8]) -> Option<Self> {
        crate::reading::sniff(beginning)
    }

    /// Whether a record looks like this format, without reading all of it.
    pub(crate) fn sniffs(self, record: &[u8], headers: &Headers, options: &Options) -> bool {
        match self {
            Self::ZeekTsv => zeek_tsv::sniff(record, headers.zeek.as_deref()),
            Self::Csv => csv::sniff(record, headers.csv.as_deref()),
            Self::Syslog => syslog::sniff(record, options),
            _ => members(record).is_ok_and(|fields| self.claims(&fields)),
        }
    }

    /// Whether JSON members are this format's. Unknown shapes are what nobody else claims.
    fn claims(self, fields: &Fields<'_>) -> bool {
        match self {
            Self::ZeekJson => zeek_json::claims(fields),
            Self::SuricataEve => eve::claims(fields),
            Self::Ocsf => ocsf::claims(fields),
            Self::Windows => windows::claims(fields),
            Self::Ndjson => {
                let known = [Self::ZeekJson, Self::SuricataEve, Self::Ocsf, Self::Windows];
                !known.into_iter().any(|f| f.claims(fields))
            }
            Self::ZeekTsv | Self::Syslog | Self::Csv => false,
        }
    }

    /// Reads one record.
    pub(crate) fn read(
        self,
        record: &[u8],
        headers: &mut Headers,
        options: &Options,
    ) -> Result<Parsed, Error> {
        match self {
            Self::ZeekTsv => zeek_tsv::read(record, &mut headers.zeek),
            Self::Csv => csv::read(record, &mut headers.csv, options),
            Self::Syslog => syslog::read(record, options),
            Self::ZeekJson => zeek_json::read(members(record)?),
            Self::SuricataEve => eve::read(members(record)?),
            Self::Ocsf => ocsf::read(members(record)?),
            Self::Windows => windows::read(members(record)?),
            Self::Ndjson => {
                let fields = members(record)?;
                if !self.claims(&fields) {
                    return Err(Error::Foreign("of unknown shape"));
                }
                ndjson::read(fields, options)
            }
        }
    }
}

/// The members of a JSON record.
fn members(record: &[u8]) -> Result<Fields<'_>, Error> {
    let text = std::str::from_utf8(record).map_err(|e| Error::Utf8(e.valid_up_to()))?;
    json::parse(text)
}
