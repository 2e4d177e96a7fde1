//! What a timeline is drawn from.

use crate::journal::{Done, Source, What};
use crate::plan::{Micros, SECOND};
use crate::run::Run;
use std::collections::BTreeMap;

/// How a node stood, from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Up,
    Paused,
    Down,
}

/// How each node stood: changes by node.
pub fn standings(run: &Run) -> Vec<Vec<(Micros, Standing)>> {
    let mut nodes = vec![Vec::new(); run.plan.nodes.len()];
    for entry in &run.journal.entries {
        let Some(node) = entry.who.and_then(|w| nodes.get_mut(w as usize)) else { continue };
        match entry.what {
            What::Up | What::Resumed => node.push((entry.at, Standing::Up)),
            What::Paused => node.push((entry.at, Standing::Paused)),
            What::Down => node.push((entry.at, Standing::Down)),
            _ => {}
        }
    }
    nodes
}

/// Who led, from when to when: the last one of a higher term, or until it went down.
pub fn leaders(run: &Run) -> Vec<(usize, Micros, Micros)> {
    let mut led: Vec<(usize, Micros, Micros)> = Vec::new();
    let mut leader: Option<(usize, Micros)> = None;
    for entry in &run.journal.entries {
        let ended = match entry.what {
            What::Leads { .. } => true,
            What::Down => entry.who == leader.map(|(l, _)| l as u32),
            _ => false,
        };
        if ended && let Some((who, since)) = leader.take() {
            led.push((who, since, entry.at));
        }
        if let (What::Leads { .. }, Some(who)) = (&entry.what, entry.who) {
            leader = Some((who as usize, entry.at));
        }
    }
    led.extend(leader.map(|(who, since)| (who, since, run.plan.end())));
    led
}

/// For how many workloads each node could act: changes by node.
pub fn owners(run: &Run) -> Vec<Vec<(Micros, u32)>> {
    let mut nodes = vec![Vec::new(); run.plan.nodes.len()];
    for entry in &run.journal.entries {
        let Some(node) = entry.who.and_then(|w| nodes.get_mut(w as usize)) else { continue };
        match entry.what {
            What::Acts { workloads } => node.push((entry.at, workloads)),
            What::Down => node.push((entry.at, 0)),
            _ => {}
        }
    }
    nodes
}

/// For how many workloads there was an owner that acts, of all nodes together: changes.
pub fn acting(run: &Run) -> Vec<(Micros, u32)> {
    let mut acts = vec![0u32; run.plan.nodes.len()];
    let mut changes = Vec::new();
    for entry in &run.journal.entries {
        let Some(node) = entry.who.and_then(|w| acts.get_mut(w as usize)) else { continue };
        match entry.what {
            What::Acts { workloads } => *node = workloads,
            What::Down => *node = 0,
            _ => continue,
        }
        changes.push((entry.at, acts.iter().sum()));
    }
    changes
}

/// What happened in each second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    pub done: u64,
    pub failed: u64,
    /// Slowest of those that ended.
    pub slowest: Micros,
    pub by_voters: u64,
    pub by_rules: u64,
    /// Operations that were under way at its end.
    pub open: u64,
}

/// All seconds of a run.
pub fn seconds(run: &Run) -> Vec<Second> {
    let count = (run.plan.end() / SECOND + 1) as usize;
    let mut seconds = vec![Second::default(); count];
    let mut open: BTreeMap<u64, Micros> = BTreeMap::new();
    let mut at = 0;
    for entry in &run.journal.entries {
        let now = ((entry.at / SECOND) as usize).min(count - 1);
        while at < now {
            seconds[at].open = open.len() as u64;
            at += 1;
        }
        let second = &mut seconds[now];
        match &entry.what {
            What::Asked { op, .. } => {
                open.insert(*op, entry.at);
            }
            What::Answered { op, done } => {
                if matches!(done, Done::Failed | Done::Unknown) {
                    second.failed += 1;
                } else {
                    second.done += 1;
                }
                let took = open.remove(op).map_or(0, |since| entry.at - since);
                second.slowest = second.slowest.max(took);
            }
            What::Verdict(verdict) => match verdict.by {
                Source::Ml => second.by_voters += 1,
                Source::Rules => second.by_rules += 1,
            },
            _ => {}
        }
    }
    seconds
}
