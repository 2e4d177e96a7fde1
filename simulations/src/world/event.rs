//! What happens in the virtual world: messages, timers, clients, faults; and in which order.

use super::{data, gossip, raft};
use crate::plan::Micros;
use cluster::coordinator::Beat;
use regions::anti_entropy;
use regions::control_log::{Reply, Request};
use regions::lease::{Answer, Renewal};
use regions::threats::Record;
use std::rc::Rc;
use threat::Timestamp;

/// What nodes and clients say to each other.
#[derive(Clone, Debug)]
pub enum Body {
    Raft(raft::Message),
    Beat(Rc<Beat>),
    Renew(Rc<Vec<Renewal>>),
    Renewed(u64, Rc<Vec<(Renewal, Answer)>>),
    Released(Rc<Vec<(u32, u64)>>),
    Ask(u64, Ask),
    Told(u64, Told),
    Records { batch: u64, floor: Option<Timestamp>, records: Rc<Vec<Record>> },
    Stored { batch: u64, taken: bool },
    Compare { of: gossip::Step, floor: Option<Timestamp>, message: Rc<anti_entropy::Message> },
    Compared(Rc<gossip::Compared>),
    Part(Rc<data::Part>),
    Parted(u64, data::Parted),
    Keep(u64, Rc<data::Copies>),
    Kept(u64),
}

/// What a client asks of a node, or a node of the leader.
#[derive(Clone, Debug)]
pub enum Ask {
    Propose(Rc<Request>),
    Read(u32),
    Append(Rc<data::Batch>),
    Handle(threat::ThreatId, Rc<regions::threats::Said>),
}

/// What it is told.
#[derive(Clone, Debug)]
pub enum Told {
    Reply(u64, Rc<Reply>),
    Value(u64, Option<u64>),
    Judged,
    Handled(usize, regions::clock::Stamp, bool),
    Refused,
    /// Not now; nothing was done.
    Waits,
}

/// What a node's timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Look for silence, leases and gossip.
    Look,
    Beat,
    /// Stand for election, or send heartbeats.
    Raft(u64),
    /// Something that was written is durable.
    Synced,
    /// Detection: something is due.
    Detection,
    /// A batch of verdicts is on the disk.
    Recorded(u64),
    /// An append is to be tried again.
    Again(u64),
    Compare,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Event {
    Deliver {
        to: usize,
        from: usize,
        life: u32,
        left: Micros,
        body: Body,
    },
    Timer {
        node: usize,
        life: u32,
        timer: Timer,
    },
    /// A client does its next operation.
    Client {
        client: usize,
        number: u32,
    },
    /// A client has waited for long enough.
    Patience {
        client: usize,
        ticket: u64,
    },
    ToClient {
        client: usize,
        ticket: u64,
        told: Told,
    },
    FromClient {
        client: usize,
        node: usize,
        ticket: u64,
        ask: Ask,
    },
    Fault(usize, bool),
    Restart {
        node: usize,
        life: u32,
    },
    Effect {
        node: usize,
        workload: u32,
        epoch: u64,
    },
    Resume {
        node: usize,
    },
    /// The order of a fault is taken back again.
    EndOrder(usize),
    Heal,
    Flap(usize, bool),
}
