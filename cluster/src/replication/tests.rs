use super::fold::parts;
use super::limits::{PAGE, TOLD_BYTES, TOLD_RECORDS};
use super::*;
use crate::fabric::{Credentials, Identity, MemoryTransport, authority};
use crate::member::tests::record;
use ::threat::Severity;
use ::threat::entropy::Rng;
use regions::threats::Status;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use store::sim::SimDisk;

fn fabric() -> Arc<Fabric> {
    let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
    let made = authority::found("acme", now).unwrap();
    let identity = Identity::node("acme", "eu", "eu-1").unwrap();
    let own = authority::issue(&made.key, &identity, now, life).unwrap();
    let shown = Credentials::of_pem(&made.certificate, &own.certificate, &own.key).unwrap();
    Arc::new(Fabric::new(shown, Arc::new(MemoryTransport::default()), None, 1))
}

fn replication(storage: Storage, fabric: &Arc<Fabric>, life: u32) -> Arc<Replication> {
    let replica = Replica { node: 1, incarnation: life };
    let wall: Wall = Arc::new(|| Timestamp::from_micros(1_000_000));
    Replication::new("eu-1".into(), replica, storage, wall, Arc::clone(fabric))
}

fn on_disk(folder: &Path) -> Result<Storage, Error> {
    Storage::open(folder, "acme", Fatal::new(|e| panic!("{e}")))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Whatever is cut when: what a fold acknowledged is there, and nothing that nobody folded.
#[test]
fn what_a_fold_acknowledged_survives_power_cuts() {
    let fabric = fabric();
    let mut acknowledged = 0;
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let mut rng = Rng::fork(seed, "folds");
        let open = || Storage::with_backend(disk.backend(), "acme", Fatal::new(|_| {}));
        let (mut sure, mut next) = (BTreeMap::new(), 0);
        drop(open().unwrap());
        for life in 1..8 {
            let own = replication(open().unwrap(), &fabric, life);
            for (id, record) in &sure {
                assert_eq!(own.get(*id).as_ref(), Some(record), "seed {seed}, life {life}");
            }
            assert!(own.status().records <= u64::from(next));
            disk.cut_after(rng.below(60) as u64);
            loop {
                let count = 1 + rng.below(20) as u32;
                let folded: Vec<Record> = (next..next + count).map(record).collect();
                next += count;
                match run(own.fold(folded.clone())) {
                    Ok(()) => sure.extend(folded.into_iter().map(|r| (r.id, r))),
                    Err(error) => {
                        assert!(matches!(error, Error::Stopped), "{error}");
                        break;
                    }
                }
                acknowledged += u64::from(count);
            }
            // What is closed takes nothing more.
            assert!(run(own.fold(vec![record(0)])).is_err());
            drop(own);
            disk.power_cut();
        }
    }
    assert!(acknowledged > 1_000, "{acknowledged}");
}

#[test]
fn a_failed_disk_ends_the_node_and_acknowledges_nothing() {
    let disk = SimDisk::new(1);
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    let fatal = Fatal::new(move |_| tell.store(true, Ordering::SeqCst));
    let storage = Storage::with_backend(disk.backend(), "acme", fatal).unwrap();
    let own = replication(storage, &fabric(), 1);
    run(own.fold(vec![record(1)])).unwrap();
    disk.fail_next_sync();
    assert!(matches!(run(own.fold(vec![record(2)])), Err(Error::Stopped)));
    assert!(told.load(Ordering::SeqCst));
    assert!(matches!(run(own.fold(vec![record(1)])), Err(Error::Stopped)));
}

#[test]
fn a_corrupt_file_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let own = replication(on_disk(folder.path()).unwrap(), &fabric(), 1);
        own.fold((0..500).map(record).collect()).await.unwrap();
        own.close().await.unwrap();
        assert!(matches!(own.fold(vec![record(1)]).await, Err(Error::Stopped)));
    });
    let path = folder.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    // Behind the version: as it stands in the record.
    let entity = &codec::encode(0, &record(77).entity).unwrap()[1..];
    let at = whole.windows(entity.len()).position(|w| w == entity).unwrap() + entity.len() - 1;
    let mut bytes = whole.clone();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = on_disk(folder.path()).err().unwrap();
    assert!(matches!(&error, Error::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(FILE) && text.contains("Move it away"), "{text}");
    std::fs::write(&path, whole).unwrap();
    assert_eq!(on_disk(folder.path()).unwrap().state.len(), 500);
}

#[tokio::test]
async fn one_bad_record_keeps_none_of_the_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let own = replication(on_disk(folder.path()).unwrap(), &fabric(), 1);
    let mut bad = record(1);
    bad.score = f32::NAN;
    let error = own.fold(vec![record(0), bad, record(2)]).await.unwrap_err();
    assert!(matches!(error, Error::NotTaken { no_room: 0, refused: 1, first: Some(_) }));
    assert!(error.to_string().contains("score"), "{error}");
    assert_eq!((own.status().records, own.status().unstored), (2, 0));
    // Who folds for others and knows of none is told so at once.
    let none = own.fold_replicated(vec![record(3)], &[2, 3], 1, Duration::from_secs(60)).await;
    assert!(matches!(none, Err(Error::NotEnough { need: 1, .. })), "{none:?}");
    assert_eq!(own.status().records, 3);
    own.close().await.unwrap();
}

#[tokio::test]
async fn what_people_say_is_there_after_a_restart_and_the_clock_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (fabric, id) = (fabric(), record(5).id);
    let own = replication(on_disk(folder.path()).unwrap(), &fabric, 1);
    own.fold(vec![record(5)]).await.unwrap();
    let said = |status| Said { status: Some(status), ..Said::default() };
    let closed = own.handle(id, &said(Status::Closed)).await.unwrap();
    own.close().await.unwrap();
    let own = replication(on_disk(folder.path()).unwrap(), &fabric, 2);
    assert_eq!(own.get(id), Some(closed.clone()));
    // The wall clock stands still, and the new word is later all the same.
    let open = own.handle(id, &said(Status::Open)).await.unwrap();
    let stamp = |r: &Record| r.handling().unwrap().status.stamp().unwrap();
    assert!(stamp(&open) > stamp(&closed));
    assert_eq!(open.status(), Status::Open);
    own.close().await.unwrap();
}

#[tokio::test]
async fn pages_give_every_threat_once_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let own = replication(on_disk(folder.path()).unwrap(), &fabric(), 1);
    own.fold((0..2_500).map(record).collect()).await.unwrap();
    let mut all = Vec::new();
    let mut query = Query { most: u32::MAX, ..Query::default() };
    loop {
        let page = own.list(&query).await;
        assert!(page.records.len() <= PAGE && page.known == 2_500);
        assert_eq!(page.matching, 2_500 - all.len() as u64);
        if page.records.is_empty() {
            break;
        }
        query.after = page.records.last().map(Rank::of);
        all.extend(page.records);
    }
    assert!(all.windows(2).all(|w| Rank::of(&w[0]) < Rank::of(&w[1])));
    assert_eq!(all.len(), 2_500);
    assert_eq!(all[0].gravity(), Severity::Critical);
    // By id, by text, and a range that ends before it begins.
    let id = record(9).id;
    let one = Query { ids: (id, id), ..Query::default() };
    assert_eq!(own.list(&one).await.records, [record(9)]);
    let named = Query { entity: Some("10.0.9.19".into()), ..Query::default() };
    // 19 itself, and 190 to 195, where the 2,500 end.
    assert_eq!(own.list(&named).await.matching, 7);
    let none = Query { ids: (id, ThreatId(id.0 - 1)), ..Query::default() };
    assert_eq!(own.list(&none).await.matching, 0);
    own.close().await.unwrap();
}

#[test]
fn what_is_pushed_is_cut_into_messages_within_limits() {
    let all: Vec<Record> = (0..10_000).map(record).collect();
    let cut = parts(&all);
    assert_eq!(cut.concat(), all);
    assert!(cut.len() > 1 && cut.iter().all(|p| p.len() <= TOLD_RECORDS));
    let size = |p: &&[Record]| p.iter().map(|r| r.encode().unwrap().len()).sum::<usize>();
    assert!(cut.iter().all(|p| size(p) <= TOLD_BYTES));
    assert!(parts(&[]).is_empty());
}
