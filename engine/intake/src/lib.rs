//! Bytes to events and back: one file per format.
//!
//! [`Decoder`] turns a source's bytes into batches of typed events, incrementally and in bounded
//! memory; [`emit`] writes an event as OCSF. Formats are found by content and may be mixed in one
//! source. A malformed record never stops a source: it is counted and kept in a bounded
//! [`Quarantine`] with its place and reason. Nothing here reads a file, a socket or a clock;
//! sources, decompression and acknowledgement belong to the node.

mod auth_message;
mod common;
mod datagram;
mod decoder;
mod emit;
mod error;
pub mod formats;
mod frame;
mod json;
mod quarantine;
mod reading;
mod record;
mod taker;
mod time;
mod zeek;
mod zeek_places;

pub use datagram::urgency;
pub use decoder::{BATCH_BYTES, Checkpoint, Coverage, Decoder, Options};
pub use emit::emit;
pub use error::Error;
pub use formats::Format;
pub use formats::csv::cells;
pub use json::{JSON_DEPTH, JSON_MEMBERS};
pub use quarantine::{Quarantine, Quarantined};
