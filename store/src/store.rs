//! The state of a node: its one write path and its views.

use crate::database::Database;
use crate::limits::CACHE_BYTES;
use crate::migrate::SCHEMA;
use crate::tables::{blobs, bundles, labels};
use crate::{Bundle, Commit, Committed, Result, View, commit};
use redb::{StorageBackend, WriteTransaction};
use std::path::Path;
use threat::{Label, ThreatId};

/// The state of a node, in one file. Share it by reference: reads run beside the one writer.
#[derive(Debug)]
pub struct Store(Database);

impl Store {
    /// Opens the state at `path`, or creates it with its folder.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self(Database::open(path, &SCHEMA, CACHE_BYTES)?))
    }

    /// Opens or creates the state on any backend, as [`Database::with_backend`].
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self> {
        Ok(Self(Database::with_backend(backend, &SCHEMA)?))
    }

    /// How often this state was opened, this time included. Part of every name that must not be
    /// used twice by an owner that lost its memory.
    pub const fn incarnation(&self) -> u64 {
        self.0.incarnation()
    }

    /// Stores all of it or nothing; if durable, returns after the disk has it (two syncs).
    ///
    /// # Errors
    /// After a fatal one (see [`Error::is_fatal`](crate::Error::is_fatal)) end the process; the
    /// outcome of this commit is unknown and every further call fails. After another one nothing
    /// was stored.
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
    /// [`Error::Limit`](crate::Error::Limit) beyond [`LABELS`](crate::limits::LABELS).
    pub fn put_label(&self, label: &Label) -> Result<()> {
        self.write(true, |txn| labels::write(txn, label))
    }

    /// Takes a label back, durably; false if there was none.
    pub fn remove_label(&self, finding: ThreatId) -> Result<bool> {
        self.write(true, |txn| labels::remove(txn, finding))
    }

    /// The state as of the last commit.
    pub fn view(&self) -> Result<View> {
        self.0.read().map(View::new)
    }

    /// Closes the file. Dropping does it too, without telling of errors.
    pub fn close(self) -> Result<()> {
        self.0.close()
    }

    fn write<T>(&self, durable: bool, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        self.0.write(durable, f)
    }
}
