use super::*;

fn state(key: u64, (epoch, sequence): Mark) -> EntityState {
    let bytes = vec![epoch as u8, sequence as u8];
    EntityState { workload: 7, kind: 1, key, epoch, sequence, owner: key, bytes }
}

fn part(epoch: u64, after: u64, sequence: u64, last: bool, keys: &[u64]) -> Checkpoint {
    let states = keys.iter().map(|key| state(*key, (epoch, sequence))).collect();
    Checkpoint { workload: 7, epoch, after, sequence, last, states }
}

fn open(folder: &tempfile::TempDir) -> Checkpoints {
    let store = Store::open(&folder.path().join("events.redb")).unwrap();
    Checkpoints::open(Arc::new(store), Threads::default()).unwrap()
}

fn stamps(checkpoints: &Checkpoints) -> Vec<(u64, Mark)> {
    let all = checkpoints.after(7, 0, 0).unwrap();
    all.iter().map(|s| (s.key, s.stamp())).collect()
}

#[test]
fn a_checkpoint_counts_when_all_of_it_is_here_and_nothing_before_it_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(&folder);
    // It follows one that is not here.
    assert_eq!(held.hold(&part(4, 1, 2, true, &[1])).unwrap(), (0, 0));
    assert_eq!(stamps(&held), []);
    // The first parts of a whole one, and its end.
    assert_eq!(held.hold(&part(4, 0, 2, false, &[1, 2])).unwrap(), (4, 0));
    assert_eq!(held.hold(&part(4, 0, 2, true, &[3])).unwrap(), (4, 2));
    // One was lost on the way: its sender hears where it stands here.
    assert_eq!(held.hold(&part(4, 3, 4, true, &[1])).unwrap(), (4, 2));
    assert_eq!(held.hold(&part(4, 2, 4, true, &[1])).unwrap(), (4, 4));
    assert_eq!(stamps(&held), [(1, (4, 4)), (2, (4, 2)), (3, (4, 2))]);
    // Repeated, or late.
    assert_eq!(held.hold(&part(4, 2, 4, true, &[1])).unwrap(), (4, 4));
    assert_eq!(held.hold(&part(4, 0, 2, true, &[1])).unwrap(), (4, 4));
    assert_eq!(stamps(&held)[0], (1, (4, 4)));
    let after = held.after(7, 4, 2).unwrap();
    assert_eq!(after.iter().map(|s| s.key).collect::<Vec<_>>(), [1]);
    drop(held);
    assert_eq!(open(&folder).marks(), BTreeMap::from([(7, (4, 4))]));
}

#[test]
fn who_owned_it_before_writes_nothing_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(&folder);
    held.hold(&part(4, 0, 3, true, &[1, 2])).unwrap();
    assert_eq!(held.claim(7, 5, None).unwrap().len(), 2);
    assert_eq!(held.hold(&part(4, 3, 4, true, &[9])).unwrap(), (5, 1));
    assert_eq!(held.keep(7, 4, &mut [state(9, (0, 0))]).unwrap(), None);
    assert_eq!(held.keep(7, 5, &mut [state(1, (0, 0))]).unwrap(), Some((5, 2)));
    assert_eq!(held.keep(7, 5, &mut []).unwrap(), Some((5, 2)), "nothing changed");
    assert_eq!(stamps(&held), [(1, (5, 2)), (2, (4, 3))]);
    // A disk that forgot numbers goes on after those that others have.
    held.raise(7, (4, 90));
    held.raise(7, (5, 9));
    assert_eq!(held.keep(7, 5, &mut [state(1, (0, 0))]).unwrap(), Some((5, 10)));
}

#[test]
fn what_is_in_memory_is_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(&folder);
    assert!(held.claim(7, 4, None).unwrap().is_empty());
    held.keep(7, 4, &mut [state(1, (0, 0)), state(2, (0, 0))]).unwrap();
    // Another node owns it for a while, and then this one again.
    held.hold(&part(5, 0, 2, true, &[2, 3])).unwrap();
    let new = held.claim(7, 6, Some(4)).unwrap();
    assert_eq!(new.iter().map(|s| s.key).collect::<Vec<_>>(), [2, 3]);
    // Another process has nothing in memory.
    drop(held);
    assert_eq!(open(&folder).claim(7, 6, None).unwrap().len(), 3);
}

#[test]
fn what_changed_longest_ago_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(&folder);
    held.claim(7, 4, None).unwrap();
    let many = |from: u64, count: u64| -> Vec<EntityState> {
        (from..from + count).map(|key| state(key, (0, 0))).collect()
    };
    let most = STATES as u64;
    held.keep(7, 4, &mut many(0, most)).unwrap();
    held.keep(7, 4, &mut many(most, most / 2)).unwrap();
    let left = stamps(&held);
    assert_eq!(left.len(), STATES);
    let newest = |key: u64| left.binary_search_by_key(&key, |(key, _)| *key).is_ok();
    assert!((most..most + most / 2).all(newest));
}

#[test]
fn a_node_gets_what_another_holds_in_parts() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (there, here) = (open(&there), open(&here));
    let keys: Vec<u64> = (0..5_000).collect();
    there.hold(&part(4, 0, 3, true, &keys)).unwrap();
    let (mut after, mut parts) = (None, 0);
    loop {
        let part = there.part(7, after).unwrap();
        after = part.states.last().map(|s| (s.kind, s.key));
        here.hold(&part).unwrap();
        parts += 1;
        if part.last {
            break;
        }
    }
    assert!(parts > 1);
    assert_eq!((stamps(&here), here.marks()), (stamps(&there), there.marks()));
    assert!(there.part(8, None).unwrap().last, "nothing is known of another");
}
