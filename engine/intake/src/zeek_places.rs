//! Names of Zeek's fields: from (log, field name) to a typed place, and the classic conn columns.
//!
//! Looking a name up is apart from filling its place, so that a table does it once per header.

use crate::zeek::Log;

/// Where a field goes. Which body the names belong to follows from the log that they were found
/// for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum Place {
    Time, Uid, SrcHost, SrcPort, DstHost, DstPort, User, Label, DetailedLabel, Extra,
    // conn
    Protocol, Service, Duration, OrigBytes, RespBytes, ConnState, LocalOrig, LocalResp, Missed,
    History, OrigPackets, OrigIpBytes, RespPackets, RespIpBytes,
    // dns
    Query, Qtype, Rcode, Answers, Rtt, Rejected,
    // http
    Method, HttpHost, Uri, Referrer, UserAgent, Status, RequestBytes, ResponseBytes, Mime,
    // ssl
    Version, Cipher, ServerName, Established, Resumed, Ja3, Subject, Issuer, Validation,
    // ssh
    AuthSuccess, AuthAttempts, Client, Server,
    // notice
    Note, Message, NoticeSrc, NoticeDst, NoticePort,
    // files
    FileMime, FileName, SeenBytes, Carrier, Md5, Sha1, Sha256, TxHosts, RxHosts, ConnUids,
    // weird
    Name, Detail,
}

/// The place of a log's field.
pub(crate) fn place(log: Log, name: &str) -> Place {
    match name {
        "ts" => return Place::Time,
        "uid" => return Place::Uid,
        "id.orig_h" => return Place::SrcHost,
        "id.orig_p" => return Place::SrcPort,
        "id.resp_h" => return Place::DstHost,
        "id.resp_p" => return Place::DstPort,
        "label" => return Place::Label,
        "detailedlabel" | "detailed-label" | "detailed_label" => return Place::DetailedLabel,
        _ => {}
    }
    match log {
        Log::Conn => conn_place(name),
        Log::Dns => match name {
            "query" => Place::Query,
            "qtype_name" => Place::Qtype,
            "rcode_name" => Place::Rcode,
            "answers" => Place::Answers,
            "rtt" => Place::Rtt,
            "rejected" => Place::Rejected,
            _ => Place::Extra,
        },
        Log::Http => match name {
            "method" => Place::Method,
            "host" => Place::HttpHost,
            "uri" => Place::Uri,
            "referrer" => Place::Referrer,
            "user_agent" => Place::UserAgent,
            "status_code" => Place::Status,
            "request_body_len" => Place::RequestBytes,
            "response_body_len" => Place::ResponseBytes,
            "resp_mime_types" => Place::Mime,
            "username" => Place::User,
            _ => Place::Extra,
        },
        _ => other_place(log, name),
    }
}

fn conn_place(name: &str) -> Place {
    match name {
        "proto" => Place::Protocol,
        "service" => Place::Service,
        "duration" => Place::Duration,
        "orig_bytes" => Place::OrigBytes,
        "resp_bytes" => Place::RespBytes,
        "conn_state" => Place::ConnState,
        "local_orig" => Place::LocalOrig,
        "local_resp" => Place::LocalResp,
        "missed_bytes" => Place::Missed,
        "history" => Place::History,
        "orig_pkts" => Place::OrigPackets,
        "orig_ip_bytes" => Place::OrigIpBytes,
        "resp_pkts" => Place::RespPackets,
        "resp_ip_bytes" => Place::RespIpBytes,
        _ => Place::Extra,
    }
}

fn other_place(log: Log, name: &str) -> Place {
    match (log, name) {
        (Log::Ssl, "version") => Place::Version,
        (Log::Ssl, "cipher") => Place::Cipher,
        (Log::Ssl, "server_name") => Place::ServerName,
        (Log::Ssl, "established") => Place::Established,
        (Log::Ssl, "resumed") => Place::Resumed,
        (Log::Ssl, "ja3") => Place::Ja3,
        (Log::Ssl, "subject") => Place::Subject,
        (Log::Ssl, "issuer") => Place::Issuer,
        (Log::Ssl, "validation_status") => Place::Validation,
        (Log::Ssh, "auth_success") => Place::AuthSuccess,
        (Log::Ssh, "auth_attempts") => Place::AuthAttempts,
        (Log::Ssh, "client") => Place::Client,
        (Log::Ssh, "server") => Place::Server,
        (Log::Notice, "note") => Place::Note,
        (Log::Notice, "msg") => Place::Message,
        (Log::Notice, "src") => Place::NoticeSrc,
        (Log::Notice, "dst") => Place::NoticeDst,
        (Log::Notice, "p") => Place::NoticePort,
        (Log::Files, "mime_type") => Place::FileMime,
        (Log::Files, "filename") => Place::FileName,
        (Log::Files, "seen_bytes") => Place::SeenBytes,
        (Log::Files, "source") => Place::Carrier,
        (Log::Files, "md5") => Place::Md5,
        (Log::Files, "sha1") => Place::Sha1,
        (Log::Files, "sha256") => Place::Sha256,
        (Log::Files, "tx_hosts") => Place::TxHosts,
        (Log::Files, "rx_hosts") => Place::RxHosts,
        (Log::Files, "conn_uids") => Place::ConnUids,
        (Log::Weird, "name") => Place::Name,
        (Log::Weird, "addl") => Place::Detail,
        (Log::Other, "user" | "username") => Place::User,
        _ => Place::Extra,
    }
}

/// Columns that Zeek's conn log has had since 2.5, in their order: for files whose header is lost.
pub(crate) const CLASSIC_CONN: [(&str, &str); 21] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("tunnel_parents", "set[string]"),
];
