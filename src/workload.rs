//! `watchfire workload`: who owns what, and moving one by hand.

use crate::asking::{Common, Output, print, print_json, propose};
use crate::picture::{Picture, tell_plan, wait};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use node::membership::{Command, Links, Refusal, Reply, WorkloadView, operator};
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

/// How often a move is looked at anew that was overtaken by another.
const TRIES: usize = 4;

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
        print_json(&told)?;
    } else {
        let mut text = format!(
            "{:>8} {:>6} {:8} {:8} {:12} {:>8} acts\n",
            "workload", "shards", "home", "failover", "owner", "epoch"
        );
        for (number, w) in all {
            text += &format!(
                "{number:>8} {:>6} {:8} {:8} {:12} {:>8} {}\n",
                w.shards,
                w.home,
                w.failover,
                w.owner.map_or("nobody", |owner| picture.name(owner)),
                w.epoch,
                if picture.is_served(*number, w) { "yes" } else { "NO" }
            );
        }
        print(&(text + &picture.lines_of_unreachable()))?;
    }
    let served = all.iter().all(|(n, w)| picture.is_served(*n, w));
    Ok(if served { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// What has to be asked of the log, each with its words.
fn steps(picture: &Picture, number: u32, to: u64) -> Result<Vec<(String, Command)>> {
    let known = picture.agreed().workloads.get(&number);
    let known = known.with_context(|| format!("there is no workload {number}"))?;
    let (name, region) = (picture.name(to), picture.region_of(to));
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
    if known.owner == Some(to) {
        return Ok(steps);
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
    let planned = steps(&picture, step.workload, to)?;
    if planned.is_empty() {
        bail!("{} owns workload {} already", step.to, step.workload);
    }
    if step.plan {
        let texts: Vec<String> = planned.into_iter().map(|(text, _)| text).collect();
        tell_plan(json, &texts, &[])?;
        return Ok(ExitCode::SUCCESS);
    }
    carry_out(&fabric, &nodes, step.workload, to, planned).await?;
    let became = wait(&fabric, &nodes, &[(step.workload, to)].into()).await?;
    became.tell(json, &[])?;
    let all = became.missing.is_empty();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// Asks for one step after the other. Once its home is another, the leader may bring the workload
/// there before this does: what is left is then looked at anew.
async fn carry_out(
    fabric: &Links,
    nodes: &[String],
    number: u32,
    to: u64,
    mut planned: Vec<(String, Command)>,
) -> Result<()> {
    for left in (0..TRIES).rev() {
        let mut overtaken = false;
        for (text, command) in planned {
            match propose(fabric, nodes, command).await? {
                Reply::Refused(Refusal::StaleEpoch { .. } | Refusal::Placed { .. }) if left > 0 => {
                    overtaken = true;
                    break;
                }
                Reply::Refused(refusal) => bail!("not done: {text}: {refusal}"),
                _ => {}
            }
        }
        if !overtaken {
            break;
        }
        planned = steps(&Picture::take(fabric, nodes).await?, number, to)?;
    }
    Ok(())
}
