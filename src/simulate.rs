//! `watchfire simulate`: chaos experiments by seed.

mod many;
mod one;
#[cfg(target_os = "linux")]
mod real;
#[cfg(not(target_os = "linux"))]
#[path = "simulate/nowhere.rs"]
mod real;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use simulations::experiment::{Experiment, Seeds, World};
use simulations::library;
use simulations::run::Verdict;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code of `simulate`: something did not hold.
const FAIL: u8 = 1;
/// Exit code of `simulate`: nothing can be said.
const INCONCLUSIVE: u8 = 2;
/// Exit code of `simulate`: wrong usage, or a file that is none.
pub const USAGE: u8 = 3;

const AFTER: &str = "\
Examples:
  watchfire simulate list                                   experiments that come with the program
  watchfire simulate run explore --seeds 1..200             faults of every kind by seed
  watchfire simulate run my.toml --out reports              one's own, with reports
  watchfire simulate probe                                  what this host can do to real nodes
  watchfire simulate run leader-loss --world processes --seeds 1..3     real nodes, as root
  watchfire simulate replay reports/explore-17.json         the same run again, up to the violation
  watchfire simulate shrink reports/explore-17.json         the smallest plan that still fails

Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 wrong usage.";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Simulate {
    /// Run an experiment under many seeds
    Run(Run),
    /// Run once more what a report is of, and show how it came to a violation
    Replay(Replay),
    /// Find the smallest plan that still breaks the same invariant
    Shrink(Shrink),
    /// Look for failures for some minutes, with faults of every kind
    Explore(Explore),
    /// Run with each planted bug, and count the seeds until it is found
    Mutants(Mutants),
    /// Try what this host can do to real nodes: namespaces, power cuts, clocks
    Probe {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the experiments that come with the program, or print one
    List {
        /// The one to print
        name: Option<String>,
    },
}

#[derive(Args)]
pub struct Run {
    /// A file, or the name of an experiment that comes with the program
    experiment: String,
    /// Seeds, both ends included [default: as the file says]
    #[arg(long, value_name = "FROM..TO", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// Where it runs: virtual, in-process, processes for real nodes in network namespaces, one run
    /// at a time, as root on Linux; or all, one after the other [default: as the file says]
    #[arg(long, value_parser = world)]
    world: Option<World>,
    /// Keep the folders of real nodes, with their logs, of runs that did not pass
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub struct Explore {
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The first seed [default: 1]
    #[arg(long, default_value_t = 1, hide_default_value = true)]
    from: u64,
    /// In which world: virtual or in-process
    #[arg(long, default_value = "virtual", value_parser = world)]
    world: World,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Clone)]
pub struct Output {
    /// Folder for reports; made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = "simulate-reports")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Write each seed and what its run hashes to: the same file each time, and for each build of a
    /// version
    #[arg(long, value_name = "FILE")]
    traces: Option<PathBuf>,
    /// Threads [default: one for each processor]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

impl Output {
    fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.threads == 0 { all() } else { self.threads }
    }
}

#[derive(Args)]
pub struct Replay {
    /// A report, as `run` writes it
    report: PathBuf,
    /// Stop at this time instead of the violation: 41.203s
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
    /// Show one event after the other, each on Enter
    #[arg(long)]
    step: bool,
    /// Events to show before the stop
    #[arg(long, default_value_t = 30)]
    last: usize,
}

#[derive(Args)]
pub struct Shrink {
    /// A report, as `run` writes it
    report: PathBuf,
    /// Runs at most
    #[arg(long, default_value_t = 500)]
    runs: u64,
    /// Where the smaller run's report goes, as .json; the experiment goes beside it, as .toml
    /// [default: beside the report]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub struct Mutants {
    /// Only those whose name has this in it
    #[arg(default_value = "")]
    name: String,
    /// Seeds at most, for all alike [default: as each one's class says]
    #[arg(long)]
    seeds: Option<u64>,
    /// Shrink the first failure of each, too
    #[arg(long)]
    shrink: bool,
}

pub fn run(what: &Simulate) -> ExitCode {
    let done = match what {
        Simulate::Run(run) => many::run(run),
        Simulate::Explore(explore) => many::explore(explore),
        Simulate::Mutants(mutants) => many::mutants(mutants),
        Simulate::Replay(replay) => one::replay(replay),
        Simulate::Shrink(shrink) => one::shrink(shrink),
        Simulate::Probe { json } => real::probe(*json),
        Simulate::List { name } => list(name.as_deref()),
    };
    match done {
        Ok(Verdict::Pass) => ExitCode::SUCCESS,
        Ok(Verdict::Fail) => ExitCode::from(FAIL),
        Ok(Verdict::Inconclusive) => ExitCode::from(INCONCLUSIVE),
        Err(error) => {
            eprintln!("watchfire: {}", crate::told(&error));
            ExitCode::from(USAGE)
        }
    }
}

fn list(name: Option<&str>) -> Result<Verdict> {
    if let Some(name) = name {
        let text = library::named(name).with_context(|| format!("there is no `{name}`"))?;
        print!("{text}");
        return Ok(Verdict::Pass);
    }
    for (name, text) in library::EXPERIMENTS {
        let about = Experiment::parse(text).map(|e| e.about).unwrap_or_default();
        println!("{name:24} {about}");
    }
    Ok(Verdict::Pass)
}

/// The experiment of a file, or of a name.
fn experiment(given: &str) -> Result<Experiment> {
    let text = match library::named(given) {
        Some(text) if !Path::new(given).exists() => text.to_owned(),
        _ => std::fs::read_to_string(given).with_context(|| {
            let known: Vec<&str> = library::EXPERIMENTS.iter().map(|(name, _)| *name).collect();
            format!("{given} cannot be read, and is none of {}", known.join(", "))
        })?,
    };
    Experiment::parse(&text).with_context(|| given.to_owned())
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || format!("`{text}` is not a range of seeds such as 1..200");
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to): (u64, u64) =
        (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
    let count = to.checked_sub(from).and_then(|n| n.checked_add(1)).ok_or_else(wrong)?;
    Ok(Seeds { from, count })
}

fn world(text: &str) -> Result<World, String> {
    match text {
        "virtual" => Ok(World::Virtual),
        "in-process" => Ok(World::InProcess),
        "processes" => Ok(World::Processes),
        "all" => Ok(World::All),
        other => Err(format!("`{other}` is no world: virtual, in-process, processes or all")),
    }
}

fn time(text: &str) -> Result<u64, String> {
    let micros = simulations::experiment::signed_micros(text).and_then(|m| u64::try_from(m).ok());
    micros.ok_or_else(|| format!("`{text}` is not a time such as 41.203s"))
}
