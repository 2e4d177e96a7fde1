//! Agreement on the control log: Raft, by openraft, behind this module. Nothing of openraft's is in
//! what other crates see.

pub mod limits;
mod profile;

pub use profile::Profile;
