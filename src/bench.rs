//! `watchfire bench`: what the whole path and each of its stages cost on this machine.

use crate::runtime;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Arguments {
    /// Connections to make and judge
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Different source hosts among them
    #[arg(long, default_value_t = 100_000)]
    entities: usize,
    /// Hosts that are active again and again
    #[arg(long, default_value_t = 10_000)]
    hot: usize,
    /// Shards [default: one for each processor]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    shards: usize,
    /// Also feed at this many events a second and tell the latency [default: half of what was
    /// reached]
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let load = simulations::bench::Load {
        events: arguments.events,
        entities: arguments.entities,
        hot: arguments.hot,
        seed: arguments.seed,
        shards: arguments.shards,
        rate: arguments.rate,
    };
    println!("{}", runtime()?.block_on(simulations::bench::run(&load))?);
    Ok(ExitCode::SUCCESS)
}
