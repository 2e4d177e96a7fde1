//! Every writer's bytes for one record of each kind, against files that were read by eye.
//! `GOLDEN=write cargo test -p simulations --test golden` renews them after a wanted change.

use simulations::traffic::record::{
    Auth, AuthEvent, Body, Conn, ConnId, Dns, Http, QType, RCode, Record, Ssh, Ssl, Uid,
};
use simulations::traffic::writers::Format;
use std::net::IpAddr;
use std::path::Path;
use threat::Timestamp;
use threat::event::{ConnState, Protocol};

const START: i64 = 1_772_442_000_000_000;

fn id(n: u64, resp: [u8; 4], resp_port: u16, protocol: Protocol) -> ConnId {
    let uid = Uid { high: 0x0123_4567_89ab_cdef * n, low: 77 };
    let orig = IpAddr::from([10, 20, 32, 11]);
    ConnId { uid, orig, orig_port: 50_000 + n as u16, resp: resp.into(), resp_port, protocol }
}

fn conn(id: ConnId, service: Option<&'static str>, state: ConnState, history: &str) -> Conn {
    let lone = state == ConnState::S0;
    Conn {
        id,
        service,
        duration: (!lone).then_some(0.5),
        orig_bytes: (!lone).then_some(120),
        resp_bytes: (!lone).then_some(4_000),
        state,
        history: history.into(),
        orig_packets: if lone { 1 } else { 6 },
        orig_ip_bytes: if lone { 60 } else { 440 },
        resp_packets: if lone { 0 } else { 5 },
        resp_ip_bytes: if lone { 0 } else { 4_268 },
    }
}

fn network() -> Vec<Body> {
    let web = id(1, [198, 18, 0, 9], 443, Protocol::Tcp);
    let plain = id(2, [192, 0, 2, 7], 80, Protocol::Tcp);
    let ask = id(3, [10, 20, 0, 10], 53, Protocol::Udp);
    let shell = id(4, [203, 0, 113, 5], 22, Protocol::Tcp);
    let dns = Dns {
        id: ask,
        trans_id: 4_711,
        query: "www.a,b.example".into(),
        qtype: QType::A,
        rcode: Some(RCode::NoError),
        rtt: Some(0.0125),
        authoritative: false,
        answers: vec!["x.edgecache.example".into(), "198.18.0.9".into()],
        ttl: 300.0,
    };
    let silent = Dns { rcode: None, rtt: None, answers: Vec::new(), ..dns.clone() };
    let http = Http {
        id: plain,
        depth: 1,
        method: "GET",
        host: "www.riverbooks.example".into(),
        uri: "/a\tb?q=\"1\"".into(),
        referrer: None,
        user_agent: "curl/7.88.1",
        request_bytes: 0,
        response_bytes: 3_800,
        status: 200,
        mime: Some("text/html"),
    };
    let ssl = Ssl {
        id: web,
        version: "TLSv12",
        cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        curve: "x25519",
        server_name: Some("www.riverbooks.example".into()),
        resumed: false,
        established: true,
        next_protocol: Some("h2"),
        validation: Some("ok"),
        ja3: 0xab,
        ja3s: 0xcd,
    };
    let ssh = Ssh {
        id: shell,
        success: Some(true),
        attempts: 2,
        client: "SSH-2.0-PuTTY_Release_0.81",
        server: "SSH-2.0-OpenSSH_9.2p1",
        host_key: 0xfeed,
    };
    let ping = ConnId { protocol: Protocol::Icmp, orig_port: 8, resp_port: 0, ..ask };
    vec![
        Body::Conn(conn(web, Some("ssl"), ConnState::SF, "ShADadFf")),
        Body::Conn(conn(plain, Some("gssapi,smb,krb"), ConnState::SF, "ShADadfF")),
        Body::Conn(conn(shell, None, ConnState::S0, "S")),
        Body::Conn(conn(ping, None, ConnState::OTH, "")),
        Body::Dns(Box::new(dns)),
        Body::Dns(Box::new(silent)),
        Body::Http(Box::new(http)),
        Body::Ssl(Box::new(ssl)),
        Body::Ssh(Box::new(ssh)),
    ]
}

fn authentication() -> Vec<Body> {
    let peer: IpAddr = [198, 51, 100, 9].into();
    let from = (peer, 40_001);
    [
        AuthEvent::InvalidUser { from },
        AuthEvent::PamFailure { from: peer, invalid: true },
        AuthEvent::PamFailure { from: peer, invalid: false },
        AuthEvent::Failed { from, invalid: true },
        AuthEvent::Failed { from, invalid: false },
        AuthEvent::Closed { from, invalid: true },
        AuthEvent::Expired,
        AuthEvent::Accepted { from, key: None },
        AuthEvent::Accepted { from, key: Some(5) },
        AuthEvent::Opened { program: "sshd", uid: 1_003 },
        AuthEvent::Sudo { command: "/usr/bin/apt update" },
        AuthEvent::Ended { program: "cron" },
    ]
    .into_iter()
    .map(|event| {
        let (host, user) = ("gate1".into(), "alice.a".into());
        Body::Auth(Box::new(Auth { host, pid: 4_242, user, event }))
    })
    .collect()
}

#[test]
fn every_format_is_as_it_was() {
    let records: Vec<Record> = network()
        .into_iter()
        .chain(authentication())
        .enumerate()
        .map(|(i, body)| {
            let time = Timestamp::from_micros(START + 250_001 * i as i64);
            Record { time, campaign: None, body }
        })
        .collect();
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
    for (_, format) in Format::ALL {
        for (name, mut writer) in format.streams(true) {
            let mut out = Vec::new();
            writer.begin(&mut out, Timestamp::from_micros(START)).unwrap();
            for record in &records {
                writer.write(&mut out, record, &[]).unwrap();
            }
            writer.end(&mut out, Timestamp::from_micros(START + 60_000_000)).unwrap();
            let path = dir.join(&name);
            if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
                std::fs::write(&path, &out).unwrap();
            }
            let golden = std::fs::read(&path).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&golden), "{name}");
            let ends_json = name.ends_with("json");
            for line in out.split(|&b| b == b'\n').filter(|l| ends_json && !l.is_empty()) {
                let value: serde_json::Value = serde_json::from_slice(line).unwrap();
                assert!(value.is_object());
            }
        }
    }
}
