//! What the fields of Zeek's logs mean: the logs with a typed body, and the filling of that body.
//!
//! Used by the tab-separated and the JSON form and by CSV files with Zeek's columns, so that one
//! log gives one event however it was written. Reading the bytes is not done here.

use crate::error::Error;
use crate::json::{self, Fields, Json};
use crate::record::Draft;
use crate::zeek_places::Place;
use threat::Severity;
use threat::event::{
    AuthActivity, Authentication, Body, ConnState, Dns, Finding, Flow, Http, Outcome, Protocol, Tls,
};

/// The logs with typed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Conn,
    Dns,
    Http,
    Ssl,
    Ssh,
    Notice,
    Files,
    Weird,
    Other,
}

impl Log {
    /// By Zeek's `#path` or `_path`.
    pub(crate) fn of_path(path: &str) -> Self {
        match path {
            "conn" => Self::Conn,
            "dns" => Self::Dns,
            "http" => Self::Http,
            "ssl" => Self::Ssl,
            "ssh" => Self::Ssh,
            "notice" => Self::Notice,
            "files" => Self::Files,
            "weird" => Self::Weird,
            _ => Self::Other,
        }
    }

    /// The path of a typed log; what is not known is called so.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Ssl => "ssl",
            Self::Ssh => "ssh",
            Self::Notice => "notice",
            Self::Files => "files",
            Self::Weird => "weird",
            Self::Other => "unknown",
        }
    }

    /// By the keys that only this log has, for JSON without `_path`.
    pub(crate) fn guess(fields: &Fields<'_>) -> Self {
        let has = |name| json::has(fields, name);
        if has("conn_state") || has("orig_ip_bytes") {
            Self::Conn
        } else if has("note") && (has("msg") || has("actions")) {
            Self::Notice
        } else if has("qtype_name") || (has("query") && (has("qtype") || has("trans_id"))) {
            Self::Dns
        } else if has("auth_attempts") || has("auth_success") || has("kex_alg") {
            Self::Ssh
        } else if has("fuid") && (has("seen_bytes") || has("analyzers") || has("mime_type")) {
            Self::Files
        } else if has("trans_depth")
            && ["method", "uri", "host", "status_code"].map(has).contains(&true)
            || (has("method") && has("uri") && !has("call_id"))
        {
            Self::Http
        } else if has("cipher") || has("established") || (has("server_name") && has("resumed")) {
            Self::Ssl
        } else if has("name") && has("notice") {
            Self::Weird
        } else {
            Self::Other
        }
    }

    fn body(self) -> Body {
        match self {
            Self::Conn => Body::Flow(Flow::default()),
            Self::Dns => Body::Dns(Box::default()),
            Self::Http => Body::Http(Box::default()),
            Self::Ssl => Body::Tls(Box::default()),
            Self::Ssh => Body::Authentication(Box::new(Authentication {
                activity: AuthActivity::Logon,
                service: Some("ssh".into()),
                attempts: 1,
                ..Authentication::default()
            })),
            // a notice is Zeek's word for what may interest someone, not yet for an attack
            Self::Notice => {
                Body::Finding(Box::new(Finding { severity: Severity::Low, ..Finding::default() }))
            }
            Self::Files => Body::File(Box::default()),
            Self::Weird => Body::Anomaly(Box::default()),
            Self::Other => Body::Generic,
        }
    }

    pub(crate) fn draft(self) -> Draft {
        Draft::new(self.body())
    }
}

/// Puts a present field into its place. `name` is used when it turns out that the value must be
/// kept untyped (a state or protocol that we have no name for, the second of several hosts).
pub(crate) fn assign(d: &mut Draft, p: Place, name: &str, v: Json<'_>) -> Result<(), Error> {
    d.typed += 1;
    match p {
        Place::Time => d.time = Some(v.time(0)?),
        Place::Uid => d.uid = v.text(),
        Place::SrcHost => d.src_host = v.host(),
        Place::SrcPort => d.src_port = v.port()?,
        Place::DstHost => d.dst_host = v.host(),
        Place::DstPort => d.dst_port = v.port()?,
        Place::User => d.user = v.text(),
        Place::Label => d.label = v.text(),
        Place::DetailedLabel => d.detailed_label = v.text(),
        Place::Extra => {
            d.typed -= 1;
            d.keep(name, v);
        }
        _ => match &mut d.body {
            Body::Flow(flow) => {
                if let Some(v) = flow_field(flow, p, v)? {
                    d.keep(name, v);
                }
            }
            Body::Dns(dns) => dns_field(dns, p, v)?,
            Body::Http(http) => {
                if let Some(v) = http_field(http, p, v)? {
                    d.keep(name, v);
                }
            }
            Body::Tls(tls) => tls_field(tls, p, v)?,
            _ => rarer_field(d, p, name, v)?,
        },
    }
    Ok(())
}

/// Gives back what has no exact typed form.
fn flow_field<'a>(f: &mut Flow, p: Place, v: Json<'a>) -> Result<Option<Json<'a>>, Error> {
    match p {
        Place::Protocol => {
            let text = v.as_str().unwrap_or_default();
            f.protocol = Protocol::parse(text);
            if f.protocol == Protocol::Other && text != Protocol::Other.name() {
                return Ok(Some(v));
            }
        }
        Place::Service => f.service = v.text(),
        Place::Duration => f.duration = v.amount()?,
        Place::OrigBytes => f.orig_bytes = v.count()?,
        Place::RespBytes => f.resp_bytes = v.count()?,
        Place::ConnState => match v.as_str().and_then(ConnState::parse) {
            Some(state) => f.state = state,
            None => return Ok(Some(v)),
        },
        Place::LocalOrig => f.local_orig = v.flag()?,
        Place::LocalResp => f.local_resp = v.flag()?,
        Place::Missed => f.missed_bytes = v.count()?,
        Place::History => f.history = v.text(),
        Place::OrigPackets => f.orig_packets = v.count()?,
        Place::OrigIpBytes => f.orig_ip_bytes = v.count()?,
        Place::RespPackets => f.resp_packets = v.count()?,
        Place::RespIpBytes => f.resp_ip_bytes = v.count()?,
        _ => return Ok(Some(v)),
    }
    Ok(None)
}

fn dns_field(d: &mut Dns, p: Place, v: Json<'_>) -> Result<(), Error> {
    match p {
        Place::Query => d.query = v.text(),
        Place::Qtype => d.qtype = v.text(),
        Place::Rcode => d.rcode = v.text(),
        Place::Answers => d.answers = v.texts(),
        Place::Rtt => d.rtt = v.amount()?,
        _ => d.rejected = v.flag()?,
    }
    Ok(())
}

/// Gives back what has no exact typed form.
fn http_field<'a>(h: &mut Http, p: Place, v: Json<'a>) -> Result<Option<Json<'a>>, Error> {
    match p {
        Place::Method => h.method = v.text(),
        Place::HttpHost => h.host = v.text(),
        Place::Uri => h.uri = v.text(),
        Place::Referrer => h.referrer = v.text(),
        Place::UserAgent => h.user_agent = v.text(),
        Place::Status => match v.count()?.map(u16::try_from) {
            Some(Ok(status)) => h.status = Some(status),
            _ => return Ok(Some(v)),
        },
        Place::RequestBytes => h.request_bytes = v.count()?,
        Place::ResponseBytes => h.response_bytes = v.count()?,
        _ => {
            let mut all = v.texts();
            if all.len() > 1 {
                h.mime = Some(all.swap_remove(0));
                return Ok(Some(v));
            }
            h.mime = all.pop();
        }
    }
    Ok(None)
}

fn tls_field(t: &mut Tls, p: Place, v: Json<'_>) -> Result<(), Error> {
    match p {
        Place::Version => t.version = v.text(),
        Place::Cipher => t.cipher = v.text(),
        Place::ServerName => t.server_name = v.text(),
        Place::Established => t.established = v.flag()?,
        Place::Resumed => t.resumed = v.flag()?,
        Place::Ja3 => t.ja3 = v.text(),
        Place::Subject => t.subject = v.text(),
        Place::Issuer => t.issuer = v.text(),
        _ => t.validation = v.text(),
    }
    Ok(())
}

/// The bodies of ssh, notice, files and weird.
fn rarer_field(d: &mut Draft, p: Place, name: &str, v: Json<'_>) -> Result<(), Error> {
    match (&mut d.body, p) {
        (Body::Authentication(a), Place::AuthSuccess) => {
            a.outcome = match v.flag()? {
                Some(true) => Outcome::Success,
                Some(false) => Outcome::Failure,
                None => Outcome::Unknown,
            };
        }
        (Body::Authentication(a), Place::AuthAttempts) => match v.count()? {
            Some(n) if n > 0 => a.attempts = u32::try_from(n).unwrap_or(u32::MAX),
            // none seen, yet the record stands for one try to connect
            _ => d.keep(name, v),
        },
        (Body::Authentication(a), Place::Client) => a.client = v.text(),
        (Body::Authentication(a), Place::Server) => a.server = v.text(),
        (Body::Finding(f), Place::Note) => f.name = v.text().unwrap_or_default(),
        (Body::Finding(f), Place::Message) => f.message = v.text(),
        (Body::File(f), Place::FileMime) => f.mime = v.text(),
        (Body::File(f), Place::FileName) => f.name = v.text(),
        (Body::File(f), Place::SeenBytes) => f.bytes = v.count()?,
        (Body::File(f), Place::Carrier) => f.source = v.text(),
        (Body::File(f), Place::Md5) => f.md5 = v.text(),
        (Body::File(f), Place::Sha1) => f.sha1 = v.text(),
        (Body::File(f), Place::Sha256) => f.sha256 = v.text(),
        (Body::Anomaly(a), Place::Name) => a.name = v.text().unwrap_or_default(),
        (Body::Anomaly(a), Place::Detail) => a.detail = v.text(),
        (_, Place::NoticeSrc | Place::NoticeDst | Place::NoticePort) => {
            notice_endpoint(d, p, name, v)?;
        }
        (_, Place::TxHosts | Place::RxHosts | Place::ConnUids) => several(d, p, name, v),
        _ => d.keep(name, v),
    }
    Ok(())
}

/// A notice's own addresses: they stand in for a missing connection, and are kept when they
/// differ.
fn notice_endpoint(d: &mut Draft, p: Place, name: &str, v: Json<'_>) -> Result<(), Error> {
    let fits = match p {
        Place::NoticeSrc => first_or_same(&mut d.src_host, v.host()),
        Place::NoticeDst => first_or_same(&mut d.dst_host, v.host()),
        _ => first_or_same(&mut d.dst_port, v.port()?),
    };
    if !fits {
        d.keep(name, v);
    }
    Ok(())
}

fn first_or_same<T: PartialEq>(place: &mut Option<T>, found: Option<T>) -> bool {
    match (place.as_ref(), found) {
        (None, found) => {
            *place = found;
            true
        }
        (Some(known), Some(found)) => *known == found,
        (Some(_), None) => true,
    }
}

/// Sets of hosts or connections: the first stands in for a missing one, several are kept.
fn several(d: &mut Draft, p: Place, name: &str, v: Json<'_>) {
    let all = v.texts();
    let first = all.first();
    let used = match p {
        Place::ConnUids => first_or_same(&mut d.uid, first.cloned()),
        Place::TxHosts => first_or_same(&mut d.src_host, first.map(|t| threat::Host::parse(t))),
        _ => first_or_same(&mut d.dst_host, first.map(|t| threat::Host::parse(t))),
    };
    if !used || all.len() > 1 {
        d.keep(name, v);
    }
}
