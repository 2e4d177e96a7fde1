//! Seeded traffic with labelled campaigns, faults, workloads.

pub mod traffic;
