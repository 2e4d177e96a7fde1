//! Why the store could not do it.

use std::path::PathBuf;

/// Why the store could not do it. See [`Error::is_fatal`] for which of these end the process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has this state open.
    #[error(
        "the state {path} is in use by {holder}: stop that one, or give this one another state \
         folder"
    )]
    InUse {
        /// The database file.
        path: PathBuf,
        /// The other process, as far as known.
        holder: String,
    },
    /// The disk failed: an I/O error, a failed sync, no space. **End the process; never retry.**
    /// After a failed sync nobody knows which pages reached the disk, and a second sync that
    /// succeeds proves nothing. The store refuses everything from then on; opening it again in a
    /// new process finds the last acknowledged state.
    #[error("the disk under the state failed, the process must end: {0}")]
    Fatal(#[source] Box<redb::Error>),
    /// Stored bytes are not what was written. **End the process**; a node wipes its state and joins
    /// as a new one.
    #[error("the state is corrupt ({what}): move it away and start with an empty one")]
    Corrupt {
        /// What was found wrong, and where.
        what: String,
    },
    /// Written by a newer build.
    #[error("the state has schema {found}, this build knows {known}: use the newer build")]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The newest schema of this build.
        known: u32,
    },
    /// A value is over its limit; nothing was written.
    #[error("{what}: {found} is over the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A ledger entry overlaps what is accounted for already without lying inside of it: some
    /// events would be counted twice. Nothing was written.
    #[error("ledger of {name}: {start}..{end} overlaps what is accounted for up to {accounted}")]
    Overlap {
        /// The source.
        name: String,
        /// First byte of the entry.
        start: u64,
        /// Byte after the entry.
        end: u64,
        /// The source's last accounted byte.
        accounted: u64,
    },
    /// A value does not encode; nothing was written.
    #[error(transparent)]
    Encode(#[from] threat::codec::Error),
    /// The file system around the database: folder, lock file, renaming.
    #[error("{path}: {source}")]
    Files {
        /// What was touched.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl Error {
    /// The process must end: the disk or the data on it can no longer be trusted.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal(_) | Self::Corrupt { .. })
    }

    /// For mapping what the file system says about `path`.
    pub(crate) fn files(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Corrupt { what },
            redb::Error::DatabaseAlreadyOpen => {
                Self::InUse { path: PathBuf::new(), holder: "another process".into() }
            }
            other => Self::Fatal(Box::new(other)),
        }
    }
}

/// Every error of redb goes through its sum type.
macro_rules! from_redb {
    ($($kind:ident),*) => {$(
        impl From<redb::$kind> for Error {
            fn from(error: redb::$kind) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}
from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError,
    SetDurabilityError
);

/// Refuses what is over its limit.
pub(crate) fn check(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::Limit { what, found, limit }) } else { Ok(()) }
}
