//! The limits of the failure detector, each with its why.

use std::time::Duration;

/// Peers that are watched: all other nodes of a cluster.
pub const PEERS: usize = crate::control_log::limits::NODES;

/// Intervals that are remembered of a peer: a minute of heartbeats, so that an hour-old habit of a
/// link is forgotten and ten lost ones do not rule.
pub const WINDOW: usize = 128;

/// How often an observer looks, at least: a tenth of the time in which a death is to be seen.
pub const TICK: Duration = Duration::from_millis(200);

/// An observer that did not run for longer than this was stopped. Well over [`TICK`], so that a
/// busy machine is not taken for a stopped one; under the silence that makes a peer suspect, so
/// that no pause that is not noticed makes one.
pub const OBSERVER_GAP: Duration = Duration::from_millis(800);

/// A new peer, and every peer after a pause of the observer, has so long to be heard: a connection
/// is dialled and secured in less.
pub const SETTLE: Duration = Duration::from_secs(2);

/// Heartbeats in a row after which a suspect counts as alive, when it fell once.
pub const SUSPECT_OWES: u32 = 2;

/// Heartbeats in a row after which a dead one counts as alive, when it fell once: what it owned has
/// been given away by then, so that haste gains nothing.
pub const DEAD_OWES: u32 = 4;

/// With each fall the number is doubled, so many times at most: 64 heartbeats, half a minute. A
/// link that flaps forever changes the state twice in that time.
pub const DOUBLINGS: u32 = 4;

/// Falls are forgotten after so long without one.
pub const CALM: Duration = Duration::from_secs(120);
