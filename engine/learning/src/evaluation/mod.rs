//! Judging labelled data with the very parts that judge events: tables as blocks, a bundle's
//! verdicts on them, and what they are worth.

pub mod flows;
pub mod judge;
pub mod measured;
pub mod metrics;
pub mod naming;
pub mod reasons;
pub mod table;

pub use judge::{Judge, Judged};
pub use measured::{Evaluation, Measured};
pub use naming::Namer;
pub use reasons::{Reasons, reasons};
pub use table::{Layout, Sheet};
