//! `watchfire up`: a whole cluster of processes on this machine, to try.

use crate::asking::{Answers, ask_all};
use crate::ca;
use crate::cluster::print;
use crate::{generate, send};
use anyhow::{Context, Result, bail};
use clap::Args;
use node::datapath::message::Durability;
use node::host::cluster_files::write;
use node::membership::config::Template;
use node::membership::operator;
use std::convert::Infallible;
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// The cluster's name.
const CLUSTER: &str = "dev";

/// How long all nodes may take to be members.
const READY_TIME: Duration = Duration::from_secs(60);

/// How long a node may take to end.
const END_TIME: Duration = Duration::from_secs(5);

/// Nodes at most: each is a process.
const NODES: usize = 64;

/// Certificates of a cluster for trying.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the help ends with.
const AFTER: &str = "\
Makes a folder with a certificate authority, certificates, configurations and state, starts a
process for each node on loopback addresses, and ends them at Ctrl-C. Started again with the same
folder, the same cluster goes on. The first node of each region votes, in up to five regions.

Examples:
  watchfire up                                three regions of one node
  watchfire up --nodes 3 --wan 80ms           nine nodes, 80 ms between regions
  watchfire up --feed generate                and a made-up day with attacks in it to judge
  watchfire up --feed /var/log/zeek           and your own logs
  watchfire cluster status                    in another terminal: both lights of each node";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Regions, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "eu,us,ap")]
    regions: Vec<String>,
    /// Nodes in each region
    #[arg(long, default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=NODES as u64))]
    nodes: u64,
    /// Round trip between regions, as 80ms: bytes are held back on their way
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = milliseconds)]
    wan: u64,
    /// Folder of the cluster
    #[arg(long, value_name = "DIR", default_value = "watchfire-cluster")]
    folder: PathBuf,
    /// Port of the first node; the others follow
    #[arg(long, default_value_t = 7800)]
    port: u16,
    /// Log or folder of logs that the cluster gets once it is ready, as fast as it takes it, as by
    /// `watchfire send`; may be given several times. `generate` makes a day with attacks in it, in
    /// the cluster's folder. Started again it goes on where it was
    #[arg(long, value_name = "PATH|generate")]
    feed: Vec<PathBuf>,
    /// What an acknowledgement of the feed promises: local, region or global
    #[arg(long, default_value = "region", requires = "feed")]
    durability: Durability,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("ms").unwrap_or(text);
    let ms: u64 = number.parse().map_err(|_| format!("{text:?} is no time: write 80ms"))?;
    if ms > 1_000 { Err("at most 1000ms, what a satellite takes".into()) } else { Ok(ms) }
}

/// A node to start.
struct Planned {
    name: String,
    region: String,
    address: String,
    votes: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let nodes = planned(arguments)?;
    let fresh = prepare(arguments, &nodes)?;
    crate::runtime()?.block_on(async {
        let mut children = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            children.push(start(&arguments.folder, node, fresh && at == 0)?);
        }
        let told = tokio::select! {
            ready = ready(arguments, &nodes, &mut children) => ready.map(Some),
            ended = crate::detect::stop_signal() => ended.map(|()| None).map_err(Into::into),
        };
        let stopped = match told {
            Ok(Some(answers)) => {
                print(&answers);
                next(arguments);
                tokio::select! {
                    stopped = watch(&nodes, &mut children) => stopped,
                    never = feed(arguments) => match never {},
                }
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        end(children).await;
        stopped.map(|()| ExitCode::SUCCESS)
    })
}

/// The nodes, the first of each region first: they vote, and others join by them.
fn planned(arguments: &Arguments) -> Result<Vec<Planned>> {
    let (regions, each) = (&arguments.regions, arguments.nodes as usize);
    let count = regions.len() * each;
    if count > NODES {
        bail!("{count} nodes are more than the {NODES} that one machine is given");
    }
    if usize::from(arguments.port) + count > usize::from(u16::MAX) {
        bail!("there are not {count} ports from {} on", arguments.port);
    }
    // An odd number of voters; each region has one, if there are as many regions.
    let voters = [1, 3, 5].into_iter().rfind(|v| *v <= count.min(regions.len().max(3)));
    let order = (1..=each).flat_map(|i| regions.iter().map(move |region| (region, i)));
    let node = |(at, (region, i)): (usize, (&String, usize))| Planned {
        name: format!("{region}-{i}"),
        region: region.clone(),
        address: format!("127.0.0.1:{}", usize::from(arguments.port) + at),
        votes: at < voters.unwrap_or(1),
    };
    Ok(order.enumerate().map(node).collect())
}

/// Writes what is not there yet. Says whether the cluster is new.
fn prepare(arguments: &Arguments, nodes: &[Planned]) -> Result<bool> {
    let folder = &arguments.folder;
    if !folder.join("ca.key").exists() {
        ca::init(folder, CLUSTER)?;
        ca::issue(folder, "operator", None, LIFE)?;
    }
    let profile = match arguments.wan {
        0..=10 => "lan",
        11..=80 => "wan80",
        _ => "wan150",
    };
    let seeds: Vec<String> = nodes.iter().filter(|n| n.votes).map(|n| n.address.clone()).collect();
    for (at, node) in nodes.iter().enumerate() {
        if !folder.join(format!("{}.key", node.name)).exists() {
            ca::issue(folder, &node.name, Some(&node.region), LIFE)
                .with_context(|| format!("region {:?}", node.region))?;
        }
        let template = Template {
            cluster: CLUSTER.into(),
            region: node.region.clone(),
            name: node.name.clone(),
            listen: node.address.clone(),
            advertise: None,
            seeds: if at == 0 { Vec::new() } else { seeds.clone() },
            votes: node.votes,
            profile: profile.into(),
            wan_ms: arguments.wan,
        };
        let path = folder.join(format!("{}.toml", node.name));
        write(&path, template.text().as_bytes(), false)?;
    }
    let operator = format!(
        "nodes = [{}]\n\n[tls]\nauthorities = \"ca.pem\"\ncertificate = \"operator.pem\"\n\
         key = \"operator.key\"\n",
        nodes.iter().map(|n| format!("{:?}", n.address)).collect::<Vec<_>>().join(", ")
    );
    write(&folder.join("operator.toml"), operator.as_bytes(), false)?;
    Ok(!folder.join(&nodes[0].name).join("node.json").exists())
}

fn log_path(folder: &Path, node: &Planned) -> PathBuf {
    folder.join(format!("{}.log", node.name))
}

/// What a log ends with.
fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().unwrap_or("its log is empty").to_owned()
}

/// Starts a node's process. It ends when this one does, whatever ends it: its standard input ends.
fn start(folder: &Path, node: &Planned, founds: bool) -> Result<Child> {
    let path = log_path(folder, node);
    let log = File::options().create(true).append(true).open(&path);
    let log = log.with_context(|| path.display().to_string())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("node").arg("--while-stdin").arg("--config");
    command.arg(folder.join(format!("{}.toml", node.name)));
    if founds {
        command.arg("--found");
    }
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    Ok(command.spawn()?)
}

/// Waits until all nodes are members, and the voters vote.
async fn ready(a: &Arguments, nodes: &[Planned], children: &mut [Child]) -> Result<Answers> {
    let (fabric, addresses) = operator(&a.folder.join("operator.toml"))?;
    let since = Instant::now();
    let mut told = usize::MAX;
    loop {
        for (child, node) in children.iter_mut().zip(nodes) {
            if let Some(status) = child.try_wait()? {
                let log = log_path(&a.folder, node);
                bail!("{} ended ({status}): {}", node.name, last_line(&log));
            }
        }
        let answers = ask_all(&fabric, &addresses).await.unwrap_or_default();
        let voters = nodes.iter().filter(|n| n.votes).count();
        let there = |s: &node::membership::NodeStatus| {
            s.durable && s.voters.len() == voters && s.members.values().all(|m| m.admitted)
        };
        let count = answers.values().filter(|said| said.as_ref().is_ok_and(there)).count();
        if count == nodes.len() {
            return Ok(answers);
        }
        if count != told && std::io::stderr().is_terminal() {
            eprintln!("{count} of {} nodes are ready", nodes.len());
            told = count;
        }
        if since.elapsed() > READY_TIME {
            print(&answers);
            bail!("not ready within {READY_TIME:?}; logs are in {}", a.folder.display());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Feeds the cluster, which goes on whatever comes of it.
async fn feed(arguments: &Arguments) -> Infallible {
    if !arguments.feed.is_empty()
        && let Err(error) = fed(arguments).await
    {
        eprintln!("watchfire: the feed has ended, the cluster goes on: {}", crate::told(&error));
    }
    std::future::pending().await
}

async fn fed(arguments: &Arguments) -> Result<()> {
    let mut paths = arguments.feed.clone();
    for path in paths.iter_mut().filter(|p| **p == Path::new("generate")) {
        let folder = arguments.folder.join("generated");
        *path = folder.clone();
        if !folder.exists() {
            tokio::task::spawn_blocking(move || day(&folder)).await??;
        }
    }
    let (cluster, state) = (arguments.folder.join("operator.toml"), arguments.folder.join("sent"));
    let sending = send::Arguments::feed(paths, arguments.durability, cluster, state);
    send::feed(&sending).await
}

/// Makes a day, so that it is there whole or not at all.
fn day(folder: &Path) -> Result<()> {
    let parts = folder.with_extension("new");
    if parts.exists() {
        std::fs::remove_dir_all(&parts)?;
    }
    let (lines, campaigns) = generate::write(&generate::Arguments::day(parts.clone()))?;
    std::fs::rename(&parts, folder)?;
    println!("{lines} records were made in {}, with attacks in them:", folder.display());
    campaigns.iter().for_each(|campaign| println!("  {campaign}"));
    Ok(())
}

fn next(arguments: &Arguments) {
    let folder = &arguments.folder;
    let file = folder.join("operator.toml");
    let cluster = if file == Path::new("watchfire-cluster/operator.toml") {
        String::new()
    } else {
        format!(" --cluster {}", file.display())
    };
    println!("\nready. In another terminal:");
    println!("  watchfire cluster status{cluster}");
    println!("  watchfire cluster members{cluster}");
    println!("  watchfire region status{cluster}");
    if arguments.feed.is_empty() {
        println!("  watchfire send PATH{cluster}");
    }
    println!("  watchfire threats list{cluster}");
    println!("Logs and state are in {}. Ctrl-C ends all nodes.", folder.display());
}

/// Waits for a signal, and says which node ends meanwhile: the others go on.
async fn watch(nodes: &[Planned], children: &mut [Child]) -> Result<()> {
    let mut gone = vec![false; children.len()];
    let stop = crate::detect::stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            ended = &mut stop => return Ok(ended?),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        for ((child, node), gone) in children.iter_mut().zip(nodes).zip(&mut gone) {
            if !*gone && let Some(status) = child.try_wait()? {
                *gone = true;
                println!("{} ended ({status}); the others go on", node.name);
            }
        }
    }
}

/// Ends all nodes: first by word, then by force.
async fn end(mut children: Vec<Child>) {
    for child in &mut children {
        drop(child.stdin.take());
    }
    for mut child in children {
        if tokio::time::timeout(END_TIME, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}
