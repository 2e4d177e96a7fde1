//! Black-box tests of the `watchfire` binary: exit codes, signals, kills, shared state.
//!
//! What is inside of a process is tested where it is; here are only things that need a process.
//! `cargo test --test process -- --ignored` runs fifty kills instead of ten.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

mod bundle;
mod cluster;
mod command;
mod conn;
mod deploy;
mod evaluate;
mod feed;
mod follow;
mod forecast;
mod half_open;
mod joining;
mod kills;
mod label;
mod nodes;
mod outlook;
mod quality;
mod quiet;
mod real_nodes;
mod regions;
mod send;
mod storage_faults;
mod takeovers;
