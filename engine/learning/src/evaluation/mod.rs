//! How well detectors tell bad from good on labelled data, with the very parts that judge events:
//! tables as blocks, sessions, blocks of commands, a bundle's verdicts on them, and what they are
//! worth.
//!
//! Which rows are attacks goes into [`metrics`] and, for tables with labels, into what is taught;
//! test data teaches and calibrates nothing. Files and what is printed are the command's.

pub mod flows;
pub mod judge;
pub mod measured;
pub mod metrics;
pub mod naming;
pub mod reasons;
pub mod sequences;
pub mod table;
pub mod units;
pub mod users;

pub use judge::{Judge, Judged};
pub use measured::{Evaluation, Measured};
pub use naming::Namer;
pub use reasons::{Reasons, reasons};
pub use table::{Layout, Sheet};
