//! Any event: every body with every optional field there or not, odd names, extreme numbers.

use proptest::prelude::*;
use threat::event::{
    AuthActivity, Authentication, Body, ConnState, Dns, Endpoint, FileSeen, Finding, Flow, Http,
    Oddity, Origin, Outcome, Protocol, Tls, Value,
};
use threat::{Event, Host, Severity, Text, Timestamp};

fn text() -> impl Strategy<Value = Text> {
    prop_oneof!["[a-z]{1,8}", "\\PC{1,12}", Just("watchfire".to_owned()), Just("a.b".to_owned())]
        .prop_map(Text::from)
}

fn some<T: Clone + std::fmt::Debug + 'static>(
    inner: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    proptest::option::of(inner).boxed()
}

fn amount() -> BoxedStrategy<Option<f64>> {
    some(prop_oneof![0.0..1e6f64, Just(0.0), Just(1.5e-7), Just(1e300)])
}

fn count() -> BoxedStrategy<Option<u64>> {
    some(prop_oneof![any::<u64>(), 0..5_000u64])
}

fn endpoint() -> BoxedStrategy<Option<Endpoint>> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|b| Host::Ip(b.into())),
        any::<[u8; 16]>().prop_map(|b| Host::Ip(b.into())),
        text().prop_map(|t| Host::parse(&t)),
    ];
    some((host, some(any::<u16>())).prop_map(|(host, port)| Endpoint { host, port }))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop_oneof![-1e9..1e9f64, Just(1.0), Just(-0.0), Just(5e-324)].prop_map(Value::Float),
        prop_oneof![text(), Just(Text::default())].prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(text(), inner, 0..4)
                .prop_map(|m| Value::Map(m.into_iter().collect())),
        ]
    })
}

fn flow() -> BoxedStrategy<Body> {
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Other];
    let kind =
        (prop::sample::select(protocols.to_vec()), prop::sample::select(&ConnState::ALL[..]));
    let texts = (some(text()), some(text()));
    let counts = (count(), count(), count(), count(), count(), count(), count());
    let flags = (some(any::<bool>()), some(any::<bool>()));
    (kind, texts, amount(), counts, flags)
        .prop_map(
            |((protocol, state), (service, history), duration, c, (local_orig, local_resp))| {
                Body::Flow(Flow {
                    protocol,
                    service,
                    state,
                    duration,
                    orig_bytes: c.0,
                    resp_bytes: c.1,
                    orig_packets: c.2,
                    resp_packets: c.3,
                    orig_ip_bytes: c.4,
                    resp_ip_bytes: c.5,
                    missed_bytes: c.6,
                    history,
                    local_orig,
                    local_resp,
                })
            },
        )
        .boxed()
}

fn web() -> BoxedStrategy<Body> {
    let t = || some(text());
    let http = ((t(), t(), t(), t(), t(), t()), some(any::<u16>()), count(), count()).prop_map(
        |((method, host, uri, referrer, user_agent, mime), status, a, b)| {
            let (request_bytes, response_bytes) = (a, b);
            Body::Http(Box::new(Http {
                method,
                host,
                uri,
                referrer,
                user_agent,
                status,
                request_bytes,
                response_bytes,
                mime,
            }))
        },
    );
    let answers = proptest::collection::vec(text(), 0..4);
    let dns = (t(), t(), t(), answers, amount(), some(any::<bool>())).prop_map(
        |(query, qtype, rcode, answers, rtt, rejected)| {
            Body::Dns(Box::new(Dns { query, qtype, rcode, answers, rtt, rejected }))
        },
    );
    let flags = (some(any::<bool>()), some(any::<bool>()));
    let tls =
        ((t(), t(), t(), t(), t(), t(), t()), flags).prop_map(|(x, (established, resumed))| {
            Body::Tls(Box::new(Tls {
                version: x.0,
                cipher: x.1,
                server_name: x.2,
                established,
                resumed,
                ja3: x.3,
                subject: x.4,
                issuer: x.5,
                validation: x.6,
            }))
        });
    prop_oneof![http, dns, tls].boxed()
}

fn other() -> BoxedStrategy<Body> {
    let t = || some(text());
    let name = || prop_oneof![text(), Just(Text::default())];
    let activities = [AuthActivity::Logon, AuthActivity::Logoff, AuthActivity::Switch];
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Unknown];
    let kind = (prop::sample::select(activities.to_vec()), prop::sample::select(outcomes.to_vec()));
    let authentication = (kind, t(), t(), any::<bool>(), 1u32.., t(), t()).prop_map(
        |((activity, outcome), service, method, invalid_user, attempts, client, server)| {
            Body::Authentication(Box::new(Authentication {
                activity,
                outcome,
                service,
                method,
                invalid_user,
                attempts,
                client,
                server,
            }))
        },
    );
    let severity = prop::sample::select(&Severity::ALL[..]);
    let finding = (name(), t(), t(), severity, t(), t()).prop_map(
        |(name, category, rule_id, severity, message, action)| {
            Body::Finding(Box::new(Finding { name, category, rule_id, severity, message, action }))
        },
    );
    let file = (t(), t(), count(), t(), t(), t(), t()).prop_map(
        |(mime, name, bytes, source, md5, sha1, sha256)| {
            Body::File(Box::new(FileSeen { mime, name, bytes, source, md5, sha1, sha256 }))
        },
    );
    let oddity =
        (name(), t()).prop_map(|(name, detail)| Body::Anomaly(Box::new(Oddity { name, detail })));
    prop_oneof![authentication, finding, file, oddity, Just(Body::Generic)].boxed()
}

/// Any event that intake could make.
pub fn event() -> BoxedStrategy<Event> {
    let extra = proptest::collection::vec((text(), value()), 0..6).prop_map(|mut fields| {
        let mut seen = std::collections::BTreeSet::new();
        fields.retain(|(n, _)| seen.insert(n.clone()));
        fields
    });
    let time = prop_oneof![-1_000_000_000i64..2_000_000_000_000_000, any::<i64>()];
    let ids = (some(text()), some(text()), some(text()));
    (
        time,
        (text(), text()),
        (endpoint(), endpoint()),
        ids,
        prop_oneof![flow(), web(), other()],
        extra,
    )
        .prop_map(|(time, (product, service), (src, dst), (user, uid, label), body, extra)| Event {
            src,
            dst,
            user,
            uid,
            label,
            extra,
            ..Event::new(Timestamp::from_micros(time), Origin { product, service }, body)
        })
        .boxed()
}
