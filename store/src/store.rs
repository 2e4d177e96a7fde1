//! Opening, committing, closing.

use crate::file::{self, Lock};
use crate::limits::{CACHE_BYTES, CACHE_BYTES_SIMULATED};
use crate::migrate::{FIRST, STEPS, migrate};
use crate::tables::{blobs, bundles, labels};
use crate::{Bundle, Commit, Committed, Error, Result, View, commit};
use redb::{Database, Durability, ReadableDatabase, StorageBackend, WriteTransaction};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use threat::{Label, ThreatId};

/// The state of a node, in one file. Share it by reference: reads run beside the one writer.
#[derive(Debug)]
pub struct Store {
    // Before the lock: fields are dropped in order, and the file must be closed before another may
    // open it.
    db: Database,
    incarnation: u64,
    /// A fatal error was returned; nothing is accepted after it.
    failed: AtomicBool,
    _lock: Option<Lock>,
}

/// How every database is opened: page checksums are verified at each open (0.35 s for 514 MiB),
/// since redb does not verify them on reads. That rebuilds redb's allocator state too, so quick
/// repair, which would save it with every commit, gains nothing.
fn builder(cache: usize) -> redb::Builder {
    let mut b = Database::builder();
    b.set_cache_size(cache).set_check_integrity_on_open(true);
    b
}

impl Store {
    /// Opens the state at `path`, or creates it with its folder.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, [`Error::Corrupt`] when a page or record
    /// fails its checksum, [`Error::Newer`] when a newer build wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        file::make_folder(path)?;
        let lock = Lock::take(path)?;
        if !path.try_exists().map_err(Error::files(path))? {
            file::create(path, |new| {
                let db = builder(CACHE_BYTES).create(new)?;
                let txn = begin(&db, true)?;
                crate::tables::create(&txn)?;
                txn.commit()?;
                Ok(db.close()?)
            })?;
        }
        let db = builder(CACHE_BYTES).open(path).map_err(|e| match Error::from(e) {
            Error::InUse { holder, .. } => Error::InUse { path: path.to_owned(), holder },
            other => other,
        })?;
        Self::new(db, Some(lock))
    }

    /// Opens or creates the state on any backend, for tests and simulations. Its first creation is
    /// not atomic: a power cut before this returned once leaves a backend that never opens.
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self> {
        Self::new(builder(CACHE_BYTES_SIMULATED).create_with_backend(backend)?, None)
    }

    fn new(db: Database, lock: Option<Lock>) -> Result<Self> {
        let incarnation = migrate(&db, FIRST, STEPS)?;
        Ok(Self { db, incarnation, failed: AtomicBool::new(false), _lock: lock })
    }

    /// How often this state was opened, this time included. Part of every name that must not be
    /// used twice by an owner that lost its memory.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Stores all of it or nothing; if durable, returns after the disk has it (two syncs).
    ///
    /// # Errors
    /// After a fatal one (see [`Error::is_fatal`]) end the process; the outcome of this commit is
    /// unknown and every further call fails. After another one nothing was stored.
    pub fn commit(&self, commit: &Commit) -> Result<Committed> {
        self.write(commit.durable, |txn| commit::apply(txn, commit))
    }

    /// Makes every earlier commit durable.
    pub fn flush(&self) -> Result<()> {
        self.write(true, |_| Ok(()))
    }

    /// Stores a blob durably and gives its BLAKE3.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<[u8; 32]> {
        self.write(true, |txn| blobs::write(txn, bytes))
    }

    /// Stores a bundle with its bytes, durably and at once. Gives its BLAKE3; `bundle.hash` is
    /// filled in from it.
    pub fn put_bundle(&self, mut bundle: Bundle, bytes: &[u8]) -> Result<[u8; 32]> {
        self.write(true, |txn| {
            bundle.hash = blobs::write(txn, bytes)?;
            bundles::write(txn, &bundle)?;
            Ok(bundle.hash)
        })
    }

    /// Removes a bundle, with its bytes if no other bundle has the same; false if it was not there.
    pub fn remove_bundle(&self, version: u64) -> Result<bool> {
        self.write(true, |txn| bundles::remove(txn, version))
    }

    /// Stores a label durably, in the place of an earlier one of the same finding.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond [`LABELS`](crate::limits::LABELS).
    pub fn put_label(&self, label: &Label) -> Result<()> {
        self.write(true, |txn| labels::write(txn, label))
    }

    /// Takes a label back, durably; false if there was none.
    pub fn remove_label(&self, finding: ThreatId) -> Result<bool> {
        self.write(true, |txn| labels::remove(txn, finding))
    }

    /// The state as of the last commit.
    pub fn view(&self) -> Result<View> {
        self.guard(self.db.begin_read().map(View::new).map_err(Error::from))
    }

    /// Closes the file. Dropping does it too, without telling of errors.
    pub fn close(self) -> Result<()> {
        Ok(self.db.close()?)
    }

    fn write<T>(&self, durable: bool, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Fatal(Box::new(redb::Error::PreviousIo)));
        }
        self.guard(begin(&self.db, durable).and_then(|txn| {
            let value = f(&txn)?;
            txn.commit()?;
            Ok(value)
        }))
    }

    /// Remembers that the end has come.
    fn guard<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(Error::is_fatal) {
            self.failed.store(true, Ordering::Release);
        }
        result
    }
}

/// A transaction. Durable ones commit in two phases: with one phase, a failed sync followed by more
/// commits and a power cut can leave a corrupt file.
fn begin(db: &Database, durable: bool) -> Result<WriteTransaction> {
    let mut txn = db.begin_write()?;
    txn.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
    txn.set_two_phase_commit(true);
    Ok(txn)
}
