//! Nodes, their leader and all of them are killed again and again while clients write to the
//! control log: nothing that was acknowledged is lost or done twice, and all logs are equal in the
//! end.

use crate::cluster::{Up, leader, ports, run, until};
use crate::command::{signal, watchfire};
use node::host::cluster_files::random;
use node::membership::{Ask, Client, Command, Reply, Request, Told, ask, ask_leader, operator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use threat::entropy::Rng;

/// Clients, each of which writes its own flag, one number after the other.
const CLIENTS: usize = 8;

/// A client reads its flag after so many writes.
const READ_EVERY: u64 = 20;

/// How long a client waits for an answer before it asks another node the same again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a cluster may take to go on after its nodes are back.
const BACK: Duration = Duration::from_secs(60);

#[test]
fn kills_of_nodes_and_of_all_lose_nothing_acknowledged() {
    survives(ports(37), &["--nodes", "1"], 6);
}

#[test]
#[ignore = "takes six minutes or more: nine nodes, two hundred kills"]
fn two_hundred_kills_lose_nothing_acknowledged() {
    survives(ports(38), &["--nodes", "3"], 200);
}

/// What clients have been told, and whether they are to end.
#[derive(Default)]
struct Written {
    acknowledged: [AtomicU64; CLIENTS],
    over: AtomicBool,
}

impl Written {
    fn all(&self) -> [u64; CLIENTS] {
        std::array::from_fn(|n| self.acknowledged[n].load(Ordering::SeqCst))
    }
}

/// Clients that write to the control log until they are ended.
pub struct Load {
    written: Arc<Written>,
    clients: std::thread::JoinHandle<()>,
}

impl Load {
    pub fn start(at: &Path) -> Self {
        let written = Arc::new(Written::default());
        let (own, config) = (Arc::clone(&written), at.join("watchfire-cluster/operator.toml"));
        Self { written, clients: std::thread::spawn(move || write_all(&config, &own)) }
    }

    /// How many writes each client was acknowledged.
    pub fn acknowledged(&self) -> [u64; CLIENTS] {
        self.written.all()
    }

    pub fn goes_on(&self) {
        assert!(!self.clients.is_finished(), "a client has ended");
    }

    /// Ends them, and sees that all logs are equal and have what was acknowledged; how much it was.
    pub fn end(self, nodes: &Nodes) -> u64 {
        self.written.over.store(true, Ordering::SeqCst);
        self.clients.join().unwrap();
        let flags = nodes.settle();
        for (n, acknowledged) in self.written.all().into_iter().enumerate() {
            assert_eq!(flags[&format!("client-{n}")], acknowledged.to_string());
        }
        self.written.all().iter().sum()
    }
}

fn survives(port: u16, more: &[&str], cycles: usize) {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let mut nodes = Nodes::take_over(Up::start(at, port, more), at);
    let load = Load::start(at);
    let mut rng = Rng::fork(20, "kills");
    for cycle in 0..cycles {
        sleep(Duration::from_millis(rng.below(700) as u64));
        let victims = nodes.victims(&mut rng);
        for name in &victims {
            nodes.kill(name);
        }
        sleep(Duration::from_millis(rng.below(1_500) as u64));
        for name in &victims {
            nodes.start(name);
        }
        let before = load.acknowledged();
        let since = Instant::now();
        while !before.iter().zip(load.acknowledged()).all(|(before, now)| now > *before) {
            load.goes_on();
            assert!(since.elapsed() < BACK, "cycle {cycle}: {victims:?} are back, no writes are");
            sleep(Duration::from_millis(20));
        }
        println!("cycle {cycle}: {} killed, {:?} until all write", victims.len(), since.elapsed());
    }
    println!("{} commands acknowledged", load.end(&nodes));
}

/// The nodes of a cluster, which end with the test.
pub struct Nodes {
    at: PathBuf,
    running: BTreeMap<String, Child>,
    names: Vec<String>,
}

impl Nodes {
    /// Ends a cluster and starts its nodes anew.
    pub fn take_over(mut up: Up, at: &Path) -> Self {
        signal(&up.child, "TERM");
        up.child.wait().unwrap();
        let all = std::fs::read_dir(at.join("watchfire-cluster")).unwrap();
        let files = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let name = |file: String| file.strip_suffix(".log").map(str::to_owned);
        let names: Vec<String> = files.filter_map(name).collect();
        let mut nodes = Self { at: at.to_owned(), running: BTreeMap::new(), names };
        for name in nodes.names.clone() {
            nodes.start(&name);
        }
        until("it has a leader", || leader(at));
        nodes
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn start(&mut self, name: &str) {
        let log = std::fs::File::options()
            .append(true)
            .open(self.at.join(format!("watchfire-cluster/{name}.log")))
            .unwrap();
        let child = watchfire(&self.at)
            .args(["node", "--while-stdin", "--config"])
            .arg(format!("watchfire-cluster/{name}.toml"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running.insert(name.to_owned(), child);
    }

    pub fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "{name} had ended: see its log");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// All, the leader (any, while there is none), or up to three.
    fn victims(&self, rng: &mut Rng) -> BTreeSet<String> {
        match rng.below(6) {
            0 => self.names.iter().cloned().collect(),
            1 | 2 => {
                let leader = leader(&self.at);
                BTreeSet::from([leader.unwrap_or_else(|| self.any(rng))])
            }
            _ => (0..=rng.below(3)).map(|_| self.any(rng)).collect(),
        }
    }

    fn any(&self, rng: &mut Rng) -> String {
        self.names[rng.below(self.names.len())].clone()
    }

    /// Waits until all nodes have the same log, and gives its flags.
    fn settle(&self) -> BTreeMap<String, String> {
        until("all logs are equal", || {
            let output = run(&self.at, &["cluster", "status", "--output", "json"]);
            let all: Value = serde_json::from_slice(&output.stdout).ok()?;
            let nodes = all.as_object()?;
            let digests: BTreeSet<&str> =
                nodes.values().map(|n| n["digest"].as_str().unwrap_or_default()).collect();
            let known = nodes.len() == self.names.len() && !digests.contains("");
            (known && digests.len() == 1).then_some(())
        });
        let (links, addresses) =
            operator(&self.at.join("watchfire-cluster/operator.toml")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ask = Ask::Flags { linearizable: true };
        let told = runtime.block_on(async { ask_leader(&links, &addresses, &ask, BACK).await });
        let Ok(Told::Flags(_, flags)) = told else { panic!("no flags: {told:?}") };
        flags
    }
}

fn write_all(config: &Path, written: &Arc<Written>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let links = operator(config).unwrap();
        let links = Arc::new(links);
        let clients = (0..CLIENTS).map(|n| {
            let (links, written) = (Arc::clone(&links), Arc::clone(written));
            tokio::spawn(async move { write(&links.0, &links.1, n, &written).await })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    });
}

async fn write(links: &node::membership::Links, nodes: &[String], n: usize, written: &Written) {
    let name = format!("client-{n}");
    let id = Client { opened: 0, nonce: random() };
    let mut sequence = 0;
    while !written.over.load(Ordering::SeqCst) {
        sequence += 1;
        let value = Some(sequence.to_string().into());
        let command = Command::SetFlag { name: (&*name).into(), value };
        let request = Request { client: id, sequence, command };
        let proposal = Ask::Propose(Box::new(request));
        for turn in n.. {
            match ask(links, &nodes[turn % nodes.len()], &proposal, PATIENCE).await {
                Ok(Told::Reply(Reply::Done)) => break,
                Ok(Told::Reply(other)) => panic!("{name}: {other:?}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        written.acknowledged[n].store(sequence, Ordering::SeqCst);
        if sequence % READ_EVERY == 0 {
            let kept = read(links, nodes, &name).await;
            assert_eq!(kept, sequence.to_string(), "{name}: lost, or one of old done again");
        }
    }
}

/// What a majority knows of a flag.
async fn read(links: &node::membership::Links, nodes: &[String], name: &str) -> String {
    loop {
        let asked = Ask::Flags { linearizable: true };
        if let Ok(Told::Flags(_, flags)) = ask_leader(links, nodes, &asked, PATIENCE).await {
            return flags.get(name).cloned().unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
