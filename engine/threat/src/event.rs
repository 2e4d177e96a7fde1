//! What a sensor reported: one typed record, shaped after OCSF, with its raw line at hand.
//!
//! Field names are OCSF's or the field's common ones (Zeek's for flows). A format fills what it
//! knows; what has no typed place stays in `extra` under its own name, so that rules can use it and
//! nothing is lost.

mod bodies;
mod depth;

use crate::entity::Entity;
pub use crate::entity::Host;
use crate::{EventClass, Text, Timestamp};
pub use bodies::{
    AuthActivity, Authentication, ConnState, Dns, FileSeen, Finding, Flow, Http, Oddity, Outcome,
    Protocol, Tls,
};
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
    List(#[serde(deserialize_with = "depth::bounded")] Vec<Value>),
    /// Named values; nesting is bounded by the parser's depth limit, and where bytes of another
    /// node are read by [`VALUE_DEPTH`](crate::limits::VALUE_DEPTH).
    Map(#[serde(deserialize_with = "depth::bounded")] Vec<(Text, Value)>),
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
