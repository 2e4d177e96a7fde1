//! `watchfire send`: logs to a cluster, acknowledged as durable as was asked.

use crate::asking::{Output, one};
use crate::{exit, paths};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use node::datapath::message::Durability;
use node::host::{ByteSource, Place, sent};
use node::membership::{Links, operator};
use node::sending::{Sending, Sent};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Time between notes of how far it got: what is sent again after a kill.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Pauses of a tenth of a second in `--patience`, roughly: an unanswered try takes longer.
const TRIES_PER_SECOND: u64 = 10;

/// What the help ends with.
const AFTER: &str = "\
Events go to the nodes that own their entities; what is acknowledged has a verdict that is kept:
  local    on the disk of the node that judged it; the loss of that disk loses it
  region   on the disks of a majority of that node's region; the loss of the region loses it
  global   in another region, too

It may be interrupted at any time and goes on where it was; events that come twice are counted
once. While nodes fail over it waits, and says for what.

Examples:
  watchfire send conn.log                                 to the first node of --cluster
  watchfire send /var/log/zeek --to us-1 --durability global
  zcat old.gz | watchfire send - --source old-firewall    a pipe needs a name

Exit codes: 0 all acknowledged, 1 not all.";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Files or folders to send, plain or gzip; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The node to send to: a name or an address. Others are used while it does not answer
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    /// What an acknowledgement promises: local, region or global
    #[arg(long, default_value = "local")]
    durability: Durability,
    /// Name of the source: the same name is the same log [default: host, path and first bytes]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Send from the beginning; what the cluster judged before it leaves out
    #[arg(long)]
    again: bool,
    /// Seconds without any acknowledgement after which it is given up
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    /// Year of syslog dates that have none [default: this year, or last year for dates that would
    /// lie ahead]
    #[arg(long)]
    year: Option<i16>,
    /// Folder where it is noted how far each source is acknowledged [default:
    /// $XDG_STATE_HOME/watchfire or ~/.local/state/watchfire]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// File with nodes to ask and the operator's certificate
    #[arg(long, value_name = "FILE", default_value = "watchfire-cluster/operator.toml")]
    cluster: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// No progress line
    #[arg(long, short)]
    quiet: bool,
}

impl Arguments {
    /// What feeds a cluster on this machine: logs, with where they stand noted in `state`.
    pub fn feed(
        paths: Vec<PathBuf>,
        durability: Durability,
        cluster: PathBuf,
        state: PathBuf,
    ) -> Self {
        Self {
            paths,
            to: None,
            durability,
            source: None,
            again: false,
            patience: 60,
            year: None,
            state: Some(state),
            cluster,
            output: Output::Text,
            quiet: false,
        }
    }
}

/// Sends the logs of the arguments to their ends; what could not be sent is told.
pub async fn feed(arguments: &Arguments) -> Result<()> {
    let (places, problems) = paths::logs(&arguments.paths);
    for (name, why) in &problems {
        eprintln!("watchfire: {name}: {why}");
    }
    if places.is_empty() {
        bail!("nothing to send: {}", paths::nothing(&arguments.paths));
    }
    all(arguments, &places).await?;
    Ok(())
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (places, problems) = paths::logs(&arguments.paths);
    for (name, why) in &problems {
        eprintln!("watchfire: {name}: {why}");
    }
    if places.is_empty() {
        bail!("nothing to send: {}", paths::nothing(&arguments.paths));
    }
    if arguments.source.is_some() && places.len() > 1 {
        bail!("--source names one log, and there are {}", places.len());
    }
    let runtime = crate::runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = all(arguments, &places) => done,
            stopped = crate::detect::stop_signal() => {
                stopped?;
                eprintln!("watchfire: interrupted; the same command goes on");
                Ok(ExitCode::from(exit::INTERRUPTED))
            }
        }
    });
    // A read of a pipe that nobody writes to cannot be called off: its thread is left behind.
    runtime.shutdown_background();
    let code = done?;
    Ok(if problems.is_empty() { code } else { ExitCode::from(exit::FAILED) })
}

async fn all(arguments: &Arguments, places: &[(Place, Option<u64>)]) -> Result<ExitCode> {
    let (fabric, known) = operator(&arguments.cluster)?;
    let (nodes, names) = nodes(&fabric, known, arguments.to.as_deref()).await?;
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    let mut failed = false;
    for (place, size) in places {
        let mut sent = Sent::default();
        let done = send(arguments, &fabric, &nodes, (place, *size), &mut sent).await;
        failed |= done.is_err();
        let by = |(node, events): (&u64, &u64)| {
            (names.get(node).cloned().unwrap_or_else(|| format!("node {node}")), *events)
        };
        let judged_by: BTreeMap<String, u64> = sent.judged_by.iter().map(by).collect();
        let why = done.as_ref().err().map(|e| format!("{e:#}"));
        if arguments.output == Output::Json {
            let counts = sent.counts;
            told.insert(
                place.to_string(),
                json!({
                    "acknowledged": why.is_none(), "durability": arguments.durability,
                    "offset": sent.at.as_ref().map_or(0, |at| at.offset), "read": counts.read,
                    "events": counts.events, "quarantined": counts.quarantined,
                    "comments": counts.comments, "judged_by": judged_by,
                    "repeated": sent.repeated, "error": why,
                }),
            );
        } else {
            print(place, arguments.durability, &sent, &judged_by, why.as_deref());
        }
    }
    if arguments.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&told)?);
    }
    Ok(if failed { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

fn print(
    place: &Place,
    durability: Durability,
    sent: &Sent,
    judged_by: &BTreeMap<String, u64>,
    why: Option<&str>,
) {
    let (counts, name) = (sent.counts, durability.name());
    let by: Vec<String> = judged_by.iter().map(|(n, events)| format!("{n} {events}")).collect();
    let by = if by.is_empty() { "nothing new".to_owned() } else { by.join(", ") };
    println!("{place}: {} events acknowledged ({name}); judged now: {by}", counts.events);
    if counts.quarantined > 0 {
        println!("  {} records were set aside, some of them:", counts.quarantined);
        for (line, reason, beginning) in &sent.quarantined {
            println!("  line {line}: {reason}: {beginning}");
        }
    }
    if let Some(why) = why {
        println!("  not all: {why}");
    }
}

/// Addresses to send to, the one that was asked for first, and the names of all nodes.
async fn nodes(
    fabric: &Links,
    known: Vec<String>,
    to: Option<&str>,
) -> Result<(Vec<String>, BTreeMap<u64, String>)> {
    let mut why = Vec::new();
    for address in known.iter().map(String::as_str).chain(to.filter(|to| to.contains(':'))) {
        let status = match one(fabric, address).await {
            Ok(status) => status,
            Err(reason) => {
                why.push(format!("{address}: {reason}"));
                continue;
            }
        };
        let names = status.members.iter().map(|(id, m)| (*id, m.name.clone())).collect();
        let first = match to {
            None => address.to_owned(),
            Some(to) if to.contains(':') => to.to_owned(),
            Some(to) => {
                let Some(member) = status.members.values().find(|m| m.name == to) else {
                    let names: Vec<&str> = status.members.values().map(|m| &*m.name).collect();
                    bail!("no node is named {to}; there are {}", names.join(", "))
                };
                member.address.clone()
            }
        };
        let mut nodes = vec![first];
        nodes.extend(status.members.into_values().map(|m| m.address));
        let mut seen = std::collections::BTreeSet::new();
        nodes.retain(|n| seen.insert(n.clone()));
        return Ok((nodes, names));
    }
    bail!("no node answers\n  {}", why.join("\n  "))
}

async fn send(
    arguments: &Arguments,
    fabric: &Links,
    nodes: &[String],
    (place, size): (&Place, Option<u64>),
    sent: &mut Sent,
) -> Result<()> {
    let source = match (&arguments.source, place) {
        (Some(name), _) => name.clone(),
        (None, Place::File(path)) => sent::source_name(path)?,
        (None, Place::Stdin) => bail!("a pipe has no name of its own: give it one with --source"),
    };
    let state = node::host::paths::state_dir(arguments.state.clone());
    let notes = sent::folder(&state, &arguments.cluster)?;
    let mut input = ByteSource::open(place)?;
    // A pipe begins where it begins: what the cluster has of it, it leaves out.
    let keeps = matches!(place, Place::File(_));
    if keeps && !arguments.again {
        sent.at = sent::standing(&notes, &source)?;
        sent.counts = sent.at.as_ref().map(|at| at.counts).unwrap_or_default();
    }
    let from = sent.at.as_ref().map_or(0, |at| at.offset);
    if !input.skip(from)? {
        bail!("it has fewer bytes than the {from} that were acknowledged: --again sends it anew");
    }
    let bar = bar(size.filter(|_| !arguments.quiet), place);
    let mut noted = Instant::now();
    let sending = Sending {
        fabric,
        nodes: nodes.to_vec(),
        source: source.clone(),
        durability: arguments.durability,
        options: paths::options(arguments.year),
        tries: (arguments.patience.max(1) * TRIES_PER_SECOND) as usize,
    };
    let mut remembering = Ok(());
    let told = |sent: &Sent, waits: Option<&str>| {
        bar.set_position(sent.at.as_ref().map_or(0, |at| at.offset));
        bar.set_message(waits.unwrap_or_default().to_owned());
        if keeps && noted.elapsed() >= NOTE_EVERY {
            noted = Instant::now();
            remembering = remember(&notes, &source, sent);
        }
    };
    let read = |held: &mut Vec<u8>| tokio::task::block_in_place(|| input.read_chunk(held));
    let done = sending.send(sent, read, told).await;
    bar.finish_and_clear();
    if keeps {
        remember(&notes, &source, sent)?;
    }
    remembering?;
    Ok(done?)
}

fn remember(notes: &Path, source: &str, sent: &Sent) -> Result<()> {
    let Some(at) = &sent.at else { return Ok(()) };
    sent::remember(notes, source, at).context("where it stands could not be noted")
}

fn bar(size: Option<u64>, place: &Place) -> ProgressBar {
    let Some(size) = size.filter(|_| std::io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(size).with_prefix(place.to_string());
    let template = "{prefix} {bar:30} {percent:>3}% {bytes_per_sec} {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
