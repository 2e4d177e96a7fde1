//! The alphabet of event tokens: what kind of thing an entity did, in at most 256 letters a class,
//! so that the sequence model's vocabulary is fixed and small.

use crate::block::Token;
use threat::event::{Authentication, ConnState, Dns, Flow, Http, Outcome, Protocol, Tls};

/// Tokens of flows: 4 protocols x 4 states x 16 ports.
pub const FLOW_TOKENS: u16 = 256;
/// Tokens of DNS: 8 types x 4 answers x 4 lengths.
pub const DNS_TOKENS: u16 = 128;
/// Tokens of HTTP: 6 methods x 6 answers x 6 media.
pub const HTTP_TOKENS: u16 = 216;
/// Tokens of TLS: 3 versions x 3 outcomes x 3 validations x 4 ports.
pub const TLS_TOKENS: u16 = 108;
/// Tokens of authentications: 3 activities x 3 outcomes x 2 kinds of account x 4 methods.
pub const AUTHENTICATION_TOKENS: u16 = 72;

/// Class of a responder's port: exact for the ones that everybody uses, else well-known, registered
/// or high.
pub fn port_class(port: Option<u16>) -> u16 {
    match port {
        None | Some(0) => 0,
        Some(53) => 1,
        Some(80 | 8080) => 2,
        Some(443) => 3,
        Some(22) => 4,
        Some(123) => 5,
        Some(25 | 465 | 587) => 6,
        Some(135 | 139 | 445) => 7,
        Some(3389 | 5900) => 8,
        Some(67 | 68 | 546 | 547) => 9,
        Some(137 | 138 | 1900 | 5353 | 5355) => 10,
        Some(88 | 389 | 636) => 11,
        Some(23 | 2323) => 12,
        Some(p) if p < 1_024 => 13,
        Some(p) if p < 32_768 => 14,
        Some(_) => 15,
    }
}

/// The token of a flow.
pub fn flow(flow: &Flow, port: Option<u16>) -> Token {
    let protocol = match flow.protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => 1,
        Protocol::Icmp => 2,
        Protocol::Other => 3,
    };
    let state = match flow.state {
        ConnState::SF | ConnState::S1 | ConnState::S2 | ConnState::S3 => 0,
        ConnState::S0 => 1,
        ConnState::OTH => 3,
        _ => 2,
    };
    (protocol * 4 + state) * 16 + port_class(port)
}

fn place(text: Option<&str>, known: &[&str]) -> u16 {
    match text {
        None => 0,
        Some(t) => known
            .iter()
            .position(|k| t.eq_ignore_ascii_case(k))
            .map_or(known.len() as u16 + 1, |i| i as u16 + 1),
    }
}

/// The token of a DNS query.
pub fn dns(dns: &Dns) -> Token {
    let qtype = place(dns.qtype.as_deref(), &["A", "AAAA", "PTR", "TXT", "SRV", "CNAME"]);
    let rcode = place(dns.rcode.as_deref(), &["NOERROR", "NXDOMAIN"]);
    let length = match dns.query.as_ref().map_or(0, |q| q.len()) {
        0..=12 => 0,
        13..=30 => 1,
        31..=60 => 2,
        _ => 3,
    };
    (qtype * 4 + rcode) * 4 + length
}

/// The token of an HTTP request.
pub fn http(http: &Http) -> Token {
    let method = place(http.method.as_deref(), &["GET", "POST", "HEAD", "PUT"]);
    let status = http.status.map_or(0, |s| (s / 100).clamp(1, 5));
    let mime = http.mime.as_deref().map_or(0, |m| {
        1 + ["text/", "image/", "application/json", "application/"]
            .iter()
            .position(|p| m.starts_with(p))
            .unwrap_or(4) as u16
    });
    (method * 6 + status) * 6 + mime
}

/// The token of a TLS session.
pub fn tls(tls: &Tls, port: Option<u16>) -> Token {
    let version = match tls.version.as_deref() {
        None => 0,
        Some(v) if v.ends_with('2') || v.ends_with('3') => 1,
        Some(_) => 2,
    };
    let outcome = match tls.established {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    };
    let validation = match tls.validation.as_deref() {
        None => 0,
        Some("ok") => 1,
        Some(_) => 2,
    };
    let port = match port {
        Some(443) => 0,
        Some(p) if p < 1_024 => 1,
        Some(p) if p < 32_768 => 2,
        _ => 3,
    };
    ((version * 3 + outcome) * 3 + validation) * 4 + port
}

/// The token of an authentication.
pub fn authentication(auth: &Authentication) -> Token {
    let outcome = match auth.outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Unknown => 2,
    };
    let method = match auth.method.as_deref() {
        None => 0,
        Some("password") => 1,
        Some("publickey") => 2,
        Some(_) => 3,
    };
    ((auth.activity as u16 * 3 + outcome) * 2 + u16::from(auth.invalid_user)) * 4 + method
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use threat::event::AuthActivity;

    proptest! {
        #[test]
        fn tokens_stay_in_their_alphabets(
            port: Option<u16>, text: Option<String>, status: Option<u16>, flag: Option<bool>,
            state in 0usize..13, proto in 0usize..4, pick in 0usize..3,
        ) {
            let t = text.map(threat::Text::from);
            let f = Flow {
                state: ConnState::ALL[state],
                protocol: [Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Other][proto],
                ..Flow::default()
            };
            prop_assert!(flow(&f, port) < FLOW_TOKENS);
            let d = Dns { query: t.clone(), qtype: t.clone(), rcode: t.clone(), ..Dns::default() };
            prop_assert!(dns(&d) < DNS_TOKENS);
            let h = Http { method: t.clone(), status, mime: t.clone(), ..Http::default() };
            prop_assert!(http(&h) < HTTP_TOKENS);
            let s = Tls {
                version: t.clone(),
                established: flag,
                validation: t.clone(),
                ..Tls::default()
            };
            prop_assert!(tls(&s, port) < TLS_TOKENS);
            let a = Authentication {
                activity: [AuthActivity::Logon, AuthActivity::Logoff, AuthActivity::Switch][pick],
                outcome: [Outcome::Success, Outcome::Failure, Outcome::Unknown][pick],
                invalid_user: flag.unwrap_or_default(),
                method: t,
                ..Authentication::default()
            };
            prop_assert!(authentication(&a) < AUTHENTICATION_TOKENS);
        }
    }
}
