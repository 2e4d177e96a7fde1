//! The balance score, and by how much a move changes it without looking at the whole cluster.

use super::{Latency, Move};
use crate::placement::{Placement, Standing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// The balance of a cluster; each share is from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of all demand that has a sound owner.
    pub served: f64,
    /// Share of that which is within the latency bound of its home.
    pub quick: f64,
    /// Share of that which lies where it would if all bore the same share of their capacity.
    pub even: f64,
}

impl Score {
    /// All in one: their product.
    pub fn value(&self) -> f64 {
        self.served * self.quick * self.even
    }
}

impl Display for Score {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { served, quick, even } = self;
        write!(f, "{:.3} (served {served:.3}, quick {quick:.3}, even {even:.3})", self.value())
    }
}

/// The sums that the score is made of.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    demand: f64,
    served: f64,
    quick: f64,
    /// What each sound node would bear.
    fair: BTreeMap<u64, f64>,
    /// How far all sound nodes are from it, together.
    apart: f64,
}

impl Weights {
    pub(super) fn of(place: &Placement<'_>, latency: &Latency) -> Self {
        let (mut demand, mut served, mut quick) = (0, 0, 0);
        for (number, workload) in place.log.workloads().all() {
            let asked = u128::from(place.situation.demand(*number));
            demand += asked;
            let Some(owner) = workload.owner.filter(|o| sound(place, *o)) else { continue };
            served += asked;
            let near = place.region(owner).is_some_and(|r| latency.quick(&workload.home, r));
            quick += if near { asked } else { 0 };
        }
        let (demand, served, quick) = (demand as f64, served as f64, quick as f64);
        let nodes: Vec<u64> = place.log.nodes().present().keys().copied().collect();
        let nodes: Vec<u64> = nodes.into_iter().filter(|n| sound(place, *n)).collect();
        let capacity: u128 = nodes.iter().map(|n| u128::from(place.capacity(*n))).sum();
        // Where nothing is known of any capacity, nothing lies where it should.
        let fill = if capacity > 0 { served / capacity as f64 } else { 0.0 };
        let fair: BTreeMap<_, _> =
            nodes.into_iter().map(|n| (n, fill * place.capacity(n) as f64)).collect();
        let apart = fair.iter().map(|(n, fair)| (place.load(*n) as f64 - fair).abs()).sum();
        Self { demand, served, quick, fair, apart }
    }

    pub(super) fn score(&self) -> Score {
        let share = |part: f64, all: f64| if all > 0.0 { part / all } else { 1.0 };
        Score {
            served: share(self.served, self.demand),
            quick: share(self.quick, self.served),
            even: (1.0 - self.apart / (2.0 * self.served.max(1.0))).clamp(0.0, 1.0),
        }
    }

    /// By how much the move would raise the score.
    pub(super) fn gain(&self, place: &Placement<'_>, latency: &Latency, step: &Move) -> f64 {
        let demand = place.situation.demand(step.workload) as f64;
        let apart = |node: u64, more: f64| {
            let fair = self.fair.get(&node).copied().unwrap_or_default();
            let load = place.load(node) as f64;
            (load + more - fair).abs() - (load - fair).abs()
        };
        let moved = Self {
            apart: self.apart + apart(step.from, -demand) + apart(step.to, demand),
            quick: self.quick + nearer(place, latency, step),
            fair: BTreeMap::new(),
            ..*self
        };
        moved.score().value() - self.score().value()
    }

    /// After the move, which `place` shows already.
    pub(super) fn after(self, place: &Placement<'_>, latency: &Latency, step: &Move) -> Self {
        let quick = self.quick + nearer(place, latency, step);
        let apart = self.fair.iter().map(|(n, fair)| (place.load(*n) as f64 - fair).abs()).sum();
        Self { quick, apart, ..self }
    }
}

fn sound(place: &Placement<'_>, node: u64) -> bool {
    place.standing(node) == Standing::Sound
}

/// How much more demand is within the latency bound after the move.
fn nearer(place: &Placement<'_>, latency: &Latency, step: &Move) -> f64 {
    let Some(workload) = place.log.workloads().all().get(&step.workload) else { return 0.0 };
    let quick = |node| {
        let near = place.region(node).is_some_and(|r| latency.quick(&workload.home, r));
        f64::from(u8::from(near))
    };
    (quick(step.to) - quick(step.from)) * place.situation.demand(step.workload) as f64
}
