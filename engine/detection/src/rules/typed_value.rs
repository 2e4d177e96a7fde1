//! The value of each typed field of an event; `None` where the event's kind has no such field or
//! the record did not tell.

use super::event_view::EventView;
use super::field::Typed;
use rsigma_eval::EventValue;
use std::borrow::Cow;
use threat::event::Outcome;
use threat::event::{AuthActivity, Authentication, Dns, FileSeen, Finding, Flow, Http, Tls};
use threat::{Body, Severity, Text};

fn text(t: &str) -> Option<EventValue<'_>> {
    Some(EventValue::Str(Cow::Borrowed(t)))
}

fn maybe(t: Option<&Text>) -> Option<EventValue<'_>> {
    t.and_then(|t| text(t))
}

fn count(n: Option<u64>) -> Option<EventValue<'static>> {
    n.map(|n| EventValue::Int(i64::try_from(n).unwrap_or(i64::MAX)))
}

fn flag(b: Option<bool>) -> Option<EventValue<'static>> {
    b.map(EventValue::Bool)
}

/// The value of a typed field.
pub(super) fn typed_value<'v>(view: &'v EventView<'_>, typed: Typed) -> Option<EventValue<'v>> {
    let event = view.event();
    let port = |side: Option<&threat::Endpoint>| {
        side.and_then(|s| s.port).map(|p| EventValue::Int(i64::from(p)))
    };
    let internal = |side: Option<&threat::Endpoint>| flag(side.map(|s| s.host.is_internal()));
    match typed {
        Typed::SrcHost => view.src_text(),
        Typed::DstHost => view.dst_text(),
        Typed::SrcPort => port(event.src.as_ref()),
        Typed::DstPort => port(event.dst.as_ref()),
        Typed::SrcInternal => internal(event.src.as_ref()),
        Typed::DstInternal => internal(event.dst.as_ref()),
        Typed::User => maybe(event.user.as_ref()),
        Typed::Uid => maybe(event.uid.as_ref()),
        Typed::Class => text(event.class().name()),
        Typed::ClassUid => Some(EventValue::Int(i64::from(event.class().class_uid()))),
        Typed::Product => text(&event.origin.product),
        Typed::LogService => text(&event.origin.service),
        _ => match &event.body {
            Body::Flow(flow) => of_flow(flow, typed),
            Body::Http(http) => of_http(http, typed),
            Body::Dns(dns) => of_dns(dns, typed),
            Body::Tls(tls) => of_tls(tls, typed),
            Body::Authentication(auth) => of_authentication(auth, typed),
            Body::Finding(finding) => of_finding(finding, typed),
            Body::File(file) => of_file(file, typed),
            Body::Anomaly(oddity) => match typed {
                Typed::OddityName => text(&oddity.name),
                Typed::OddityDetail => maybe(oddity.detail.as_ref()),
                _ => None,
            },
            Body::Generic => None,
        },
    }
}

fn of_flow(flow: &Flow, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::Protocol => text(flow.protocol.name()),
        Typed::Service => maybe(flow.service.as_ref()),
        Typed::ConnState => text(flow.state.name()),
        Typed::Duration => flow.duration.map(EventValue::Float),
        Typed::OrigBytes => count(flow.orig_bytes),
        Typed::RespBytes => count(flow.resp_bytes),
        Typed::OrigPackets => count(flow.orig_packets),
        Typed::RespPackets => count(flow.resp_packets),
        Typed::OrigIpBytes => count(flow.orig_ip_bytes),
        Typed::RespIpBytes => count(flow.resp_ip_bytes),
        Typed::MissedBytes => count(flow.missed_bytes),
        Typed::History => maybe(flow.history.as_ref()),
        Typed::LocalOrig => flag(flow.local_orig),
        Typed::LocalResp => flag(flow.local_resp),
        _ => None,
    }
}

fn of_http(http: &Http, typed: Typed) -> Option<EventValue<'_>> {
    let split = || http.uri.as_ref().map(|u| u.split_once('?').unwrap_or((u, "")));
    match typed {
        Typed::Method => maybe(http.method.as_ref()),
        Typed::HttpHost => maybe(http.host.as_ref()),
        Typed::Uri => maybe(http.uri.as_ref()),
        Typed::UriStem => split().and_then(|(stem, _)| text(stem)),
        Typed::UriQuery => split().and_then(|(_, query)| text(query)),
        Typed::Referrer => maybe(http.referrer.as_ref()),
        Typed::UserAgent => maybe(http.user_agent.as_ref()),
        Typed::HttpStatus => http.status.map(|s| EventValue::Int(i64::from(s))),
        Typed::RequestBytes => count(http.request_bytes),
        Typed::ResponseBytes => count(http.response_bytes),
        Typed::Mime => maybe(http.mime.as_ref()),
        _ => None,
    }
}

fn of_dns(dns: &Dns, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::Query => maybe(dns.query.as_ref()),
        Typed::QueryType => maybe(dns.qtype.as_ref()),
        Typed::ResponseCode => maybe(dns.rcode.as_ref()),
        Typed::RoundTrip => dns.rtt.map(EventValue::Float),
        Typed::Rejected => flag(dns.rejected),
        Typed::Answers if dns.answers.is_empty() => None,
        Typed::Answers => {
            Some(EventValue::Array(dns.answers.iter().filter_map(|a| text(a)).collect()))
        }
        _ => None,
    }
}

fn of_tls(tls: &Tls, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::TlsVersion => maybe(tls.version.as_ref()),
        Typed::Cipher => maybe(tls.cipher.as_ref()),
        Typed::ServerName => maybe(tls.server_name.as_ref()),
        Typed::Established => flag(tls.established),
        Typed::Resumed => flag(tls.resumed),
        Typed::Ja3 => maybe(tls.ja3.as_ref()),
        Typed::Subject => maybe(tls.subject.as_ref()),
        Typed::Issuer => maybe(tls.issuer.as_ref()),
        Typed::Validation => maybe(tls.validation.as_ref()),
        _ => None,
    }
}

fn of_authentication(auth: &Authentication, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::AuthSuccess => match auth.outcome {
            Outcome::Success => flag(Some(true)),
            Outcome::Failure => flag(Some(false)),
            Outcome::Unknown => None,
        },
        Typed::Status => text(auth.outcome.name()),
        Typed::Service => maybe(auth.service.as_ref()),
        Typed::AuthMethod => maybe(auth.method.as_ref()),
        Typed::InvalidUser => flag(Some(auth.invalid_user)),
        Typed::Attempts => count(Some(u64::from(auth.attempts))),
        Typed::Activity => text(match auth.activity {
            AuthActivity::Logon => "logon",
            AuthActivity::Logoff => "logoff",
            AuthActivity::Switch => "switch",
        }),
        Typed::Client => maybe(auth.client.as_ref()),
        Typed::Server => maybe(auth.server.as_ref()),
        _ => None,
    }
}

fn of_finding(finding: &Finding, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::FindingName => text(&finding.name),
        Typed::FindingCategory => maybe(finding.category.as_ref()),
        Typed::FindingRuleId => maybe(finding.rule_id.as_ref()),
        Typed::AlertSeverity => Some(EventValue::Int(match finding.severity {
            Severity::Critical | Severity::High => 1,
            Severity::Medium => 2,
            Severity::Low => 3,
            Severity::Informational => 4,
        })),
        Typed::SeverityId => Some(EventValue::Int(i64::from(finding.severity.id()))),
        Typed::SeverityName => text(finding.severity.name()),
        Typed::Message => maybe(finding.message.as_ref()),
        Typed::Action => maybe(finding.action.as_ref()),
        _ => None,
    }
}

fn of_file(file: &FileSeen, typed: Typed) -> Option<EventValue<'_>> {
    match typed {
        Typed::Mime => maybe(file.mime.as_ref()),
        Typed::FileName => maybe(file.name.as_ref()),
        Typed::FileBytes => count(file.bytes),
        Typed::FileSource => maybe(file.source.as_ref()),
        Typed::Md5 => maybe(file.md5.as_ref()),
        Typed::Sha1 => maybe(file.sha1.as_ref()),
        Typed::Sha256 => maybe(file.sha256.as_ref()),
        _ => None,
    }
}
