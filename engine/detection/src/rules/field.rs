//! Field names of the common schemas and the typed field of an event that each means.
//!
//! Zeek, Suricata EVE, OCSF, ECS and Sigma's generic taxonomies name the same things differently; a
//! rule may use any of them. Names are resolved once, when a rule is loaded ([`Field::parse`]).
//! What has no typed place is looked up in the event's untyped fields by its exact name; that, and
//! how a value is fetched, is in `event_view`.

use super::field_names::NAMES;
use super::window_fields::{WINDOW_PREFIX, WindowField};

/// A typed field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Typed {
    /// The source's address or name.
    SrcHost,
    /// The source's port.
    SrcPort,
    /// The destination's address or name.
    DstHost,
    /// The destination's port.
    DstPort,
    /// Transport protocol, lower case.
    Protocol,
    /// Application protocol of a flow, or the service that authenticated.
    Service,
    /// Zeek's connection state.
    ConnState,
    /// Seconds of a flow.
    Duration,
    /// Payload bytes from the originator.
    OrigBytes,
    /// Payload bytes from the responder.
    RespBytes,
    /// Packets from the originator.
    OrigPackets,
    /// Packets from the responder.
    RespPackets,
    /// Wire bytes from the originator.
    OrigIpBytes,
    /// Wire bytes from the responder.
    RespIpBytes,
    /// Bytes that the sensor missed.
    MissedBytes,
    /// Zeek's history letters.
    History,
    /// The originator is inside, as the sensor says.
    LocalOrig,
    /// The responder is inside, as the sensor says.
    LocalResp,
    /// The DNS name asked for.
    Query,
    /// DNS record type.
    QueryType,
    /// DNS answer code.
    ResponseCode,
    /// DNS answers, a list.
    Answers,
    /// Seconds from DNS query to answer.
    RoundTrip,
    /// The DNS server refused.
    Rejected,
    /// HTTP method.
    Method,
    /// HTTP host header.
    HttpHost,
    /// HTTP path and query.
    Uri,
    /// HTTP path before the question mark.
    UriStem,
    /// HTTP query after the question mark.
    UriQuery,
    /// HTTP referrer.
    Referrer,
    /// HTTP user agent.
    UserAgent,
    /// HTTP status.
    HttpStatus,
    /// HTTP body bytes sent.
    RequestBytes,
    /// HTTP body bytes answered.
    ResponseBytes,
    /// Media type of an HTTP answer or a file.
    Mime,
    /// TLS version.
    TlsVersion,
    /// TLS cipher suite.
    Cipher,
    /// TLS server name.
    ServerName,
    /// TLS handshake completed.
    Established,
    /// TLS session resumed.
    Resumed,
    /// JA3 of the client.
    Ja3,
    /// Certificate subject.
    Subject,
    /// Certificate issuer.
    Issuer,
    /// How the certificate chain validated.
    Validation,
    /// True, false, or absent when not told.
    AuthSuccess,
    /// `success` or `failure` of an authentication.
    Status,
    /// How was authenticated.
    AuthMethod,
    /// The account does not exist.
    InvalidUser,
    /// Attempts that the record stands for.
    Attempts,
    /// `logon`, `logoff` or `switch`.
    Activity,
    /// Client software.
    Client,
    /// Server software.
    Server,
    /// Signature or notice name.
    FindingName,
    /// Classification of another product's alert.
    FindingCategory,
    /// Signature id.
    FindingRuleId,
    /// Suricata's scale, 1 worst: from ours where the record does not hold it.
    AlertSeverity,
    /// OCSF severity of another product's alert, 1 to 5.
    SeverityId,
    /// OCSF caption of that severity, lower case not enforced.
    SeverityName,
    /// A finding's message, else the whole record.
    Message,
    /// What the product did.
    Action,
    /// File name.
    FileName,
    /// Bytes of the file.
    FileBytes,
    /// Protocol that carried the file.
    FileSource,
    /// MD5 in hex.
    Md5,
    /// SHA-1 in hex.
    Sha1,
    /// SHA-256 in hex.
    Sha256,
    /// Name of a protocol oddity.
    OddityName,
    /// More about it.
    OddityDetail,
    /// The account.
    User,
    /// The sensor's id of the record.
    Uid,
    /// Short name of the event class.
    Class,
    /// OCSF class number.
    ClassUid,
    /// Product that wrote the record.
    Product,
    /// Log of the product.
    LogService,
    /// The source is an internal host.
    SrcInternal,
    /// The destination is an internal host.
    DstInternal,
}

impl Typed {
    /// Every field with its plainest name, in which an event is written out.
    pub const CANONICAL: &[(Self, &str)] = &[
        (Self::SrcHost, "src_ip"),
        (Self::SrcPort, "src_port"),
        (Self::DstHost, "dst_ip"),
        (Self::DstPort, "dst_port"),
        (Self::Protocol, "proto"),
        (Self::Service, "service"),
        (Self::ConnState, "conn_state"),
        (Self::Duration, "duration"),
        (Self::OrigBytes, "orig_bytes"),
        (Self::RespBytes, "resp_bytes"),
        (Self::OrigPackets, "orig_pkts"),
        (Self::RespPackets, "resp_pkts"),
        (Self::OrigIpBytes, "orig_ip_bytes"),
        (Self::RespIpBytes, "resp_ip_bytes"),
        (Self::MissedBytes, "missed_bytes"),
        (Self::History, "history"),
        (Self::LocalOrig, "local_orig"),
        (Self::LocalResp, "local_resp"),
        (Self::Query, "query"),
        (Self::QueryType, "qtype_name"),
        (Self::ResponseCode, "rcode_name"),
        (Self::Answers, "answers"),
        (Self::RoundTrip, "rtt"),
        (Self::Rejected, "rejected"),
        (Self::Method, "method"),
        (Self::HttpHost, "host"),
        (Self::Uri, "uri"),
        (Self::UriStem, "cs-uri-stem"),
        (Self::UriQuery, "c-uri-query"),
        (Self::Referrer, "referrer"),
        (Self::UserAgent, "user_agent"),
        (Self::HttpStatus, "status_code"),
        (Self::RequestBytes, "request_body_len"),
        (Self::ResponseBytes, "response_body_len"),
        (Self::Mime, "mime_type"),
        (Self::TlsVersion, "version"),
        (Self::Cipher, "cipher"),
        (Self::ServerName, "server_name"),
        (Self::Established, "established"),
        (Self::Resumed, "resumed"),
        (Self::Ja3, "ja3"),
        (Self::Subject, "subject"),
        (Self::Issuer, "issuer"),
        (Self::Validation, "validation_status"),
        (Self::AuthSuccess, "auth_success"),
        (Self::Status, "status"),
        (Self::AuthMethod, "auth_method"),
        (Self::InvalidUser, "invalid_user"),
        (Self::Attempts, "auth_attempts"),
        (Self::Activity, "activity"),
        (Self::Client, "client"),
        (Self::Server, "server"),
        (Self::FindingName, "signature"),
        (Self::FindingCategory, "classification"),
        (Self::FindingRuleId, "signature_id"),
        (Self::AlertSeverity, "alert.severity"),
        (Self::SeverityId, "severity_id"),
        (Self::SeverityName, "severity"),
        (Self::Message, "message"),
        (Self::Action, "action"),
        (Self::FileName, "filename"),
        (Self::FileBytes, "seen_bytes"),
        (Self::FileSource, "source"),
        (Self::Md5, "md5"),
        (Self::Sha1, "sha1"),
        (Self::Sha256, "sha256"),
        (Self::OddityName, "name"),
        (Self::OddityDetail, "addl"),
        (Self::User, "user"),
        (Self::Uid, "uid"),
        (Self::Class, "class"),
        (Self::ClassUid, "class_uid"),
        (Self::Product, "product"),
        (Self::LogService, "log"),
        (Self::SrcInternal, "src_internal"),
        (Self::DstInternal, "dst_internal"),
    ];
}

/// What a field name in a rule stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A number of the event's recent past.
    Window(WindowField),
    /// A typed field, or an untyped one of that name where the event's kind has no such field.
    Typed(Typed),
    /// An untyped field.
    Other,
}

impl Field {
    /// What `path` means. Never fails: an unknown name is an untyped field.
    pub fn parse(path: &str) -> Self {
        if let Some(name) = path.strip_prefix(WINDOW_PREFIX) {
            return WindowField::parse(name).map_or(Self::Other, Self::Window);
        }
        match NAMES.binary_search_by(|(name, _)| (*name).cmp(path)) {
            Ok(i) => Self::Typed(NAMES[i].1),
            Err(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_canonical_ones_resolve() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        for (i, &(typed, name)) in Typed::CANONICAL.iter().enumerate() {
            assert_eq!(typed as usize, i);
            assert_eq!(Field::parse(name), Field::Typed(typed), "{name}");
        }
    }

    #[test]
    fn dialects_meet() {
        for name in ["id.orig_h", "src_ip", "src_endpoint.ip", "source.ip"] {
            assert_eq!(Field::parse(name), Field::Typed(Typed::SrcHost));
        }
        assert_eq!(Field::parse("window.pair.count"), Field::Window(WindowField::PairCount));
        assert_eq!(Field::parse("window.nothing"), Field::Other);
        assert_eq!(Field::parse("CommandLine"), Field::Other);
    }
}
