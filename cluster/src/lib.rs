//! What several nodes do together: they reach one another, and agree on the control log.

pub mod consensus;
pub mod control;
pub mod coordinator;
pub mod fabric;
pub mod member;
pub mod replication;
