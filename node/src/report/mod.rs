//! What a run found, for a person: the [`RunReport`] that the assembly fills, and the HTML page
//! made of it. The terminal summary of the same report is in [`crate::summary`], the
//! machine-readable findings in [`crate::findings`].
//!
//! Nothing here reads a clock or a file: a report is a value, and the page a function of it.

pub mod accounts;
pub mod evaluation;
pub mod forecasts;
mod html;
pub mod model;
pub mod words;

pub use html::{COMPACT_FINDINGS, FULL_FINDINGS, page};
pub use model::RunReport;
