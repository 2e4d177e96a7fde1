//! The typed parts of events: one struct for each class, and the words that they use.
//!
//! Every field is optional where a sensor may not tell it. Nothing here knows of formats.

use crate::Text;
use serde::{Deserialize, Serialize};

/// Transport protocol.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP (6).
    Tcp,
    /// UDP (17).
    Udp,
    /// ICMP (1) or ICMPv6 (58).
    Icmp,
    /// Not told, or another.
    #[default]
    Other,
}

impl Protocol {
    /// Lower-case name as Zeek and Sigma write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Other => "unknown_transport",
        }
    }

    /// By name in any case; what is unknown is `Other`.
    pub fn parse(text: &str) -> Self {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("tcp") || text == "6" {
            Self::Tcp
        } else if is("udp") || text == "17" {
            Self::Udp
        } else if is("icmp") || is("ipv6-icmp") || is("icmpv6") || text == "1" || text == "58" {
            Self::Icmp
        } else {
            Self::Other
        }
    }
}

/// How a connection went: Zeek's thirteen `conn_state` values.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum ConnState {
    /// Attempt seen, no reply.
    S0,
    /// Established, not terminated.
    S1,
    /// Established, close attempt by originator.
    S2,
    /// Established, close attempt by responder.
    S3,
    /// Normal establishment and termination.
    SF,
    /// Attempt rejected.
    REJ,
    /// Established, originator aborted.
    RSTO,
    /// Responder aborted.
    RSTR,
    /// Originator sent SYN then RST, no SYN-ACK seen.
    RSTOS0,
    /// Responder sent SYN-ACK then RST, no SYN seen.
    RSTRH,
    /// Originator sent SYN then FIN: half open.
    SH,
    /// Responder sent SYN-ACK then FIN, no SYN seen.
    SHR,
    /// No SYN seen, midstream traffic, or not told.
    #[default]
    OTH,
}

impl ConnState {
    /// All, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::S0,
        Self::S1,
        Self::S2,
        Self::S3,
        Self::SF,
        Self::REJ,
        Self::RSTO,
        Self::RSTR,
        Self::RSTOS0,
        Self::RSTRH,
        Self::SH,
        Self::SHR,
        Self::OTH,
    ];

    /// Zeek's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S0 => "S0",
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::SF => "SF",
            Self::REJ => "REJ",
            Self::RSTO => "RSTO",
            Self::RSTR => "RSTR",
            Self::RSTOS0 => "RSTOS0",
            Self::RSTRH => "RSTRH",
            Self::SH => "SH",
            Self::SHR => "SHR",
            Self::OTH => "OTH",
        }
    }

    /// By Zeek's name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text)
    }

    /// The attempt got no conversation: unanswered, rejected or broken off at once.
    pub const fn failed(self) -> bool {
        matches!(self, Self::S0 | Self::REJ | Self::RSTOS0 | Self::RSTRH | Self::SH | Self::SHR)
    }
}

/// A network flow: one connection, both directions. "orig" is the side that started it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Application protocol, as the sensor found it (`dns`, `ssl`, `http`).
    pub service: Option<Text>,
    /// How it went.
    pub state: ConnState,
    /// Seconds from first to last packet.
    pub duration: Option<f64>,
    /// Payload bytes from the originator.
    pub orig_bytes: Option<u64>,
    /// Payload bytes from the responder.
    pub resp_bytes: Option<u64>,
    /// Packets from the originator.
    pub orig_packets: Option<u64>,
    /// Packets from the responder.
    pub resp_packets: Option<u64>,
    /// Bytes on the wire (with IP headers) from the originator.
    pub orig_ip_bytes: Option<u64>,
    /// Bytes on the wire (with IP headers) from the responder.
    pub resp_ip_bytes: Option<u64>,
    /// Bytes that the sensor missed.
    pub missed_bytes: Option<u64>,
    /// Zeek's history letters.
    pub history: Option<Text>,
    /// The originator is inside.
    pub local_orig: Option<bool>,
    /// The responder is inside.
    pub local_resp: Option<bool>,
}

/// An HTTP request with its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// `GET`, `POST`, ...
    pub method: Option<Text>,
    /// The `Host` header.
    pub host: Option<Text>,
    /// Path and query.
    pub uri: Option<Text>,
    /// The `Referer` header.
    pub referrer: Option<Text>,
    /// The `User-Agent` header.
    pub user_agent: Option<Text>,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Body bytes sent.
    pub request_bytes: Option<u64>,
    /// Body bytes answered.
    pub response_bytes: Option<u64>,
    /// Media type of the answer.
    pub mime: Option<Text>,
}

/// A DNS query with its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    /// The name asked for.
    pub query: Option<Text>,
    /// Record type (`A`, `TXT`).
    pub qtype: Option<Text>,
    /// Answer code (`NOERROR`, `NXDOMAIN`).
    pub rcode: Option<Text>,
    /// Answers as text.
    pub answers: Vec<Text>,
    /// Seconds from query to answer.
    pub rtt: Option<f64>,
    /// The server refused.
    pub rejected: Option<bool>,
}

/// A TLS session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// `TLSv12`, `TLS 1.3`, ...
    pub version: Option<Text>,
    /// Cipher suite.
    pub cipher: Option<Text>,
    /// Server name indication.
    pub server_name: Option<Text>,
    /// Handshake completed.
    pub established: Option<bool>,
    /// Session resumed.
    pub resumed: Option<bool>,
    /// JA3 of the client.
    pub ja3: Option<Text>,
    /// Certificate subject.
    pub subject: Option<Text>,
    /// Certificate issuer.
    pub issuer: Option<Text>,
    /// How the chain validated (`ok`, or OpenSSL's words).
    pub validation: Option<Text>,
}

/// What an authentication record says happened.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Success,
    /// It was refused.
    Failure,
    /// Not told.
    #[default]
    Unknown,
}

impl Outcome {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

/// What kind of authentication record it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AuthActivity {
    /// A session begins, or was tried.
    #[default]
    Logon,
    /// A session ends.
    Logoff,
    /// Switching account (su, sudo).
    Switch,
}

impl AuthActivity {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logon => "logon",
            Self::Logoff => "logoff",
            Self::Switch => "switch",
        }
    }
}

/// A logon, logoff or account switch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Authentication {
    /// What it is.
    pub activity: AuthActivity,
    /// How it ended.
    pub outcome: Outcome,
    /// The service that decided (`sshd`, `su`, `ftpd`, `kerberos`).
    pub service: Option<Text>,
    /// `password`, `publickey`, ...
    pub method: Option<Text>,
    /// The account does not exist.
    pub invalid_user: bool,
    /// Attempts that this record stands for; at least 1.
    pub attempts: u32,
    /// Client software.
    pub client: Option<Text>,
    /// Server software.
    pub server: Option<Text>,
}

/// Another product's alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Signature or notice name.
    pub name: Text,
    /// Category or classification.
    pub category: Option<Text>,
    /// Signature id.
    pub rule_id: Option<Text>,
    /// The product's severity, mapped to ours.
    pub severity: crate::Severity,
    /// What it says.
    pub message: Option<Text>,
    /// What the product did (`allowed`, `blocked`).
    pub action: Option<Text>,
}

/// A file seen on the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileSeen {
    /// Media type.
    pub mime: Option<Text>,
    /// File name.
    pub name: Option<Text>,
    /// Bytes seen.
    pub bytes: Option<u64>,
    /// Protocol that carried it.
    pub source: Option<Text>,
    /// MD5 in hex.
    pub md5: Option<Text>,
    /// SHA-1 in hex.
    pub sha1: Option<Text>,
    /// SHA-256 in hex.
    pub sha256: Option<Text>,
}

/// A protocol violation or oddity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Oddity {
    /// Its name (Zeek `weird`, Suricata `anomaly.event`).
    pub name: Text,
    /// More about it.
    pub detail: Option<Text>,
}
