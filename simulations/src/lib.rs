//! Seeded traffic with labelled campaigns; chaos experiments: faults, workloads, worlds that run
//! them and invariants that judge what happened.

mod agreed;
pub mod bench;
pub mod campaign;
pub mod experiment;
pub mod in_process;
mod ingest;
pub mod invariants;
pub mod journal;
pub mod library;
pub mod mutants;
mod operations;
pub mod plan;
#[cfg(target_os = "linux")]
pub mod processes;
pub mod report;
pub mod run;
pub mod shrink;
pub mod soak;
pub mod traffic;
mod whom;
pub mod world;
