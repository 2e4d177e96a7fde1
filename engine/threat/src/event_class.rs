//! The kinds of events, each with its OCSF class and its three voters.

use serde::{Deserialize, Serialize};

/// What an event reports. The number is the OCSF `class_uid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventClass {
    /// A network flow or connection (4001).
    Flow,
    /// An HTTP request and its answer (4002).
    Http,
    /// A DNS query and its answer (4003).
    Dns,
    /// A TLS session (4014 is RDP; TLS has no class of its own and is a 4001 with `tls`).
    Tls,
    /// A logon, logoff or failed attempt (3002).
    Authentication,
    /// Another product's alert (2004).
    Finding,
    /// A file seen on the network (4010).
    File,
    /// A protocol violation or oddity (0 in OCSF: base event).
    Anomaly,
    /// Any other record; its fields are kept by name (0 in OCSF: base event).
    Generic,
}

impl EventClass {
    /// All classes, in a fixed order.
    pub const ALL: [Self; 9] = [
        Self::Flow,
        Self::Http,
        Self::Dns,
        Self::Tls,
        Self::Authentication,
        Self::Finding,
        Self::File,
        Self::Anomaly,
        Self::Generic,
    ];

    /// A stable short name, used in file formats and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::Finding => "finding",
            Self::File => "file",
            Self::Anomaly => "anomaly",
            Self::Generic => "generic",
        }
    }

    /// OCSF `class_uid`; 0 is the base event.
    pub const fn class_uid(self) -> u32 {
        match self {
            Self::Flow | Self::Tls => 4001,
            Self::Http => 4002,
            Self::Dns => 4003,
            Self::Authentication => 3002,
            Self::Finding => 2004,
            Self::File => 4010,
            Self::Anomaly | Self::Generic => 0,
        }
    }

    /// The class of that [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}
