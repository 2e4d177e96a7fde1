//! Seeded traffic with labelled campaigns; chaos experiments: faults, workloads, worlds that run
//! them and invariants that judge what happened.

pub mod bench;
pub mod campaign;
pub mod experiment;
pub mod invariants;
pub mod journal;
pub mod library;
pub mod mutants;
pub mod plan;
pub mod report;
pub mod run;
pub mod shrink;
pub mod soak;
pub mod traffic;
pub mod world;
