//! What a sensor reported: one typed record, shaped after OCSF, with its raw line at hand.
//!
//! Field names are OCSF's or the field's common ones (Zeek's for flows). A format fills what it knows;
//! what has no typed place stays in `extra` under its own name, so that rules can use it and nothing is lost.

use crate::entity::Entity;
pub use crate::entity::Host;
use crate::{EventClass, Text, Timestamp};
use serde::{Deserialize, Serialize};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, by the sensor's clock.
    pub time: Timestamp,
    /// Which product and log wrote it: routes rules.
    pub origin: Origin,
    /// Who started it: client, attacker, logging-on side.
    pub src: Option<Endpoint>,
    /// Whom it reached: server, target, logged-on machine.
    pub dst: Option<Endpoint>,
    /// The account that it is about.
    pub user: Option<Text>,
    /// The sensor's own id of the connection or record (Zeek `uid`, Suricata `flow_id`).
    pub uid: Option<Text>,
    /// Ground truth from labelled captures, as found there. Never a feature; for scoring alone.
    pub label: Option<Text>,
    /// The typed part.
    pub body: Body,
    /// Fields without a typed place, by their own names, in the record's order.
    pub extra: Vec<(Text, Value)>,
    /// Byte offset of the record in its source (decompressed), and its 1-based line.
    pub position: Position,
    /// Where the raw record lies in its batch's bytes.
    pub raw: RawRef,
}

/// Where in its source a record stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Bytes before the record.
    pub offset: u64,
    /// 1-based line number.
    pub line: u64,
}

/// A range of [`EventBatch::bytes`](crate::EventBatch::bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRef {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u32,
}

/// The log that an event was read from, as Sigma's `logsource` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// `zeek`, `suricata`, `linux`, `windows`, `ocsf`, `csv`, ...
    pub product: Text,
    /// `conn`, `dns`, `sshd`, `eve`, `sysmon`, `security`, ...
    pub service: Text,
}

impl Origin {
    /// From its two names.
    pub fn new(product: &str, service: &str) -> Self {
        Self { product: product.into(), service: service.into() }
    }
}

/// One side of a communication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// The transport port.
    pub port: Option<u16>,
}

/// A value of an untyped field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Present without a value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(Text),
    /// Several values.
    List(Vec<Value>),
    /// Named values; nesting is bounded by the parser's depth limit.
    Map(Vec<(Text, Value)>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(t) = self { Some(t) } else { None }
    }
}

/// The typed part of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// A flow.
    Flow(Flow),
    /// An HTTP transaction.
    Http(Box<Http>),
    /// A DNS transaction.
    Dns(Box<Dns>),
    /// A TLS session.
    Tls(Box<Tls>),
    /// A logon or its like.
    Authentication(Box<Authentication>),
    /// Another product's alert.
    Finding(Box<Finding>),
    /// A file on the network.
    File(Box<FileSeen>),
    /// A protocol oddity.
    Anomaly(Box<Oddity>),
    /// Everything is in `extra`.
    Generic,
}

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

impl Body {
    /// The class of this body.
    pub const fn class(&self) -> EventClass {
        match self {
            Self::Flow(_) => EventClass::Flow,
            Self::Http(_) => EventClass::Http,
            Self::Dns(_) => EventClass::Dns,
            Self::Tls(_) => EventClass::Tls,
            Self::Authentication(_) => EventClass::Authentication,
            Self::Finding(_) => EventClass::Finding,
            Self::File(_) => EventClass::File,
            Self::Anomaly(_) => EventClass::Anomaly,
            Self::Generic => EventClass::Generic,
        }
    }
}

impl Event {
    /// An event with nothing but a time and a log; formats fill in the rest.
    pub fn new(time: Timestamp, origin: Origin, body: Body) -> Self {
        Self {
            time,
            origin,
            src: None,
            dst: None,
            user: None,
            uid: None,
            label: None,
            body,
            extra: Vec::new(),
            position: Position::default(),
            raw: RawRef::default(),
        }
    }

    /// Its class.
    pub const fn class(&self) -> EventClass {
        self.body.class()
    }

    /// Whose state this event moves: the source host; of an authentication without one the user;
    /// else the destination; else the log itself.
    pub fn entity(&self) -> Entity {
        match (&self.src, &self.user, &self.dst) {
            (Some(src), ..) => Entity::Host(src.host.clone()),
            (None, Some(user), _) => Entity::User(user.clone()),
            (None, None, Some(dst)) => Entity::Host(dst.host.clone()),
            _ => Entity::Source(self.origin.service.clone()),
        }
    }

    /// An untyped field by its exact name.
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.extra.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}
