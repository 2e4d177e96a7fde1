//! What it costs nodes to share threats: folding, telling, repairing, starting with a million.
//! Three members in one process, with mutual TLS between them and files of their own.
//!
//! `cargo run --release -p cluster --features sim --example shared_threats -- FOLDER [THREATS]`

use cluster::consensus::{Fatal, Profile, Storage};
use cluster::coordinator::TokioClock;
use cluster::fabric::{Credentials, Fabric, Identity, MemoryTransport, Silent, authority};
use cluster::member::{Me, Member, Parts, ask_for_id};
use cluster::replication::{self, Record, Replication};
use regions::clock::Replica;
use regions::threats::Count;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};
use threat::entity::Entity;
use threat::entropy::Rng;
use threat::threats::Indicators;
use threat::{Host, Severity, Threat, ThreatClass, ThreatId, Timestamp};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const LONG: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a folder for the files")?);
    let many: u32 = arguments.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let world = World::new(&folder)?;
    let eu = world.node("eu-1", 1, 1, true).await?;
    let us = world.join("us-1").await?;
    let ap = world.join("ap-1").await?;
    alike(&[&eu, &us, &ap]).await?;
    let next = Arc::new(AtomicU32::new(0));
    for callers in [1, 16, 64] {
        folds(&eu, &next, callers, 0).await?;
        folds(&eu, &next, callers, 1).await?;
    }
    told(&eu, &[&us, &ap], &next).await?;
    alike(&[&eu, &us, &ap]).await?;
    // One member is away; then it is back, and each side knows ten thousand that the other lacks.
    for differences in [1_000, 10_000] {
        repaired(&world, &[&eu, &us], differences, &next).await?;
    }
    for member in [eu, us, ap] {
        member.shutdown().await?;
    }
    started(&world, many).await
}

/// Callers that fold one threat after the other, on this node's disk and `need` others'.
async fn folds(own: &Member, next: &Arc<AtomicU32>, callers: u32, need: usize) -> Fallible<()> {
    let until = Instant::now() + Duration::from_secs(3);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (own, next) = (Arc::clone(own.replication()), Arc::clone(next));
        tasks.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < until {
                let one = vec![record(next.fetch_add(1, Ordering::Relaxed))];
                let since = Instant::now();
                let done = match need {
                    0 => own.fold(one).await,
                    _ => own.fold_replicated(one, &[2, 3], need, LONG).await.map(|_| ()),
                };
                done.map(|()| took.push(since.elapsed()))?;
            }
            Ok::<_, replication::Error>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(one) = tasks.join_next().await {
        took.extend(one??);
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let (rate, p50, p99) = (took.len() / 3, at(50), at(99));
    println!("{callers} callers, {need} others' disks: {rate} folds/s, {p50:.2} / {p99:.2} ms");
    Ok(())
}

/// How long it takes until others know a threat.
async fn told(own: &Member, others: &[&Member], next: &AtomicU32) -> Fallible<()> {
    let mut took = Vec::new();
    for _ in 0..50 {
        let one = record(next.fetch_add(1, Ordering::Relaxed));
        let id = one.id;
        let since = Instant::now();
        own.replication().fold(vec![one]).await?;
        while !others.iter().all(|other| other.replication().get(id).is_some()) {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        took.push(since.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_unstable_by(f64::total_cmp);
    println!("known to all after {:.1} ms (half), {:.1} ms (all of 50)", took[25], took[49]);
    Ok(())
}

/// A new member that knows others than those that are there.
async fn repaired(
    world: &World,
    there: &[&Member],
    differences: u32,
    next: &AtomicU32,
) -> Fallible<()> {
    let name = format!("sa-{differences}");
    let from = next.fetch_add(differences, Ordering::Relaxed);
    let own = world.alone(&name)?;
    let common = there[0].replication();
    let known = common.list(&replication::Query::default()).await.known;
    own.fold((from..from + differences).map(record).collect()).await?;
    // All that is there but the last ones.
    let lacked = from.saturating_sub(differences);
    for part in (0..lacked).collect::<Vec<_>>().chunks(4_096) {
        own.fold(part.iter().map(|n| record(*n)).collect()).await?;
    }
    own.close().await?;
    drop(own);
    let member = world.join(&name).await?;
    let since = Instant::now();
    let mut all = there.to_vec();
    all.push(&member);
    alike(&all).await?;
    let status = member.status().threats;
    println!(
        "{differences} differences on each side of {known}: equal {:.0} ms after it was admitted; \
         it sent {} bytes",
        since.elapsed().as_secs_f64() * 1e3,
        status.sent_bytes
    );
    member.shutdown().await?;
    Ok(())
}

/// Folding so many, and starting with them.
async fn started(world: &World, many: u32) -> Fallible<()> {
    let own = world.alone("alone")?;
    let since = Instant::now();
    for part in (0..many).collect::<Vec<_>>().chunks(4_096) {
        own.fold(part.iter().map(|n| record(*n)).collect()).await?;
    }
    let took = since.elapsed().as_secs_f64();
    println!("{many} threats folded by 4,096: {:.0} a second", f64::from(many) / took);
    let since = Instant::now();
    let page = own.list(&replication::Query { open: true, ..Default::default() }).await;
    println!("a page of {}: {:.0} ms", page.matching, since.elapsed().as_secs_f64() * 1e3);
    own.close().await?;
    drop(own);
    let file = std::fs::metadata(world.path("alone").join(replication::FILE))?.len();
    let since = Instant::now();
    let own = world.alone("alone")?;
    let took = since.elapsed().as_secs_f64();
    println!("opened with {} threats in {took:.2} s, {file} bytes", own.status().records);
    own.close().await?;
    Ok(())
}

/// Waits until all know the same.
async fn alike(members: &[&Member]) -> Fallible<()> {
    let until = Instant::now() + LONG;
    loop {
        let all: Vec<String> = members.iter().map(|m| m.status().threats.digest).collect();
        if all.iter().all(|digest| *digest == all[0]) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("they still differ: {all:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct World {
    net: MemoryTransport,
    authority: authority::Made,
    folder: PathBuf,
}

impl World {
    fn new(folder: &Path) -> Fallible<Self> {
        let authority = authority::found("acme", SystemTime::now())?;
        Ok(Self { net: MemoryTransport::default(), authority, folder: folder.into() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn fabric(&self, name: &str) -> Fallible<Arc<Fabric>> {
        let identity = Identity::node("acme", "eu", name)?;
        let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
        let made = authority::issue(&self.authority.key, &identity, now, life)?;
        let authorities = &self.authority.certificate;
        let shown = Credentials::of_pem(authorities, &made.certificate, &made.key)?;
        Ok(Arc::new(Fabric::new(shown, Arc::new(self.net.clone()), None, 1)))
    }

    fn storage(&self, name: &str) -> Fallible<replication::Storage> {
        Ok(replication::Storage::open(&self.path(name), "acme", fatal())?)
    }

    /// The threats of a node that is no member.
    fn alone(&self, name: &str) -> Fallible<Arc<Replication>> {
        let replica = Replica { node: 99, incarnation: 1 };
        let storage = self.storage(name)?;
        Ok(Replication::new(name.into(), replica, storage, wall(), self.fabric(name)?))
    }

    async fn node(&self, name: &str, id: u64, life: u64, founds: bool) -> Fallible<Member> {
        let me = Me {
            id,
            name: name.into(),
            region: "eu".into(),
            address: name.into(),
            incarnation: life,
            votes: id <= 3,
        };
        let parts = Parts {
            fabric: self.fabric(name)?,
            listener: Box::new(self.net.listen(name)),
            storage: Storage::open(&self.path(name), fatal())?,
            threats: self.storage(name)?,
            wall: wall(),
            profile: Profile::LAN,
            seeds: if founds { vec![] } else { vec!["eu-1".into()] },
            data: Arc::new(Silent),
            models: Arc::new(Silent),
            nonce: id,
            clock: Arc::new(TokioClock::start()),
        };
        let member = Member::start(me, parts, founds).await?;
        tokio::time::timeout(LONG, member.admitted()).await?;
        Ok(member)
    }

    async fn join(&self, name: &str) -> Fallible<Member> {
        let id = ask_for_id(&*self.fabric(name)?, &["eu-1".into()], name, LONG).await?;
        self.node(name, id, 1, false).await
    }
}

fn fatal() -> Fatal {
    Fatal::new(|error| panic!("the disk failed: {error}"))
}

fn wall() -> replication::Wall {
    Arc::new(|| Timestamp::from_micros(1))
}

/// A threat as detection makes it: a few targets, a rule.
fn record(n: u32) -> Record {
    let mut rng = Rng::new(u64::from(n));
    let entity = Entity::Host(Host::parse(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)));
    let class = ThreatClass::ALL[rng.below(ThreatClass::ALL.len())];
    let (mut targets, mut rules) = (Indicators::default(), Indicators::default());
    for _ in 0..rng.below(6) {
        targets.add(&format!("198.51.{}.{}:443", rng.below(256), rng.below(256)), 1);
    }
    rules.add("Many failed logons from one source", 1);
    let threat = Threat {
        id: ThreatId::of(&entity, class, 0),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::Medium,
        score: rng.unit() as f32 * 9.0,
        first_seen: Timestamp::from_micros(1),
        last_seen: Timestamp::from_micros(2),
        count: 3,
        targets,
        rules,
        voters: Default::default(),
        missing: Default::default(),
        labels: Default::default(),
    };
    Record::of(&threat, Count { source: 1, segment: 0, offset: 1, verdicts: 3 })
}
