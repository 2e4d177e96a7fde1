//! A real clock, and an actor that can be made to end in every way there is.
#![allow(
    dead_code,
    missing_docs,
    clippy::expect_used,
    reason = "each test binary uses a part of this"
)]

use actors::mailbox::{Envelope, Inbox};
use actors::observe::Directory;
use actors::ports::Clock;
use actors::supervise::{Child, Context, Place};
use flow::supervision::{Backoff, Intensity, Policy, Strategy};
use flow::tree::{Spec, diff};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use threat::Timestamp;
use tokio::sync::oneshot;

pub const MS: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.elapsed().as_micros() as i64)
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(RealClock(Instant::now()))
}

pub fn context() -> Context {
    Context { clock: clock(), directory: Directory::new(), seed: 7 }
}

/// A policy with pauses of a few milliseconds, so that tests are quick.
pub fn policy(strategy: Strategy, restarts: u32) -> Policy {
    Policy {
        strategy,
        intensity: Intensity { restarts, window: Duration::from_secs(60) },
        backoff: Backoff {
            first: 2 * MS,
            factor: 1.5,
            max: 10 * MS,
            jitter: 0.5,
            healthy: Duration::from_secs(60),
        },
    }
}

#[derive(Debug)]
pub enum Order {
    Ping(oneshot::Sender<u64>),
    Count,
    Sleep(Duration),
    /// Holds its thread: a kill has no effect until it is over.
    Block(Duration),
    Panic,
    Fail,
    Stop,
    Hang,
}

/// What outlives the incarnations of a [`Puppet`].
#[derive(Debug, Default)]
pub struct Fate {
    /// Incarnations started.
    pub starts: AtomicU64,
    /// Incarnations alive at this moment, and the most there ever were.
    pub alive: AtomicI64,
    pub most_alive: AtomicI64,
    /// Starts that are still to fail.
    pub failing_starts: AtomicI64,
    pub counted: AtomicU64,
    /// Place of its last end among all ends.
    pub ended: AtomicU64,
}

static ENDS: AtomicU64 = AtomicU64::new(0);

pub struct Alive(Arc<Fate>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.ended.store(ENDS.fetch_add(1, SeqCst), SeqCst);
        self.0.alive.fetch_sub(1, SeqCst);
    }
}

pub struct Puppet;

impl Actor for Puppet {
    type Msg = Envelope<Order>;
    type State = Alive;
    type Arguments = Arc<Fate>;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        fate: Arc<Fate>,
    ) -> Result<Alive, ActorProcessingErr> {
        fate.starts.fetch_add(1, SeqCst);
        if fate.failing_starts.fetch_sub(1, SeqCst) > 0 {
            return Err("will not start".into());
        }
        let now = fate.alive.fetch_add(1, SeqCst) + 1;
        fate.most_alive.fetch_max(now, SeqCst);
        Ok(Alive(fate))
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Envelope<Order>,
        state: &mut Alive,
    ) -> Result<(), ActorProcessingErr> {
        let (order, _slip) = envelope.open();
        match order {
            Order::Ping(reply) => drop(reply.send(state.0.starts.load(SeqCst))),
            Order::Count => drop(state.0.counted.fetch_add(1, SeqCst)),
            Order::Sleep(time) => tokio::time::sleep(time).await,
            Order::Block(time) => std::thread::sleep(time),
            Order::Panic => panic!("a panic"),
            Order::Fail => return Err("an error".into()),
            Order::Stop => myself.stop(None),
            Order::Hang => std::future::pending().await,
        }
        Ok(())
    }
}

/// A puppet's strings.
#[derive(Clone, Debug)]
pub struct Strings {
    pub inbox: Inbox<Order>,
    pub fate: Arc<Fate>,
}

impl Strings {
    pub fn new() -> Self {
        Self { inbox: Inbox::new(), fate: Arc::default() }
    }

    pub fn child(&self, name: &str) -> Child {
        let fate = Arc::clone(&self.fate);
        Child::worker(name, &self.inbox, move |_: &Place| (Puppet, Arc::clone(&fate)))
    }

    pub fn starts(&self) -> u64 {
        self.fate.starts.load(SeqCst)
    }
}

/// Waits until the live tree is the declared one; panics with the differences after 10 s.
pub async fn settled(directory: &Directory, declared: &Spec) {
    let began = Instant::now();
    loop {
        let live = directory.tree(&declared.name).expect("the root is entered");
        let differences = diff(declared, &live);
        if differences.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{differences:?}\n{live}");
        tokio::time::sleep(MS).await;
    }
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(MS).await;
    }
}
