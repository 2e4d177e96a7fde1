//! `watchfire workload`: who owns what, and moving one by hand.

use crate::asking::{Common, Output, propose};
use crate::picture::{Picture, wait};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use node::membership::{Command, Reply, WorkloadView, operator};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
A workload is a part of all entities that moves as one. Its owner acts for it under an epoch, while
it holds a lease; after each move the epoch is higher, and what a former owner sends is refused.

Examples:
  watchfire workload list                       all, with home, owner and epoch
  watchfire workload move 17 --to us-2 --plan   what would be done; nothing is done
  watchfire workload move 17 --to us-2          a node of another region becomes its home, too

Exit codes: 0 done, 1 not done, or some workload has no owner that acts.";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Workload {
    /// List the workloads with home, owner, epoch, and whether the owner acts
    List(Common),
    /// Give a workload to a node; one of another region becomes its home
    Move(Move),
}

#[derive(Args)]
pub struct Move {
    /// Its number
    workload: u32,
    /// The node's name
    #[arg(long, value_name = "NODE")]
    to: String,
    /// Print each step and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

pub fn run(what: &Workload) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Workload::List(common) => list(common).await,
            Workload::Move(step) => make(step).await,
        }
    })
}

async fn list(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let picture = Picture::take(&fabric, &nodes).await?;
    let all = &picture.agreed().workloads;
    if common.output == Output::Json {
        let workload = |(n, w): (&u32, &WorkloadView)| (n.to_string(), picture.workload(*n, w));
        let told = json!({
            "workloads": all.iter().map(workload).collect::<BTreeMap<_, _>>(),
            "unreachable": picture.unreachable(),
        });
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        println!(
            "{:>8} {:>6} {:8} {:8} {:12} {:>8} acts",
            "workload", "shards", "home", "failover", "owner", "epoch"
        );
        for (number, w) in all {
            println!(
                "{number:>8} {:>6} {:8} {:8} {:12} {:>8} {}",
                w.shards,
                w.home,
                w.failover,
                w.owner.map_or("nobody", |owner| picture.name(owner)),
                w.epoch,
                if picture.is_served(*number, w) { "yes" } else { "NO" }
            );
        }
        picture.print_unreachable();
    }
    let served = all.iter().all(|(n, w)| picture.is_served(*n, w));
    Ok(if served { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// What has to be asked of the log, each with its words.
fn steps(picture: &Picture, number: u32, to: u64) -> Result<Vec<(String, Command)>> {
    let known = picture.agreed().workloads.get(&number);
    let known = known.with_context(|| format!("there is no workload {number}"))?;
    let (name, region) = (picture.name(to), picture.region_of(to));
    if known.owner == Some(to) {
        bail!("{name} owns workload {number} already, under epoch {}", known.epoch);
    }
    if let Some(order) = picture.agreed().orders.get(region) {
        bail!(
            "{region} has the order {order}: what goes there is moved away at once; `watchfire \
             region failback {region}` takes it back"
        );
    }
    let mut steps = Vec::new();
    if known.home != region {
        // Where it was at home its state is.
        let WorkloadView { home, failover, epoch, .. } = known;
        let command = Command::RehomeWorkload {
            workload: number,
            home: region.into(),
            failover: home.as_str().into(),
            expected_home: home.as_str().into(),
            expected_failover: failover.as_str().into(),
            expected_epoch: *epoch,
        };
        let text = format!("workload {number}: home {home} -> {region}, failover region {home}");
        steps.push((text, command));
    }
    let from = known.owner.map_or("nobody", |owner| picture.name(owner));
    let text = format!("workload {number}: {from} -> {name} ({region}), epoch {}", known.epoch);
    let expected_epoch = known.epoch;
    let command = Command::AssignWorkload { workload: number, owner: Some(to), expected_epoch };
    steps.push((text, command));
    Ok(steps)
}

async fn make(step: &Move) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&step.common.cluster)?;
    let picture = Picture::take(&fabric, &nodes).await?;
    let to = picture.node(&step.to)?;
    let json = step.common.output == Output::Json;
    let steps = steps(&picture, step.workload, to)?;
    if step.plan {
        let texts: Vec<&str> = steps.iter().map(|(text, _)| &**text).collect();
        if json {
            println!("{}", serde_json::to_string_pretty(&json!({ "plan": texts }))?);
        } else {
            println!("plan:");
            texts.iter().for_each(|text| println!("  {text}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    for (text, command) in steps {
        if let Reply::Refused(refusal) = propose(&fabric, &nodes, command).await? {
            bail!("not done: {text}: {refusal}");
        }
    }
    let became = wait(&fabric, &nodes, &[(step.workload, to)].into()).await?;
    let all = became.missing.is_empty();
    if json {
        let told = json!({
            "done": became.done,
            "missing": became.missing,
            "unreachable": became.picture.unreachable(),
        });
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        became.done.iter().for_each(|text| println!("{text}"));
        became.missing.iter().for_each(|text| println!("NOT DONE {text}"));
        became.picture.print_unreachable();
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}
