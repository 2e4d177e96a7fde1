//! One process of Watchfire: its actors put together, its sources read, its findings told.
//!
//! [`run`](run::run) is one run of detection from request to report; [`assembly`] declares and
//! starts the actors; [`host`] is the only place that touches clock, files and environment. What is
//! decided is decided in the engine.

pub mod assembly;
pub mod datapath;
pub mod dealer;
pub mod findings;
pub mod forecasting;
pub mod host;
pub mod inputs;
pub mod labels;
pub mod learn;
pub mod membership;
pub mod recorder;
pub mod report;
pub mod reporting;
pub mod rollout;
pub mod run;
pub mod sending;
pub mod summary;

/// The version that reports and findings name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
