use super::worker::Worker;
use super::*;
use crate::consensus::types::Types;
use openraft::testing::{StoreBuilder, Suite};
use store::sim::SimDisk;

/// Files in a folder of their own, written by threads.
struct Files;

/// Simulated disks.
struct Simulated;

fn fatal() -> Fatal {
    Fatal::new(|error| panic!("{error}"))
}

impl StoreBuilder<Types, LogStore, StateMachine, tempfile::TempDir> for Files {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let folder = tempfile::tempdir().unwrap();
        let (alive, _) = mpsc::channel(1);
        let log = log_disk::LogDisk::open(&folder.path().join("raft.redb"), alive.clone()).unwrap();
        let state = state_disk::StateDisk::open(&folder.path().join("state.redb"), alive).unwrap();
        // The suite purges what it has not applied.
        let path = folder.path().join("raft.journal");
        let journal = Journal::open(&path, JOURNAL_AREA).unwrap();
        let log = LogStore::load(log, journal, Place::Thread, fatal()).unwrap();
        Ok((folder, log, StateMachine::load(Worker::thread(state), None, fatal()).unwrap()))
    }
}

impl StoreBuilder<Types, LogStore, StateMachine, ()> for Simulated {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError> {
        let (alive, _) = mpsc::channel(1);
        let [log, journal, state] = [1, 2, 3].map(|seed| SimDisk::new(seed).backend());
        let journal = Journal::with_backend(journal, JOURNAL_AREA_SIMULATED).unwrap();
        let place = Place::Task { slowest: Slowest::default() };
        let log = log_disk::LogDisk::with_backend(log, alive.clone()).unwrap();
        let state = state_disk::StateDisk::with_backend(state, alive).unwrap();
        let log = LogStore::load(log, journal, place, fatal()).unwrap();
        Ok(((), log, StateMachine::load(Worker::inline(state), None, fatal()).unwrap()))
    }
}

#[test]
fn the_suite_of_openraft_passes_on_files() {
    Suite::test_all(Files).unwrap();
}

#[test]
fn the_suite_of_openraft_passes_on_simulated_disks() {
    Suite::test_all(Simulated).unwrap();
}
