//! Sets a cluster of real nodes up in namespaces of its own, and takes all of it away again.

use super::asker::Asker;
use super::disk::Disk;
use super::emulator::{Emulator, address};
use super::node::Node;
use super::queue::Queue;
use super::space::Space;
use super::{Error, sys};
use crate::plan::{Micros, Plan, PlannedLink};
use cluster::control::{Ask, NodeStatus, Told, ask};
use cluster::fabric::{Fabric, Identity, authority};
use node::host::cluster_files::{self, now, write_made};
use node::membership::config::Template;
use node::membership::operator;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The name of every cluster here.
const NAME: &str = "chaos";

/// Where every node listens.
const PORT: u16 = 7800;

/// How long certificates are believed.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// How long a cluster may take until all nodes are members and own what they should.
const READY_TIME: Duration = Duration::from_secs(90);

/// The way between clients and nodes, which no fault hits.
const NEAR: PlannedLink = PlannedLink { delay: 120, jitter: 0, loss: 0.0 };

/// Begins the names of folders; the process and the seed follow.
const FOLDER: &str = "watchfire-simulate-";

/// The folder of a run. It goes with it, unless it is kept.
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Whether it stays.
    pub keep: bool,
}

impl Folder {
    /// Makes one, and takes away those of harnesses that were killed.
    fn make(seed: u64) -> Result<Self, Error> {
        let all = std::env::temp_dir();
        sweep(&all);
        let path = all.join(format!("{FOLDER}{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| Error::host("a folder of its own", e))?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _gone = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes folders whose harness is no more. Namespaces, mounts and processes went with it.
fn sweep(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|n| n.strip_prefix(FOLDER)?.split('-').next());
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Real nodes with a network between them.
pub struct Cluster {
    // In the order in which they have to go.
    /// The nodes, by place.
    pub nodes: Vec<Node>,
    /// Where clients are.
    pub asker: Asker,
    /// The network.
    pub emulator: Emulator,
    /// Addresses, by place.
    pub addresses: Arc<Vec<String>>,
    /// Where all files are.
    pub folder: Folder,
}

impl Cluster {
    /// Makes all of it and starts every node. `own` gives each node a file system of its own, whose
    /// power can be cut; `environment` is added to that of a node's process.
    ///
    /// # Errors
    /// [`Error`].
    pub fn start(
        plan: &Plan,
        executable: &Path,
        own: bool,
        environment: impl Fn(&Path, &str) -> Vec<(String, PathBuf)> + Sync,
    ) -> Result<Self, Error> {
        let folder = Folder::make(plan.seed)?;
        let key = authority::found(NAME, now()).map_err(Error::certificate)?;
        let at = &folder.path;
        cluster_files::write(&at.join("ca.pem"), key.certificate.as_bytes(), false)?;
        let ends = 0..plan.nodes.len();
        let made: Result<Vec<(Node, OwnedFd)>, Error> = std::thread::scope(|scope| {
            let make = |place: usize| {
                let (key, environment) = (&key.key, &environment);
                scope.spawn(move || {
                    let name = &plan.nodes[place].name;
                    let space = Arc::new(Space::open(name, own)?);
                    let device = space.run(move || sys::tun(address(place))).get()?;
                    let device = device.map_err(|e| Error::host("a TUN device", e))?;
                    let disk = Disk::make(&space, at.join(name), own)?;
                    configure(plan, place, at, key)?;
                    let mut node = Node::new(name, space, disk, executable);
                    node.environment = environment(at, name);
                    Ok((node, device))
                })
            };
            let threads: Vec<_> = ends.clone().map(make).collect();
            // A panic there is one here.
            let join =
                |t: std::thread::ScopedJoinHandle<'_, _>| t.join().unwrap_or(Err(Error::Gone));
            threads.into_iter().map(join).collect()
        });
        let (nodes, mut devices): (Vec<Node>, Vec<OwnedFd>) = made?.into_iter().unzip();
        let (asker, device) = Asker::open(address(plan.nodes.len()))?;
        devices.push(device);
        certificate(at, "operator", &Identity::operator(NAME, "operator"), &key.key)?;
        let addresses: Vec<String> = ends.map(|n| format!("{}:{PORT}", address(n))).collect();
        cluster_files::write(&at.join("operator.toml"), asks(&addresses).as_bytes(), false)?;
        let of = |end: usize| plan.nodes.get(end).map(|node| node.region);
        let way = |from, to| match (of(from), of(to)) {
            (Some(from), Some(to)) => plan.links[from][to],
            _ => NEAR,
        };
        let queue = Queue::new(devices.len(), plan.seed, way);
        let emulator = Emulator::start(queue, devices).map_err(|e| Error::host("a thread", e))?;
        let addresses = Arc::new(addresses);
        let mut cluster = Self { nodes, asker, emulator, addresses, folder };
        let founder = founder(plan);
        cluster.nodes[founder].start(true)?;
        for place in (0..cluster.nodes.len()).filter(|n| *n != founder) {
            cluster.nodes[place].start(false)?;
        }
        Ok(cluster)
    }

    /// A way to ask nodes, with a connection of its own to each.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn fabric(&self) -> Result<Arc<Fabric>, Error> {
        let config = self.folder.path.join("operator.toml");
        let made = self.asker.ask(async move { operator(&config) })?;
        Ok(Arc::new(made.map_err(|e| Error::Certificate(e.to_string()))?.0))
    }

    /// Waits until all are members, voters vote, and all workloads have an owner that acts.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::Ended`], [`Error::Interrupted`].
    pub fn ready(&mut self, plan: &Plan, stop: &AtomicBool) -> Result<(), Error> {
        let fabric = self.fabric()?;
        let since = Instant::now();
        let voters = plan.nodes.iter().filter(|n| n.voter).count();
        let count = self.nodes.len();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            for node in &mut self.nodes {
                if node.ended().is_some() {
                    return Err(Error::Ended { name: node.name.clone(), said: last(&node.said()) });
                }
            }
            let (fabric, addresses) = (Arc::clone(&fabric), Arc::clone(&self.addresses));
            let (ready, acting) = self.asker.ask(async move {
                let (mut ready, mut acting) = (0, 0);
                for address in addresses.iter() {
                    let (is, acts) = stands(&fabric, address, voters, count).await;
                    (ready, acting) = (ready + usize::from(is), acting + acts);
                }
                (ready, acting)
            })?;
            if ready == count && acting >= regions::spread::WORKLOADS as usize {
                return Ok(());
            }
            if since.elapsed() > READY_TIME {
                return Err(Error::NotReady { ready, count, acting });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The node that founds: the first that votes.
fn founder(plan: &Plan) -> usize {
    plan.nodes.iter().position(|node| node.voter).unwrap_or_default()
}

async fn stands(fabric: &Fabric, address: &str, voters: usize, count: usize) -> (bool, usize) {
    let patience = Duration::from_secs(1);
    let told = ask(fabric, address, &Ask::Status { digest: false }, patience).await;
    let is = |s: &NodeStatus| {
        let members = s.members.values().filter(|m| m.admitted).count();
        s.durable && s.voters.len() == voters && members == count
    };
    let ready = matches!(&told, Ok(Told::Status(status)) if is(status));
    let told = ask(fabric, address, &Ask::Regions, patience).await;
    let acts = match told {
        Ok(Told::Regions(view)) => view.leases.values().filter(|held| held.left_ms > 0).count(),
        _ => 0,
    };
    (ready, acts)
}

fn last(said: &str) -> String {
    said.lines().next_back().unwrap_or("it said nothing").to_owned()
}

/// Writes the configuration and the certificate of a node.
fn configure(plan: &Plan, place: usize, at: &Path, key: &str) -> Result<(), Error> {
    let node = &plan.nodes[place];
    let region = &plan.regions[node.region];
    certificate(at, &node.name, &Identity::node(NAME, region, &node.name), key)?;
    let listen = format!("{}:{PORT}", address(place));
    let others = (0..plan.nodes.len()).filter(|n| *n != place);
    let template = Template {
        cluster: NAME.into(),
        region: region.clone(),
        name: node.name.clone(),
        listen,
        advertise: None,
        // The founder, too, can join anew after the loss of its disk.
        seeds: others.map(|n| format!("{}:{PORT}", address(n))).collect(),
        votes: node.voter,
        profile: profile(plan.tuning.consensus.0).into(),
        wan_ms: 0,
    };
    let path = at.join(format!("{}.toml", node.name));
    Ok(cluster_files::write(&path, template.text().as_bytes(), false)?)
}

/// The profile whose heartbeat is that of the plan.
fn profile(heartbeat: Micros) -> &'static str {
    match heartbeat / crate::plan::MILLI {
        0..=50 => "lan",
        51..=250 => "wan80",
        _ => "wan150",
    }
}

fn certificate<E: std::fmt::Display>(
    at: &Path,
    name: &str,
    identity: &Result<Identity, E>,
    key: &str,
) -> Result<(), Error> {
    let identity = identity.as_ref().map_err(|e| Error::Certificate(format!("{name}: {e}")))?;
    let made = authority::issue(key, identity, now(), LIFE).map_err(Error::certificate)?;
    let path = |extension: &str| at.join(format!("{name}.{extension}"));
    Ok(write_made(&path("pem"), &path("key"), &made)?)
}

/// The configuration of whoever asks nodes.
fn asks(addresses: &[String]) -> String {
    format!(
        "nodes = {addresses:?}\n\n[tls]\nauthorities = \"ca.pem\"\ncertificate = \"operator.pem\"\n\
         key = \"operator.key\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_harness_left_is_swept() {
        let all = std::env::temp_dir().join(format!("sweep-{}", std::process::id()));
        // No process has a number so great.
        let (stale, own) =
            (format!("{FOLDER}4194999-1"), format!("{FOLDER}{}-1", std::process::id()));
        for name in [&stale, &own, &"other".to_owned()] {
            std::fs::create_dir_all(all.join(name)).unwrap();
        }
        sweep(&all);
        let there = |name: &str| all.join(name).exists();
        assert!(!there(&stale) && there(&own) && there("other"));
        std::fs::remove_dir_all(&all).unwrap();
    }
}
