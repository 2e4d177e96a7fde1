//! Logs of one network are read in the order of their events, not of their files, and give the same
//! whatever the number of shards.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test makes its files and fails by panicking"
)]

#[path = "../../tests/process/conn.rs"]
mod conn;

use conn::Conn;
use detection::rules::RuleSet;
use node::host::{Place, walk};
use node::report::RunReport;
use node::run::{Request, run};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

fn request(places: Vec<(Place, Option<u64>)>) -> Request {
    Request::new(places, Arc::new(RuleSet::load(true, &[]).0), "10/million".parse().unwrap())
}

/// One failure every twenty minutes, by a person who mistypes, as syslog.
fn failures() -> String {
    (0..30).fold(String::new(), |mut log, i| {
        let (hour, minute) = (8 + i / 3, i % 3 * 20);
        let _ = writeln!(
            log,
            "Jan  5 {hour:02}:{minute:02}:07 mail1 sshd[{i}]: Failed password for ann from \
             10.0.0.9 port {} ssh2",
            40_000 + i
        );
        log
    })
}

/// Successes of the same machine, seen by another sensor: few enough for one batch, over a day.
fn successes() -> String {
    (0..200).fold(String::new(), |mut log, i| {
        let _ = writeln!(
            log,
            "{{\"_path\":\"ssh\",\"ts\":{}.1,\"uid\":\"C{i}\",\"id.orig_h\":\"10.0.0.9\",\
             \"id.orig_p\":{},\"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":22,\
             \"auth_success\":true,\"auth_attempts\":1}}",
            // 2026-01-05T08:00:00Z and every three minutes on.
            1_767_600_000 + i * 180,
            40_000 + i,
        );
        log
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_log_does_not_carry_windows_into_the_future() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("auth.log"), failures()).unwrap();
    std::fs::write(folder.path().join("ssh.log"), successes()).unwrap();
    let places = walk(&[folder.path().to_owned()]).inputs;
    let places = places.into_iter().map(|i| (i.place, i.size)).collect();
    let mut request = request(places);
    request.options.reference_year = 2026;
    let (_stop, stopped) = watch::channel(false);
    let report = run(request, stopped, |_| {}).await.unwrap();
    assert_eq!(report.verdicts.total, 230);
    let told: Vec<_> = report.threats.iter().map(|t| (t.class, t.rules.top().to_vec())).collect();
    assert!(told.is_empty(), "thirty failures in ten hours are no guessing: {told:?}");
}

async fn one_shot(log: &Path, shards: usize, output: &Path) -> RunReport {
    let request = Request {
        shards,
        output: Some(output.to_owned()),
        ..request(vec![(Place::File(log.to_owned()), None)])
    };
    let (_stop, stopped) = watch::channel(false);
    run(request, stopped, |_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_gives_the_same_threats_whatever_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("conn.log");
    std::fs::write(&log, Conn::log(21, 0.5, true, 12_000)).unwrap();
    let mut seen = Vec::new();
    for (i, shards) in [1, 1, 2, 4].into_iter().enumerate() {
        let output = folder.path().join(format!("{i}.ndjson"));
        let report = one_shot(&log, shards, &output).await;
        assert!(report.bundle.is_some(), "it learnt while it watched");
        let mut threats: Vec<_> =
            report.threats.iter().map(|t| (t.id, t.count, t.severity)).collect();
        threats.sort_unstable();
        assert!(!threats.is_empty());
        seen.push((shards, threats, std::fs::read(&output).unwrap()));
    }
    assert!(seen[0].2 == seen[1].2, "two runs, two files");
    for (shards, threats, _) in &seen[1..] {
        assert_eq!(threats, &seen[0].1, "{shards} shards");
    }
}
