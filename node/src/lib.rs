//! One process: assembly, sources, reports, host adapters.

pub mod host;
