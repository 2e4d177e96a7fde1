//! A cluster to try that is fed with a log, and goes on with it when it is started again.

use crate::cluster::{Up, ports, processes, run, text, until};
use crate::command::signal;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Failed logons of one host at one gate.
const LOGONS: usize = 3_000;

fn log() -> String {
    let mut text = String::new();
    for n in 0..LOGONS {
        let (minute, second, port) = (n / 60 % 60, n % 60, 1_024 + n);
        writeln!(
            text,
            "Jan 10 10:{minute:02}:{second:02} gate sshd[{n}]: Failed password for root from \
             10.1.2.3 port {port} ssh2"
        )
        .unwrap();
    }
    text
}

fn said(at: &Path) -> String {
    fs::read_to_string(at.join("up.out")).unwrap()
}

#[test]
fn a_cluster_that_is_fed_shows_threats_and_takes_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    fs::write(at.join("auth.log"), log()).unwrap();
    let port = ports(36);
    // One log that is there and one that is not: that one ends nothing.
    let feed = ["--feed", "auth.log", "--feed", "missing.log"];
    let up = Up::start(at, port, &feed);
    until("all of it is acknowledged", || {
        said(at).contains(&format!("{LOGONS} events acknowledged (region)")).then_some(())
    });
    assert!(said(at).contains("missing.log"), "{}", said(at));
    assert!(said(at).contains("watchfire threats list"), "{}", said(at));
    let listed = run(at, &["threats", "list"]);
    let threats = text(&listed.stdout);
    assert!(listed.status.success() && threats.contains("10.1.2.3"), "{threats}");
    signal(&up.child, "TERM");
    until("all ended", || {
        ["eu-1", "us-1", "ap-1"].iter().all(|n| processes(at, n).is_empty()).then_some(())
    });
    drop(up);
    let _up = Up::start(at, port, &feed);
    until("it goes on where it was", || said(at).contains("judged now: nothing new").then_some(()));
    assert_eq!(text(&run(at, &["threats", "list"]).stdout), threats);
}
