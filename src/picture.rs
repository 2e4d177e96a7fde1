//! Regions, workloads and leases, put together from what each node of a cluster says.

use crate::asking::{Answers, CHANGE_TIME, NODE_TIME, ask_all, print, print_json};
use anyhow::{Context, Result, bail};
use node::membership::{Ask, Links, Move, NodeStatus, Told, View, WorkloadView, ask, ask_leader};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a move may take: a lease that has to lapse, and the widest links.
pub const MOVE_TIME: Duration = Duration::from_secs(20);

/// Pause before the nodes are asked again how far a move has come.
const AGAIN: Duration = Duration::from_millis(200);

/// What the nodes say.
pub struct Picture {
    /// How each node is, by name, or why nothing came.
    pub answers: Answers,
    /// What each node that answered sees, by its id.
    pub views: BTreeMap<u64, View>,
    /// The members, by id: as the node has them that has come farthest.
    members: BTreeMap<u64, (String, String)>,
    /// Who is believed about what is agreed: the leader, or who has come farthest.
    believed: u64,
}

impl Picture {
    /// Asks all nodes.
    pub async fn take(fabric: &Links, nodes: &[String]) -> Result<Self> {
        let mut answers = ask_all(fabric, nodes).await?;
        let mut views = BTreeMap::new();
        for said in answers.values_mut() {
            let Ok(status) = said else { continue };
            match ask(fabric, &status.address, &Ask::Regions, NODE_TIME).await {
                Ok(Told::Regions(view)) => drop(views.insert(status.id, *view)),
                Ok(other) => *said = Err(format!("{other:?}")),
                Err(error) => *said = Err(error.to_string()),
            }
        }
        let farthest = |s: &&NodeStatus| s.applied;
        let best = answers.values().flatten().max_by_key(farthest).context("no node answers")?;
        let member = |(id, m): (&u64, &node::membership::MemberView)| {
            (*id, (m.name.clone(), m.region.clone()))
        };
        let members = best.members.iter().map(member).collect();
        let believed = views.values().max_by_key(|v| (v.leads, v.applied)).map(|v| v.node);
        let believed = believed.context("no node answers")?;
        Ok(Self { answers, views, members, believed })
    }

    /// What is agreed, as the leader sees it.
    pub fn agreed(&self) -> &View {
        &self.views[&self.believed]
    }

    /// The name of a node.
    pub fn name(&self, node: u64) -> &str {
        self.members.get(&node).map_or("?", |(name, _)| name)
    }

    /// The region of a node.
    pub fn region_of(&self, node: u64) -> &str {
        self.members.get(&node).map_or("?", |(_, region)| region)
    }

    /// A node or region that failed, by its name.
    pub fn subject(&self, subject: &str) -> String {
        let id = subject.strip_prefix("node ").and_then(|id| id.parse().ok());
        id.map_or_else(|| subject.to_owned(), |id| format!("node {}", self.name(id)))
    }

    /// The node of a name.
    pub fn node(&self, name: &str) -> Result<u64> {
        let found = self.members.iter().find(|(_, (n, _))| n == name).map(|(id, _)| *id);
        let names: Vec<&str> = self.members.values().map(|(n, _)| &**n).collect();
        found.with_context(|| format!("no member is named {name}; there are {}", names.join(", ")))
    }

    /// All regions with nodes.
    pub fn regions(&self) -> BTreeSet<&str> {
        self.members.values().map(|(_, region)| &**region).collect()
    }

    /// The nodes of a region, by id.
    pub fn nodes_of(&self, region: &str) -> impl Iterator<Item = u64> + '_ {
        let region = region.to_owned();
        self.members.iter().filter(move |(_, (_, r))| *r == region).map(|(id, _)| *id)
    }

    /// Whether the owner holds its lease now, as it says itself.
    pub fn is_served(&self, number: u32, workload: &WorkloadView) -> bool {
        let view = workload.owner.and_then(|owner| self.views.get(&owner));
        view.and_then(|v| v.leases.get(&number)).is_some_and(|l| l.epoch == workload.epoch)
    }

    /// Why nothing came, by name.
    pub fn unreachable(&self) -> BTreeMap<&str, &str> {
        let mut all = BTreeMap::new();
        for (name, said) in &self.answers {
            if let Err(why) = said {
                all.insert(&**name, &**why);
            }
        }
        all
    }

    /// Lines of who could not be asked.
    pub fn lines_of_unreachable(&self) -> String {
        let line = |(name, why)| format!("{name} unreachable: {why}\n");
        self.unreachable().into_iter().map(line).collect()
    }

    /// A workload as JSON.
    pub fn workload(&self, number: u32, workload: &WorkloadView) -> Value {
        json!({
            "home": workload.home,
            "failover": workload.failover,
            "shards": workload.shards,
            "owner": workload.owner.map(|owner| self.name(owner)),
            "region": workload.owner.map(|owner| self.region_of(owner)),
            "epoch": workload.epoch,
            "served": self.is_served(number, workload),
        })
    }

    /// A move in words.
    pub fn step(&self, step: &Move) -> String {
        let from = step.from.map_or("nobody", |id| self.name(id));
        let (to, region) = (self.name(step.to), self.region_of(step.to));
        let Move { workload, fill, reason, .. } = step;
        let mut text = format!("workload {workload}: {from} -> {to} ({region}), {fill}% full");
        if let Some(failover) = &step.failover {
            text += &format!("; {failover} becomes its failover region");
        }
        if step.behind > 0 {
            text += &format!("; checkpoint {} events behind", step.behind);
        }
        format!("{text}; {reason}")
    }
}

/// What would move if a region had this order, or none.
pub async fn would_move(
    fabric: &Links,
    nodes: &[String],
    region: &str,
    order: Option<node::membership::Order>,
) -> Result<node::membership::Moves> {
    let asked = Ask::WouldMove { region: region.to_owned(), order };
    match ask_leader(fabric, nodes, &asked, CHANGE_TIME).await? {
        Told::Moves(moves) => Ok(*moves),
        Told::Refused(reason) | Told::Unknown(reason) => bail!("not done: {reason}"),
        other => bail!("{other:?}"),
    }
}

/// What became of moves: those that are done, in words, and those that are not.
pub struct Became {
    /// Done: the new owner acts.
    pub done: Vec<String>,
    /// Not done in time, with how it is.
    pub missing: Vec<String>,
    /// The last picture.
    pub picture: Picture,
}

/// Waits until all of these workloads are where they should be and have an owner that acts.
pub async fn wait(fabric: &Links, nodes: &[String], to: &BTreeMap<u32, u64>) -> Result<Became> {
    let since = Instant::now();
    loop {
        let picture = Picture::take(fabric, nodes).await?;
        let (mut done, mut missing) = (Vec::new(), Vec::new());
        for (number, expected) in to {
            let Some(workload) = picture.agreed().workloads.get(number) else { continue };
            let owner = workload.owner.map_or("nobody", |owner| picture.name(owner));
            let served = picture.is_served(*number, workload);
            let word = if served { "acts" } else { "does not act yet" };
            let text = format!("workload {number}: {owner} {word}, epoch {}", workload.epoch);
            if workload.owner == Some(*expected) && served {
                done.push(text);
            } else {
                missing.push(text + &format!("; it was to go to {}", picture.name(*expected)));
            }
        }
        if missing.is_empty() || since.elapsed() > MOVE_TIME {
            return Ok(Became { done, missing, picture });
        }
        tokio::time::sleep(AGAIN).await;
    }
}

impl Became {
    /// Says what became of each workload, with those that have nowhere to go.
    pub fn tell(&self, json: bool, unplaced: &[String]) -> Result<()> {
        let Self { done, missing, picture } = self;
        if json {
            return print_json(&json!({
                "done": done,
                "missing": missing,
                "unplaced": unplaced,
                "unreachable": picture.unreachable(),
            }));
        }
        let mut text: String = done.iter().map(|step| format!("{step}\n")).collect();
        for step in missing.iter().chain(unplaced) {
            text += &format!("NOT DONE {step}\n");
        }
        print(&(text + &picture.lines_of_unreachable()))
    }
}

/// Prints the steps of a plan.
pub fn tell_plan(json: bool, steps: &[String], unplaced: &[String]) -> Result<()> {
    if json {
        return print_json(&json!({ "plan": steps, "unplaced": unplaced }));
    }
    let line = |step: &String| format!("  {step}\n");
    print(&(String::from("plan:\n") + &steps.iter().chain(unplaced).map(line).collect::<String>()))
}
