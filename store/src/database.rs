//! One redb file of a schema: opening, committing, closing. [`Store`](crate::Store) is such a file
//! with the tables of this crate; other crates keep files of their own.

use crate::file::{self, Lock};
use crate::limits::CACHE_BYTES_SIMULATED;
use crate::migrate::migrate;
use crate::{Error, Result};
use redb::{Durability, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::migrate::{Schema, Step};

/// A file, held by this process. Share it by reference: reads run beside the one writer.
#[derive(Debug)]
pub struct Database {
    // Before the lock: fields are dropped in order, and the file must be closed before another may
    // open it.
    db: redb::Database,
    incarnation: u64,
    /// A fatal error was returned; nothing is accepted after it.
    failed: AtomicBool,
    _lock: Option<Lock>,
}

/// How every database is opened: page checksums are verified at each open (0.35 s for 514 MiB),
/// since redb does not verify them on reads. That rebuilds redb's allocator state too, so quick
/// repair, which would save it with every commit, gains nothing.
fn builder(cache: usize) -> redb::Builder {
    let mut b = redb::Database::builder();
    b.set_cache_size(cache).set_check_integrity_on_open(true);
    b
}

impl Database {
    /// Opens the file at `path`, or creates it with its folder. `cache` is in bytes.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, [`Error::Corrupt`] when a page or record
    /// fails its checksum, [`Error::Newer`] when a newer build wrote it.
    pub fn open(path: &Path, schema: &Schema, cache: usize) -> Result<Self> {
        file::make_folder(path)?;
        let lock = Lock::take(path)?;
        if !path.try_exists().map_err(Error::files(path))? {
            file::create(path, |new| {
                let db = builder(cache).create(new)?;
                let txn = begin(&db, true)?;
                schema.create(&txn)?;
                txn.commit()?;
                Ok(db.close()?)
            })?;
        }
        let db = builder(cache).open(path).map_err(|e| match Error::from(e) {
            Error::InUse { holder, .. } => Error::InUse { path: path.to_owned(), holder },
            other => other,
        })?;
        Self::new(db, schema, Some(lock))
    }

    /// Opens or creates the state on any backend, for tests and simulations. Its first creation is
    /// not atomic: a power cut before this returned once leaves a backend that never opens.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_backend(backend: impl StorageBackend, schema: &Schema) -> Result<Self> {
        let db = builder(CACHE_BYTES_SIMULATED).create_with_backend(backend)?;
        Self::new(db, schema, None)
    }

    fn new(db: redb::Database, schema: &Schema, lock: Option<Lock>) -> Result<Self> {
        let incarnation = migrate(&db, schema)?;
        Ok(Self { db, incarnation, failed: AtomicBool::new(false), _lock: lock })
    }

    /// How often this state was opened, this time included. Part of every name that must not be
    /// used twice by an owner that lost its memory.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Stores all that `f` writes or nothing; if durable, returns after the disk has it (two
    /// syncs).
    ///
    /// # Errors
    /// After a fatal one (see [`Error::is_fatal`]) end the process; the outcome is unknown and
    /// every further call fails. After another one nothing was stored.
    pub fn write<T>(
        &self,
        durable: bool,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Fatal(Box::new(redb::Error::PreviousIo)));
        }
        self.guard(begin(&self.db, durable).and_then(|txn| {
            let value = f(&txn)?;
            txn.commit()?;
            Ok(value)
        }))
    }

    /// The state as of the last commit.
    ///
    /// # Errors
    /// A fatal one: the disk failed.
    pub fn read(&self) -> Result<ReadTransaction> {
        self.guard(self.db.begin_read().map_err(Error::from))
    }

    /// Closes the file. Dropping does it too, without telling of errors.
    ///
    /// # Errors
    /// A fatal one: the disk failed.
    pub fn close(self) -> Result<()> {
        Ok(self.db.close()?)
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
fn begin(db: &redb::Database, durable: bool) -> Result<WriteTransaction> {
    let mut txn = db.begin_write()?;
    txn.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
    txn.set_two_phase_commit(true);
    Ok(txn)
}
