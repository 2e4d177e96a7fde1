//! One node's part in a cluster: it answers the others, takes part in consensus, and takes new
//! nodes in while it leads.

mod answers;
mod coordination;
mod gossip;
mod links;
mod standing;
mod view;

use crate::consensus::{self, Consensus, Options, Profile, Responder, Storage};
use crate::control::{self, Ask, Connections, MemberView, NodeStatus, Told};
use crate::coordinator::Clock;
use crate::fabric::{Answer, Credentials, Fabric, Gate, Listener};
use crate::replication::{self, Replication, Wall};
use gossip::{peers, replication_of};
use links::Links;
use regions::control_log::{Client, Command, Reply, Request};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
pub use view::View;

/// Time for a command to be agreed on, across the widest links and one election.
pub const AGREE_TIME: Duration = Duration::from_secs(4);

/// Pause before something is tried again that needs a leader.
const RETRY: Duration = Duration::from_millis(100);

/// Pause before a node that is not taken in yet asks again.
const ARRIVE_AGAIN: Duration = Duration::from_secs(1);

/// Time to let go at the end; without its last checkpoint a node applies more when it starts.
const LET_GO: Duration = Duration::from_secs(5);

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its id; 1 for who founds the cluster.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where others reach it.
    pub address: String,
    /// How often its state was opened, this time too.
    pub incarnation: u64,
    /// Whether it is to vote.
    pub votes: bool,
}

/// What it needs.
pub struct Parts {
    /// Asks others.
    pub fabric: Arc<Fabric>,
    /// Takes connections.
    pub listener: Box<dyn Listener>,
    /// What consensus must not forget.
    pub storage: Storage,
    /// The threats that it knows.
    pub threats: replication::Storage,
    /// What time it is.
    pub wall: Wall,
    /// Timeouts of consensus.
    pub profile: Profile,
    /// Nodes that know the cluster; none for who founds it.
    pub seeds: Vec<String>,
    /// Answers what is asked on the data lane.
    pub data: Arc<dyn Answer>,
    /// Answers what is asked on the bulk lane, and about models on the control lane.
    pub models: Arc<dyn Answer>,
    /// Drawn at random.
    pub nonce: u64,
    /// Leases and silence are measured by it.
    pub clock: Arc<dyn Clock>,
}

/// Why a node could not take part.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Consensus did not come about.
    #[error(transparent)]
    Consensus(#[from] consensus::Error),
    /// The cluster could not be asked.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// The cluster does not want it.
    #[error("the cluster refuses: {0}")]
    Refused(String),
}

/// One node's part. It ends with [`Self::shutdown`].
pub struct Member {
    inner: Arc<Inner>,
    gate: Arc<Gate>,
    tasks: JoinSet<()>,
}

pub(crate) struct Inner {
    me: Me,
    fabric: Arc<Fabric>,
    consensus: Consensus,
    responder: Responder,
    client: Client,
    sequence: AtomicU64,
    replication: Arc<Replication>,
    /// Members change one at a time.
    changing: Mutex<()>,
    gate: OnceLock<std::sync::Weak<Gate>>,
    data: Arc<dyn Answer>,
    part: coordination::Part,
    models: Arc<dyn Answer>,
}

/// Asks the cluster for an id of the node that will listen at `address`.
///
/// # Errors
/// [`Error::Control`] when nobody answers or leads, [`Error::Refused`].
pub async fn ask_for_id(
    fabric: &Fabric,
    seeds: &[String],
    address: &str,
    within: Duration,
) -> Result<u64, Error> {
    let ask = Ask::Id { address: address.to_owned() };
    match control::ask_leader(fabric, seeds, &ask, within).await? {
        Told::Id(id) => Ok(id),
        Told::Refused(reason) | Told::Unknown(reason) => Err(Error::Refused(reason)),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

impl Member {
    /// Starts with what the storage holds, and takes part. A node without seeds and with an empty
    /// storage founds a cluster when `founds` says so.
    ///
    /// # Errors
    /// [`Error::Consensus`].
    pub async fn start(me: Me, parts: Parts, founds: bool) -> Result<Self, Error> {
        let Parts { fabric, listener, storage, threats, wall, profile, seeds, nonce, .. } = parts;
        fabric.is_node(me.id);
        let links = Arc::new(Links::new(Arc::clone(&fabric)));
        let consensus =
            Consensus::start(Options::new(me.id, profile), storage, links.clone()).await?;
        let replication = replication_of(&me, threats, wall, &fabric);
        let inner = Arc::new(Inner {
            replication,
            responder: consensus.responder(),
            client: consensus.client(nonce),
            sequence: AtomicU64::new(0),
            changing: Mutex::default(),
            gate: OnceLock::new(),
            data: parts.data,
            models: parts.models,
            part: coordination::Part::new(me.id, me.incarnation, parts.clock),
            me,
            fabric,
            consensus,
        });
        inner.replication.know(peers(Arc::downgrade(&inner)));
        inner.fabric.judged_by(standing::ByTheLog::of(&inner));
        let gate = Arc::new(Gate::open(&inner.fabric, listener, inner.clone()));
        // The only place that sets it.
        let _ = inner.gate.set(Arc::downgrade(&gate));
        if founds {
            let first = BTreeMap::from([(inner.me.id, inner.me.address.clone())]);
            inner.consensus.found(first).await?;
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(links.follow(inner.consensus.followed(), Arc::downgrade(&inner)));
        tasks.spawn(Arc::clone(&inner.replication).run(nonce));
        tasks.spawn(arrive(Arc::clone(&inner), seeds, founds));
        tasks.spawn(coordination::attend(Arc::clone(&inner)));
        tasks.spawn(coordination::lead(Arc::clone(&inner)));
        tasks.spawn(gossip::collect(Arc::clone(&inner)));
        Ok(Self { inner, gate, tasks })
    }

    /// Who it is.
    pub fn me(&self) -> &Me {
        &self.inner.me
    }

    /// How it is, with the digest of its control log.
    pub fn status(&self) -> NodeStatus {
        self.inner.status(true)
    }

    /// Waits until the node is a member, admitted.
    pub async fn admitted(&self) {
        let mut changes = self.inner.consensus.followed();
        loop {
            let (_, admitted) = self.inner.consensus.read(|log| {
                let known = log.nodes().present().get(&self.inner.me.id);
                known.is_some_and(|n| n.admitted && n.incarnation == self.inner.me.incarnation)
            });
            if admitted || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Proposes a command, wherever the leader is, and gives its reply.
    ///
    /// # Errors
    /// [`consensus::Error`]. After a timeout it may have been done.
    pub async fn propose(&self, command: Command) -> Result<Reply, consensus::Error> {
        self.inner.command(command).await
    }

    /// The threats that it shares with others.
    pub fn replication(&self) -> &Arc<Replication> {
        &self.inner.replication
    }

    /// Reads what is applied here; see [`Consensus::read`].
    pub fn read<R>(&self, look: impl FnOnce(&regions::control_log::ControlLog) -> R) -> (u64, R) {
        self.inner.consensus.read(look)
    }

    /// A view of what is applied here, which does not keep the node from ending.
    pub fn view(&self) -> View {
        View(Arc::downgrade(&self.inner))
    }

    /// Shows and believes other certificates from now on; see [`Fabric::rotate`].
    pub fn rotate(&self, credentials: Credentials) {
        self.inner.fabric.rotate(credentials);
    }

    /// Ends its part: no more answers, then what is applied is stored.
    ///
    /// # Errors
    /// [`consensus::Error::Stopped`] when the last checkpoint could not be stored,
    /// [`consensus::Error::Held`] when something that is under way does not let go.
    pub async fn shutdown(self) -> Result<(), consensus::Error> {
        let Self { mut inner, gate, mut tasks } = self;
        tasks.shutdown().await;
        drop(gate);
        // When it failed, what ends the process was called already.
        let _ = inner.replication.close().await;
        // The gate's tasks end as soon as they may; they hold what is to be closed.
        let until = Instant::now() + LET_GO;
        loop {
            match Arc::try_unwrap(inner) {
                Ok(Inner { consensus, responder, .. }) => {
                    drop(responder);
                    return consensus.shutdown().await;
                }
                Err(_) if Instant::now() > until => return Err(consensus::Error::Held),
                Err(held) => inner = held,
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Member").field(&self.inner.me).finish()
    }
}

impl Inner {
    /// Whether what is agreed on now would be kept by a majority, as far as this node knows.
    fn durable(&self, status: &consensus::Status) -> bool {
        match status.role {
            consensus::Role::Leader => {
                status.majority_heard_ms.is_none_or(|ms| ms < AGREE_TIME.as_millis() as u64 / 2)
            }
            _ => status.leader.is_some(),
        }
    }

    fn status(&self, digest: bool) -> NodeStatus {
        let status = self.consensus.status();
        let durable = self.durable(&status);
        let (applied, (members, digest)) = self.consensus.read(|log| {
            let view = |(id, n): (&u64, &regions::control_log::Node)| {
                let view = MemberView {
                    name: n.name.to_string(),
                    region: n.region.to_string(),
                    address: n.address.to_string(),
                    admitted: n.admitted,
                };
                (*id, view)
            };
            let members: BTreeMap<_, _> = log.nodes().present().iter().map(view).collect();
            // A log within its limits always has a digest.
            let digest = digest.then(|| log.digest().unwrap_or_default());
            (members, digest.map(|d| d.iter().map(|b| format!("{b:02x}")).collect()))
        });
        let gate = self.gate.get().and_then(std::sync::Weak::upgrade);
        let counts = gate.map(|g| g.counts()).unwrap_or_default();
        NodeStatus {
            id: self.me.id,
            name: self.me.name.clone(),
            region: self.me.region.clone(),
            address: self.me.address.clone(),
            incarnation: self.me.incarnation,
            role: format!("{:?}", status.role).to_lowercase(),
            term: status.term,
            leader: status.leader,
            last_log: status.last_log,
            applied,
            snapshot: status.snapshot,
            serving: true,
            durable,
            voters: status.voters,
            digest,
            members,
            connections: Connections {
                greeted: counts.greeted,
                refused: counts.turned_away + counts.refused + counts.pushed_out + counts.no_room,
            },
            threats: self.replication.status(),
        }
    }

    fn request(&self, command: Command) -> Request {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        Request { client: self.client, sequence, command }
    }

    async fn command(&self, command: Command) -> Result<Reply, consensus::Error> {
        self.propose(self.request(command)).await
    }

    /// Proposes here or at the leader, with the same request again until its time is over.
    async fn propose(&self, request: Request) -> Result<Reply, consensus::Error> {
        let until = Instant::now() + AGREE_TIME;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(consensus::Error::Timeout);
            }
            match self.consensus.propose(request.clone(), left).await {
                Err(consensus::Error::NotLeader { address: Some(leader), .. }) => {
                    let ask = Ask::Propose(Box::new(request.clone()));
                    let told = timeout(left, control::ask(&self.fabric, &leader, &ask, left)).await;
                    if let Ok(Ok(Told::Reply(reply))) = told {
                        return Ok(reply);
                    }
                }
                Err(consensus::Error::NotLeader { .. }) => {}
                other => return other,
            }
            sleep(RETRY).await;
        }
    }
}

/// Makes this node known: by itself if it founds the cluster, else by asking until it is taken in.
async fn arrive(inner: Arc<Inner>, seeds: Vec<String>, founds: bool) {
    let me = inner.me.clone();
    let known = |inner: &Inner| {
        let known = |n: &regions::control_log::Node| n.admitted && n.incarnation == me.incarnation;
        inner.consensus.read(|log| log.nodes().present().get(&me.id).is_some_and(known)).1
    };
    let (id, address, incarnation, votes) = (me.id, me.address.clone(), me.incarnation, me.votes);
    let ask = Ask::Arrive { id, address, incarnation, votes };
    let mut tries = 0;
    while !known(&inner) {
        if founds || inner.consensus.status().role == consensus::Role::Leader {
            // Refusals are told in the state: it is looked at again.
            let _ = inner.take_in(me.clone()).await;
            sleep(RETRY).await;
        } else {
            let mut addresses = seeds.clone();
            addresses.extend(inner.consensus.status().members.into_values());
            addresses.retain(|a| *a != me.address);
            if addresses.is_empty() {
                sleep(RETRY).await; // It will lead: it knows nobody else.
                continue;
            }
            // Another begins each time: one that is cut off may take all of it.
            let turn = tries % addresses.len();
            addresses.rotate_left(turn);
            tries += 1;
            let told = control::ask_leader(&inner.fabric, &addresses, &ask, AGREE_TIME).await;
            if let Ok(Told::Refused(reason)) = told {
                tracing::error!("the cluster refuses this node: {reason}");
            } else if let Err(error) = told {
                tracing::warn!("not taken in yet: {error}");
            }
            sleep(ARRIVE_AGAIN).await;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
