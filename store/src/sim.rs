//! A simulated disk: keeps what was not synced apart, and can lose, tear or fail it.
//!
//! At a power cut every 512-byte sector written since the last sync is kept or lost by its own
//! coin, so writes are lost, torn and reordered; length changes are kept up to some point.
//! Everything is drawn from the seed. It models a disk that honours sync, unless told to ignore it.

use redb::StorageBackend;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use threat::entropy::Rng;

pub use crate::limits::SECTOR;

#[derive(Debug)]
enum Op {
    Write { at: u64, data: Vec<u8> },
    Length(u64),
}

#[derive(Debug)]
struct Inner {
    rng: Rng,
    /// What survives a power cut.
    durable: Vec<u8>,
    /// What reads see: durable and everything since.
    current: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Op>,
    /// Backends of an earlier life can do nothing.
    life: u64,
    /// Writes, syncs and length changes until the power goes.
    cut_in: Option<u64>,
    off: bool,
    fail_sync: bool,
    ignore_sync: bool,
    syncs: u64,
    /// Writes, syncs and length changes so far.
    changes: u64,
}

/// A disk that outlives the stores on it.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<Inner>>);

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng: Rng::fork(seed, "disk"),
            durable: Vec::new(),
            current: Vec::new(),
            unsynced: Vec::new(),
            life: 0,
            cut_in: None,
            off: false,
            fail_sync: false,
            ignore_sync: false,
            syncs: 0,
            changes: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panics with the lock held has failed anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as redb sees it, in its present life.
    pub fn backend(&self) -> SimBackend {
        SimBackend { disk: self.clone(), life: self.lock().life }
    }

    /// The power goes after so many more writes, syncs and length changes: these and all later ones
    /// fail until [`SimDisk::power_cut`] brings it back.
    pub fn cut_after(&self, operations: u64) {
        self.lock().cut_in = Some(operations);
    }

    /// Cuts the power and brings it back: unsynced sectors are lost or kept one by one, backends
    /// handed out before are dead.
    pub fn power_cut(&self) {
        let disk = &mut *self.lock();
        let ops = std::mem::take(&mut disk.unsynced);
        disk.settle(ops);
        disk.current.clone_from(&disk.durable);
        disk.life += 1;
        (disk.off, disk.cut_in, disk.fail_sync) = (false, None, false);
    }

    /// The process dies and the machine lives: backends handed out before are dead, the page cache
    /// (everything written) stays.
    pub fn kill(&self) {
        let disk = &mut *self.lock();
        disk.life += 1;
        (disk.off, disk.cut_in) = (false, None);
    }

    /// The next sync fails. What it should have written is marked clean, as kernels do: reads still
    /// see it, some of its sectors never reach the disk, and a later sync does not write them.
    pub fn fail_next_sync(&self) {
        self.lock().fail_sync = true;
    }

    /// Syncs say yes and do nothing: a lying disk, to prove that the tests would notice.
    pub fn ignore_sync(&self, ignore: bool) {
        self.lock().ignore_sync = ignore;
    }

    /// A disk as this one would be found after a power cut that loses everything not synced.
    pub fn as_synced(&self) -> Self {
        let copy = Self::new(0);
        {
            let mut disk = copy.lock();
            disk.durable.clone_from(&self.lock().durable);
            disk.current = disk.durable.clone();
        }
        copy
    }

    /// Whether everything that was written was synced.
    pub fn is_synced(&self) -> bool {
        self.lock().unsynced.is_empty()
    }

    /// Writes, syncs and length changes so far: while it stays, so does what a power cut leaves.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Syncs done so far.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The power is on: nothing that fails now may blame it.
    pub fn powered(&self) -> bool {
        !self.lock().off
    }

    /// BLAKE3 of what survives a power cut: equal for equal runs.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.lock().durable).as_bytes()
    }

    /// Flips one bit of what is stored, under the file system's feet.
    pub fn flip(&self, byte: u64, bit: u8) {
        let disk = &mut *self.lock();
        for image in [&mut disk.durable, &mut disk.current] {
            if let Some(b) = image.get_mut(byte as usize) {
                *b ^= 1 << (bit % 8);
            }
        }
    }

    /// Every place at which these bytes are stored.
    pub fn find(&self, bytes: &[u8]) -> Vec<u64> {
        let disk = self.lock();
        let places = disk.current.windows(bytes.len()).enumerate();
        places.filter(|(_, w)| *w == bytes).map(|(i, _)| i as u64).collect()
    }
}

impl Inner {
    /// Power cut or failed sync: keeps the sectors that the coin favours.
    fn settle(&mut self, ops: Vec<Op>) {
        // Length changes are kept up to some point in their order, as a journal would.
        let lengths = ops.iter().filter(|op| matches!(op, Op::Length(_))).count();
        let mut kept = self.rng.below(lengths + 1);
        // Each cut has its own luck, so that all-lost and all-kept happen too.
        let keep = [0.0, 0.1, 0.5, 0.9, 1.0][self.rng.below(5)];
        for op in ops {
            match op {
                Op::Length(len) if kept > 0 => {
                    kept -= 1;
                    self.durable.resize(len as usize, 0);
                }
                Op::Length(_) => {}
                Op::Write { at, data } => {
                    let mut done = 0;
                    while done < data.len() {
                        let place = at + done as u64;
                        let n = ((SECTOR - place % SECTOR) as usize).min(data.len() - done);
                        if self.rng.chance(keep) {
                            put(&mut self.durable, place, &data[done..done + n]);
                        }
                        done += n;
                    }
                }
            }
        }
    }

    fn sync(&mut self) {
        for op in self.unsynced.drain(..) {
            match op {
                Op::Length(len) => self.durable.resize(len as usize, 0),
                Op::Write { at, data } => put(&mut self.durable, at, &data),
            }
        }
    }

    /// Counts an operation and says whether the power is on for it.
    fn step(&mut self) -> Result<()> {
        self.changes += 1;
        match self.cut_in {
            Some(0) => self.off = true,
            Some(n) => self.cut_in = Some(n - 1),
            None => {}
        }
        if self.off { Err(Error::other("the power is off")) } else { Ok(()) }
    }
}

/// Writes what fits: a sector beyond a length that was lost is lost with it.
fn put(image: &mut [u8], at: u64, data: &[u8]) {
    let at = (at as usize).min(image.len());
    let n = data.len().min(image.len() - at);
    image[at..at + n].copy_from_slice(&data[..n]);
}

/// One life of a [`SimDisk`], for redb.
#[derive(Debug)]
pub struct SimBackend {
    disk: SimDisk,
    life: u64,
}

impl SimBackend {
    fn alive(&self) -> Result<MutexGuard<'_, Inner>> {
        let disk = self.disk.lock();
        if disk.life == self.life && !disk.off {
            Ok(disk)
        } else {
            Err(Error::other("the power is off"))
        }
    }
}

impl StorageBackend for SimBackend {
    fn len(&self) -> Result<u64> {
        Ok(self.alive()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let disk = self.alive()?;
        let at = offset as usize;
        let bytes = disk.current.get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut disk = self.alive()?;
        disk.step()?;
        disk.current.resize(len as usize, 0);
        disk.unsynced.push(Op::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut disk = self.alive()?;
        disk.step()?;
        disk.syncs += 1;
        if std::mem::take(&mut disk.fail_sync) {
            let ops = std::mem::take(&mut disk.unsynced);
            disk.settle(ops);
            return Err(Error::other("sync failed"));
        }
        if !disk.ignore_sync {
            disk.sync();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut disk = self.alive()?;
        // The write under which the power goes may reach the disk in part.
        let powered = disk.step();
        let end = offset as usize + data.len();
        if disk.current.len() < end {
            disk.current.resize(end, 0);
            disk.unsynced.push(Op::Length(end as u64));
        }
        disk.current[offset as usize..end].copy_from_slice(data);
        disk.unsynced.push(Op::Write { at: offset, data: data.to_vec() });
        powered
    }
}
