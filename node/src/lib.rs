//! One process: assembly, sources, reports, host adapters.

pub mod findings;
pub mod report;
pub mod summary;
