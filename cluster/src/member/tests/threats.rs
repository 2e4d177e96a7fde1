//! Threats that members share: told, kept, found again after a cut and a restart.

use super::*;
use crate::consensus::Fatal;
use crate::replication::{self, Query};
use ::regions::threats::{Classification, Count, Record, Said, Status};
use ::threat::Timestamp;
use ::threat::entity::Entity;
use ::threat::{Host, Severity, Threat, ThreatClass, ThreatId, codec};
use std::path::Path;

pub fn storage(path: &Path) -> replication::Storage {
    replication::Storage::open(path, "acme", Fatal::new(|e| panic!("{e}"))).unwrap()
}

/// A threat of host number `n`.
pub fn record(n: u32) -> Record {
    let entity = Entity::Host(Host::parse(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)));
    let (class, seen) = (ThreatClass::Scan, Timestamp::from_micros(0));
    let threat = Threat {
        id: ThreatId::of(&entity, class, 0),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::ALL[n as usize % 5],
        score: 4.0,
        first_seen: seen,
        last_seen: seen,
        count: 1,
        targets: Default::default(),
        rules: Default::default(),
        voters: Default::default(),
        missing: Default::default(),
        labels: Default::default(),
    };
    Record::of(&threat, Count { source: 1, segment: 0, offset: 9, verdicts: 2 })
}

fn records(range: std::ops::Range<u32>) -> Vec<Record> {
    range.map(record).collect()
}

async fn three(world: &World) -> [Member; 3] {
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    let us = world.join("us-1", "eu-1").await;
    let ap = world.join("ap-1", "eu-1").await;
    [eu, us, ap]
}

/// Waits until all know so many threats, and the same.
async fn alike(members: &[&Member], count: u64) {
    until("all know the same", || {
        let all: Vec<_> = members.iter().map(|m| m.status().threats).collect();
        all.iter().all(|s| s.records == count && s.digest == all[0].digest)
    })
    .await;
}

/// Waits until each has compared with both others.
async fn acquainted(members: &[Member; 3]) {
    until("all answer one another", || {
        members.iter().all(|m| {
            let peers = m.status().threats.peers;
            peers.len() == 2 && peers.values().all(|p| p.answers && p.compared_ms_ago.is_some())
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_folds_others_know_soon_and_all_keep() {
    let world = World::new();
    let members = three(&world).await;
    acquainted(&members).await;
    let [eu, us, ap] = &members;
    let since = Instant::now();
    eu.replication().fold(records(0..100)).await.unwrap();
    alike(&[eu, us, ap], 100).await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    // What a person says on another node reaches all.
    let id = record(7).id;
    let said = Said { status: Some(Status::Closed), ..Said::default() };
    let said = Said { classification: Some(Some(Classification::FalsePositive)), ..said };
    let Ok(Told::Threat(told)) = control::ask(
        &world.operator(),
        "ap-1",
        &Ask::Handle { id, said: Box::new(said.clone()) },
        LONG,
    )
    .await
    else {
        panic!("it is not handled")
    };
    assert_eq!(told.status(), Status::Closed);
    alike(&[eu, us, ap], 100).await;
    assert_eq!(us.replication().get(id).unwrap(), *told);
    // An unknown one is refused with a word, and the list is in order.
    let ask = Ask::Handle { id: ThreatId(5), said: Box::new(said) };
    let refused = control::ask(&world.operator(), "ap-1", &ask, LONG).await;
    assert!(matches!(&refused, Ok(Told::Refused(r)) if r.contains("no threat")), "{refused:?}");
    let query = Query { severity: Some(Severity::High), open: true, ..Query::default() };
    let ask = Ask::Threats(Box::new(query));
    let Ok(Told::Threats(page)) = control::ask(&world.operator(), "us-1", &ask, LONG).await else {
        panic!("no page")
    };
    assert_eq!((page.known, page.matching, &*page.node), (100, 40, "us-1"));
    assert!(page.records.is_sorted_by_key(replication::Rank::of));
    // All of it is there again after an end of all.
    let digest = eu.status().threats.digest;
    for member in members {
        member.shutdown().await.unwrap();
    }
    let eu = world.node("eu-1", 1, 2, &[]).await;
    let status = eu.status().threats;
    assert_eq!((status.records, status.digest), (100, digest));
    eu.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_differences_on_each_side_of_a_cut_are_repaired_within_two_seconds() {
    let world = World::new();
    let members = three(&world).await;
    acquainted(&members).await;
    let [eu, us, ap] = &members;
    eu.replication().fold(records(0..5_000)).await.unwrap();
    alike(&[eu, us, ap], 5_000).await;
    world.cuts.cut("eu-1", "ap-1");
    world.cuts.cut("us-1", "ap-1");
    // Neither side waits for the other.
    ap.replication().fold(records(100_000..110_000)).await.unwrap();
    eu.replication().fold(records(200_000..210_000)).await.unwrap();
    alike(&[eu, us], 15_000).await;
    until("the cut is seen", || {
        let all = [eu, us, ap].map(|m| m.status().threats);
        !all[0].peers[&3].answers && !all[2].peers[&1].answers && !all[2].peers[&2].answers
    })
    .await;
    assert_eq!(ap.status().threats.records, 15_000);
    let digests = [eu, ap].map(|m| m.status().threats.digest);
    assert_ne!(digests[0], digests[1]);
    world.cuts.heal();
    let since = Instant::now();
    alike(&[eu, us, ap], 25_000).await;
    let took = since.elapsed();
    eprintln!("equal {took:?} after the link healed");
    assert!(took < Duration::from_secs(2), "{took:?}");
    until("all is on the disks", || [eu, us, ap].iter().all(|m| m.status().threats.unstored == 0))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_for_others_returns_when_enough_have_it_on_disk() {
    let world = World::new();
    let members = three(&world).await;
    acquainted(&members).await;
    let [eu, us, ap] = &members;
    let own = eu.replication();
    let folded = own.fold_replicated(records(0..9_000), &[2, 3], 2, LONG).await;
    let mut folded = folded.unwrap();
    folded.sort_unstable();
    assert_eq!(folded, [2, 3]);
    for member in [us, ap] {
        let status = member.status().threats;
        assert_eq!((status.records, status.unstored), (9_000, 0));
    }
    // With one of them cut off, one is enough for one and not for two.
    world.cuts.cut("eu-1", "ap-1");
    let soon = Duration::from_secs(2);
    let one = own.fold_replicated(records(9_000..9_010), &[2, 3], 1, soon).await.unwrap();
    assert_eq!(one, [2]);
    let two = own.fold_replicated(records(9_010..9_020), &[2, 3], 2, soon).await;
    let Err(replication::Error::NotEnough { durable, need: 2, .. }) = two else {
        panic!("{two:?}")
    };
    assert_eq!(durable, [2]);
    assert_eq!(eu.status().threats.records, 9_020);
}

/// Waits until these know so many threats, and the same. The clock of all goes on by what a floor
/// moves at least, but not before all have compared, for which there is time in use.
async fn collected(world: &World, members: &[&Member], count: u64) {
    let since = Instant::now();
    let mut moved = since;
    loop {
        let all: Vec<_> = members.iter().map(|m| m.status().threats).collect();
        if all.iter().all(|s| s.records == count && s.digest == all[0].digest) {
            return;
        }
        assert!(since.elapsed() < 6 * LONG, "closed threats are not collected: {all:?}");
        let since_then = moved.elapsed().as_millis() as u64;
        let peers = || all.iter().flat_map(|s| s.peers.values()).filter(|p| p.answers);
        if peers().all(|p| p.compared_ms_ago.is_some_and(|ms| ms < since_then)) {
            world.wall.fetch_add(250_000, Ordering::SeqCst);
            moved = Instant::now();
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Closed threats go everywhere once they are old, and a node that was away for longer brings none
/// of them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_threats_are_collected_and_who_was_away_brings_none_back() {
    let mut world = World::new();
    world.retention = Duration::from_secs(3);
    world.compare_every = (Duration::from_millis(100), Duration::from_millis(300));
    let close = async |member: &Member, range: std::ops::Range<u32>| {
        let said = Said { status: Some(Status::Closed), ..Said::default() };
        for n in range {
            member.replication().handle(record(n).id, &said).await.unwrap();
        }
    };
    let members = three(&world).await;
    acquainted(&members).await;
    let [eu, us, ap] = &members;
    eu.replication().fold(records(0..20)).await.unwrap();
    alike(&[eu, us, ap], 20).await;
    close(us, 0..5).await;
    alike(&[eu, us, ap], 20).await;
    assert_eq!(eu.status().threats.floor, None, "what was closed just now stays");
    for (n, member) in (20..).zip(&members) {
        member.replication().fold(vec![record(n)]).await.unwrap();
    }
    collected(&world, &[eu, us, ap], 18).await;
    for status in members.iter().map(|m| m.status().threats) {
        assert!(status.collected >= 5 && status.below_floor == 0, "{status:?}");
        assert!(status.floor.is_some() && status.thrown_away == 0, "{status:?}");
    }
    // One is cut off, and learns something there; others close what it knows as open.
    world.cuts.cut_off(&["ap-1"]);
    ap.replication().fold(records(30..33)).await.unwrap();
    eu.replication().fold(vec![record(23)]).await.unwrap();
    close(us, 5..10).await;
    collected(&world, &[eu, us], 14).await;
    let floor = eu.status().threats.floor;
    assert!(ap.status().threats.floor < floor);
    assert_eq!(ap.status().threats.records, 21);
    world.cuts.heal();
    alike(&[eu, us, ap], 17).await;
    let gone = |m: &Member| (0..10).all(|n| m.replication().get(record(n).id).is_none());
    assert!(members.iter().all(|m| gone(m) && m.status().threats.floor == floor));
    let status = ap.status().threats;
    assert!(status.thrown_away >= 15 && status.below_floor == 0, "{status:?}");
    // It is so after a restart, too.
    until("all is on the disk", || ap.status().threats.unstored == 0).await;
    let [eu, us, ap] = members;
    ap.shutdown().await.unwrap();
    let ap = world.node("ap-1", 3, 2, &["eu-1"]).await;
    let status = ap.status().threats;
    assert_eq!((status.records, status.floor), (17, floor));
    alike(&[&eu, &us, &ap], 17).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_forged_records_are_refused_and_counted() {
    let world = World::new();
    let [eu, us, ap] = three(&world).await;
    // A node of this cluster's authority that is no member, under a member's id.
    let stranger = world.fabric(&Identity::node("acme", "us", "us-9").unwrap());
    stranger.is_node(2);
    let lane = crate::fabric::Lane::Gossip;
    let body = |records: Vec<Record>| {
        // The first message of the lane: records.
        codec::encode_narrow(3, &(0u32, None::<Timestamp>, records)).unwrap()
    };
    let ask = |of: &Arc<Fabric>, body: Vec<u8>| {
        let of = Arc::clone(of);
        async move { of.ask("eu-1", 1, lane, body, LONG).await }
    };
    let (before, at_the_door) = (eu.status().threats.refused, eu.status().connections.refused);
    assert!(ask(&stranger, body(records(0..3))).await.is_err());
    assert_eq!((eu.status().threats.records, eu.status().threats.refused), (0, before));
    assert_eq!(eu.status().connections.refused, at_the_door + 1);
    // A member may say it, and what it forges is left out.
    us.shutdown().await.unwrap();
    let member = world.fabric(&Identity::node("acme", "us", "us-1").unwrap());
    member.is_node(2);
    let mut forged = record(4);
    forged.id = ThreatId(4);
    ask(&member, body(vec![record(1), forged, record(2)])).await.unwrap();
    assert_eq!((eu.status().threats.records, eu.status().threats.refused), (2, before + 1));
    ask(&member, vec![7; 50]).await.unwrap();
    assert_eq!((eu.status().threats.records, eu.status().threats.refused), (2, before + 2));
    alike(&[&eu, &ap], 2).await;
}
