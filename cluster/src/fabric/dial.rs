//! The asking side: connections are made when there is something to ask, and again when they fail.

use super::error::Error;
use super::frame::{self, ANSWER, Frame};
use super::hello::{self, Caller, Judge};
use super::lane::Lane;
use super::limits::{
    CONNECT_TIME, FRAME_BYTES, IDLE, LINKS, LOOK, QUEUED, REDIAL_FIRST, REDIAL_LAST, SILENCE,
};
use super::tls::Credentials;
use super::transport::{BoxStream, Transport};
use super::writer;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use threat::entropy::Rng;
use tokio::io::ReadHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

/// How long bytes are held back on their way to a region, to see on one machine what several
/// datacenters would do. Half of it each way makes a round trip.
pub trait Delay: Send + Sync + 'static {
    /// The time one way to a node of this region.
    fn to(&self, region: &str) -> Duration;
}

/// What all connections of a node need.
pub(super) struct Shared {
    node: AtomicU64,
    credentials: RwLock<Credentials>,
    transport: Arc<dyn Transport>,
    delay: Option<Arc<dyn Delay>>,
    judge: OnceLock<Box<dyn Judge>>,
}

impl Shared {
    pub(super) fn refuses(&self, other: &Caller) -> Option<String> {
        self.judge.get()?.refuses(other)
    }

    pub(super) fn credentials(&self) -> Credentials {
        // Nothing panics while it is held.
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn node(&self) -> u64 {
        self.node.load(Ordering::Relaxed)
    }

    pub(super) fn delay(&self, caller: &Caller) -> Duration {
        let delay = self.delay.as_ref().zip(caller.region());
        delay.map_or(Duration::ZERO, |(delay, region)| delay.to(region))
    }
}

/// A node's or an operator's way to ask nodes. Dropping it ends its connections.
pub struct Fabric {
    shared: Arc<Shared>,
    links: Mutex<Links>,
}

struct Links {
    queues: BTreeMap<(String, Lane), mpsc::Sender<Asked>>,
    tasks: JoinSet<()>,
    rng: Rng,
}

/// A request and who waits for its answer.
struct Asked {
    body: Vec<u8>,
    /// The node that should answer; 0 for any.
    expected: u64,
    tell: oneshot::Sender<Result<Vec<u8>, Error>>,
}

impl Fabric {
    /// A fabric of this side's credentials. `seed` draws the jitter of pauses.
    pub fn new(
        credentials: Credentials,
        transport: Arc<dyn Transport>,
        delay: Option<Arc<dyn Delay>>,
        seed: u64,
    ) -> Self {
        let credentials = RwLock::new(credentials);
        let (node, judge) = (AtomicU64::new(0), OnceLock::new());
        let shared = Shared { node, credentials, transport, delay, judge };
        let (queues, tasks) = (BTreeMap::new(), JoinSet::new());
        let links = Links { queues, tasks, rng: Rng::fork(seed, "fabric") };
        Self { shared: Arc::new(shared), links: Mutex::new(links) }
    }

    /// Says which id this node has. Connections that said another are made anew.
    pub fn is_node(&self, id: u64) {
        if self.shared.node.swap(id, Ordering::Relaxed) != id {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.queues.clear();
        }
    }

    /// Lets the first judge that is given say whose word is taken, of those that ask and of those
    /// that are asked. Without one each good certificate is enough, as it is for operators.
    pub fn judged_by(&self, judge: Box<dyn Judge>) {
        let _ = self.shared.judge.set(judge);
    }

    /// Shows and believes others from now on; connections that are there stay.
    pub fn rotate(&self, credentials: Credentials) {
        let mut held = self.shared.credentials.write().unwrap_or_else(PoisonError::into_inner);
        *held = credentials;
    }

    /// Asks node `expected` (0: whoever it is) at an address, and gives its answer.
    ///
    /// # Errors
    /// Any [`Error`]. After [`Error::Timeout`] and errors of the connection it may have been done.
    pub async fn ask(
        &self,
        address: &str,
        expected: u64,
        lane: Lane,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, Error> {
        frame::check_body(&body, FRAME_BYTES)?;
        let queue = self.queue(address, lane)?;
        let (tell, told) = oneshot::channel();
        let asking = async {
            let gone = || Error::NotConnected("this node is about to end".into());
            queue.send(Asked { body, expected, tell }).await.map_err(|_| gone())?;
            told.await.map_err(|_| gone())?
        };
        timeout(within, asking).await.unwrap_or(Err(Error::Timeout))
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn queue(&self, address: &str, lane: Lane) -> Result<mpsc::Sender<Asked>, Error> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.to_owned(), lane);
        if let Some(queue) = links.queues.get(&key) {
            return Ok(queue.clone());
        }
        if links.queues.len() >= LINKS {
            return Err(Error::Full(LINKS));
        }
        let (queue, asked) = mpsc::channel(QUEUED);
        let rng = Rng::new(links.rng.next_u64());
        let link = Link { shared: Arc::clone(&self.shared), address: key.0.clone(), lane };
        links.tasks.spawn(link.run(asked, rng));
        links.queues.insert(key, queue.clone());
        Ok(queue)
    }
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fabric").field(self.shared.credentials().identity()).finish()
    }
}

/// The way to one address on one lane.
struct Link {
    shared: Arc<Shared>,
    address: String,
    lane: Lane,
}

impl Link {
    async fn run(self, mut queue: mpsc::Receiver<Asked>, mut rng: Rng) {
        let mut pause = REDIAL_FIRST;
        while let Some(first) = queue.recv().await {
            if first.tell.is_closed() {
                continue;
            }
            match timeout(CONNECT_TIME, self.connect()).await.unwrap_or(Err(Error::Timeout)) {
                Ok((stream, caller)) => {
                    pause = REDIAL_FIRST;
                    self.converse(stream, &caller, first, &mut queue).await;
                }
                Err(error) => {
                    let reason = error.to_string();
                    let _ = first.tell.send(Err(error));
                    let until = Instant::now() + pause.mul_f64(0.5 + rng.unit() / 2.0);
                    refuse(&mut queue, until, &reason).await;
                    pause = REDIAL_LAST.min(pause * 2);
                }
            }
        }
    }

    async fn connect(&self) -> Result<(TlsStream<BoxStream>, Caller), Error> {
        let credentials = self.shared.credentials();
        let stream = self.shared.transport.connect(&self.address).await?;
        let (connector, name) = credentials.connector();
        let mut stream = connector.connect(name, stream).await?;
        let identity = credentials.peer(stream.get_ref().1.peer_certificates())?;
        hello::say(&mut stream, self.lane, self.shared.node()).await?;
        let said = hello::hear(&mut stream).await?;
        Ok((stream, Caller { identity, node: said.node, lane: self.lane }))
    }

    /// Asks and hands out answers until the connection ends; who waits then learns of it.
    async fn converse(
        &self,
        stream: TlsStream<BoxStream>,
        caller: &Caller,
        first: Asked,
        queue: &mut mpsc::Receiver<Asked>,
    ) {
        let (reading, writing) = tokio::io::split(stream);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(hand_out(reading, Arc::clone(&waiting)));
        let (frames, outgoing) = mpsc::channel(QUEUED);
        tasks.spawn(writer::run(writing, outgoing, self.shared.delay(caller)));
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut next, mut number, mut last) = (Some(first), 0, Instant::now());
        loop {
            if let Some(Asked { body, expected, tell }) = next.take() {
                if expected != 0 && expected != caller.node {
                    let _ = tell.send(Err(Error::OtherNode { found: caller.node, expected }));
                } else if let Some(reason) = self.shared.refuses(caller) {
                    let _ = tell.send(Err(Error::NotBelieved(reason)));
                } else {
                    (number, last) = (number + 1, Instant::now());
                    lock(&waiting).put(number, tell);
                    if frames.send((last, Frame { number, body })).await.is_err() {
                        break;
                    }
                }
            }
            tokio::select! {
                // The end of the connection first, which a busy queue must not hide.
                biased;
                _ = tasks.join_next() => break,
                now = look.tick() => {
                    if lock(&waiting).is_silent(now) || now.duration_since(last) > IDLE {
                        break;
                    }
                }
                asked = queue.recv() => match asked {
                    Some(asked) => next = Some(asked),
                    None => break,
                },
            }
        }
        lock(&waiting).end();
    }
}

/// Refuses what is asked until the pause is over.
async fn refuse(queue: &mut mpsc::Receiver<Asked>, until: Instant, reason: &str) {
    loop {
        tokio::select! {
            biased;
            () = sleep_until(until) => return,
            asked = queue.recv() => match asked {
                Some(asked) => drop(asked.tell.send(Err(Error::NotConnected(reason.into())))),
                None => return,
            },
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    // Nothing panics while it is held.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for which answer.
#[derive(Default)]
struct Waiting {
    tells: BTreeMap<u64, oneshot::Sender<Result<Vec<u8>, Error>>>,
    /// Since when something is asked and nothing came.
    silent: Option<Instant>,
}

impl Waiting {
    fn put(&mut self, number: u64, tell: oneshot::Sender<Result<Vec<u8>, Error>>) {
        self.silent.get_or_insert_with(Instant::now);
        self.tells.insert(number, tell);
    }

    fn take(&mut self, number: u64) -> Option<oneshot::Sender<Result<Vec<u8>, Error>>> {
        let tell = self.tells.remove(&number);
        self.silent = (!self.tells.is_empty()).then(Instant::now);
        tell
    }

    /// Whether nothing came for too long. Forgets those that gave up.
    fn is_silent(&mut self, now: Instant) -> bool {
        self.tells.retain(|_, tell| !tell.is_closed());
        self.silent.is_some_and(|since| now.saturating_duration_since(since) > SILENCE)
    }

    fn end(&mut self) {
        for (_, tell) in std::mem::take(&mut self.tells) {
            let _ = tell.send(Err(Error::NotConnected("the connection ended".into())));
        }
    }
}

/// Hands out answers until the connection ends or says something that is none.
async fn hand_out(mut reading: ReadHalf<TlsStream<BoxStream>>, waiting: Arc<Mutex<Waiting>>) {
    while let Ok(Some(Frame { number, body })) = frame::read(&mut reading, FRAME_BYTES).await {
        if number & ANSWER == 0 {
            return;
        }
        // Who asked may have given up.
        if let Some(tell) = lock(&waiting).take(number & !ANSWER) {
            let _ = tell.send(Ok(body));
        }
    }
}
