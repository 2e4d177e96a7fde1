//! What the generator yields: one typed record per log line, in event-time order, with the campaign
//! that it belongs to. Formatting is in `writers`; nothing here knows a format.

use std::fmt;
use std::net::IpAddr;
use threat::entropy::Rng;
use threat::event::{ConnState, Protocol};
use threat::{Text, Timestamp};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it began, by the sensor's clock.
    pub time: Timestamp,
    /// The campaign that made it; `None` is benign. It indexes
    /// [`Traffic::labels`](super::Traffic::labels).
    pub campaign: Option<CampaignId>,
    /// The typed part.
    pub body: Body,
}

/// A campaign by its place in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CampaignId(pub u16);

/// The typed part of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A connection (`conn.log`).
    Conn(Conn),
    /// A DNS transaction (`dns.log`).
    Dns(Box<Dns>),
    /// An HTTP transaction (`http.log`).
    Http(Box<Http>),
    /// A TLS session (`ssl.log`).
    Ssl(Box<Ssl>),
    /// An SSH session (`ssh.log`).
    Ssh(Box<Ssh>),
    /// A line of a machine's authentication log.
    Auth(Box<Auth>),
}

impl Body {
    /// The connection that a network record belongs to.
    pub fn conn_id(&self) -> Option<&ConnId> {
        match self {
            Self::Conn(c) => Some(&c.id),
            Self::Dns(d) => Some(&d.id),
            Self::Http(h) => Some(&h.id),
            Self::Ssl(s) => Some(&s.id),
            Self::Ssh(s) => Some(&s.id),
            Self::Auth(_) => None,
        }
    }
}

/// A connection's id: the same in every log that tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    /// The greater part.
    pub high: u64,
    /// The lesser part.
    pub low: u32,
}

impl Uid {
    /// The next id of a stream.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { high: rng.next_u64(), low: rng.next_u64() as u32 }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::with_capacity(24);
        super::writers::line::base62(&mut line, b'C', *self);
        f.write_str(&String::from_utf8_lossy(&line))
    }
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnId {
    /// The connection's id.
    pub uid: Uid,
    /// Who started it.
    pub orig: IpAddr,
    /// Its port; of ICMP the type.
    pub orig_port: u16,
    /// Whom it reached.
    pub resp: IpAddr,
    /// Its port; of ICMP the code.
    pub resp_port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// A connection as Zeek's `conn.log` tells it. `super::conn` makes them and keeps their laws.
#[derive(Clone, Debug, PartialEq)]
pub struct Conn {
    /// Addresses and ports.
    pub id: ConnId,
    /// Application protocol, if one was found.
    pub service: Option<&'static str>,
    /// Seconds from first to last packet; `None` for a single packet.
    pub duration: Option<f64>,
    /// Payload bytes of the originator; `None` for a lone SYN.
    pub orig_bytes: Option<u64>,
    /// Payload bytes of the responder; `None` for a lone SYN.
    pub resp_bytes: Option<u64>,
    /// How it went.
    pub state: ConnState,
    /// What was seen, letter by letter; empty for ICMP.
    pub history: Text,
    /// Packets of the originator.
    pub orig_packets: u64,
    /// Its bytes with IP headers.
    pub orig_ip_bytes: u64,
    /// Packets of the responder.
    pub resp_packets: u64,
    /// Its bytes with IP headers.
    pub resp_ip_bytes: u64,
}

/// A DNS transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// Its connection.
    pub id: ConnId,
    /// The transaction's number.
    pub trans_id: u16,
    /// The name asked for.
    pub query: Text,
    /// Record type.
    pub qtype: QType,
    /// Answer code; `None` when nobody answered.
    pub rcode: Option<RCode>,
    /// Seconds to the answer.
    pub rtt: Option<f64>,
    /// The answer is from the zone's own server.
    pub authoritative: bool,
    /// Answers as text.
    pub answers: Vec<Text>,
    /// Seconds that they may be kept.
    pub ttl: f64,
}

/// DNS record types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QType {
    /// IPv4 address.
    A,
    /// Alias.
    Cname,
    /// Anything at all.
    Null,
    /// Name of an address.
    Ptr,
    /// Mail server.
    Mx,
    /// Text.
    Txt,
    /// IPv6 address.
    Aaaa,
    /// Service.
    Srv,
    /// HTTPS service binding.
    Https,
}

impl QType {
    /// Its number.
    pub const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Cname => 5,
            Self::Null => 10,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Https => 65,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Cname => "CNAME",
            Self::Null => "NULL",
            Self::Ptr => "PTR",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Https => "HTTPS",
        }
    }
}

/// DNS answer codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RCode {
    /// Fine.
    NoError,
    /// The server failed.
    ServFail,
    /// No such name.
    NxDomain,
}

impl RCode {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::ServFail => 2,
            Self::NxDomain => 3,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
        }
    }
}

/// An HTTP request with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Its connection.
    pub id: ConnId,
    /// 1 for the connection's first request.
    pub depth: u32,
    /// `GET`, `POST`.
    pub method: &'static str,
    /// The `Host` header.
    pub host: Text,
    /// Path and query.
    pub uri: String,
    /// The `Referer` header.
    pub referrer: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: &'static str,
    /// Body bytes sent.
    pub request_bytes: u64,
    /// Body bytes answered.
    pub response_bytes: u64,
    /// Status.
    pub status: u16,
    /// Media type of the answer.
    pub mime: Option<&'static str>,
}

/// A TLS session.
#[derive(Clone, Debug, PartialEq)]
pub struct Ssl {
    /// Its connection.
    pub id: ConnId,
    /// `TLSv12` or `TLSv13`.
    pub version: &'static str,
    /// Cipher suite.
    pub cipher: &'static str,
    /// Curve.
    pub curve: &'static str,
    /// Server name indication; `None` when the client sent none.
    pub server_name: Option<Text>,
    /// Resumed from an earlier session.
    pub resumed: bool,
    /// Handshake completed.
    pub established: bool,
    /// ALPN.
    pub next_protocol: Option<&'static str>,
    /// How the chain validated; `None` where it is encrypted or not sent.
    pub validation: Option<&'static str>,
    /// JA3 of the client.
    pub ja3: u128,
    /// JA3S of the server.
    pub ja3s: u128,
}

/// An SSH session.
#[derive(Clone, Debug, PartialEq)]
pub struct Ssh {
    /// Its connection.
    pub id: ConnId,
    /// Authenticated; `None` when the sensor could not tell.
    pub success: Option<bool>,
    /// Attempts seen.
    pub attempts: u32,
    /// Client software.
    pub client: &'static str,
    /// Server software.
    pub server: &'static str,
    /// The server's key.
    pub host_key: u128,
}

/// A line of an authentication log.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// The machine that wrote it.
    pub host: Text,
    /// The process that wrote it.
    pub pid: u32,
    /// The account.
    pub user: Text,
    /// What happened.
    pub event: AuthEvent,
}

/// What an authentication line tells.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthEvent {
    /// sshd refused a password.
    Failed {
        /// Client.
        from: (IpAddr, u16),
        /// The account does not exist.
        invalid: bool,
    },
    /// PAM's line about a refused password.
    PamFailure {
        /// Client.
        from: IpAddr,
        /// The account does not exist.
        invalid: bool,
    },
    /// sshd met an unknown account.
    InvalidUser {
        /// Client.
        from: (IpAddr, u16),
    },
    /// sshd let someone in.
    Accepted {
        /// Client.
        from: (IpAddr, u16),
        /// By key instead of password: the key's fingerprint.
        key: Option<u128>,
    },
    /// The password has expired.
    Expired,
    /// A client left before it was let in.
    Closed {
        /// Client.
        from: (IpAddr, u16),
        /// The account does not exist.
        invalid: bool,
    },
    /// A session began.
    Opened {
        /// `sshd`, `sudo` or `cron`.
        program: &'static str,
        /// The account's number.
        uid: u32,
    },
    /// A session ended.
    Ended {
        /// `sshd`, `sudo` or `cron`.
        program: &'static str,
    },
    /// A command as root.
    Sudo {
        /// The command.
        command: &'static str,
    },
}
