//! Agreement on the control log: Raft, by openraft, behind this module. Nothing of openraft's is in
//! what other crates see.

pub mod limits;
mod profile;
#[allow(dead_code, reason = "nothing runs it yet")]
mod runtime;
#[allow(dead_code, reason = "nothing runs it yet")]
mod storage;
#[allow(dead_code, reason = "nothing runs it yet")]
mod types;

pub use profile::Profile;
pub use runtime::{seed_process, seed_thread};
pub use storage::Fatal;
pub use types::NodeId;
