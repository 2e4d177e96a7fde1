//! Where no real nodes can be run: everywhere but on Linux.

use super::Output;
use anyhow::{Result, bail};
use simulations::experiment::{Experiment, Seeds};
use simulations::plan::Plan;
use simulations::run::{Run as One, Verdict};

const NEEDS: &str = "real nodes are run in network namespaces, which Linux alone has";

pub fn run(_: &Experiment, _: Seeds, _: bool, _: &Output) -> Result<Verdict> {
    bail!(NEEDS)
}

pub fn again(_: &Plan, _: &Experiment) -> Result<One> {
    bail!(NEEDS)
}

pub fn probe(json: bool) -> Result<Verdict> {
    println!("{}", if json { "[]" } else { NEEDS });
    Ok(Verdict::Pass)
}

pub fn no_shrinking() -> Result<Verdict> {
    bail!(NEEDS)
}
