//! Seeded traffic with labelled campaigns, faults, workloads.

pub mod bench;
pub mod soak;
pub mod traffic;
