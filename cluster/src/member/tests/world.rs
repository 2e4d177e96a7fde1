//! Members within one process, over links that can be cut.

use super::cuts::{CutTransport, Cuts};
use super::*;
use crate::consensus::Fatal;
use crate::coordinator::TokioClock;
use crate::fabric::{
    Credentials, Identity, MemoryListener, MemoryTransport, Silent, Who, authority,
};
use ::threat::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::time::SystemTime;

pub const LONG: Duration = Duration::from_secs(20);

pub struct World {
    net: MemoryTransport,
    pub cuts: Cuts,
    authority: authority::Made,
    folder: tempfile::TempDir,
    /// What time it is for all, in microseconds.
    pub wall: Arc<AtomicI64>,
    /// For how long closed threats are kept.
    pub retention: Duration,
    /// How often a node compares what it has with another one's.
    pub compare_every: (Duration, Duration),
}

impl World {
    pub fn new() -> Self {
        Self {
            net: MemoryTransport::default(),
            cuts: Cuts::default(),
            authority: authority::found("acme", SystemTime::now()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            wall: Arc::new(AtomicI64::new(1_000_000)),
            retention: crate::replication::limits::RETENTION,
            compare_every: crate::replication::limits::COMPARE_EVERY,
        }
    }

    pub fn fabric(&self, identity: &Identity) -> Arc<Fabric> {
        let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
        let made = authority::issue(&self.authority.key, identity, now, life).unwrap();
        let authorities = &self.authority.certificate;
        let shown = Credentials::of_pem(authorities, &made.certificate, &made.key).unwrap();
        let (Who::Node { name, .. } | Who::Operator { name }) = &identity.who;
        let transport = CutTransport::new(self.net.clone(), name, self.cuts.clone());
        Arc::new(Fabric::new(shown, Arc::new(transport), None, 1))
    }

    pub fn listen(&self, address: &str) -> MemoryListener {
        self.net.listen(address)
    }

    pub fn operator(&self) -> Arc<Fabric> {
        self.fabric(&Identity::operator("acme", "me").unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Starts a node; its region is its name's first part.
    pub async fn node(&self, name: &str, id: u64, incarnation: u64, seeds: &[&str]) -> Member {
        let region = name.split('-').next().unwrap();
        let fabric = self.fabric(&Identity::node("acme", region, name).unwrap());
        let me = Me {
            id,
            name: name.into(),
            region: region.into(),
            address: name.into(),
            incarnation,
            votes: true,
        };
        let wall = Arc::clone(&self.wall);
        let (least, greatest) = self.compare_every;
        let threats = super::threats::storage(&self.path(name)).retaining(self.retention);
        let parts = Parts {
            fabric,
            listener: Box::new(self.net.listen(name)),
            storage: storage(&self.path(name)),
            threats: threats.comparing_every(least, greatest),
            wall: Arc::new(move || Timestamp::from_micros(wall.load(Ordering::SeqCst))),
            data: Arc::new(Silent),
            models: Arc::new(Silent),
            profile: Profile::LAN,
            seeds: seeds.iter().map(|s| (*s).to_owned()).collect(),
            nonce: id * 1_000 + incarnation,
            clock: Arc::new(TokioClock::start()),
        };
        let founds = seeds.is_empty() && incarnation == 1;
        Member::start(me, parts, founds).await.unwrap()
    }

    /// Joins a new node by all steps of it.
    pub async fn join(&self, name: &str, seed: &str) -> Member {
        let region = name.split('-').next().unwrap();
        let fabric = self.fabric(&Identity::node("acme", region, name).unwrap());
        let id = ask_for_id(&fabric, &[seed.to_owned()], name, LONG).await.unwrap();
        let member = self.node(name, id, 1, &[seed]).await;
        timeout(LONG, member.admitted()).await.expect("it is not taken in");
        member
    }

    pub async fn ask(&self, to: &[&str], ask: Ask) -> Told {
        let to: Vec<String> = to.iter().map(|s| (*s).to_owned()).collect();
        control::ask_leader(&self.operator(), &to, &ask, LONG).await.unwrap()
    }
}

fn storage(path: &Path) -> Storage {
    Storage::open(path, Fatal::new(|e| panic!("{e}"))).unwrap()
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LONG, "not within {LONG:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
