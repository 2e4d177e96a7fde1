//! `watchfire bench`: what the whole path and each of its stages cost on this machine.

use crate::{exit, runtime};
use anyhow::Result;
use clap::Args;
use simulations::soak::Soak;
use std::process::ExitCode;
use std::time::Duration;

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
    /// Instead, feed faster than can be judged for so many minutes, broken lines among it, and
    /// fail unless all is counted, reading is held back and memory stays flat
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    soak: Option<Duration>,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "a number of minutes".to_owned())?;
    if !(0.1..=10_000.0).contains(&minutes) {
        return Err("from 0.1 to 10000".to_owned());
    }
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(lasts) = arguments.soak {
        return soak(arguments, lasts);
    }
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

/// Time between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(30);

fn soak(arguments: &Arguments, lasts: Duration) -> Result<ExitCode> {
    let soak = Soak {
        lasts,
        entities: u32::try_from(arguments.entities)?,
        hot: u32::try_from(arguments.hot)?,
        seed: arguments.seed,
    };
    let folder = tempfile::tempdir()?;
    let mut told = Duration::ZERO;
    let soaked = runtime()?.block_on(simulations::soak::run(&soak, folder.path(), |look| {
        if look.at >= told {
            told = look.at + TELL_EVERY;
            eprintln!(
                "{:5.0} s  {:12} events  held back {:9} times  {:6.0} MiB",
                look.at.as_secs_f64(),
                look.events,
                look.held_back,
                look.memory
            );
        }
    }))?;
    println!("{soaked}");
    let problems = soaked.problems();
    for problem in &problems {
        println!("does not hold: {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}
