//! Links between hosts: what was sent arrives later, on tick boundaries, in the order of its
//! connection. A connection behaves as TCP does: what a cut or a loss holds up is sent again with
//! growing pauses, so that nothing is missing in the middle; a process that ends closes its
//! connections, a machine whose power is cut says nothing.

mod sockets;

use crate::plan::{MILLI, Micros, Plan, SECOND, unit};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use threat::entropy::mix64;
use tokio::time::Instant;

/// Time between two moments at which messages arrive and other things than nodes act. No message
/// takes less, so within a tick no host can know what another one does: they may take turns.
pub const TICK: Micros = MILLI;

/// Longest time for which a host has no turn although nothing arrives: what it does by its own
/// timers reaches others later by up to that.
pub const LAG: Micros = 4 * TICK;

/// Bytes that a direction of a connection holds on their way, as sockets do.
const WINDOW: usize = 256 << 10;

/// What was lost is sent again after this, then after twice as long, up to the last.
const AGAIN_FIRST: Micros = 200 * MILLI;
const AGAIN_LAST: Micros = 5 * SECOND;

/// Purposes of drawn numbers.
const JITTER: u64 = 101;
const LOSS: u64 = 102;

/// What faults do to one direction of one link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub cut: bool,
    pub clogged: bool,
    pub extra: Micros,
    pub loss: f64,
}

/// One direction of a connection; the other one has the number with the last bit flipped.
#[derive(Debug, Default)]
struct Pipe {
    from: usize,
    to: usize,
    /// What arrived and was not read.
    ready: VecDeque<u8>,
    /// Bytes on their way and not read.
    flying: usize,
    /// When the last that was sent arrives.
    last: Micros,
    /// Nothing comes any more: closed in order, or broken.
    closed: bool,
    broken: bool,
    /// Nobody reads.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What arrives.
#[derive(Clone, Debug)]
enum Arrival {
    /// A connection is asked for.
    Open,
    /// It is there.
    Opened,
    Bytes(Vec<u8>),
    /// Nothing follows.
    End,
    /// The other side knows nothing of it.
    Broken,
}

#[derive(Debug)]
struct Flight {
    at: Micros,
    order: u64,
    sent: Micros,
    pipe: u64,
    what: Arrival,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What a host is to the others.
#[derive(Debug, Default)]
struct Door {
    /// A process listens.
    open: bool,
    /// The machine has power.
    powered: bool,
    /// Connections that nobody took yet.
    waiting: VecDeque<u64>,
    waker: Option<Waker>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// No answer yet.
    Waits,
    /// It can be used.
    Open,
    /// Nobody listens.
    Refused,
}

/// All links.
pub struct Net {
    plan: Arc<Plan>,
    /// Hosts that are nodes; those after them are clients.
    nodes: usize,
    hosts: usize,
    now: Micros,
    /// A host's turn: from when to when, and since when by its own clock.
    turn: Option<((Micros, Micros), Instant)>,
    doors: Vec<Door>,
    trouble: Vec<Trouble>,
    sent: Vec<u64>,
    pipes: BTreeMap<u64, Pipe>,
    opening: BTreeMap<u64, Opening>,
    queue: BinaryHeap<Reverse<Flight>>,
    held: Vec<Flight>,
    next: u64,
    order: u64,
    /// Hosts that say nothing while they end.
    silent: BTreeSet<usize>,
    /// What the host that ends lets go of, while it does. tokio drops tasks by their numbers, which
    /// all runs in this program share: the order has to come from elsewhere.
    ending: Option<BTreeSet<u64>>,
    /// Follows from all that arrived.
    pub trace: u64,
    /// Arrivals so far.
    pub steps: u64,
}

/// The net as all hosts share it.
pub type Shared = Arc<Mutex<Net>>;

/// Nothing that holds it can leave it half changed.
pub fn lock(net: &Shared) -> MutexGuard<'_, Net> {
    net.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// A net of all nodes of a plan, and of one more host for clients.
    pub fn new(plan: Arc<Plan>) -> Self {
        let nodes = plan.nodes.len();
        let hosts = nodes + 1;
        Self {
            trace: mix64(plan.seed),
            plan,
            nodes,
            hosts,
            now: 0,
            turn: None,
            doors: (0..hosts).map(|_| Door::default()).collect(),
            trouble: vec![Trouble::default(); hosts * hosts],
            sent: vec![0; hosts * hosts],
            pipes: BTreeMap::new(),
            opening: BTreeMap::new(),
            queue: BinaryHeap::new(),
            held: Vec::new(),
            next: 0,
            order: 0,
            silent: BTreeSet::new(),
            ending: None,
            steps: 0,
        }
    }

    /// A host's turn begins, by its own clock now, over a span of true time.
    pub fn turn(&mut self, span: (Micros, Micros)) {
        self.turn = Some((span, Instant::now()));
    }

    /// No host's turn.
    pub fn rest(&mut self) {
        self.turn = None;
    }

    /// True time, as far as it went in the present turn.
    pub fn now(&self) -> Micros {
        let Some(((from, to), since)) = self.turn else { return self.now };
        (from + since.elapsed().as_micros() as Micros).min(to - 1)
    }

    fn link(&self, from: usize, to: usize) -> usize {
        from * self.hosts + to
    }

    /// All links as without faults.
    pub fn clear(&mut self) {
        self.trouble.fill(Trouble::default());
    }

    /// Changes links between nodes, from the first to the second of each pair.
    pub fn hit(&mut self, pairs: &[(usize, usize)], change: impl Fn(&mut Trouble)) {
        for &(from, to) in pairs {
            let link = self.link(from, to);
            change(&mut self.trouble[link]);
        }
    }

    /// Time of the way, with what faults and chance add.
    fn way(&mut self, from: usize, to: usize) -> Micros {
        if from >= self.nodes || to >= self.nodes {
            return TICK;
        }
        let link = self.link(from, to);
        let (plan, trouble) = (&self.plan, self.trouble[link]);
        let base = &plan.links[plan.nodes[from].region][plan.nodes[to].region];
        let number = self.sent[link];
        self.sent[link] += 1;
        let drawn = plan.draw(JITTER, link as u64, number);
        let mut way = base.delay + drawn % (base.jitter + 1) + trouble.extra;
        let (mut again, mut tries) = (AGAIN_FIRST, 0);
        let loss = base.loss.max(trouble.loss);
        while loss > 0.0 && unit(mix64(plan.draw(LOSS, link as u64, number) ^ tries)) < loss {
            way += again;
            again = (again * 2).min(AGAIN_LAST);
            tries += 1;
        }
        way.max(TICK)
    }

    fn send(&mut self, pipe: u64, what: Arrival) {
        let Some(known) = self.pipes.get(&pipe) else { return };
        let (from, to, last) = (known.from, known.to, known.last);
        if self.silent.contains(&from) {
            return;
        }
        let sent = self.now();
        let at = (sent + self.way(from, to)).max(last);
        self.order += 1;
        if let Some(pipe) = self.pipes.get_mut(&pipe) {
            pipe.last = at;
        }
        self.queue.push(Reverse(Flight { at, order: self.order, sent, pipe, what }));
    }

    /// Everything arrives that is due up to a time, which is the time then. A host for which
    /// something arrives and that did not have its turns up to then is told instead: it has to have
    /// them first.
    pub fn advance(&mut self, to: Micros, woken: &[bool]) -> Option<usize> {
        self.now = to;
        while let Some(Reverse(next)) = self.queue.peek().filter(|Reverse(next)| next.at <= to) {
            let host = self.pipes.get(&next.pipe).map(|pipe| pipe.to);
            if let Some(host) = host.filter(|host| woken.get(*host) == Some(&false)) {
                return Some(host);
            }
            let Some(Reverse(flight)) = self.queue.pop() else { break };
            let Some(pipe) = self.pipes.get(&flight.pipe) else { continue };
            let trouble = self.trouble[self.link(pipe.from, pipe.to)];
            if trouble.cut || trouble.clogged {
                self.held.push(flight);
                continue;
            }
            self.steps += 1;
            // Not how many bytes: signatures of one key differ by some.
            self.trace = mix64(self.trace ^ flight.at.rotate_left(24) ^ flight.pipe);
            self.arrive(flight.pipe, flight.what);
        }
        None
    }

    /// What was held up on links that are free again arrives when it is sent the next time.
    pub fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        for mut flight in held {
            let Some(pipe) = self.pipes.get(&flight.pipe) else { continue };
            let trouble = self.trouble[self.link(pipe.from, pipe.to)];
            if trouble.cut || trouble.clogged {
                self.held.push(flight);
                continue;
            }
            let (mut at, mut again) = (flight.sent, AGAIN_FIRST);
            while at < self.now {
                at += again;
                again = (again * 2).min(AGAIN_LAST);
            }
            let Some(pipe) = self.pipes.get_mut(&flight.pipe) else { continue };
            flight.at = (at + TICK).max(pipe.last);
            pipe.last = flight.at;
            self.queue.push(Reverse(flight));
        }
    }

    fn arrive(&mut self, number: u64, what: Arrival) {
        let Some(pipe) = self.pipes.get_mut(&number) else { return };
        let to = pipe.to;
        if !self.doors[to].powered {
            return;
        }
        match what {
            Arrival::Open if self.doors[to].open => {
                self.doors[to].waiting.push_back(number);
                wake(&mut self.doors[to].waker);
                self.send(number ^ 1, Arrival::Opened);
            }
            Arrival::Open => self.send(number ^ 1, Arrival::Broken),
            Arrival::Opened => {
                self.opening.insert(number ^ 1, Opening::Open);
                wake(&mut pipe.reader);
            }
            Arrival::Bytes(_) | Arrival::End if pipe.unread => {
                self.send(number ^ 1, Arrival::Broken);
                self.forget(number);
            }
            Arrival::Bytes(bytes) => {
                pipe.ready.extend(bytes);
                wake(&mut pipe.reader);
            }
            Arrival::End => {
                pipe.closed = true;
                wake(&mut pipe.reader);
            }
            Arrival::Broken => {
                if let Some(opening) = self.opening.get_mut(&(number ^ 1)) {
                    *opening = Opening::Refused;
                }
                pipe.broken = true;
                wake(&mut pipe.reader);
                if let Some(back) = self.pipes.get_mut(&(number ^ 1)) {
                    back.broken = true;
                    wake(&mut back.writer);
                }
            }
        }
    }

    /// Removes a connection of which neither side holds an end.
    fn forget(&mut self, number: u64) {
        let gone = |pipe: Option<&Pipe>| pipe.is_none_or(|p| p.unread);
        if gone(self.pipes.get(&number)) && gone(self.pipes.get(&(number ^ 1))) {
            self.pipes.remove(&number);
            self.pipes.remove(&(number ^ 1));
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
