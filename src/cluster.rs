//! `watchfire cluster`: the members of a cluster, asked and changed over the nodes' own links.

use crate::asking::{Answers, CHANGE_TIME, Common, NODE_TIME, Output, ask_all, one, propose};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use node::membership::{Ask, Command, Links, Reply, Told, ask, ask_leader, operator};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

mod bar;

/// What the help ends with.
const AFTER: &str = "\
The file of --cluster names some nodes and the operator's certificate; `watchfire up` writes one:
  nodes = [\"eu-1.example.net:7800\", \"us-1.example.net:7800\"]
  [tls]
  authorities = \"ca.pem\"
  certificate = \"me.pem\"
  key = \"me.key\"

Exit codes: 0 done, 1 not done, or a node is not reachable.";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Cluster {
    /// Ask every member how it is: both lights, role, how far it has come
    Status(Common),
    /// List the members as the control log has them
    Members(Common),
    /// Let a member vote
    Promote(Change),
    /// Let a member vote no more
    Demote(Change),
    /// Let a member go for good; what it owns goes to others first
    Remove(Remove),
    /// Bar a name, so that its certificates count for nothing, or list the names that are barred
    #[command(after_help = bar::AFTER)]
    Bar(bar::Bar),
    /// Let a name that is barred be one again
    Unbar(bar::Unbar),
    /// Read the flags that all nodes agree on, or set one
    #[command(after_help = FLAGS)]
    Flag(Flag),
    /// Let a member make a snapshot of the control log now
    Snapshot(Change),
}

const FLAGS: &str = "\
Reading asks the leader, which asks a majority: what was answered before is seen. With --local any
node answers at once with what it has, and says how far that goes.

Examples:
  watchfire cluster flag                        all flags
  watchfire cluster flag maintenance eu         set one; agreed on when the command returns
  watchfire cluster flag maintenance --unset    take it away";

#[derive(Args)]
pub struct Flag {
    /// Its name
    name: Option<String>,
    /// Its value; without one it is read
    #[arg(conflicts_with = "unset")]
    value: Option<String>,
    /// Take it away
    #[arg(long, requires = "name")]
    unset: bool,
    /// Ask any node for what it has
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Remove {
    #[command(flatten)]
    change: Change,
    /// Bar its name first: whoever has its key is shut out at once, until `cluster unbar NAME`
    #[arg(long)]
    bar: bool,
}

#[derive(Args)]
pub struct Change {
    /// The member's name
    name: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

pub fn run(what: &Cluster) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Cluster::Status(common) => status(common).await,
            Cluster::Members(common) => members(common).await,
            Cluster::Promote(it) => make(it, Ask::Promote(it.name.clone()), false).await,
            Cluster::Demote(it) => make(it, Ask::Demote(it.name.clone()), false).await,
            Cluster::Remove(Remove { change: it, bar }) => {
                make(it, Ask::Remove(it.name.clone()), *bar).await
            }
            Cluster::Bar(it) => bar::bar(it).await,
            Cluster::Unbar(it) => bar::unbar(it).await,
            Cluster::Flag(it) => flag(it).await,
            Cluster::Snapshot(change) => snapshot(change).await,
        }
    })
}

async fn status(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let answers = ask_all(&fabric, &nodes).await?;
    if common.output == Output::Json {
        let all: BTreeMap<&String, Value> = answers
            .iter()
            .map(|(name, said)| match said {
                Ok(status) => (name, json!(status)),
                Err(reason) => (name, json!({ "name": name, "unreachable": reason })),
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&answers);
    }
    let all = answers.values().all(|said| said.as_ref().is_ok_and(|s| s.serving && s.durable));
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// Prints a line for each member.
pub fn print(answers: &Answers) {
    let light = |on: bool| if on { "yes" } else { "NO" };
    println!(
        "{:12} {:8} {:>4} {:9} {:6} {:8} {:8} {:>8} {:>6}  address",
        "node", "region", "id", "role", "votes", "serving", "durable", "applied", "term"
    );
    for (name, said) in answers {
        match said {
            Ok(s) => println!(
                "{:12} {:8} {:>4} {:9} {:6} {:8} {:8} {:>8} {:>6}  {}",
                name,
                s.region,
                s.id,
                s.role,
                if s.voters.contains(&s.id) { "yes" } else { "no" },
                light(s.serving),
                light(s.durable),
                s.applied,
                s.term,
                s.address
            ),
            Err(reason) => println!("{name:12} unreachable: {reason}"),
        }
    }
    let digests: BTreeSet<(u64, &str)> = answers
        .values()
        .flatten()
        .filter_map(|s| Some((s.applied, s.digest.as_deref()?)))
        .collect();
    let applied: BTreeSet<u64> = digests.iter().map(|d| d.0).collect();
    if digests.len() > applied.len() {
        println!("THE CONTROL LOG DIFFERS between nodes that applied as much: report this");
    }
}

async fn members(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let mut why = Vec::new();
    for address in &nodes {
        match one(&fabric, address).await {
            Ok(s) if common.output == Output::Json => {
                println!("{}", serde_json::to_string_pretty(&s.members)?);
                return Ok(ExitCode::SUCCESS);
            }
            Ok(s) => {
                for (id, m) in &s.members {
                    let votes = if s.voters.contains(id) { "votes" } else { "learns" };
                    let admitted = if m.admitted { "" } else { ", not admitted yet" };
                    println!(
                        "{:12} {:8} {id:>4} {votes:7} {}{admitted}",
                        m.name, m.region, m.address
                    );
                }
                println!("as {} has it, applied up to {}", s.name, s.applied);
                return Ok(ExitCode::SUCCESS);
            }
            Err(reason) => why.push(format!("{address}: {reason}")),
        }
    }
    bail!("no node answers\n  {}", why.join("\n  "))
}

async fn make(change: &Change, asked: Ask, bars: bool) -> Result<ExitCode> {
    let (fabric, mut nodes) = operator(&change.common.cluster)?;
    let answers = ask_all(&fabric, &nodes).await?;
    let mut plan = plan(&answers, &asked)?;
    if bars {
        plan += &format!(". Its name is barred until `watchfire cluster unbar {}`", change.name);
    }
    if change.plan {
        say(change, "plan", &plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    if bars {
        // By others: who is barred is asked for nothing.
        let all = answers.values().flatten().flat_map(|s| s.members.values());
        nodes = all.filter(|m| m.name != change.name).map(|m| m.address.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        bar::propose_bar(&fabric, &nodes, &change.name, false, true).await?;
    }
    match ask_leader(&fabric, &nodes, &asked, CHANGE_TIME).await? {
        Told::Done => say(change, "done", &plan)?,
        Told::Refused(reason) => bail!("not done: {reason}"),
        Told::Unknown(reason) => {
            bail!("whether it was done is not known: {reason}; `watchfire cluster status` shows it")
        }
        other => bail!("{other:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn say(change: &Change, key: &str, text: &str) -> Result<()> {
    if change.common.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&json!({ key: text }))?);
    } else {
        println!("{key}: {text}");
    }
    Ok(())
}

/// What a change does, in words.
fn plan(answers: &Answers, asked: &Ask) -> Result<String> {
    let known = answers.values().flatten().max_by_key(|s| s.applied);
    let Some(known) = known else { bail!("no member answers") };
    let id_of = |name: &str| known.members.iter().find(|(_, m)| m.name == name).map(|(id, _)| *id);
    let mut voters = known.voters.clone();
    let (name, word) = match asked {
        Ask::Promote(name) => (name, "votes"),
        Ask::Demote(name) => (name, "votes no more"),
        Ask::Remove(name) => (name, "leaves for good; its id is never used again"),
        other => bail!("{other:?} is no change"),
    };
    let Some(id) = id_of(name) else {
        let names: Vec<&str> = known.members.values().map(|m| &*m.name).collect();
        bail!("no member is named {name}; there are {}", names.join(", "))
    };
    if matches!(asked, Ask::Promote(_)) {
        voters.insert(id)
    } else {
        voters.remove(&id)
    };
    let name_of = |id: &u64| known.members.get(id).map_or("?", |m| &m.name);
    let names: Vec<&str> = voters.iter().map(name_of).collect();
    let (count, majority) = (voters.len(), voters.len() / 2 + 1);
    let even = if count % 2 == 0 { "; an odd number survives as much with less" } else { "" };
    Ok(format!(
        "{name} {word}. Voters are then {}: {majority} of {count} have to agree, {} may fail{even}",
        names.join(", "),
        count.saturating_sub(majority)
    ))
}

async fn snapshot(change: &Change) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&change.common.cluster)?;
    let answers = ask_all(&fabric, &nodes).await?;
    let known = answers.values().flatten().flat_map(|s| s.members.values());
    let Some(member) = known.clone().find(|m| m.name == change.name) else {
        let names: BTreeSet<&str> = known.map(|m| &*m.name).collect();
        let names: Vec<&str> = names.into_iter().collect();
        bail!("no member is named {}; there are {}", change.name, names.join(", "))
    };
    let plan = format!("{} makes a snapshot and then shortens its log", change.name);
    if change.plan {
        say(change, "plan", &plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    match ask(&fabric, &member.address, &Ask::Snapshot, NODE_TIME).await? {
        Told::Done => say(change, "done", &plan)?,
        other => bail!("{}: {other:?}", change.name),
    }
    Ok(ExitCode::SUCCESS)
}

async fn flag(it: &Flag) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let Some(name) = it.name.as_ref().filter(|_| it.unset || it.value.is_some()) else {
        return read_flags(it, &fabric, &nodes).await;
    };
    let (name, value) = (name.as_str().into(), it.value.as_deref().map(Into::into));
    match propose(&fabric, &nodes, Command::SetFlag { name, value }).await? {
        Reply::Refused(refusal) => bail!("not done: {refusal}"),
        Reply::Unchanged => println!("it was so already"),
        _ => println!("done"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn read_flags(it: &Flag, fabric: &Links, nodes: &[String]) -> Result<ExitCode> {
    let asked = Ask::Flags { linearizable: !it.local };
    let (applied, mut flags) = match ask_leader(fabric, nodes, &asked, CHANGE_TIME).await? {
        Told::Flags(applied, flags) => (applied, flags),
        Told::Unknown(reason) | Told::Refused(reason) => bail!("not read: {reason}"),
        other => bail!("{other:?}"),
    };
    if let Some(name) = &it.name {
        flags.retain(|flag, _| flag == name);
    }
    if it.common.output == Output::Json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "applied": applied, "flags": flags }))?
        );
    } else {
        flags.iter().for_each(|(name, value)| println!("{name} = {value}"));
    }
    // A flag that is asked for by name and is not there is told like one in a shell.
    let missing = it.name.is_some() && flags.is_empty();
    Ok(if missing { ExitCode::from(crate::exit::FAILED) } else { ExitCode::SUCCESS })
}
