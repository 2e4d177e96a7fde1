//! A journal before a database: what is appended is on the disk after one write and one sync, where
//! a durable commit of redb takes two syncs and writes every page on the way to its record anew.
//!
//! The file is two areas of one size, written in turns. What an area holds is moved into the
//! database while the other one is written; the database remembers up to which generation it has
//! everything, and a generation is one filling of an area. A frame begins at a sector that no other
//! frame touches, so a torn write harms nothing that was acknowledged, and has the sum of its
//! header and bytes. After a cut the frames that are not in the database are read again; the last
//! one may be torn, since it was not acknowledged then.
//!
//! After a failed sync the page cache shows frames that the disk may not have. Whoever reads them
//! after that must write them to the database, durably, before anything else: then the disk has
//! them.

use crate::limits::SECTOR;
use crate::{Error, Result, file};
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::OpenOptions;
use std::path::Path;
use threat::mutants::{Mutant, is_live};

/// Bytes of the header of a frame: generation, frames of the generation before, number in its own
/// generation, length, sum.
const HEADER: usize = 24;

/// Bytes of zeros that are written at once when the file is made.
const ZEROS: usize = 64 << 10;

/// The file.
#[derive(Debug)]
pub struct Journal {
    backend: Box<dyn StorageBackend>,
    area: u64,
    generation: u64,
    /// Frames of the generation before.
    before: u32,
    /// Frames of this one.
    frames: u32,
    /// Where the next one goes, in its area.
    at: u64,
    buffer: Vec<u8>,
}

/// What an area holds of a generation.
struct Found {
    frames: Vec<Vec<u8>>,
    /// What its frames say of the generation before.
    before: u32,
}

fn disk(error: std::io::Error) -> Error {
    redb::Error::Io(error).into()
}

fn number<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

fn sum(header: &[u8], bytes: &[u8]) -> u32 {
    let mut h = crc32fast::Hasher::new();
    h.update(header);
    h.update(bytes);
    h.finalize()
}

/// The bytes that a frame takes.
fn taken(length: usize) -> u64 {
    ((HEADER + length) as u64).next_multiple_of(SECTOR)
}

impl Journal {
    /// Opens the journal at `path`, or makes it with areas of so many bytes. Whoever has the
    /// database has the journal: there is no lock of its own.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Fatal`].
    pub fn open(path: &Path, area: u64) -> Result<Self> {
        let files = || Error::files(path);
        if !path.try_exists().map_err(files())? {
            file::create(path, |new| {
                let made = OpenOptions::new().read(true).write(true).create_new(true).open(new);
                let backend = FileBackend::new(made.map_err(Error::files(new))?)?;
                Self::with_backend(backend, area).map(|_| ())
            })?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(files())?;
        Self::with_backend(FileBackend::new(file)?, area)
    }

    /// As [`Self::open`], on any backend.
    ///
    /// # Errors
    /// [`Error::Fatal`].
    pub fn with_backend(backend: impl StorageBackend, area: u64) -> Result<Self> {
        let area = area.next_multiple_of(SECTOR);
        let zeros = vec![0; ZEROS];
        // Written, not only made longer: a sync of a block that was never written has to wait for
        // the file system's own journal.
        let mut length = backend.len().map_err(disk)?;
        if length < area * 2 {
            backend.set_len(area * 2).map_err(disk)?;
            while length < area * 2 {
                let some = (area * 2 - length).min(ZEROS as u64);
                backend.write(length, &zeros[..some as usize]).map_err(disk)?;
                length += some;
            }
            backend.sync_data().map_err(disk)?;
        }
        let backend = Box::new(backend);
        let (generation, before, frames, at, buffer) = (0, 0, 0, 0, Vec::new());
        Ok(Self { backend, area, generation, before, frames, at, buffer })
    }

    fn start(&self, generation: u64) -> u64 {
        (generation % 2) * self.area
    }

    /// All frames since the beginning of a generation, in their order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when one is damaged that others follow, [`Error::Fatal`].
    pub fn replay(&self, from: u64) -> Result<Vec<Vec<u8>>> {
        let (mut first, second) = (self.scan(from)?, self.scan(from + 1)?);
        if !second.frames.is_empty() && second.before as usize != first.frames.len() {
            return Err(damaged());
        }
        first.frames.extend(second.frames);
        Ok(first.frames)
    }

    fn scan(&self, generation: u64) -> Result<Found> {
        let mut area = vec![0; self.area as usize];
        self.backend.read(self.start(generation), &mut area).map_err(disk)?;
        let mut found = Found { frames: Vec::new(), before: 0 };
        let mut rest = area.as_slice();
        while let Some((before, frame)) = frame(rest, generation, found.frames.len() as u32) {
            found.before = before;
            found.frames.push(frame.to_vec());
            rest = rest.get(taken(frame.len()) as usize..).unwrap_or_default();
        }
        // Only the last frame may be torn.
        let more = rest.chunks(SECTOR as usize).enumerate().skip(1).any(|(n, sector)| {
            let later = |header: &[u8]| {
                let number = u32::from_le_bytes(number(header, 12));
                let rest = &rest[n * SECTOR as usize..];
                number as usize > found.frames.len() && frame(rest, generation, number).is_some()
            };
            sector.get(..HEADER).is_some_and(later)
        });
        if more { Err(damaged()) } else { Ok(found) }
    }

    /// Begins a generation; what its area held must be in the database.
    pub fn begin(&mut self, generation: u64) {
        (self.generation, self.before) = (generation, self.frames);
        (self.frames, self.at) = (0, 0);
    }

    /// The generation that is written.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Appends a frame and returns when it is on the disk; false, and nothing is done, when it does
    /// not fit.
    ///
    /// # Errors
    /// [`Error::Fatal`]: end the process, the outcome is unknown.
    pub fn append(&mut self, bytes: &[u8]) -> Result<bool> {
        let takes = taken(bytes.len());
        if self.at + takes > self.area {
            return Ok(false);
        }
        self.buffer.clear();
        self.buffer.extend(self.generation.to_le_bytes());
        self.buffer.extend(self.before.to_le_bytes());
        self.buffer.extend(self.frames.to_le_bytes());
        self.buffer.extend((bytes.len() as u32).to_le_bytes());
        self.buffer.extend(sum(&self.buffer, bytes).to_le_bytes());
        self.buffer.extend(bytes);
        self.buffer.resize(takes as usize, 0);
        self.backend.write(self.start(self.generation) + self.at, &self.buffer).map_err(disk)?;
        if !is_live(Mutant::JournalNotSynced) {
            let synced = self.backend.sync_data().map_err(disk);
            if !is_live(Mutant::FailedSyncForgotten) {
                synced?;
            }
        }
        self.at += takes;
        self.frames += 1;
        Ok(true)
    }
}

fn damaged() -> Error {
    Error::Corrupt { what: "a frame of the journal that others follow".into() }
}

/// The bytes of the frame at the beginning of `area`, if it is this one, with the count of frames
/// before its generation.
fn frame(area: &[u8], generation: u64, wanted: u32) -> Option<(u32, &[u8])> {
    let (header, rest) = area.split_at_checked(HEADER)?;
    let (before, length) = (u32::from_le_bytes(number(header, 8)), number(header, 16));
    let bytes = rest.get(..u32::from_le_bytes(length) as usize)?;
    let (said, told) = header.split_at(HEADER - 4);
    let right = u64::from_le_bytes(number(header, 0)) == generation
        && u32::from_le_bytes(number(header, 12)) == wanted
        && sum(said, bytes).to_le_bytes() == *told;
    right.then_some((before, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimDisk;
    use threat::entropy::Rng;

    const AREA: u64 = 8 * SECTOR;

    /// Appends until the power goes, moving areas into `database` as an owner does.
    fn run(journal: &mut Journal, rng: &mut Rng, database: &mut Database) {
        for _ in 0..200 {
            let bytes: Vec<u8> = (0..rng.below(900)).map(|_| rng.below(256) as u8).collect();
            database.flying = Some(bytes.clone());
            match journal.append(&bytes) {
                Ok(true) => database.area.push(bytes),
                Ok(false) => {
                    // The area before this one is there by now.
                    let area = std::mem::take(&mut database.area);
                    let former = std::mem::replace(&mut database.former, area);
                    database.moved.extend(former);
                    database.generation = journal.generation();
                    journal.begin(journal.generation() + 1);
                }
                Err(_) => return,
            }
            database.flying = None;
        }
    }

    #[derive(Default)]
    struct Database {
        generation: u64,
        moved: Vec<Vec<u8>>,
        /// Acknowledged, and in the journal only.
        former: Vec<Vec<u8>>,
        area: Vec<Vec<u8>>,
        flying: Option<Vec<u8>>,
    }

    #[test]
    fn what_was_acknowledged_is_found_after_each_power_cut() {
        let mut found_in_journal = 0;
        for seed in 0..60 {
            let (sim, mut rng) = (SimDisk::new(seed), Rng::fork(seed, "journal"));
            let mut database = Database::default();
            for _ in 0..8 {
                let mut journal = Journal::with_backend(sim.backend(), AREA).unwrap();
                let found = journal.replay(database.generation).unwrap();
                let known: Vec<_> =
                    database.former.drain(..).chain(database.area.drain(..)).collect();
                assert_eq!(found[..known.len()], known);
                let more = found.get(known.len()..).unwrap();
                assert!(more.is_empty() || more == [database.flying.clone().unwrap()]);
                found_in_journal += found.len();
                database.moved.extend(found);
                database.generation += 2;
                journal.begin(database.generation);
                sim.cut_after(rng.below(120) as u64);
                run(&mut journal, &mut rng, &mut database);
                sim.power_cut();
            }
        }
        assert!(found_in_journal > 500, "{found_in_journal}");
    }

    #[test]
    fn damage_before_the_end_is_told() {
        let sim = SimDisk::new(1);
        let mut journal = Journal::with_backend(sim.backend(), AREA).unwrap();
        journal.begin(6);
        for n in 0..12u8 {
            if !journal.append(&[n; 40]).unwrap() {
                journal.begin(7);
                assert!(journal.append(&[n; 40]).unwrap());
            }
        }
        assert_eq!(journal.replay(6).unwrap().len(), 12);
        assert_eq!(journal.replay(7).unwrap().len(), 4);
        assert_eq!(journal.replay(8).unwrap().len(), 0);
        // The third frame of the first area, and its last: another generation follows.
        for frame in [2, 7] {
            sim.flip(frame * SECTOR + 30, 1);
            assert!(matches!(journal.replay(6), Err(Error::Corrupt { .. })), "{frame}");
            sim.flip(frame * SECTOR + 30, 1);
        }
        // The very last may be a torn one.
        sim.flip(AREA + 3 * SECTOR + 30, 1);
        assert_eq!(journal.replay(6).unwrap().len(), 11);
    }

    #[test]
    fn a_file_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        let mut journal = Journal::open(&path, AREA).unwrap();
        journal.begin(1);
        assert!(journal.append(b"hello").unwrap());
        assert!(!journal.append(&[0; AREA as usize]).unwrap(), "it does not fit");
        drop(journal);
        let journal = Journal::open(&path, AREA).unwrap();
        assert_eq!(journal.replay(1).unwrap(), [b"hello"]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * AREA);
    }
}
