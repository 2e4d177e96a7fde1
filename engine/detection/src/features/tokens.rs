//! The alphabet of event tokens: what kind of thing an entity did, in at most 256 letters a class,
//! so that the sequence model's vocabulary is fixed and small.

use crate::block::Token;
use crate::schema::Schema;
use threat::EventClass;
use threat::event::{Authentication, ConnState, Dns, Flow, Http, Outcome, Protocol, Tls};

/// A part of a token: the column that shows it to a reader, and how many values it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name of the column.
    pub column: &'static str,
    /// Its values are below.
    pub values: Token,
}

const fn part(column: &'static str, values: Token) -> Part {
    Part { column, values }
}

const FLOW: &[Part] = &[part("protocol", 4), part("state", 4), part("port", 16)];
const DNS: &[Part] = &[part("qtype", 8), part("rcode", 4), part("query_length", 4)];
const HTTP: &[Part] = &[part("method", 6), part("status", 6), part("mime", 6)];
const TLS: &[Part] =
    &[part("version", 3), part("established", 3), part("validation", 3), part("port", 4)];
const AUTHENTICATION: &[Part] =
    &[part("activity", 3), part("outcome", 3), part("invalid_user", 2), part("method", 4)];

/// Tokens of flows.
pub const FLOW_TOKENS: u16 = size(FLOW);
/// Tokens of DNS.
pub const DNS_TOKENS: u16 = size(DNS);
/// Tokens of HTTP.
pub const HTTP_TOKENS: u16 = size(HTTP);
/// Tokens of TLS.
pub const TLS_TOKENS: u16 = size(TLS);
/// Tokens of authentications.
pub const AUTHENTICATION_TOKENS: u16 = size(AUTHENTICATION);

/// Tokens that parts make.
const fn size(parts: &[Part]) -> u16 {
    match parts.split_first() {
        Some((first, rest)) => first.values * size(rest),
        None => 1,
    }
}

/// The parts of a schema's tokens, the most significant first; none when its tokens are not those
/// of a class of events.
pub fn parts(schema: &Schema) -> &'static [Part] {
    let class = EventClass::ALL.into_iter().find(|c| c.name() == schema.name);
    let parts = match class {
        Some(EventClass::Flow) => FLOW,
        Some(EventClass::Dns) => DNS,
        Some(EventClass::Http) => HTTP,
        Some(EventClass::Tls) => TLS,
        Some(EventClass::Authentication) => AUTHENTICATION,
        _ => &[],
    };
    if size(parts) == schema.tokens { parts } else { &[] }
}

/// The values of a token's parts, in their order.
pub fn values(parts: &[Part], token: Token) -> Vec<Token> {
    let mut rest = token;
    let mut values: Vec<Token> = Vec::with_capacity(parts.len());
    for part in parts.iter().rev() {
        values.push(rest % part.values);
        rest /= part.values;
    }
    values.reverse();
    values
}

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
    use crate::features::schemas;
    use proptest::prelude::*;
    use threat::event::AuthActivity;

    #[test]
    fn every_part_is_a_column_and_comes_back_out_of_the_token() {
        for class in EventClass::ALL {
            let schema = schemas::of(class);
            let parts = parts(&schema);
            assert_eq!(parts.is_empty(), schema.tokens == 0, "{class:?}");
            for part in parts {
                assert!((0..schema.width()).any(|c| schema.column(c) == part.column), "{part:?}");
            }
            for token in 0..schema.tokens {
                let values = values(parts, token);
                let back = parts.iter().zip(&values).fold(0, |t, (p, v)| t * p.values + v);
                assert_eq!(back, token);
            }
        }
        let udp = Flow { protocol: Protocol::Udp, state: ConnState::S0, ..Flow::default() };
        assert_eq!(values(FLOW, flow(&udp, Some(53))), [1, 1, 1], "protocol, state, port");
        let other = Schema { tokens: 9, ..schemas::of(EventClass::Flow) };
        assert!(super::parts(&other).is_empty());
    }

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
