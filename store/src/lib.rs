//! What must outlive the process: checkpoints of sources, threats with their examples and counts,
//! the ledger of verdicts, model bundles. One redb file, one write path.
//!
//! [`Store::commit`] puts everything that a batch changed into one transaction, so that a source's
//! position and what was counted up to it never part. [`Store::view`] reads one consistent state.
//! There are no decisions here (what a threat is, when to keep an example), no threads and no
//! clock. The one-writer rule of redb makes `commit` wait for another `commit`.

mod commit;
pub mod database;
mod error;
mod file;
pub mod journal;
pub mod limits;
mod migrate;
pub mod record;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod store;
pub mod tables;
#[cfg(test)]
mod tests;
mod view;

pub use commit::{Commit, Committed};
pub use error::Error;
pub use store::Store;
pub use tables::bundles::Bundle;
pub use tables::counts::Count;
pub use tables::entities::EntityState;
pub use tables::ledger::{Ledger, LedgerEntry};
pub use tables::threats::{Order, Query, ThreatKey};
pub use view::View;

/// The result of everything in here.
pub type Result<T> = std::result::Result<T, Error>;
