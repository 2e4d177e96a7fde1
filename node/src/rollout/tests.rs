//! Whole members within one process that bring models to one another. Each judges events by the
//! engine itself, under what its model host says, as its actors do.

use super::*;
use crate::host::SystemClock;
use cluster::consensus::{Fatal, Profile, Storage};
use cluster::coordinator::TokioClock;
use cluster::fabric::{Credentials, Identity, MemoryTransport, authority};
use cluster::member::{Member, Parts, ask_for_id};
use cluster::replication;
use detection::calibration::Calibrator;
use detection::engine::Engine;
use detection::features::{Featurizer, Limits, Surroundings};
use detection::rules::RuleSet;
use learning::{CLASS_MIN_ROWS, Sample, Settings};
use regions::control_log::{Command, Reply, Stage};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};
use threat::EventBatch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const LONG: Duration = Duration::from_secs(60);

/// Ordinary flows of an office, as Zeek writes them; `seed` makes other ones.
fn flows(seed: u64, count: u64) -> Vec<EventBatch> {
    let fields = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t\
                  orig_bytes\tresp_bytes\tconn_state";
    let types =
        "time\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring";
    let mut text = format!("#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\t{fields}\n");
    writeln!(text, "#types\t{types}").unwrap();
    let mut rng = threat::entropy::Rng::new(seed);
    let mut below = |n: u64| rng.next_u64() % n;
    for n in 0..count {
        let (time, host, server) = (1_767_600_000.0 + n as f64 / 5.0, below(200), below(4));
        let (port, service) =
            [(443, "ssl"), (80, "http"), (25, "smtp"), (22, "ssh")][server as usize];
        let (from, took) = (49_152 + below(16_000), 0.05 + below(2_000) as f64 / 1e3);
        let (up, down) = (300 + below(1_500), 2_000 + below(40_000));
        writeln!(
            text,
            "{time:.6}\tC{n}\t10.0.0.{host}\t{from}\t10.0.1.{server}\t{port}\ttcp\t{service}\t\
             {took:.6}\t{up}\t{down}\tSF"
        )
        .unwrap();
    }
    let mut decoder = intake::Decoder::new(threat::SourceId(0), intake::Options::default());
    decoder.push(text.as_bytes());
    decoder.finish();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.next_batch(true) {
        batches.push(batch);
    }
    assert_eq!(batches.iter().map(|b| b.events.len() as u64).sum::<u64>(), count);
    batches
}

fn trained(seed: u64) -> Bundle {
    let (mut around, mut sample) = (Surroundings::default(), Sample::default());
    let mut featurizer = Featurizer::new(Limits::per_shard(1));
    for batch in flows(seed, 3_000) {
        let batch = Arc::new(batch);
        let near = around.observe(&batch);
        let rows = (0..batch.events.len() as u32).collect();
        sample.add(&featurizer.extract(&batch, rows, &near, None), |_| true);
    }
    let (version, origin, class_rows) = (1, "a test".to_owned(), CLASS_MIN_ROWS);
    let settings = Settings { seed, version, origin, class_rows };
    learning::train(&sample.blocks(), &settings).unwrap()
}

/// The same models, whose calibration takes every score for one that no benign event has. It
/// passes each check and test of a bundle.
fn poisoned(bundle: &Bundle) -> Bundle {
    let low: Vec<f32> = (0..100).map(|n| -1e6 + n as f32).collect();
    let mut classes = bundle.classes.clone();
    for models in classes.values_mut() {
        for (.., calibrator) in &mut models.models {
            *calibrator = Calibrator::fit(&low).unwrap();
        }
    }
    Bundle::new(2, bundle.seed, "poison", classes).unwrap()
}

struct World {
    net: MemoryTransport,
    authority: authority::Made,
    folder: tempfile::TempDir,
}

struct Node {
    member: Member,
    rollout: Arc<Rollout>,
    host: ModelHost,
    tasks: Vec<JoinHandle<()>>,
    /// Bundles that verdicts were made with since it was looked at last.
    judged_by: Arc<Mutex<BTreeSet<u64>>>,
}

impl World {
    fn new() -> Self {
        Self {
            net: MemoryTransport::default(),
            authority: authority::found("acme", SystemTime::now()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn fabric(&self, identity: &Identity) -> Arc<Fabric> {
        let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
        let made = authority::issue(&self.authority.key, identity, now, life).unwrap();
        let authorities = &self.authority.certificate;
        let shown = Credentials::of_pem(authorities, &made.certificate, &made.key).unwrap();
        Arc::new(Fabric::new(shown, Arc::new(self.net.clone()), None, 1))
    }

    fn operator(&self) -> Arc<Fabric> {
        self.fabric(&Identity::operator("acme", "me").unwrap())
    }

    /// Starts a node. Its region is its name's first part; the first one votes alone.
    async fn start(&self, name: &str, id: Option<u64>, incarnation: u64, seed: &str) -> Node {
        let region = name.split('-').next().unwrap().to_owned();
        let fabric = self.fabric(&Identity::node("acme", &region, name).unwrap());
        let id = match id {
            Some(id) => id,
            None => ask_for_id(&fabric, &[seed.to_owned()], name, LONG).await.unwrap(),
        };
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let founds = seed.is_empty() && incarnation == 1;
        let me = Me {
            id,
            name: name.into(),
            region,
            address: name.into(),
            incarnation,
            votes: seed.is_empty(),
        };
        let rollout = Arc::new(Rollout::default());
        let seeds = if seed.is_empty() { Vec::new() } else { vec![seed.to_owned()] };
        let parts = Parts {
            fabric: Arc::clone(&fabric),
            listener: Box::new(self.net.listen(name)),
            storage: Storage::open(&path, Fatal::new(|e| panic!("{e}"))).unwrap(),
            threats: replication::Storage::open(&path, "acme", Fatal::new(|e| panic!("{e}")))
                .unwrap(),
            wall: Arc::new(|| threat::Timestamp::from_micros(1_000_000)),
            profile: Profile::LAN,
            seeds,
            data: Arc::new(crate::datapath::DataPath::default()),
            models: rollout.clone(),
            nonce: id * 1_000 + incarnation,
            clock: Arc::new(TokioClock::start()),
        };
        let member = Member::start(me.clone(), parts, founds).await.unwrap();
        timeout(LONG, member.admitted()).await.unwrap();
        let (host, budget) = (ModelHost::new(None), Budget::PerMillion(10.0));
        let watch = rollout.begin(Needs {
            store: Arc::new(Store::open(&path.join("events.redb")).unwrap()),
            fabric,
            view: member.view(),
            me,
            host: host.clone(),
            budget,
            clock: Arc::new(SystemClock::start()),
        });
        let judged_by = Arc::new(Mutex::default());
        let judging = judge(id, host.clone(), watch, Arc::clone(&judged_by));
        let running = Arc::clone(&rollout);
        let tasks =
            vec![tokio::spawn(judging), tokio::spawn(async move { drop(running.run().await) })];
        Node { member, rollout, host, tasks, judged_by }
    }
}

/// Judges ordinary events, batch after batch, each under what the host says.
async fn judge(
    seed: u64,
    host: ModelHost,
    watch: Arc<dyn Watch>,
    judged_by: Arc<Mutex<BTreeSet<u64>>>,
) {
    let (rules, _) = RuleSet::load(false, &[]);
    let budget = Budget::PerMillion(10.0);
    let mut engine = Engine::new(Limits::per_shard(1), Arc::new(rules), budget);
    let mut around = Surroundings::default();
    for sequence in 0.. {
        for batch in flows(100 * sequence + seed, 100) {
            let batch = Arc::new(batch);
            let near = around.observe(&batch);
            let bundle = host.bundle_for(sequence, false).await;
            let rows = (0..batch.events.len() as u32).collect();
            let (features, verdicts, _) = engine.process(&batch, rows, &near, bundle);
            lock(&judged_by).extend(verdicts.iter().map(|v| v.bundle));
            watch.decided(&Arc::new(features), &verdicts, Duration::from_millis(5));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Node {
    fn standing(&self) -> message::Standing {
        self.rollout.core.get().unwrap().standing().unwrap()
    }

    /// Nodes that this one knows to be ready for a bundle: none for one that it has not met yet.
    fn ready(&self, version: u64) -> BTreeMap<u64, String> {
        self.standing().bundles.remove(&version).map(|b| b.ready).unwrap_or_default()
    }

    fn stage(&self, version: u64) -> Option<Stage> {
        self.member.read(|log| log.bundles().all().get(&version).map(|b| b.stage.clone())).1
    }

    async fn done(&self, command: Command) {
        let reply = self.member.propose(command).await.unwrap();
        assert_eq!(reply.refusal(), None);
    }

    /// Bundles that verdicts were made with since the last look.
    fn judged_by(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *lock(&self.judged_by))
    }

    async fn end(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
        self.member.shutdown().await.unwrap();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LONG, "not within {LONG:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn shadow(version: u64) -> Command {
    Command::ShadowBundle { version, evidence: "test".into() }
}

fn canary(version: u64, region: &str) -> Command {
    Command::CanaryBundle { version, region: region.into(), evidence: "test".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_bundle_reaches_all_and_poison_stays_in_its_region_and_goes() {
    let world = World::new();
    let eu = world.start("eu-1", Some(1), 1, "").await;
    let us = world.start("us-1", None, 1, "eu-1").await;
    let ap = world.start("ap-1", None, 1, "eu-1").await;
    let good = trained(1);
    let bytes = good.encode().unwrap();
    let operator = world.operator();
    // Handed to a node that does not lead.
    let version = asking::register(&operator, "us-1", &bytes, false).await.unwrap();
    eu.done(shadow(version)).await;
    let all = [&eu, &us, &ap];
    until("all are ready", || eu.ready(version).len() == 3).await;
    assert!(all.iter().all(|n| n.judged_by() == [0].into()), "nobody uses it yet");
    eu.done(canary(version, "eu")).await;
    until("eu uses it", || eu.judged_by() == [good.id()].into()).await;
    assert!(us.judged_by().union(&ap.judged_by()).all(|id| *id == 0));
    let expected_epoch = 0;
    let evidence = "test".into();
    eu.done(Command::ActivateBundle { version, expected_epoch, evidence }).await;
    until("all use it", || all.iter().all(|n| n.judged_by() == [good.id()].into())).await;
    assert!(!all.iter().any(|n| n.host.own().is_some()), "it is assigned, not learnt");

    // Poison passes each test of the bytes, and is seen by what it says.
    let poison = poisoned(&good);
    let version2 =
        asking::register(&operator, "ap-1", &poison.encode().unwrap(), false).await.unwrap();
    assert_ne!(version, version2);
    // Straight to the canary, before shadow has said anything.
    eu.done(shadow(version2)).await;
    until("ap is ready or it is over", || {
        ap.ready(version2).contains_key(&ap.standing().node)
            || eu.stage(version2) == Some(Stage::RolledBack)
    })
    .await;
    let _ = eu.member.propose(canary(version2, "ap")).await.unwrap();
    until("it is taken back", || eu.stage(version2) == Some(Stage::RolledBack)).await;
    until("all use the good one", || all.iter().all(|n| n.judged_by() == [good.id()].into())).await;
    let steps = eu.member.read(|log| log.bundles().all()[&version2].steps.clone()).1;
    let (.., why) = steps.last().unwrap();
    assert!(why.contains("new alarms"), "{why}");
    assert_eq!(eu.member.read(|log| log.bundles().active()).1, Some(version));
    for node in [eu, us, ap] {
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_is_in_use_in_its_region_is_contained_there() {
    let world = World::new();
    let eu = world.start("eu-1", Some(1), 1, "").await;
    let us = world.start("us-1", None, 1, "eu-1").await;
    let (good, operator) = (trained(1), world.operator());
    let poison = poisoned(&good);
    let bytes = poison.encode().unwrap();
    let version = asking::register(&operator, "eu-1", &bytes, false).await.unwrap();
    // Nothing is judged until it is in use: the canary is what finds it.
    us.tasks[0].abort();
    eu.tasks[0].abort();
    sleep(Duration::from_millis(50)).await;
    eu.done(shadow(version)).await;
    let node = us.standing().node;
    until("us is ready", || eu.ready(version).contains_key(&node)).await;
    eu.done(canary(version, "us")).await;
    until("us uses it", || us.standing().uses == Some(version)).await;
    let (us_judged, eu_judged) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
    let watch = |n: &Node| Arc::clone(&n.rollout.core.get().unwrap().shadowing);
    let us_judging = tokio::spawn(judge(8, us.host.clone(), watch(&us), Arc::clone(&us_judged)));
    let eu_judging = tokio::spawn(judge(9, eu.host.clone(), watch(&eu), Arc::clone(&eu_judged)));
    let began = Instant::now();
    until("it is taken back", || us.stage(version) == Some(Stage::RolledBack)).await;
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(lock(&us_judged).contains(&poison.id()), "it was in use");
    until("us uses what it had", || us.standing().uses.is_none()).await;
    lock(&us_judged).clear();
    until("us judges without it", || !lock(&us_judged).is_empty()).await;
    assert!(!lock(&us_judged).contains(&poison.id()));
    assert_eq!(*lock(&eu_judged), BTreeSet::from([0]), "it never left its region");
    us_judging.abort();
    eu_judging.abort();
    for node in [eu, us] {
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_catches_up_and_who_cannot_get_it_is_shown() {
    let world = World::new();
    let eu = world.start("eu-1", Some(1), 1, "").await;
    let us = world.start("us-1", None, 1, "eu-1").await;
    let id = us.standing().node;
    us.end().await;
    let (good, operator) = (trained(1), world.operator());
    let bytes = good.encode().unwrap();
    let version = asking::register(&operator, "eu-1", &bytes, false).await.unwrap();
    eu.done(shadow(version)).await;
    until("eu is ready", || !eu.ready(version).is_empty()).await;
    eu.done(canary(version, "eu")).await;
    let evidence = "test".into();
    eu.done(Command::ActivateBundle { version, expected_epoch: 0, evidence }).await;
    // It was away for all of it, and needs nobody to tell it.
    let us = world.start("us-1", Some(id), 2, "eu-1").await;
    until("us uses it", || us.judged_by() == [good.id()].into()).await;
    // Once more, without anybody to pull from: it is on its own disk.
    us.end().await;
    let us = world.start("us-1", Some(id), 3, "eu-1").await;
    until("us uses it again", || us.judged_by() == [good.id()].into()).await;
    // A bundle that nobody holds: all stay with what they have, and say so.
    let unknown = Command::RegisterBundle { hash: [7; 32], evidence: "test".into() };
    let Reply::Version(lost) = eu.member.propose(unknown).await.unwrap() else { panic!() };
    eu.done(shadow(lost)).await;
    let missing = |n: &Node| n.standing().held.get(&lost).is_some_and(|h| h.contains("missing"));
    until("it is shown", || missing(&eu) && missing(&us)).await;
    let refused = eu.member.propose(canary(lost, "eu")).await.unwrap();
    assert!(refused.refusal().is_some(), "no node is ready with it");
    assert_eq!((eu.standing().uses, us.standing().uses), (Some(version), Some(version)));
    // Blobs are for nodes, and what is no bundle is told.
    let ask = message::Ask::Has(*blake3::hash(&bytes).as_bytes());
    assert!(asking::ask(&operator, "eu-1", &ask, &[]).await.is_err());
    let bad = asking::register(&operator, "eu-1", b"no bundle", false).await.unwrap_err();
    assert!(bad.to_string().contains("does not pass its test"), "{bad}");
    let playbook = br#"{"type":"playbook","spec_version":"cacao-2.0","name":"isolate"}"#;
    for _ in 0..2 {
        let published = asking::publish(&operator, "us-1", playbook).await.unwrap();
        assert_eq!(published, ("isolate".to_owned(), 1));
    }
    let hash = *blake3::hash(playbook).as_bytes();
    let blobs = &eu.rollout.core.get().unwrap().blobs;
    let since = Instant::now();
    while blobs.get(hash).await.unwrap().is_none() {
        assert!(since.elapsed() < LONG, "eu does not pull the playbook");
        sleep(Duration::from_millis(20)).await;
    }
    for node in [eu, us] {
        node.end().await;
    }
}
