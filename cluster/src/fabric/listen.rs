//! The answering side.

use super::dial::{Fabric, Shared};
use super::error::Error;
use super::frame::{self, ANSWER, Frame};
use super::hello::{self, Caller};
use super::identity::{Identity, Who};
use super::lane::Lane;
use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS, FRAME_BYTES, GONE, HALF_OPEN, HELLO_TIME, IN_FLIGHT, QUEUED,
};
use super::transport::{BoxFuture, BoxStream, Listener};
use super::writer;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::server::TlsStream;

/// Answers what other nodes and operators ask.
pub trait Answer: Send + Sync + 'static {
    /// The answer to a request of somebody of this cluster.
    fn answer<'a>(&'a self, caller: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>>;
}

/// What became of connections, since the gate opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that came.
    pub came: u64,
    /// Those whose greeting was right.
    pub greeted: u64,
    /// Those whose handshake or greeting failed or took too long.
    pub turned_away: u64,
    /// Greetings and requests of members and operators whose word is not taken.
    pub refused: u64,
    /// Those that were ended, still without a greeting, to make room for newer ones.
    pub pushed_out: u64,
    /// Members that found no room.
    pub no_room: u64,
    /// Those that could not be taken at all.
    pub not_taken: u64,
}

#[derive(Debug, Default)]
struct Counters {
    came: AtomicU64,
    greeted: AtomicU64,
    turned_away: AtomicU64,
    refused: AtomicU64,
    pushed_out: AtomicU64,
    no_room: AtomicU64,
    not_taken: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Takes connections until it is dropped, which ends them.
#[derive(Debug)]
pub struct Gate {
    inner: Arc<Inner>,
    /// Ends with the gate, and all connections with it.
    _task: JoinSet<()>,
}

struct Inner {
    shared: Arc<Shared>,
    answer: Arc<dyn Answer>,
    counters: Counters,
    room: Arc<Semaphore>,
    /// Connections without a greeting, the oldest first.
    half_open: Mutex<VecDeque<(u64, AbortHandle)>>,
    /// The connection of each node on each lane. A newer one ends it: who dials again has given
    /// the former up.
    nodes: Mutex<BTreeMap<(Identity, Lane), (u64, AbortHandle)>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Inner").field(&self.counters).finish()
    }
}

impl Gate {
    /// Opens the gate of a node.
    pub fn open(fabric: &Fabric, listener: Box<dyn Listener>, answer: Arc<dyn Answer>) -> Self {
        let inner = Arc::new(Inner {
            shared: Arc::clone(fabric.shared()),
            answer,
            counters: Counters::default(),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
            half_open: Mutex::default(),
            nodes: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(Arc::clone(&inner), listener));
        Self { inner, _task: task }
    }

    /// What became of connections.
    pub fn counts(&self) -> Counts {
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let c = &self.inner.counters;
        Counts {
            came: read(&c.came),
            greeted: read(&c.greeted),
            turned_away: read(&c.turned_away),
            refused: read(&c.refused),
            pushed_out: read(&c.pushed_out),
            no_room: read(&c.no_room),
            not_taken: read(&c.not_taken),
        }
    }
}

async fn accept(inner: Arc<Inner>, mut listener: Box<dyn Listener>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(stream) = listener.accept().await else {
            count(&inner.counters.not_taken);
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        count(&inner.counters.came);
        number += 1;
        let mut half_open = lock(&inner.half_open);
        if half_open.len() >= HALF_OPEN
            && let Some((_, oldest)) = half_open.pop_front()
        {
            oldest.abort();
            count(&inner.counters.pushed_out);
        }
        let task = connections.spawn(Arc::clone(&inner).connection(number, stream));
        half_open.push_back((number, task));
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    async fn connection(self: Arc<Self>, number: u64, stream: BoxStream) {
        let greeted = timeout(HELLO_TIME, self.greet(stream)).await;
        let task = {
            let mut half_open = lock(&self.half_open);
            let at = half_open.iter().position(|(n, _)| *n == number);
            at.and_then(|at| half_open.remove(at))
        };
        if matches!(greeted, Ok(Err(Error::Refused(_)))) {
            count(&self.counters.refused);
            return;
        }
        let (Ok(Ok((stream, caller))), Some((_, task))) = (greeted, task) else {
            count(&self.counters.turned_away);
            return;
        };
        let Ok(_room) = Arc::clone(&self.room).try_acquire_owned() else {
            count(&self.counters.no_room);
            return;
        };
        count(&self.counters.greeted);
        let key = (caller.identity.clone(), caller.lane);
        if matches!(caller.identity.who, Who::Node { .. })
            && let Some((_, former)) = lock(&self.nodes).insert(key.clone(), (number, task))
        {
            former.abort();
        }
        self.converse(stream, caller).await;
        let mut nodes = lock(&self.nodes);
        if nodes.get(&key).is_some_and(|(n, _)| *n == number) {
            nodes.remove(&key);
        }
    }

    async fn greet(&self, stream: BoxStream) -> Result<(TlsStream<BoxStream>, Caller), Error> {
        let credentials = self.shared.credentials();
        let mut stream = credentials.acceptor().accept(stream).await?;
        let identity = credentials.peer(stream.get_ref().1.peer_certificates())?;
        let said = hello::hear(&mut stream).await?;
        let caller = Caller { identity, node: said.node, lane: said.lane };
        if caller.region().is_none() && !caller.lane.is_for_operators() {
            return Err(Error::NotANode(caller.identity.to_string()));
        }
        if let Some(reason) = self.shared.refuses(&caller) {
            hello::refuse(&mut stream, &reason).await?;
            return Err(Error::Refused(reason));
        }
        hello::say(&mut stream, said.lane, self.shared.node()).await?;
        Ok((stream, caller))
    }

    /// Answers until the connection ends, many requests at a time and in any order.
    async fn converse(&self, stream: TlsStream<BoxStream>, caller: Caller) {
        let (mut reading, writing) = tokio::io::split(stream);
        let (frames, outgoing) = mpsc::channel(QUEUED);
        let mut tasks = JoinSet::new();
        tasks.spawn(writer::run(writing, outgoing, self.shared.delay(&caller)));
        let caller = Arc::new(caller);
        let busy = Arc::new(Semaphore::new(IN_FLIGHT));
        // An error is the end of the connection: after it, where a frame begins is not known.
        loop {
            let read = timeout(GONE, frame::read(&mut reading, FRAME_BYTES)).await;
            let Ok(Ok(Some(Frame { number, body }))) = read else { return };
            let Ok(permit) = Arc::clone(&busy).acquire_owned().await else { return };
            if number & ANSWER != 0 || frames.is_closed() {
                return;
            }
            // It is told why when it dials again.
            if self.shared.refuses(&caller).is_some() {
                count(&self.counters.refused);
                return;
            }
            while tasks.try_join_next().is_some() {}
            let (answer, caller) = (Arc::clone(&self.answer), Arc::clone(&caller));
            let frames = frames.clone();
            tasks.spawn(async move {
                let body = answer.answer(&caller, body).await;
                // An answer over the limit is dropped here: who asked sees a timeout.
                if frame::check_body(&body, FRAME_BYTES).is_ok() {
                    let frame = Frame { number: number | ANSWER, body };
                    let _ = frames.send((Instant::now(), frame)).await;
                }
                drop(permit);
            });
        }
    }
}
