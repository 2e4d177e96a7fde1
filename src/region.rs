//! `watchfire region`: how each region does, and orders for whole regions.

use crate::asking::{Common, Output, print, print_json, propose};
use crate::picture::{Picture, tell_plan, wait, would_move};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use node::membership::{Links, Moves, Order, PeerState, Reply, WorkloadView};
use node::membership::{operator, order_command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
Each workload (a part of all entities) has a home region and a failover region. When a node or a
region fails, a majority of the voters agrees on it and others take over by themselves; when it is
back, what is at home there returns. Orders are for what a person knows and the nodes do not. They
are kept in the control log, so that they hold until `failback`, whoever leads.

Whoever takes over goes on with what the owner knew of entities some ten seconds before. How old
that is at other nodes, `status --output json` tells: `checkpoint_sent_ms` of each node, null while
something that it owns is nowhere else.

Examples:
  watchfire region status                  both lights of each region, and how old its news are
  watchfire region drain us --plan         what would move, step by step; nothing is done
  watchfire region drain us                empty it, as before maintenance
  watchfire region failback us             take the order back: what is at home there returns
  watchfire region isolate us              treat it as cut off: none of its nodes may act

Exit codes: 0 done, 1 not done or not all of it, or a light is off.";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Region {
    /// Show both lights of each region, what it owns, and how old the news of it are
    Status(Common),
    /// Empty a region; its nodes hand over what they have and get nothing new
    Drain(Change),
    /// Take a region for failed, although its nodes may answer
    Failover(Change),
    /// Take the order for a region back; what is at home there returns
    Failback(Change),
    /// Treat a region as cut off: as failed, and none of its nodes gets a lease
    Isolate(Change),
}

#[derive(Args)]
pub struct Change {
    /// The region's name
    region: String,
    /// Print each step and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

pub fn run(what: &Region) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Region::Status(common) => status(common).await,
            Region::Drain(change) => make(change, Some(Order::Drain)).await,
            Region::Failover(change) => make(change, Some(Order::Failover)).await,
            Region::Isolate(change) => make(change, Some(Order::Isolate)).await,
            Region::Failback(change) => make(change, None).await,
        }
    })
}

/// How a region does.
struct Light<'a> {
    /// Each workload at home here has an owner that holds its lease.
    serving: bool,
    /// A majority of its nodes answers, and what they are told is kept by a majority of the voters.
    durable: bool,
    order: Option<Order>,
    home: usize,
    owned: usize,
    unserved: Vec<u32>,
    nodes: Vec<u64>,
    /// The age of the oldest news of its nodes at the leader; none if there never were any.
    heard_ms: Option<u64>,
    region: &'a str,
}

impl<'a> Light<'a> {
    fn of(picture: &'a Picture, region: &'a str) -> Self {
        let agreed = picture.agreed();
        let nodes: Vec<u64> = picture.nodes_of(region).collect();
        let home = agreed.workloads.iter().filter(|(_, w)| w.home == region);
        let unserved = home.clone().filter(|(n, w)| !picture.is_served(**n, w));
        let owned = |w: &&WorkloadView| w.owner.is_some_and(|owner| nodes.contains(&owner));
        let well = |id: &&u64| {
            let said = picture.answers.get(picture.name(**id)).and_then(|said| said.as_ref().ok());
            said.is_some_and(|status| status.durable)
        };
        let age = |id: &u64| match agreed.links.get(id) {
            Some(link) => link.heard_ms,
            None => Some(0),
        };
        let ages: Vec<Option<u64>> = nodes.iter().map(age).collect();
        Self {
            durable: 2 * nodes.iter().filter(well).count() > nodes.len(),
            order: agreed.orders.get(region).copied(),
            home: home.clone().count(),
            owned: agreed.workloads.values().filter(owned).count(),
            heard_ms: ages
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .and_then(|a| a.into_iter().max()),
            serving: unserved.clone().next().is_none(),
            unserved: unserved.map(|(n, _)| *n).collect(),
            nodes,
            region,
        }
    }

    fn json(&self, picture: &Picture) -> Value {
        let node = |id: &u64| {
            let (view, link) = (picture.views.get(id), picture.agreed().links.get(id));
            let node = json!({
                "reachable": view.is_some(),
                "leases": view.map_or(0, |v| v.leases.len()),
                "checkpoint_sent_ms": view.and_then(|v| v.checkpoints.sent_ms),
                "checkpoint_held_ms": view.and_then(|v| v.checkpoints.held_ms),
                "state": link.map_or(PeerState::Alive, |l| l.state),
                "heard_ms": link.map_or(Some(0), |l| l.heard_ms),
            });
            (picture.name(*id).to_owned(), node)
        };
        json!({
            "serving": self.serving,
            "durable": self.durable,
            "order": self.order,
            "home": self.home,
            "owned": self.owned,
            "unserved": self.unserved,
            "heard_ms": self.heard_ms,
            "nodes": self.nodes.iter().map(node).collect::<BTreeMap<_, _>>(),
        })
    }

    fn line(&self) -> String {
        let light = |on: bool| if on { "yes" } else { "NO" };
        let heard = match self.heard_ms {
            Some(ms) => format!("{:.1} s", ms as f64 / 1_000.0),
            None => "never".into(),
        };
        let order = self.order.map_or_else(|| "-".into(), |order| order.to_string());
        format!(
            "{:10} {:8} {:8} {:>5} {:>5} {:>9} {:>9}  {order}\n",
            self.region,
            light(self.serving),
            light(self.durable),
            self.home,
            self.owned,
            self.unserved.len(),
            heard
        )
    }
}

async fn status(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let picture = Picture::take(&fabric, &nodes).await?;
    let agreed = picture.agreed();
    let lights: Vec<Light<'_>> =
        picture.regions().into_iter().map(|region| Light::of(&picture, region)).collect();
    if common.output == Output::Json {
        let region = |light: &Light<'_>| (light.region.to_owned(), light.json(&picture));
        let workload = |(n, w): (&u32, &WorkloadView)| (n.to_string(), picture.workload(*n, w));
        let all = json!({
            "seen_by": picture.name(agreed.node),
            "leads": agreed.leads,
            "applied": agreed.applied,
            "regions": lights.iter().map(region).collect::<BTreeMap<_, _>>(),
            "workloads": agreed.workloads.iter().map(workload).collect::<BTreeMap<_, _>>(),
            "failed": agreed.failed,
            "balance": agreed.balance,
            "score": agreed.balance.value(),
            "unplaced": agreed.unplaced,
            "unreachable": picture.unreachable(),
        });
        print_json(&all)?;
    } else {
        print(&text(&picture, &lights))?;
    }
    let well = lights.iter().all(|light| light.serving && light.durable);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

fn text(picture: &Picture, lights: &[Light<'_>]) -> String {
    let agreed = picture.agreed();
    let mut text = format!(
        "{:10} {:8} {:8} {:>5} {:>5} {:>9} {:>9}  order\n",
        "region", "serving", "durable", "home", "owns", "unserved", "heard"
    );
    text.extend(lights.iter().map(Light::line));
    let leads = if agreed.leads { "which leads" } else { "which does not lead" };
    let by = picture.name(agreed.node);
    text += &format!("balance {}; as {by} sees it, {leads}\n", agreed.balance);
    for subject in &agreed.failed {
        text += &format!("{} has failed, by agreement\n", picture.subject(subject));
    }
    for (workload, reason) in &agreed.unplaced {
        text += &format!("workload {workload} has nowhere to go: {reason}\n");
    }
    text + &picture.lines_of_unreachable()
}

async fn make(change: &Change, order: Option<Order>) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&change.common.cluster)?;
    let moves = would_move(&fabric, &nodes, &change.region, order).await?;
    let picture = Picture::take(&fabric, &nodes).await?;
    let first = match order {
        Some(order) => format!("note the order in the control log: {} {order}", change.region),
        None => format!("take the order for {} out of the control log", change.region),
    };
    let mut steps = vec![first];
    steps.extend(moves.steps.iter().map(|step| picture.step(step)));
    let unplaced = |(workload, reason): (&u32, &String)| {
        format!("workload {workload}: stays, no node can take it; {reason}")
    };
    let unplaced: Vec<String> = moves.unplaced.iter().map(unplaced).collect();
    let json = change.common.output == Output::Json;
    if change.plan {
        tell_plan(json, &steps, &unplaced)?;
        return Ok(ExitCode::SUCCESS);
    }
    match propose(&fabric, &nodes, order_command(&change.region, order)).await? {
        Reply::Refused(refusal) => bail!("not done: {refusal}"),
        _ => carried_out(change, &fabric, &nodes, &moves, &unplaced).await,
    }
}

/// Says what became of each workload.
async fn carried_out(
    change: &Change,
    fabric: &Links,
    nodes: &[String],
    moves: &Moves,
    unplaced: &[String],
) -> Result<ExitCode> {
    let to = moves.steps.iter().map(|step| (step.workload, step.to)).collect();
    let became = wait(fabric, nodes, &to).await?;
    let all = became.missing.is_empty() && unplaced.is_empty();
    let json = change.common.output == Output::Json;
    became.tell(json, unplaced)?;
    if !json {
        let (done, count) = (became.done.len(), moves.steps.len() + unplaced.len());
        print(&format!("the order is noted; {done} of {count} workloads have moved\n"))?;
        if !all {
            print("the leader goes on; `watchfire region status` shows how far it is\n")?;
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}
