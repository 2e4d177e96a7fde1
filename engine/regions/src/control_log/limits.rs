//! The limits of the control log, each with its why. All of it together encodes to under 32 MiB,
//! half of what one encoded value may have, so that a snapshot always fits.

/// Bytes of a name: node, region, flag, playbook, key, approver. Host names are shorter.
pub const NAME_BYTES: usize = 64;

/// Bytes of a node's address: a host name of 253 and a port.
pub const ADDRESS_BYTES: usize = 260;

/// Bytes of the evidence of one step: a few metrics as JSON, or a reason. Reports lie elsewhere.
pub const EVIDENCE_BYTES: usize = 512;

/// Regions. Datacenters are few; a plan over more of them is not readable.
pub const REGIONS: usize = 64;

/// Nodes at one time, all regions together: one connection for each pair is what the fabric holds.
pub const NODES: usize = 256;

/// Ids of nodes that left, kept so that none comes back. Below the oldest one kept, every id that
/// is not of a present node counts as left.
pub const LEFT_NODES: usize = 4_096;

/// Names that are barred, of nodes and of operators each: a name a day for almost three years, with
/// certificates that are over after 90 days.
pub const BARRED: usize = 1_024;

/// Workloads. Several per node, so that load can move in parts.
pub const WORKLOADS: usize = 1_024;

/// Numbers of shards, from 0: at a million entities a shard has about 250.
pub const SHARDS: u32 = 4_096;

/// Bundles kept, in every stage: a bundle a day for a month. Retire one to register another.
pub const BUNDLES: usize = 32;

/// Former bundles that can be gone back to, one after the other.
pub const FORMER_BUNDLES: usize = 8;

/// Playbooks by name.
pub const PLAYBOOKS: usize = 1_024;

/// Versions of a playbook that are kept; the oldest that is not active makes room.
pub const PLAYBOOK_VERSIONS: usize = 16;

/// Flags by name.
pub const FLAGS: usize = 1_024;

/// Bytes of a flag's value: a number, a name, a short list.
pub const FLAG_BYTES: usize = 1_024;

/// Keys by name: signing keys and their successors.
pub const KEYS: usize = 16;

/// Bytes of a key wrapped for one node: the largest use is a 4,096-bit RSA wrap.
pub const WRAPPED_BYTES: usize = 512;

/// Approvals kept; the oldest closed one makes room for a new one.
pub const APPROVALS: usize = 4_096;

/// Approvers that one approval may need. More people do not come together in an incident.
pub const QUORUM: u8 = 16;

/// Bytes that say what an approval is for.
pub const SUBJECT_BYTES: usize = 512;

/// Clients whose replies are remembered; the one that was silent for longest makes room. A node
/// and each of its people's sessions is one.
pub const CLIENTS: usize = 512;

/// Replies remembered per client. A client may have no more requests on their way, or a retry of
/// one may find its reply forgotten, and is refused.
pub const REPLIES_PER_CLIENT: usize = 128;
