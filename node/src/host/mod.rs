//! The host: the only place of this crate that touches the clock, files and the environment.
//!
//! Everything here is a plain blocking adapter without decisions about events: which bytes there
//! are ([`walk`]), reading them ([`read`], [`follow`], [`datagrams`]), where state lies
//! ([`paths`]), what time it is ([`clock`]). Actors and formats are elsewhere.

pub mod clock;
pub mod cluster_files;
pub mod datagrams;
pub mod follow;
pub mod joining;
pub mod output;
pub mod paths;
pub mod read;
pub mod segment;
pub mod sent;
mod siblings;
mod sniff;
pub mod tcp;
pub mod usage;
pub mod walk;

pub use clock::{Clock, SystemClock};
pub use datagrams::{Datagrams, Received};
pub use follow::{Follower, Start, Step};
pub use read::{ByteSource, Error as ReadError};
pub use segment::{FollowCheckpoint, Segment};
pub use sniff::Packing;
pub use walk::{Input, Place, Problem, Walk, walk};
