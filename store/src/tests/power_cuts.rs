//! Seeded power cuts: what was acknowledged is there, and position and counts belong together.

use super::*;
use crate::sim::SimDisk;
use crate::{Query, Store};
use threat::entropy::Rng;

/// The source of these tests.
const SOURCE: &str = "source/a";
/// Threats that its events go to.
const THREATS: u32 = 6;

/// What the writer knows: the state after each commit that may be on the disk.
struct Model {
    /// Offset after the last durable commit that was acknowledged.
    safe: u64,
    /// Offset after the last commit that was tried.
    tried: u64,
    /// Commits that were possible ends: `safe`, `tried` and everything between.
    ends: Vec<u64>,
    /// Verdicts per threat at the present offset.
    counts: [u64; THREATS as usize],
}

/// Reads everything back and checks that it tells one story; its offset. `Err` says what is wrong.
fn audit(s: &Store, model: &mut Model) -> Result<u64, String> {
    let v = s.view().map_err(|e| e.to_string())?;
    let text = |e: crate::Error| e.to_string();
    let stored = v.checkpoint(SOURCE).map_err(text)?;
    let offset = stored.map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()));
    if offset < model.safe {
        return Err(format!("acknowledged {} and found {offset}", model.safe));
    }
    if !model.ends.contains(&offset) {
        return Err(format!("offset {offset} was never committed"));
    }
    let (mut total, mut counts) = (0, [0; THREATS as usize]);
    for n in 0..THREATS {
        let id = threat(n, 0).id;
        let whole = v.threat(id).map_err(text)?.map_or(0, |t| t.count);
        let parts: u64 = v.counts(id).map_err(text)?.iter().map(|c| c.count).sum();
        if whole != parts {
            return Err(format!("threat {n} has {whole}, its segments {parts}"));
        }
        counts[n as usize] = whole;
        total += whole;
    }
    let ledger = v.ledger(SOURCE).map_err(text)?;
    if total != offset || ledger.events() != offset || ledger.end() != offset {
        return Err(format!("offset {offset}, counted {total}, ledger {}", ledger.events()));
    }
    let listed = v.threats(&Query::default()).map_err(text)?.len();
    if listed != counts.iter().filter(|&&c| c > 0).count() {
        return Err(format!("{listed} threats are in the index"));
    }
    (model.counts, model.tried, model.ends) = (counts, offset, vec![offset]);
    Ok(offset)
}

/// One batch: some events, each a verdict on one threat.
fn batch(rng: &mut Rng, model: &mut Model) -> Commit {
    let (start, mut touched) = (model.tried, std::collections::BTreeSet::new());
    for _ in 0..=rng.below(40) {
        let n = rng.below(THREATS as usize);
        model.counts[n] += 1;
        model.tried += 1;
        touched.insert(n as u32);
    }
    model.ends.push(model.tried);
    let threats: Vec<_> = touched.iter().map(|&n| threat(n, model.counts[n as usize])).collect();
    Commit {
        checkpoints: vec![(SOURCE.into(), model.tried.to_le_bytes().to_vec())],
        ledger: vec![entry(SOURCE, start, model.tried, model.tried - start)],
        counts: threats.iter().map(|t| count(t.id, "a@0", model.tried, t.count)).collect(),
        examples: threats.iter().take(1).map(|t| (t.id, 0, example())).collect(),
        threats,
        durable: rng.chance(0.6),
        ..Commit::default()
    }
}

/// What breaks the power in a cycle.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Cut,
    FailedSync,
    Kill,
}

/// Cycles of open, audit, commits and a fault; how many cuts fell into an open, or what went wrong.
fn run(seed: u64, cycles: u32, ignore_sync: bool) -> Result<u64, String> {
    let disk = SimDisk::new(seed);
    let mut rng = Rng::fork(seed, "workload");
    drop(Store::with_backend(disk.backend()).map_err(|e| e.to_string())?);
    disk.ignore_sync(ignore_sync);
    let mut model = Model { safe: 0, tried: 0, ends: vec![0], counts: [0; THREATS as usize] };
    let mut in_open = 0;
    for cycle in 0..=cycles {
        let last = cycle == cycles;
        let fault = [Fault::Cut, Fault::Cut, Fault::FailedSync, Fault::Kill][rng.below(4)];
        if !last && fault != Fault::FailedSync {
            disk.cut_after(rng.below(90) as u64);
        }
        match Store::with_backend(disk.backend()) {
            Ok(s) => {
                // Opening ended with a durable commit, so what it found is safe from now on.
                model.safe = audit(&s, &mut model).map_err(|e| format!("cycle {cycle}: {e}"))?;
                for step in 0..40 {
                    if last {
                        break;
                    }
                    if fault == Fault::FailedSync && step == 3 {
                        disk.fail_next_sync();
                    }
                    let c = batch(&mut rng, &mut model);
                    match s.commit(&c) {
                        Ok(_) if c.durable => model.safe = model.tried,
                        Ok(_) => {}
                        Err(e) if e.is_fatal() => {
                            assert!(s.commit(&c).unwrap_err().is_fatal(), "never again");
                            break;
                        }
                        Err(e) => return Err(e.to_string()),
                    }
                }
            }
            Err(e) if last || disk.powered() => return Err(format!("cycle {cycle}: open: {e}")),
            Err(_) => in_open += 1,
        }
        match fault {
            Fault::Cut => disk.power_cut(),
            Fault::FailedSync | Fault::Kill => disk.kill(),
        }
    }
    Ok(in_open)
}

/// Seeds times cycles: 1,600 faults.
const SEEDS: u64 = 400;
const CYCLES: u32 = 4;

#[test]
fn acknowledged_commits_survive_and_position_and_counts_agree() {
    let mut in_open = 0;
    for seed in 0..SEEDS {
        in_open += run(seed, CYCLES, false).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    assert!(in_open > 5, "cuts must hit opening too: {in_open}");
}

#[test]
fn a_disk_that_ignores_sync_is_noticed() {
    let caught = (0..40).filter(|&seed| run(seed, CYCLES, true).is_err()).count();
    assert!(caught >= 20, "only {caught} of 40 runs noticed that nothing was synced");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let trace = |seed| {
        let disk = SimDisk::new(seed);
        let s = Store::with_backend(disk.backend()).unwrap();
        s.commit(&one_of_each()).unwrap();
        disk.cut_after(3);
        let _ = s.commit(&one_of_each());
        disk.power_cut();
        disk.digest()
    };
    assert_eq!(trace(9), trace(9));
}
