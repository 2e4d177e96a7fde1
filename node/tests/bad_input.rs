//! Inputs that are no logs, or logs that break off, among good ones: each is told once with its
//! reason, and the rest goes on.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test makes its files and fails by panicking"
)]

use detection::rules::RuleSet;
use flate2::{Compression, write::GzEncoder};
use node::host::walk;
use node::run::Request;
use node::summary::{Style, text};
use std::io::Write as _;
use std::sync::Arc;

fn flows(n: u32) -> String {
    (0..n)
        .map(|i| {
            format!(
                "{{\"ts\":{},\"uid\":\"C{i}\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":{},\
                 \"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":80,\"proto\":\"tcp\",\
                 \"conn_state\":\"SF\"}}\n",
                1_600_000_000 + i,
                40_000 + i % 20_000,
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_log_or_breaks_off_is_told_once_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("LICENSE"), "A licence.\nYou may do\nwhat it says.\n".repeat(40)).unwrap();
    std::fs::write(path("conn.log"), flows(50)).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(flows(20_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(path("cut.log.gz"), &packed[..packed.len() / 2]).unwrap();

    let places = walk(&[folder.path().to_owned()]).inputs;
    let places = places.into_iter().map(|i| (i.place, i.size)).collect();
    let rules = Arc::new(RuleSet::load(true, &[]).0);
    let request = Request::new(places, rules, "10/million".parse().unwrap());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let report = node::run::run(request, stopped, |_| {}).await.unwrap();

    assert!(report.sources.iter().all(|s| s.counts.balanced()));
    assert_eq!(report.verdicts.total, report.intake().events);
    let source = |name: &str| report.sources.iter().find(|s| s.name.ends_with(name)).unwrap();
    assert_eq!(source("conn.log").counts.events, 50);
    let licence = source("LICENSE");
    assert!(licence.is_no_log() && licence.counts.quarantined == 120);
    assert!(licence.problems[0].starts_with("not a log"), "{:?}", licence.problems);
    let cut = source("cut.log.gz");
    assert!(cut.counts.events > 1_000);
    assert!(cut.problems[0].starts_with("gzip data are cut off"), "{:?}", cut.problems);

    let told = text(&report, &Style { colour: false, width: 1_000 });
    assert_eq!(told.matches("LICENSE").count(), 1, "{told}");
    // That they learn is told once, by the state.
    assert!(!(told.contains("State   learning") && told.contains("still learning")), "{told}");
}
