//! The limits of the fabric, each with its why.

use std::time::Duration;

/// Bytes of a frame: an append with its entries takes two MiB, a piece of a snapshot or blob one.
pub const FRAME_BYTES: usize = 4 << 20;

/// Bytes of a frame before both sides are known to each other: a greeting has about a hundred.
pub const HELLO_BYTES: usize = 512;

/// Time from the connection to the last byte of the greeting; two of the widest round trips with a
/// busy processor at both ends.
pub const HELLO_TIME: Duration = Duration::from_secs(5);

/// Connections whose handshake is under way. One more ends the oldest of them, so that strangers
/// who hold connections open keep nobody out: a member needs milliseconds.
pub const HALF_OPEN: usize = 256;

/// Connections of members at a time: five lanes from each of 256 nodes.
pub const CONNECTIONS: usize = 5 * 256;

/// Requests of one connection that are worked on at a time. More stay unread, which holds the
/// other side back.
pub const IN_FLIGHT: usize = 64;

/// Frames that wait for a connection's writer; more hold their senders back.
pub const QUEUED: usize = 1_024;

/// Time to connect, from the first byte to the end of the greeting.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A connection on which a request went out and nothing came back for so long is given up. After a
/// cut, TCP alone would wait for minutes before it tries again.
pub const SILENCE: Duration = Duration::from_secs(5);

/// How often silence is looked for.
pub const LOOK: Duration = Duration::from_millis(500);

/// Pause after a failed connection: this long at first, doubled with each, with jitter.
pub const REDIAL_FIRST: Duration = Duration::from_millis(50);

/// The longest pause: a node that is back is found again within a second.
pub const REDIAL_LAST: Duration = Duration::from_secs(1);

/// A dialled connection over which nothing went for so long is closed.
pub const IDLE: Duration = Duration::from_secs(120);

/// A connection on which nothing was asked for so long is ended by whoever answers: the other side
/// would have closed it at [`IDLE`], so it is gone without a word.
pub const GONE: Duration = Duration::from_secs(2 * IDLE.as_secs());

/// Pause after a connection could not be taken, as when there are no file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Addresses and lanes that are dialled at a time: as many as members dial.
pub const LINKS: usize = CONNECTIONS;
