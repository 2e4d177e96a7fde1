//! How work flows and what happens when a part of it fails: credits and admission, the
//! circuit breaker, the supervision policy and the declared supervision tree.
//!
//! All of these are machines without a clock: `now` is always the time since the node's start, on
//! a monotonic clock that the caller reads. Actors, threads and channels are not here; the shells
//! around these machines stand in `actors`.

pub mod admission;
pub mod breaker;
pub mod credits;
pub mod gather;
pub mod supervision;
pub mod tree;
