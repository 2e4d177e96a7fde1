//! One process: assembly, sources, reports, host adapters.

pub mod dealer;
pub mod host;
pub mod inputs;
