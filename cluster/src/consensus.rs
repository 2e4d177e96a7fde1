//! Agreement on the control log: Raft, by openraft, behind this module. Nothing of openraft's is in
//! what other crates see.
//!
//! [`Consensus`] is one node's part. It reaches the others over a [`Wire`] and answers them through
//! its [`Responder`]; it keeps what it must not forget in a [`Storage`].

mod beats;
mod error;
pub mod limits;
#[cfg(any(test, feature = "sim"))]
mod memory;
mod network;
mod node;
mod profile;
mod proposer;
mod runtime;
mod standing;
mod storage;
mod types;
mod wire;

pub use error::Error;
#[cfg(any(test, feature = "sim"))]
pub use memory::MemoryNet;
pub use network::Responder;
pub use node::{Consensus, Options, Role, Status};
pub use profile::Profile;
pub use runtime::{seed_process, seed_thread};
#[cfg(any(test, feature = "sim"))]
pub use storage::Kept;
pub use storage::{Fatal, History, Logged, Promise, Slowest, Storage, Watch};
pub use types::NodeId;
pub use wire::{Answering, Peer, Wire, WireError};

#[cfg(test)]
mod tests;
