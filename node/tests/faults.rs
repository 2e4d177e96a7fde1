//! Detection under planted faults and kills, in process: no event without a verdict, missing voters
//! named, rules in their place within the patience, and models back by themselves.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

#[path = "../../tests/process/conn.rs"]
mod conn;
#[path = "faults/fed.rs"]
mod fed;

use actors::detection::detector::fault_points;
use actors::ports::Buggify;
use conn::{SCAN_EVERY, SCAN_FLOWS};
use detection::bundle::Bundle;
use detection::rules::RuleSet;
use fed::{FLOWS, Fed, LOGINS, OTHERS, PACE, Paced};
use learning::{CLASS_MIN_ROWS, Settings};
use node::assembly::{DETECTORS, declared};
use node::host::Place;
use node::report::RunReport;
use node::run::{Error, LIVE_PATIENCE, Progress, Request, run};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use threat::DetectorKind;
use threat::verdict::Absence;
use tokio::sync::{oneshot, watch};

/// From a fault to the verdicts that do without what is faulty.
const TAKEN_OVER_WITHIN: Duration = Duration::from_millis(100);

/// The same on a machine that is busy with other things. Of the runs with one kind of fault the
/// quickest has to do with the time above: what a machine adds now and then is not the node's,
/// what it adds each time would be.
const TAKEN_OVER_AT_ALL: Duration = Duration::from_millis(500);

/// Verdicts that may be on their way when counts are looked at: a shard's credits.
const ON_THEIR_WAY: u64 = 9 * 256;

/// One after the other: each measures time, and the machine has few processors.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Points that fire while they are in the set.
#[derive(Default)]
struct Planted(Mutex<BTreeSet<&'static str>>);

impl Buggify for Planted {
    fn fires(&self, point: &'static str) -> bool {
        self.0.lock().unwrap().contains(point)
    }
}

fn rules() -> Arc<RuleSet> {
    Arc::new(RuleSet::load(true, &[]).0)
}

fn request(places: Vec<(Place, Option<u64>)>) -> Request {
    Request::new(places, rules(), "10/million".parse().unwrap())
}

async fn bundle(fed: Fed) -> Arc<Bundle> {
    static BUNDLES: Mutex<BTreeMap<&str, Arc<Bundle>>> = Mutex::new(BTreeMap::new());
    if let Some(bundle) = BUNDLES.lock().unwrap().get(fed.path) {
        return Arc::clone(bundle);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.log");
    std::fs::write(&path, fed.log(4_000)).unwrap();
    let settings =
        Settings { seed: 1, version: 1, origin: "good.log".into(), class_rows: CLASS_MIN_ROWS };
    let options = intake::Options::default();
    let made = node::learn::bundle(&[Place::File(path)], &options, settings).await.unwrap().0;
    let made = Arc::new(made);
    BUNDLES.lock().unwrap().insert(fed.path, Arc::clone(&made));
    made
}

/// A run under way, fed until it is told to end.
struct Live {
    progress: Progress,
    planted: Arc<Planted>,
    end: Arc<AtomicBool>,
    lines: Arc<AtomicU64>,
    run: tokio::task::JoinHandle<Result<RunReport, Error>>,
    _stop: watch::Sender<bool>,
}

impl Live {
    async fn start(fed: Fed) -> Self {
        let (planted, end) = (Arc::new(Planted::default()), Arc::new(AtomicBool::new(false)));
        let lines = Arc::new(AtomicU64::new(0));
        let reader = Paced {
            next: fed.lines(),
            end: Arc::clone(&end),
            lines: Arc::clone(&lines),
            ready: fed.header().into_bytes(),
        };
        let request = Request {
            readers: vec![("paced".into(), Box::new(reader))],
            bundle: Some(bundle(fed).await),
            shards: 1,
            patience: Some(LIVE_PATIENCE),
            buggify: Arc::clone(&planted) as Arc<dyn Buggify>,
            ..request(Vec::new())
        };
        let (stop, stopped) = watch::channel(false);
        let (told, watched) = oneshot::channel();
        let run = tokio::spawn(run(request, stopped, move |p| drop(told.send(p))));
        let progress = watched.await.unwrap();
        Self { progress, planted, end, lines, run, _stop: stop }
    }

    fn judged(&self) -> (u64, u64) {
        self.progress.judged().map_or((0, 0), |v| (v.events, v.threats))
    }

    async fn judge(&self, more: u64) {
        let (from, begun) = (self.judged().0, Instant::now());
        while self.judged().0 < from + more {
            assert!(begun.elapsed() < Duration::from_secs(30), "no verdicts: {:?}", self.judged());
            assert!(!self.run.is_finished(), "the run ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The longest time within `lasts` that verdicts were owed, and none came.
    async fn longest_wait(&self, lasts: Duration) -> Duration {
        let begun = Instant::now();
        let (mut events, mut since, mut longest) = (self.judged().0, begun, Duration::ZERO);
        while begun.elapsed() < lasts {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = self.judged().0;
            longest = longest.max(since.elapsed());
            if now > events {
                (events, since) = (now, Instant::now());
            }
        }
        longest.saturating_sub(PACE)
    }

    fn plant(&self, points: &[&'static str]) {
        self.planted.0.lock().unwrap().extend(points);
    }

    fn heal(&self) {
        self.planted.0.lock().unwrap().clear();
    }

    /// Waits until the live tree is the declared one.
    async fn whole(&self) {
        let begun = Instant::now();
        loop {
            let live = self.progress.directory.tree("node").unwrap();
            let differences = flow::tree::diff(&declared(1, false), &live);
            if differences.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{differences:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn finish(self) -> RunReport {
        self.end.store(true, SeqCst);
        let report = self.run.await.unwrap().unwrap();
        assert_eq!(report.verdicts.total, self.lines.load(SeqCst), "no event without a verdict");
        assert_eq!(report.verdicts.by_voters + report.verdicts.by_rules, report.verdicts.total);
        report
    }
}

fn missing(report: &RunReport, detector: DetectorKind, reasons: &[Absence]) -> u64 {
    let of = report.verdicts.missing.iter();
    of.filter(|m| m.detector == detector && reasons.contains(&m.reason)).map(|m| m.verdicts).sum()
}

/// Plants faults of one kind in some detectors for a while, and looks at all that must hold.
/// Returns how long it took to do without them.
async fn faulty(fed: Fed, kind: usize, reasons: &[Absence], faulty: &[DetectorKind]) -> Duration {
    let points: Vec<&'static str> = faulty.iter().map(|&d| fault_points(d)[kind]).collect();
    let live = Live::start(fed).await;
    live.judge(3_000).await;
    let (before, threats) = live.judged();
    live.plant(&points);
    let taken_over = live.longest_wait(Duration::from_millis(400)).await;
    // Two scans begin in so many flows.
    live.judge(2 * SCAN_EVERY).await;
    let during = live.judged();
    let found = during.1 - threats;
    assert!(fed.path != "conn" || found >= SCAN_FLOWS / 2, "{points:?}: rules found {during:?}");
    live.heal();
    // The breaker probes after 1.2 s at most; the longest back-off of so many exits is as long.
    tokio::time::sleep(Duration::from_secs(3)).await;
    live.whole().await;
    let healed = live.judged().0;
    live.judge(6_000).await;
    let report = live.finish().await;
    for &detector in faulty {
        let named = missing(&report, detector, reasons);
        assert!(named > 0, "{points:?}: {:?}", report.verdicts.missing);
    }
    for other in fed.voters.iter().filter(|v| !faulty.contains(v)) {
        let gone = missing(&report, *other, reasons);
        assert_eq!(gone, 0, "{points:?} took {other:?} with it: {:?}", report.verdicts.missing);
    }
    let back = report.verdicts.total - healed + before - 2 * ON_THEIR_WAY;
    assert!(report.verdicts.by_voters > back, "{points:?}: {:?}", report.verdicts);
    println!("{points:?}: over in {taken_over:?}, latency {:?} ms", report.latency_ms);
    taken_over
}

async fn each_and_all(kind: usize, reasons: &[Absence]) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let mut times = Vec::new();
    for detector in FLOWS.voters {
        times.push(faulty(FLOWS, kind, reasons, &[detector]).await);
    }
    times.push(faulty(FLOWS, kind, reasons, &FLOWS.voters).await);
    // Neighbours vote on what the sequence has nothing to say on, profiles on what accounts do.
    times.push(faulty(OTHERS, kind, reasons, &[DetectorKind::Neighbours]).await);
    times.push(faulty(LOGINS, kind, reasons, &[DetectorKind::Users]).await);
    let (quickest, slowest) = (times.iter().min(), times.iter().max());
    assert!(quickest.is_some_and(|&t| t <= TAKEN_OVER_WITHIN), "{times:?}");
    assert!(slowest.is_some_and(|&t| t <= TAKEN_OVER_AT_ALL), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_panic_are_started_again() {
    each_and_all(0, &[Absence::Down, Absence::Late]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_err_are_left_out() {
    each_and_all(1, &[Absence::Failed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_detectors_are_left_behind() {
    each_and_all(2, &[Absence::Late]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_that_are_no_numbers_are_no_votes() {
    each_and_all(3, &[Absence::NotANumber]).await;
}

fn path_of(detector: DetectorKind) -> String {
    format!("node/detection/shard[0]/detectors/{}", detector.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_detectors_come_back() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let alone = [(OTHERS, DetectorKind::Neighbours), (LOGINS, DetectorKind::Users)];
    let feds = [(FLOWS, FLOWS.voters.to_vec())];
    for (fed, killed) in feds.into_iter().chain(alone.map(|(fed, kind)| (fed, vec![kind]))) {
        let live = Live::start(fed).await;
        live.judge(2_000).await;
        for &detector in &killed {
            live.progress.directory.actor(&path_of(detector)).unwrap().kill();
            live.judge(1_000).await;
            live.whole().await;
        }
        let restarts = live.progress.directory.list();
        let restarts = restarts.iter().filter(|l| l.restarts == 1).count();
        assert_eq!(restarts, killed.len(), "each once, and nothing else");
        let report = live.finish().await;
        assert!(report.verdicts.by_voters > report.verdicts.total / 2, "{:?}", report.verdicts);
    }
}

/// Kills an actor whenever it is up.
async fn storm(live: &Live, path: &str, lasts: Duration) {
    let begun = Instant::now();
    while !live.run.is_finished() && begun.elapsed() < lasts {
        if let Some(actor) = live.progress.directory.actor(path) {
            actor.kill();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_that_dies_at_once_is_slowed_down_and_costs_only_its_vote() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (live, forest) = (Live::start(FLOWS).await, path_of(DetectorKind::Forest));
    live.judge(1_000).await;
    storm(&live, &forest, Duration::from_secs(4)).await;
    let list = live.progress.directory.list();
    let restarts = list.iter().find(|l| l.path == forest).unwrap().restarts;
    // 20 ms, doubled each time, is 4 s after eight; without the pauses there would be hundreds.
    assert!((3..=9).contains(&restarts), "{restarts} restarts");
    live.judge(1_000).await;
    live.whole().await;
    let report = live.finish().await;
    assert!(missing(&report, DetectorKind::Forest, &[Absence::Down]) > 0);
    assert_eq!(report.verdicts.by_rules, 0, "the two others decide");
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_all_die_at_once_escalate_as_declared() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let live = Live::start(FLOWS).await;
    live.judge(1_000).await;
    let begun = Instant::now();
    let paths = FLOWS.voters.map(path_of);
    while !live.run.is_finished() && begun.elapsed() < DETECTORS.intensity.window {
        for path in &paths {
            if let Some(actor) = live.progress.directory.actor(path) {
                actor.kill();
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let list = live.progress.directory.list();
    let restarts: u64 = list.iter().map(|l| l.restarts).sum();
    live.end.store(true, SeqCst);
    assert!(live.run.is_finished(), "{restarts} restarts and the run went on");
    let declared = u64::from(DETECTORS.intensity.restarts);
    assert!((declared - 3..=declared).contains(&restarts), "{restarts} restarts");
    let Err(Error::GaveUp(why)) = live.run.await.unwrap() else { panic!("no escalation") };
    assert!(why.contains("detectors"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_what_holds_batches_ends_the_run_and_is_named() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for actor in ["shard[0]/features", "shard[0]/ensemble", "threats"] {
        let path = format!("node/detection/{actor}");
        let live = Live::start(FLOWS).await;
        live.judge(1_000).await;
        storm(&live, &path, Duration::from_secs(20)).await;
        live.end.store(true, SeqCst);
        assert!(live.run.is_finished(), "{path} was lost and the run went on");
        let Err(Error::GaveUp(why)) = live.run.await.unwrap() else { panic!("{path} is no loss") };
        assert!(why.contains(&path), "{path}: {why}");
    }
}
