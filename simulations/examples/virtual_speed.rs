//! How fast the virtual world runs an experiment: cluster-hours and seeds a minute, on one thread.
//!
//! `cargo run --release -p simulations --example virtual_speed -- EXPERIMENT.toml [SEEDS] [FIRST]`
//!
//! In the environment: `KINDS` counts what happened by its kind, `TRACE` tells each run's trace,
//! `DUMP` each plan and all that happened. They take time of their own.

use simulations::experiment::Experiment;
use simulations::journal::What;
use simulations::plan::expand;
use simulations::world::World;
use std::collections::BTreeMap;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("an experiment's file")?;
    let seeds: u64 = arguments.next().map_or(Ok(20), |n| n.parse())?;
    let experiment = Experiment::parse(&std::fs::read_to_string(path)?)?;
    let began = Instant::now();
    let (mut virtual_time, mut steps, mut kinds) = (0, 0, BTreeMap::<String, u64>::new());
    let counts = std::env::var_os("KINDS").is_some();
    let first: u64 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    for seed in first..first + seeds {
        let plan = expand(&experiment, seed);
        let outcome = World::new(&plan).run();
        let findings =
            simulations::invariants::check(&plan, &outcome.journal, &experiment.invariants);
        for (id, finding) in findings {
            if !finding.held() {
                println!("seed {seed}: {id} {finding:?}");
            }
        }
        virtual_time += plan.end();
        steps += outcome.steps;
        let counted = if counts { &outcome.journal.entries[..] } else { &[] };
        for entry in counted {
            let kind = match &entry.what {
                What::Sometimes(goal) => format!("Sometimes {goal}"),
                What::Broken { invariant, what } => format!("BROKEN {invariant} {what}"),
                What::Answered { done, .. } => {
                    let done = format!("{done:?}");
                    format!("Answered {}", done.split([' ', '{']).next().unwrap_or_default())
                }
                what => {
                    let what = format!("{what:?}");
                    what.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
                }
            };
            *kinds.entry(kind).or_default() += 1;
        }
        if std::env::var_os("DUMP").is_some() {
            println!("{}", serde_json::to_string_pretty(&plan)?);
            for entry in &outcome.journal.entries {
                println!("{:>11} {:?} {:?}", entry.at, entry.who, entry.what);
            }
        }
        if std::env::var_os("TRACE").is_some() {
            println!("{seed} {:016x} {}", outcome.trace, outcome.journal.entries.len());
        }
    }
    let wall = began.elapsed().as_secs_f64();
    let hours = virtual_time as f64 / 3.6e9;
    println!(
        "{:.1} cluster-hours and {:.0} seeds a minute of one thread; {:.2} us an event; {} events",
        hours / wall * 60.0,
        seeds as f64 / wall * 60.0,
        wall * 1e6 / steps as f64,
        steps / seeds
    );
    for (kind, count) in kinds {
        println!("{count:9} {kind}");
    }
    Ok(())
}
