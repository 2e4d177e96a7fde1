//! Power cuts at any write: what was acknowledged is there again, once.

use super::*;
use crate::consensus::types::{Batch, Entry, LogId, SnapshotMeta, Vote};
use openraft::storage::{
    RaftLogReaderExt, RaftLogStorage, RaftLogStorageExt, RaftStateMachine, StorageHelper,
};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader, RaftSnapshotBuilder};
use regions::control_log::{Client, Command, ControlLog, Request};
use std::io::Cursor;
use store::sim::SimDisk;
use threat::entropy::Rng;

/// What must be found again.
#[derive(Default)]
struct Model {
    /// Acknowledged entries by index, of which the first are applied.
    log: Vec<Entry>,
    applied: usize,
    vote: Option<Vote>,
    /// What was under way when the power went: it may be there or not.
    flying: Vec<Entry>,
    flying_vote: Option<Vote>,
    /// Truncated, perhaps.
    cut_to: Option<usize>,
    term: u64,
}

struct World {
    rng: Rng,
    /// Of the log, its journal and the state.
    disks: [SimDisk; 3],
    model: Model,
    sequence: u64,
}

fn id(term: u64, index: usize) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index as u64)
}

impl World {
    fn new(seed: u64) -> Self {
        let disks = [seed, seed ^ 0xd15c, seed ^ 0x109].map(SimDisk::new);
        let rng = Rng::fork(seed, "world");
        Self { rng, disks, model: Model { term: 1, ..Model::default() }, sequence: 0 }
    }

    fn open(&self) -> store::Result<Storage> {
        let disks = self.disks.each_ref().map(SimDisk::backend);
        Storage::with_backends(disks, Slowest::default(), Fatal::new(|_| {}))
    }

    fn entry(&mut self, index: usize) -> Entry {
        let requests = (0..self.rng.below(4)).map(|_| {
            self.sequence += 1;
            let name = format!("f{}", self.rng.below(5)).into();
            let value = Some("x".repeat(self.rng.below(600)).into());
            let client = Client { opened: 0, nonce: self.sequence % 3 };
            Request { client, sequence: self.sequence, command: Command::SetFlag { name, value } }
        });
        let payload = EntryPayload::Normal(Batch(requests.collect()));
        Entry { log_id: id(self.model.term, index), payload }
    }

    /// One step; an error means that the power went.
    async fn step(&mut self, s: &mut Storage) -> Result<(), StorageError> {
        let m = &mut self.model;
        match self.rng.below(10) {
            0 => {
                m.term += 1;
                let vote = Vote::new(m.term, 1);
                m.flying_vote = Some(vote);
                s.log.save_vote(&vote).await?;
                m.vote = m.flying_vote.take();
            }
            1 if m.log.len() > m.applied => {
                let keep = m.applied + self.rng.below(m.log.len() - m.applied);
                m.cut_to = Some(keep);
                s.log.truncate(m.log[keep].log_id).await?;
                m.log.truncate(keep);
                m.cut_to = None;
            }
            2..=4 if m.log.len() > m.applied => {
                let to = m.applied + 1 + self.rng.below(m.log.len() - m.applied);
                let new = m.log[m.applied..to].to_vec();
                s.log.save_committed(new.last().map(|e| e.log_id)).await?;
                s.state.apply(new).await?;
                m.applied = to;
            }
            5 => s.state.checkpoint().await?,
            6 if m.applied > 0 => {
                let snapshot = s.state.build_snapshot().await?;
                let purged = snapshot.meta.last_log_id.expect("something is applied");
                let less = self.rng.below(purged.index as usize + 1);
                s.log.purge(m.log[less].log_id).await?;
            }
            7 => self.install(s).await?,
            _ => {
                let first = m.log.len();
                let count = 1 + self.rng.below(5);
                let new: Vec<Entry> = (first..first + count).map(|i| self.entry(i)).collect();
                self.model.flying.clone_from(&new);
                s.log.blocking_append(new).await?;
                self.model.log.append(&mut self.model.flying);
            }
        }
        Ok(())
    }

    /// A snapshot from a leader that is ahead. As openraft does, conflicting entries are truncated
    /// first, and the log is purged while the snapshot is being installed.
    async fn install(&mut self, s: &mut Storage) -> Result<(), StorageError> {
        let upto = self.model.log.len() + self.rng.below(4);
        let mut ahead = self.model.log.clone();
        for index in self.model.log.len()..=upto {
            ahead.push(self.entry(index));
        }
        let mut log = ControlLog::default();
        for entry in &ahead {
            apply(&mut log, entry);
        }
        let meta = SnapshotMeta {
            last_log_id: Some(ahead[upto].log_id),
            snapshot_id: "ahead".into(),
            ..SnapshotMeta::default()
        };
        let bytes = Box::new(Cursor::new(log.encode().expect("it is small")));
        self.model.flying = ahead[self.model.log.len()..].to_vec();
        let (purged, installed) =
            tokio::join!(s.log.purge(ahead[upto].log_id), s.state.install_snapshot(&meta, bytes),);
        installed.and(purged)?;
        self.model.flying.clear();
        self.model.applied = ahead.len();
        self.model.log = ahead;
        Ok(())
    }

    /// Whether what was found after a start is what may be; takes it for what is from now on.
    async fn check(&mut self, s: &mut Storage) {
        let m = &mut self.model;
        let vote = s.log.read_vote().await.unwrap();
        assert!(vote == m.vote || vote == m.flying_vote, "the vote was lost");
        let state = s.log.get_log_state().await.unwrap();
        let durable = s.state.durable().borrow().expect("the disk is well");
        let purged = state.last_purged_log_id.map_or(0, |p| p.index + 1);
        assert!(durable >= purged, "purged up to {purged}, applied only {durable}");
        // What openraft does at a start: applies what is committed.
        StorageHelper::new(&mut s.log, &mut s.state).get_initial_state().await.unwrap();
        let state = s.log.get_log_state().await.unwrap();
        let end = state.last_log_id.map_or(0, |l| l.index as usize + 1);
        let mut all = m.log.clone();
        all.append(&mut m.flying);
        let least = m.cut_to.unwrap_or(m.log.len());
        assert!((least..=all.len()).contains(&end), "{end} is not in {least}..={}", all.len());
        all.truncate(end);
        let first = state.last_purged_log_id.map_or(0, |p| p.index as usize + 1);
        let found = s.log.try_get_log_entries(first as u64..).await.unwrap();
        assert_eq!(found, all[first.min(end)..]);
        let (last, _) = s.state.applied_state().await.unwrap();
        let count = last.map_or(0, |l| l.index as usize + 1);
        let mut log = ControlLog::default();
        all[..count].iter().for_each(|e| apply(&mut log, e));
        assert_eq!(s.state.read().log, log, "what is applied is not the log up to {count}");
        if let Some(snapshot) = s.state.get_current_snapshot().await.unwrap() {
            assert!(snapshot.meta.last_log_id <= last);
        } else {
            assert_eq!(state.last_purged_log_id, None);
        }
        // Truncation that has begun goes on with what is applied as its floor.
        m.applied = count;
        m.log = all;
        (m.vote, m.flying_vote, m.cut_to) = (vote, None, None);
    }
}

fn apply(log: &mut ControlLog, entry: &Entry) {
    if let EntryPayload::Normal(batch) = &entry.payload {
        for request in &batch.0 {
            log.apply(entry.log_id.index, request);
        }
    }
}

/// Runs one world through its cuts and says how many operations were acknowledged.
fn run(seed: u64, cuts: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        let mut steps = 0;
        let mut storage = world.open().unwrap();
        for _ in 0..cuts {
            let which = world.rng.below(3);
            let after = world.rng.below(120) as u64;
            world.disks[which].cut_after(after);
            while world.step(&mut storage).await.is_ok() {
                steps += 1;
                if steps % 200 == 0 {
                    break;
                }
            }
            for disk in &world.disks {
                disk.power_cut();
            }
            drop(storage);
            // The power may go again while it is opened.
            if world.rng.chance(0.3) {
                world.disks[which].cut_after(world.rng.below(20) as u64);
                let _ = world.open();
                for disk in &world.disks {
                    disk.power_cut();
                }
            }
            storage = world.open().unwrap();
            world.check(&mut storage).await;
        }
        steps
    })
}

#[test]
fn after_a_power_cut_nothing_acknowledged_is_lost_or_applied_twice() {
    let steps: usize = (0..20).map(|seed| run(seed, 15)).sum();
    assert!(steps > 2_000, "only {steps} steps were acknowledged");
}

/// The test does see a disk that lies.
#[test]
fn a_disk_that_ignores_syncs_is_found_out() {
    let lied = |seed| {
        std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut world = World::new(seed);
                let mut storage = world.open().unwrap();
                world.disks.iter().for_each(|d| d.ignore_sync(true));
                for _ in 0..40 {
                    world.step(&mut storage).await.unwrap();
                }
                world.disks.iter().for_each(SimDisk::power_cut);
                drop(storage);
                let mut storage = world.open().unwrap();
                world.check(&mut storage).await;
            });
        })
        .is_err()
    };
    assert!((0..5).any(lied));
}

#[test]
fn a_purge_waits_until_the_state_is_on_the_disk() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(1);
        let mut s = world.open().unwrap();
        let entries: Vec<Entry> = (0..3).map(|i| world.entry(i)).collect();
        s.log.blocking_append(entries.clone()).await.unwrap();
        s.state.apply(entries).await.unwrap();
        let mut log = s.log.clone();
        let purge = tokio::spawn(async move { log.purge(id(1, 2)).await });
        tokio::task::yield_now().await;
        assert_eq!(s.log.get_log_entries(0..3).await.unwrap().len(), 3);
        assert!(!purge.is_finished());
        s.state.checkpoint().await.unwrap();
        purge.await.unwrap().unwrap();
        assert_eq!(s.log.get_log_state().await.unwrap().last_purged_log_id, Some(id(1, 2)));
    });
}

#[test]
fn nothing_is_stored_behind_what_failed() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(3);
        let mut s = world.open().unwrap();
        let entries: Vec<Entry> = (0..3).map(|i| world.entry(i)).collect();
        s.log.blocking_append([entries[0].clone()]).await.unwrap();
        world.disks[1].fail_next_sync();
        assert!(s.log.blocking_append([entries[1].clone()]).await.is_err());
        // The disk would take it.
        assert!(s.log.blocking_append([entries[2].clone()]).await.is_err());
        assert!(s.log.save_vote(&Vote::new(9, 1)).await.is_err());
        world.disks.iter().for_each(SimDisk::power_cut);
        drop(s);
        let mut s = world.open().unwrap();
        let last = s.log.get_log_state().await.unwrap().last_log_id.unwrap();
        assert!(last.index <= 1, "{last}");
        assert_eq!(s.log.read_vote().await.unwrap(), None);
    });
}
