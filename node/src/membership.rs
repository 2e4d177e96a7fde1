//! A node as a member of a cluster: from its configuration to a running [`Member`].

pub mod config;
mod detecting;
mod view;

use crate::datapath::DataPath;
use crate::host::clock::BootClock;
use crate::host::cluster_files::{self, Who};
use crate::host::tcp::{Door, Tcp};
use crate::rollout::Rollout;
use cluster::consensus::Storage;
use cluster::fabric::{Delay, Fabric};
use cluster::member::{self, Me, Parts};
use cluster::replication;
use config::{NodeConfig, OperatorConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use detecting::{Detecting, detect};
pub use view::cluster_view;

pub use cluster::consensus::Fatal;
pub use cluster::control::{Ask, MemberView, NodeStatus, Told, ask, ask_leader};
pub use cluster::coordinator::{Held, Move, Moves, View, WorkloadView};
pub use cluster::fabric::{Fabric as Links, Identity, authority};
pub use cluster::member::Member;
pub use cluster::replication::{Page, Query, Rank, Record, Said};
pub use regions::clock::Stamp;
pub use regions::control_log::{Client, Command, Hash, Refusal, Reply, Request};
pub use regions::failure_detector::State as PeerState;
pub use regions::orders::{Order, command as order_command};
pub use regions::threats::{Classification, Status};

/// The id of the node that founds a cluster.
const FOUNDER: u64 = 1;

/// How long a new node tries to get an id before it says why it has none.
const ID_TIME: Duration = Duration::from_secs(60);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    Files(#[from] cluster_files::Error),
    /// The certificate is of somebody else.
    #[error("the certificate is of {found}, the configuration of {expected}")]
    OtherCertificate {
        /// Who the certificate is of.
        found: String,
        /// Who the node is.
        expected: String,
    },
    /// It cannot listen.
    #[error("{address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A new node that knows nobody.
    #[error(
        "{0} is new and knows no other node: name some in `seeds`, or start it once with --found \
         to found a cluster"
    )]
    Alone(String),
    /// A cluster is founded once.
    #[error("{0} was started before: --found is for the first start of a new cluster")]
    FoundedAlready(String),
    /// The files of consensus are not what was written.
    #[error(
        "raft.redb, raft.journal or state.redb in {folder} is corrupt ({what}): what this node \
         promised is lost, and it must not come back as the same. Remove it from another node \
         (`watchfire cluster remove {name}`), move the folder away, and start it again: it joins \
         anew",
        folder = .folder.display()
    )]
    Promises {
        /// The node's folder.
        folder: PathBuf,
        /// Its name.
        name: String,
        /// What is wrong with which of them.
        what: String,
    },
    /// What detection keeps is not what was written.
    #[error(
        "{path} is corrupt ({what}), and this node does not start with it. Move it away and start \
         the node again: it goes on with an empty one. Verdicts that were acknowledged as `local` \
         are in the file that was moved; others have those of `region` and `global`",
        path = .path.display()
    )]
    Events {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The threats.
    #[error(transparent)]
    Threats(#[from] replication::Error),
    /// The cluster.
    #[error(transparent)]
    Member(#[from] member::Error),
    /// Where findings are told.
    #[error("{path}: {error}", path = .path.display())]
    Output {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// A round trip to other regions that is played.
struct Wan {
    own: String,
    one_way: Duration,
}

impl Delay for Wan {
    fn to(&self, region: &str) -> Duration {
        if region == self.own { Duration::ZERO } else { self.one_way }
    }
}

/// A node that runs: its part in the cluster, and the way of events through it.
pub struct Running {
    /// Its part in the cluster.
    pub member: Member,
    /// Answers for events; waits for [`detect`].
    pub data: Arc<DataPath>,
    /// Answers for bundles and playbooks; waits for [`detect`].
    pub models: Arc<Rollout>,
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
}

/// Starts a node. `founds` makes a new cluster of it; else it is a member already, or joins by its
/// seeds. `fatal` ends the process when its disk fails.
///
/// # Errors
/// Any [`Error`].
pub async fn start(config: &NodeConfig, founds: bool, fatal: Fatal) -> Result<Running, Error> {
    let credentials = cluster_files::credentials(&config.tls)?;
    let expected = format!("spiffe://{}/node/{}/{}", config.cluster, config.region, config.name);
    let found = credentials.identity().to_string();
    if found != expected {
        return Err(Error::OtherCertificate { found, expected });
    }
    let known = cluster_files::who(config)?;
    match (&known, founds) {
        (Some(_), true) => return Err(Error::FoundedAlready(config.name.clone())),
        (None, false) if config.seeds.is_empty() => return Err(Error::Alone(config.name.clone())),
        _ => {}
    }
    let listen = |error| Error::Listen { address: config.listen.clone(), error };
    let door = Door::bind(&config.listen).await.map_err(listen)?;
    let address = match &config.advertise {
        Some(advertised) => advertised.clone(),
        None => door.address().map_err(listen)?.to_string(),
    };
    // The files are locked from here on: two processes cannot be one node.
    cluster_files::folder(&config.data)?;
    let (storage, threats) = open(config, fatal)?;
    let wan: Option<Arc<dyn Delay>> = (config.wan_ms > 0).then(|| {
        let wan = Wan { own: config.region.clone(), one_way: config.one_way() };
        Arc::new(wan) as Arc<dyn Delay>
    });
    let seed = cluster_files::random();
    let fabric = Arc::new(Fabric::new(credentials, Arc::new(Tcp), wan, seed));
    let mut who = match known {
        Some(who) => who,
        None => {
            let id = first_id(config, &address, founds, &fabric).await?;
            let (cluster, name) = (config.cluster.clone(), config.name.clone());
            Who { cluster, name, id, incarnation: 0 }
        }
    };
    who.incarnation += 1;
    if !founds {
        cluster_files::is(config, &who)?;
    }
    let me = Me {
        id: who.id,
        name: who.name.clone(),
        region: config.region.clone(),
        address,
        incarnation: who.incarnation,
        votes: config.votes,
    };
    let mut seeds = config.seeds.clone();
    seeds.retain(|seed| *seed != me.address);
    let (data, models) = (Arc::new(DataPath::default()), Arc::new(Rollout::default()));
    let parts = Parts {
        fabric: Arc::clone(&fabric),
        listener: Box::new(door),
        storage,
        threats,
        wall: Arc::new(cluster_files::wall),
        // It was checked when the configuration was read.
        profile: config.profile().unwrap_or(cluster::consensus::Profile::LAN),
        seeds,
        data: data.clone(),
        models: models.clone(),
        nonce: cluster_files::random(),
        clock: Arc::new(BootClock::start()),
    };
    let member = Member::start(me, parts, founds).await?;
    if founds {
        // Not before the cluster is on disk: until then --found may be given again.
        cluster_files::is(config, &who)?;
    }
    Ok(Running { member, data, models, fabric })
}

/// Opens what the node must not forget, and the threats that it knows.
fn open(config: &NodeConfig, fatal: Fatal) -> Result<(Storage, replication::Storage), Error> {
    let storage = Storage::open(&config.data, fatal.clone()).map_err(|e| promises(config, e))?;
    let threats = replication::Storage::open(&config.data, &config.cluster, fatal)?;
    Ok((storage, threats.retaining(config.retention())))
}

/// Says what to do about files of consensus that are corrupt.
fn promises(config: &NodeConfig, error: store::Error) -> Error {
    match error {
        store::Error::Corrupt { what } => {
            let (folder, name) = (config.data.clone(), config.name.clone());
            Error::Promises { folder, name, what }
        }
        other => other.into(),
    }
}

/// Reads the certificates anew: new connections show and believe these.
///
/// # Errors
/// [`Error::Files`]; the node then goes on with those it has.
pub fn reload(config: &NodeConfig, member: &Member) -> Result<(), Error> {
    member.rotate(cluster_files::credentials(&config.tls)?);
    Ok(())
}

async fn first_id(
    config: &NodeConfig,
    address: &str,
    founds: bool,
    fabric: &Fabric,
) -> Result<u64, Error> {
    if founds {
        return Ok(FOUNDER);
    }
    // All nodes may have the same list; this one does not answer yet.
    let others: Vec<String> = config.seeds.iter().filter(|s| *s != address).cloned().collect();
    if others.is_empty() {
        return Err(Error::Alone(config.name.clone()));
    }
    Ok(member::ask_for_id(fabric, &others, address, ID_TIME).await?)
}

/// An operator's way to ask the nodes of its configuration, and their addresses.
///
/// # Errors
/// [`Error::Files`].
pub fn operator(config: &Path) -> Result<(Fabric, Vec<String>), Error> {
    let OperatorConfig { nodes, tls } = cluster_files::operator_config(config)?;
    let credentials = cluster_files::credentials(&tls)?;
    Ok((Fabric::new(credentials, Arc::new(Tcp), None, cluster_files::random()), nodes))
}
