//! Crafted events for the shipped rules: one attack for each, and what ordinary hosts do.

use crate::support::{event, flow, side};
use detection::rules::{WindowField as W, WindowValues};
use std::collections::BTreeMap;
use threat::event::{Authentication, ConnState, Dns, Finding, Flow, Http, Outcome, Protocol};
use threat::{Body, Event, Severity};

/// An event with the window fields it comes with.
pub type Case = (Event, WindowValues);

fn window(values: &[(W, f32)]) -> WindowValues {
    let mut w = WindowValues::default();
    for &(field, value) in values {
        w.set(field, value);
    }
    w
}

pub fn tcp(state: ConnState) -> Flow {
    let bytes = (Some(900), Some(4_000));
    Flow {
        protocol: Protocol::Tcp,
        state,
        orig_bytes: bytes.0,
        resp_bytes: bytes.1,
        ..Flow::default()
    }
}

fn flow_case(dst: &str, port: u16, state: ConnState, values: &[(W, f32)]) -> Case {
    (flow(0, "192.168.1.9", dst, port, tcp(state)), window(values))
}

/// An answer to SSDP discovery: from the service's port to a port of the client, one way.
fn discovery_answer(values: &[(W, f32)]) -> Case {
    let one_way = Flow { protocol: Protocol::Udp, state: ConnState::S0, ..Flow::default() };
    let mut e = flow(0, "192.168.1.9", "192.168.1.20", 44_232, one_way);
    e.src = side("192.168.1.9", 1900);
    (e, window(values))
}

fn upload(bytes: u64, values: &[(W, f32)]) -> Case {
    let big = Flow { orig_bytes: Some(bytes), ..tcp(ConnState::SF) };
    (flow(0, "192.168.1.9", "198.51.100.7", 443, big), window(values))
}

pub fn auth_case(outcome: Outcome, values: &[(W, f32)]) -> Case {
    let auth = Authentication { outcome, attempts: 1, ..Authentication::default() };
    let mut e = event("zeek", "ssh", 0, Body::Authentication(Box::new(auth)));
    e.src = side("203.0.113.5", 50_000);
    e.dst = side("192.168.1.2", 22);
    e.user = Some("root".into());
    (e, window(values))
}

fn dns_case(query: &str, qtype: &str, rcode: &str, values: &[(W, f32)]) -> Case {
    let dns = Dns {
        query: Some(query.into()),
        qtype: Some(qtype.into()),
        rcode: Some(rcode.into()),
        ..Dns::default()
    };
    let mut e = event("zeek", "dns", 0, Body::Dns(Box::new(dns)));
    e.src = side("192.168.1.9", 50_000);
    e.dst = side("192.168.1.1", 53);
    (e, window(values))
}

fn http_case(agent: &str, values: &[(W, f32)]) -> Case {
    let http = Http { user_agent: Some(agent.into()), uri: Some("/a".into()), ..Http::default() };
    let mut e = event("zeek", "http", 0, Body::Http(Box::new(http)));
    e.src = side("192.168.1.9", 50_000);
    e.dst = side("198.51.100.7", 80);
    (e, window(values))
}

fn finding_case(product: &str, name: &str, category: &str, severity: Severity) -> Case {
    let finding = Finding {
        name: name.into(),
        category: Some(category.into()),
        severity,
        ..Finding::default()
    };
    let e = event(product, "notice", 0, Body::Finding(Box::new(finding)));
    (e, WindowValues::default())
}

fn sip_case() -> Case {
    let mut e = event("zeek", "sip", 0, Body::Generic);
    let agent = threat::event::Value::Text("friendly-scanner".into());
    e.extra.push(("user_agent".into(), agent));
    (e, WindowValues::default())
}

/// One event for every stateless rule of the pack, by the rule's title.
pub fn attacks() -> BTreeMap<&'static str, Case> {
    let mut all = scans();
    all.extend(control_and_movement());
    all.extend(names_and_uploads());
    all.extend(accounts());
    all.extend(agents_and_findings());
    all
}

fn scans() -> BTreeMap<&'static str, Case> {
    use ConnState::{REJ, S0};
    let inside = "192.168.1.20";
    BTreeMap::from([
        (
            "Many ports of one host tried",
            flow_case(inside, 81, REJ, &[(W::SrcPortsOnHost10m, 15.0), (W::SrcFailed10m, 14.0)]),
        ),
        (
            "Port range of one host swept",
            flow_case(inside, 81, REJ, &[(W::SrcPortsOnHost10m, 90.0), (W::SrcFailed10m, 80.0)]),
        ),
        (
            "Many hosts tried in a minute",
            flow_case(
                inside,
                445,
                S0,
                &[(W::SrcHosts1m, 30.0), (W::SrcFailed1m, 28.0), (W::SrcFailedRatio1m, 0.9)],
            ),
        ),
        (
            "Many hosts tried in ten minutes",
            flow_case(
                inside,
                445,
                S0,
                &[(W::SrcHosts10m, 70.0), (W::SrcFailed10m, 65.0), (W::SrcFailedRatio1m, 0.8)],
            ),
        ),
        (
            "Hundreds of services tried in a minute",
            flow_case(inside, 81, S0, &[(W::SrcPorts1m, 200.0), (W::SrcFailedRatio1m, 0.9)]),
        ),
        (
            "One host probed by many sources",
            (
                flow(0, "198.51.100.7", inside, 23, tcp(S0)),
                window(&[(W::DstFailedSources10m, 34.0)]),
            ),
        ),
    ])
}

fn control_and_movement() -> BTreeMap<&'static str, Case> {
    use ConnState::{S0, SF};
    let (inside, outside) = ("192.168.1.20", "198.51.100.7");
    BTreeMap::from([
        (
            "Regular contact with an outside host",
            flow_case(
                outside,
                443,
                SF,
                &[(W::PairCount, 25.0), (W::PairInterval, 60.0), (W::PairIntervalCv, 0.04)],
            ),
        ),
        (
            "Regular contact with jitter",
            flow_case(
                outside,
                443,
                SF,
                &[
                    (W::PairCount, 45.0),
                    (W::PairAge, 2_700.0),
                    (W::PairInterval, 60.0),
                    (W::PairIntervalCv, 0.6),
                    (W::PairRegularity, 0.8),
                ],
            ),
        ),
        (
            "Connection held open for hours",
            (
                flow(0, "192.168.1.9", outside, 443, Flow { duration: Some(40_000.0), ..tcp(SF) }),
                window(&[]),
            ),
        ),
        (
            "Stubborn attempts at one outside service",
            flow_case(
                outside,
                443,
                S0,
                &[(W::PairCount, 400.0), (W::PairInterval, 20.0), (W::PairAge, 8_000.0)],
            ),
        ),
        (
            "Sustained contact on an uncommon port",
            flow_case(
                outside,
                4975,
                ConnState::S3,
                &[
                    (W::PairCount, 400.0),
                    (W::PairInterval, 3.3),
                    (W::PairIntervalCv, 0.76),
                    (W::PairAge, 1_300.0),
                ],
            ),
        ),
        (
            "Administration of unusually many hosts",
            flow_case(inside, 445, SF, &[(W::AdminHosts1h, 16.0), (W::AdminBaseline, 1.0)]),
        ),
        (
            "Administration of a large part of the network",
            flow_case(inside, 3389, SF, &[(W::AdminHosts1h, 40.0), (W::AdminBaseline, 6.0)]),
        ),
    ])
}

fn names_and_uploads() -> BTreeMap<&'static str, Case> {
    let long = "a9f3k2l0q8z7x6c5v4b3n2m1a0s9d8f7g6h5j4k3l2.t.example.org";
    let tunnel = [(W::DnsQueryLength, 56.0), (W::DnsQueryEntropy, 4.3)];
    let moved = [(W::SrcBytesOut1h, 2e9), (W::SrcBytesOutBaseline, 9e6), (W::UploadRatio, 900.0)];
    BTreeMap::from([
        (
            "Many domains that do not exist",
            dns_case("qzx.com", "A", "NXDOMAIN", &[(W::DnsDomainsNx10m, 30.0)]),
        ),
        (
            "Several domains that do not exist",
            dns_case(
                "qzx.com",
                "A",
                "NXDOMAIN",
                &[(W::DnsDomainsNx10m, 12.0), (W::DnsNxdomainRatio10m, 0.4)],
            ),
        ),
        (
            "Data in DNS names",
            dns_case(long, "A", "NOERROR", &[tunnel[0], tunnel[1], (W::DnsSubdomains10m, 40.0)]),
        ),
        (
            "Bulk of text records under one domain",
            dns_case(long, "TXT", "NOERROR", &[tunnel[0], (W::DnsSubdomains10m, 40.0)]),
        ),
        ("Upload far above the usual, 200 MB", upload(5_000_000, &moved)),
        ("Upload far above the usual, 1 GB", upload(5_000_000, &moved)),
        ("Very large one-way upload", upload(600_000_000, &[(W::UploadRatio, 60.0)])),
    ])
}

fn accounts() -> BTreeMap<&'static str, Case> {
    use Outcome::{Failure, Success, Unknown};
    let failed = |field, n| auth_case(Failure, &[(field, n)]);
    let odd = [(W::AuthHourRarity, 6.0), (W::AuthNewHostForUser, 1.0)];
    let many = [(W::AuthHostsUser1h, 9.0), odd[1]];
    let (risk, journey) = ((W::AuthAccountRisk, 7.5), (W::AuthTravelSpeed, 4_000.0));
    BTreeMap::from([
        ("Repeated failed logons from one source", failed(W::AuthFailuresSrc10m, 22.0)),
        ("Sustained password guessing from one source", failed(W::AuthFailuresSrc10m, 90.0)),
        ("Slow guessing from one source", failed(W::AuthFailuresSrc1h, 30.0)),
        ("Repeated failed logons to one account", failed(W::AuthFailuresUser10m, 20.0)),
        ("Distributed guessing against one host", failed(W::AuthFailedSourcesDst10m, 9.0)),
        (
            "One source tried many accounts",
            auth_case(Failure, &[(W::AuthUsersSrc10m, 9.0), (W::AuthFailuresSrc10m, 9.0)]),
        ),
        (
            "Logon succeeded after many failures",
            auth_case(Success, &[(W::AuthSuccessesAfterFailures, 14.0)]),
        ),
        (
            "Rapid ssh sessions between two hosts",
            auth_case(Unknown, &[(W::PairCount, 25.0), (W::PairInterval, 12.0)]),
        ),
        ("Account on many hosts it never used", auth_case(Success, &many)),
        ("Several logons unlike the account's own past", auth_case(Success, &[risk])),
        ("Logon from a place that cannot be reached in time", auth_case(Success, &[journey])),
        ("Logon at a rare hour to a new host", auth_case(Success, &odd)),
        (
            "Logon at a rare hour to a new host with much data moving",
            auth_case(Success, &[odd[0], odd[1], (W::SrcBytesOut1h, 3e8)]),
        ),
    ])
}

fn agents_and_findings() -> BTreeMap<&'static str, Case> {
    use Severity::{High, Low, Medium};
    let suricata = |name, category, severity| finding_case("suricata", name, category, severity);
    let zeek = |name| finding_case("zeek", name, "", Low);
    let fake = "Mozilla/4.0 (compatible; MSIE 2.0; Windows NT 5.0; Trident/4.0)";
    BTreeMap::from([
        ("User agent of a scanning tool", http_case("Mozilla/5.0 zgrab/0.x", &[])),
        ("User agent of an attack tool", http_case("Mozilla/4.0 (Hydra)", &[])),
        ("User agent of a browser that never was", http_case(fake, &[])),
        ("SIP scanning tool", sip_case()),
        (
            "Program that calls on many hosts",
            http_case("python-requests/2.31", &[(W::HttpHostsUa10m, 40.0)]),
        ),
        ("Suricata alert of the highest severity", suricata("X", "Y", High)),
        ("Suricata alert of middle severity", suricata("X", "Y", Medium)),
        ("Suricata alert of low severity", suricata("X", "Y", Low)),
        ("Suricata scan signature", suricata("ET SCAN Inbound to 1433", "Y", Medium)),
        (
            "Suricata malware or controller signature",
            suricata("X", "A Network Trojan was detected", High),
        ),
        ("Zeek notice of ssh password guessing", zeek("SSH::Password_Guessing")),
        ("Zeek notice of an ssh logon after guessing", zeek("SSH::Login_By_Password_Guesser")),
        ("Zeek notice of a scan", zeek("Scan::Port_Scan")),
        ("Zeek notice of SQL injection", zeek("HTTP::SQL_Injection_Attacker")),
        ("Zeek notice of a known malicious file", zeek("TeamCymruMalwareHashRegistry::Match")),
        ("Zeek notice of an indicator", zeek("Intel::Notice")),
        ("Zeek notice of traceroute", zeek("Traceroute::Detected")),
        (
            "Zeek notice of an ssh logon from an odd host name",
            zeek("SSH::Interesting_Hostname_Login"),
        ),
        ("Zeek notice of an invalid certificate", zeek("SSL::Invalid_Server_Cert")),
    ])
}

/// What ordinary hosts do, at the edge of it.
pub fn ordinary() -> Vec<Case> {
    use ConnState::{S0, SF};
    let browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/20100101 Firefox/128.0";
    let busy = [
        (W::SrcFlows1m, 146.0),
        (W::SrcHosts1m, 76.0),
        (W::SrcFailed1m, 17.0),
        (W::SrcFailedRatio1m, 0.12),
        (W::SrcHosts10m, 100.0),
        (W::SrcFailed10m, 21.0),
        (W::SrcPortsOnHost10m, 4.0),
        (W::SrcBytesOut1h, 91e6),
        (W::DstFailedSources10m, 10.0),
    ];
    let clock = [
        (W::PairCount, 1_319.0),
        (W::PairInterval, 65.5),
        (W::PairIntervalCv, 0.02),
        (W::PairAge, 80_000.0),
    ];
    let hourly = [
        (W::PairCount, 22.0),
        (W::PairInterval, 3_600.0),
        (W::PairIntervalCv, 0.0),
        (W::PairAge, 72_000.0),
    ];
    let push = [
        (W::PairCount, 248.0),
        (W::PairInterval, 348.0),
        (W::PairIntervalCv, 0.4),
        (W::PairAge, 86_000.0),
    ];
    let names =
        [(W::DnsSubdomains10m, 51.0), (W::DnsQueryLength, 34.0), (W::DnsQueryEntropy, 3.35)];
    let missing = [(W::DnsDomainsNx10m, 6.0), (W::DnsNxdomainRatio10m, 0.1)];
    let probing = [
        (W::SrcPortsOnHost10m, 400.0),
        (W::SrcPorts1m, 400.0),
        (W::SrcHosts1m, 90.0),
        (W::SrcHosts10m, 90.0),
        (W::SrcFailed1m, 400.0),
        (W::SrcFailed10m, 400.0),
        (W::SrcFailedRatio1m, 1.0),
    ];
    let reverse = "4.3.2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let reversed =
        [(W::DnsSubdomains10m, 91.0), (W::DnsQueryLength, 72.0), (W::DnsQueryEntropy, 3.6)];
    vec![
        flow_case("198.51.100.7", 443, SF, &busy),
        flow_case("198.51.100.9", 123, SF, &clock),
        flow_case("198.51.100.9", 80, SF, &hourly),
        flow_case("198.51.100.9", 8883, ConnState::OTH, &push),
        flow_case("224.0.0.251", 5353, S0, &[(W::DstFailedSources10m, 40.0)]),
        flow_case("255.255.255.255", 2284, S0, &probing),
        discovery_answer(&probing),
        flow_case("192.168.1.20", 22, SF, &[(W::AdminHosts1h, 16.0), (W::AdminBaseline, 11.0)]),
        upload(4_000_000, &[(W::SrcBytesOut1h, 91e6), (W::UploadRatio, 10.0)]),
        auth_case(Outcome::Failure, &[(W::AuthFailuresSrc10m, 3.0), (W::AuthUsersSrc10m, 1.0)]),
        auth_case(Outcome::Success, &[(W::AuthSuccessesAfterFailures, 2.0)]),
        auth_case(Outcome::Success, &[(W::PairCount, 90.0), (W::PairInterval, 20.0)]),
        dns_case("cache1-fra1.steamcontent.com", "A", "NOERROR", &names),
        dns_case("nosuch.example.org", "A", "NXDOMAIN", &missing),
        dns_case(reverse, "PTR", "NOERROR", &reversed),
        http_case(browser, &[(W::HttpHostsUa10m, 60.0)]),
        http_case("Microsoft-CryptoAPI/10.0", &[(W::HttpHostsUa10m, 25.0)]),
    ]
}
