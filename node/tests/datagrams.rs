//! Syslog over UDP, through the whole path: every datagram that was accepted has a verdict.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test sends datagrams and fails by panicking"
)]

use detection::rules::RuleSet;
use node::host::Datagrams;
use node::run::{Request, run};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};
use threat::ThreatClass;
use tokio::sync::{oneshot, watch};

const LOOPBACK: &str = "127.0.0.1:0";

#[tokio::test(flavor = "multi_thread")]
async fn every_datagram_that_was_accepted_has_a_verdict() {
    let listening = Datagrams::bind(LOOPBACK.parse().unwrap()).unwrap();
    let address = listening.address();
    let rules = Arc::new(RuleSet::load(true, &[]).0);
    let request = Request {
        listeners: vec![listening],
        follow: true,
        ..Request::new(Vec::new(), rules, "10/million".parse().unwrap())
    };
    let (stop, stopped) = watch::channel(false);
    let (told, watched) = oneshot::channel();
    let running = tokio::spawn(run(request, stopped, move |p| drop(told.send(p))));
    let progress = watched.await.unwrap();

    let sender = UdpSocket::bind(LOOPBACK).unwrap();
    for i in 0..500 {
        let (minute, second) = (i / 60, i % 60);
        let line = format!(
            "<38>1 2026-01-05T10:{minute:02}:{second:02}Z web1 sshd {i} - - Failed password for \
             root from 203.0.113.7 port {} ssh2",
            40_000 + i
        );
        sender.send_to(line.as_bytes(), address).unwrap();
        if i % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let begun = Instant::now();
    while progress.judged().is_none_or(|v| v.events < 500) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", progress.judged());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    let report = running.await.unwrap().unwrap();
    let source = &report.sources[0];
    assert_eq!(source.name, format!("udp:{address}"));
    assert!(source.received.balanced());
    assert_eq!((source.received.offered, source.received.accepted), (500, 500));
    assert_eq!((source.counts.events, report.verdicts.total), (500, 500));
    assert!(report.threats.iter().any(|t| t.class == ThreatClass::BruteForce));
}
