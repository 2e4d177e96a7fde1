//! What every actor of a node rests on: supervision, counted and credited references, observation,
//! threads that can be left behind, and the ports through which the outside is reached.
//!
//! An actor is a mailbox, a machine of the engine and the performing of the machine's effects.
//! Decisions are not here (see `flow` and the other engine crates), nor is the host: clock, disk
//! and sockets stand behind the traits of [`ports`]. ractor's named spawns, process groups and
//! registry are process statics and are never used: a node's actors are found in its own
//! [`observe::Directory`].

pub mod detection;
pub mod mailbox;
pub mod observe;
pub mod ports;
pub mod response;
pub mod supervise;
pub mod worker;
