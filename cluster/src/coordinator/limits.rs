//! The limits of the coordinator, each with its why.

use std::time::Duration;

/// How often a node tells all others that it is there: what the failure detector reckons with.
pub const BEAT_EVERY: Duration = Duration::from_millis(500);

/// A beat that did not arrive by then is not waited for: two more are on their way.
pub const BEAT_TIME: Duration = Duration::from_millis(1_500);

/// How often a node looks for silence, and for leases to renew: half of what the failure detector
/// takes for an observer that runs, and an eighth of the lapse of a renewal.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often the leader looks whether something has to move, when nothing told it to.
pub const LEAD_EVERY: Duration = Duration::from_millis(500);

/// A lease that was refused is asked for again after this: a former owner may have given it up, and
/// so many renewals within one lease are remembered.
pub const ASK_AGAIN: Duration = Duration::from_millis(250);

/// After a node was admitted, homes are shared out only when no other followed for so long, so that
/// a cluster that is being founded is shared out once.
pub const QUIET: Duration = Duration::from_secs(2);

/// How often the balance is looked at. A round of moves is over by then, and what moved stays for
/// six of them.
pub const BALANCE_EVERY: Duration = Duration::from_secs(10);

/// Commands that the leader has on their way at once: half of the replies that are remembered of a
/// client, so that its other commands have room.
pub const AT_ONCE: usize = regions::control_log::limits::REPLIES_PER_CLIENT / 2;

/// Workloads of which one beat tells the demand or the checkpoint, and leases that one message
/// renews: all there can be.
pub const WORKLOADS: usize = regions::control_log::limits::WORKLOADS;

/// What a node can do that did not say it, in events a second: what a node is asked for.
pub const CAPACITY: u64 = 10_000;

/// Time to agree on one round of what has to move; a round that takes longer is looked at anew.
pub const ROUND_TIME: Duration = Duration::from_secs(2);
