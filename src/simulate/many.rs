//! Many seeds: an experiment, an exploration, the planted bugs.

use super::{Explore, Mutants, Output, Run, experiment, one, real};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use simulations::campaign::{self, Campaign};
use simulations::experiment::{Experiment, OnFail, Seeds, World};
use simulations::invariants::{CATALOGUE, Finding, SOMETIMES, is_judged, is_seen};
use simulations::mutants;
use simulations::report;
use simulations::run::{Run as One, Verdict};
use simulations::shrink;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use threat::mutants::Mutant;

/// Reports of runs that failed, at most.
const REPORTS: usize = 10;

/// Time between two looks at the limits of an experiment.
const LOOK: Duration = Duration::from_millis(100);

pub fn run(arguments: &Run) -> Result<Verdict> {
    let mut experiment = experiment(&arguments.experiment)?;
    experiment.world = arguments.world.unwrap_or(experiment.world);
    let seeds = arguments.seeds.unwrap_or(experiment.seeds);
    if experiment.world != World::All {
        return within(&experiment, seeds, arguments, &arguments.output);
    }
    let mut worst = Verdict::Pass;
    for (world, folder) in [
        (World::Virtual, "virtual"),
        (World::InProcess, "in-process"),
        (World::Processes, "processes"),
    ] {
        experiment.world = world;
        let out = arguments.output.out.join(folder);
        let name = arguments.output.traces.as_ref().and_then(|path| path.file_name());
        let traces = name.map(|name| out.join(name));
        let output = Output { out, traces, ..arguments.output.clone() };
        worst = worst.max(within(&experiment, seeds, arguments, &output)?);
    }
    Ok(worst)
}

/// Runs an experiment in its world.
fn within(
    experiment: &Experiment,
    seeds: Seeds,
    arguments: &Run,
    output: &Output,
) -> Result<Verdict> {
    match experiment.world {
        World::Processes => real::run(experiment, seeds, arguments.keep, output),
        _ => finish(experiment, seeds, output, &AtomicBool::new(false)),
    }
}

pub fn explore(arguments: &Explore) -> Result<Verdict> {
    let experiment = exploring(arguments.world)?;
    let lasts = Duration::try_from_secs_f64(arguments.minutes * 60.0).context("--minutes")?;
    let seeds = Seeds { from: arguments.from, count: u64::MAX - arguments.from };
    let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let until = Instant::now() + lasts;
            while Instant::now() < until && !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let done = finish(&experiment, seeds, &arguments.output, &stop);
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// What explores a world.
fn exploring(world: World) -> Result<Experiment> {
    match world {
        World::Virtual => experiment("explore"),
        World::InProcess => experiment("explore-in-process"),
        _ => bail!("faults are drawn by seed in the worlds virtual and in-process"),
    }
}

/// Runs, writes reports, and says what came of it.
fn finish(
    experiment: &Experiment,
    seeds: Seeds,
    output: &Output,
    stop: &AtomicBool,
) -> Result<Verdict> {
    std::fs::create_dir_all(&output.out)
        .with_context(|| format!("{} cannot be made", output.out.display()))?;
    let bar = progress(seeds.count);
    let (failed, traces) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
    let told = |run: &One| {
        if output.traces.is_some() {
            let mut traces = traces.lock().unwrap_or_else(PoisonError::into_inner);
            traces.insert(run.plan.seed, run.trace);
        }
        if run.verdict() == Verdict::Fail {
            let count = failed.fetch_add(1, Ordering::Relaxed) + 1;
            bar.set_message(format!("{count} failed"));
        }
        bar.inc(1);
    };
    let began = Instant::now();
    let (over, given_up) = (AtomicBool::new(false), Mutex::new(None));
    let mut campaign = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && !experiment.stop.is_never() {
                if let Some(limit) = experiment.stop.reached(began, None) {
                    *given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(*limit);
                    return stop.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(LOOK);
            }
        });
        let all = campaign::run(experiment, seeds, output.threads(), stop, (&|_| (), &told));
        over.store(true, Ordering::Relaxed);
        all
    });
    campaign.given_up = given_up.into_inner().unwrap_or_else(PoisonError::into_inner);
    bar.finish_and_clear();
    if let Some(path) = &output.traces {
        let traces = traces.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lines = traces.iter().map(|(seed, trace)| format!("{seed} {trace:016x}\n"));
        put(path, &lines.collect::<String>())?;
    }
    let written = write(experiment, &campaign, output)?;
    let verdict = campaign.verdict(experiment);
    if output.json {
        println!("{:#}", as_json(experiment, &campaign, verdict, &written));
    } else {
        say(experiment, &campaign, verdict, &written, began.elapsed());
    }
    Ok(verdict)
}

fn progress(count: u64) -> ProgressBar {
    let (bar, template) = if count > u64::MAX / 2 {
        (ProgressBar::new_spinner(), "{pos} seeds, {per_sec}  {msg}")
    } else {
        (ProgressBar::new(count), "{bar:30} {pos}/{len} seeds, {per_sec}, {eta} left  {msg}")
    };
    // The template is right: a test of the command runs it.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar()))
}

/// Writes the reports of what failed, and of one run that passed or said nothing.
fn write(experiment: &Experiment, campaign: &Campaign, output: &Output) -> Result<Vec<PathBuf>> {
    let failures = campaign.failures.values().flat_map(|runs| runs.values()).take(REPORTS);
    let mut written = Vec::new();
    for run in failures.chain(campaign.examples.values()) {
        let control = One::of(&run.plan.control(), experiment);
        written.extend(write_one(experiment, run, Some(&control), output)?);
    }
    Ok(written)
}

/// Writes the reports of a run.
pub fn write_one(
    experiment: &Experiment,
    run: &One,
    control: Option<&One>,
    output: &Output,
) -> Result<Vec<PathBuf>> {
    let name = format!("{}-{}", experiment.name, run.plan.seed);
    let file = report::file(run, experiment, control);
    let mut written = Vec::new();
    if experiment.report.json {
        let path = output.out.join(format!("{name}.json"));
        put(&path, &serde_json::to_string(&file)?)?;
        written.push(path);
    }
    if experiment.report.html {
        let path = output.out.join(format!("{name}.html"));
        put(&path, &report::html::page(run, &file))?;
        written.push(path);
    }
    if run.verdict() == Verdict::Fail {
        let wanted = &experiment.report.on_fail;
        if wanted.contains(&OnFail::Trace) {
            let path = output.out.join(format!("{name}.trace"));
            let lines = run.journal.entries.iter().map(|e| one::words(&run.plan, e) + "\n");
            put(&path, &lines.collect::<String>())?;
            written.push(path);
        }
        if wanted.contains(&OnFail::Shrink)
            && run.plan.world != World::Processes
            && let Some(small) = shrink::shrink(&run.plan, experiment, SHRINKING)
        {
            let path = output.out.join(format!("{name}-small.toml"));
            put(&path, &small.regression(experiment).map_err(anyhow::Error::msg)?)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Writes a file.
pub fn put(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Fail => "fail",
    }
}

pub fn as_json(
    experiment: &Experiment,
    campaign: &Campaign,
    verdict: Verdict,
    written: &[PathBuf],
) -> serde_json::Value {
    json!({
        "experiment": experiment.name,
        "verdict": word(verdict),
        "seeds": campaign.seeds,
        "passed": campaign.passed,
        "inconclusive": campaign.inconclusive,
        "failed": campaign.failed,
        "broken": campaign.broken,
        "sometimes": campaign.sometimes,
        "missed": campaign.missed(experiment),
        "not_judged": CATALOGUE
            .iter()
            .filter(|i| !is_judged(i.id, experiment.world))
            .map(|i| i.id)
            .collect::<Vec<_>>(),
        "doubts": campaign.doubts,
        "given_up": campaign.given_up,
        "operations": campaign.tally,
        "reports": written,
    })
}

pub fn say(
    experiment: &Experiment,
    campaign: &Campaign,
    verdict: Verdict,
    written: &[PathBuf],
    took: Duration,
) {
    let hours = campaign.virtual_time as f64 / 3.6e9;
    let minutes = took.as_secs_f64() / 60.0;
    println!("{}: {}", experiment.name, word(verdict));
    println!(
        "  {} seeds: {} passed, {} inconclusive, {} failed",
        campaign.seeds, campaign.passed, campaign.inconclusive, campaign.failed
    );
    println!(
        "  {hours:.1} cluster-hours in {:.1} s ({:.0} seeds and {:.1} cluster-hours a minute)",
        took.as_secs_f64(),
        campaign.seeds as f64 / minutes,
        hours / minutes
    );
    let tally = campaign.tally;
    println!(
        "  operations: {} ok, {} refused, {} failed, {} unknown",
        tally.ok, tally.refused, tally.failed, tally.unknown
    );
    for (id, count) in &campaign.broken {
        let says = CATALOGUE.iter().find(|i| i.id == *id).map_or("", |i| i.says);
        println!("  {id} broken in {count} seeds: {says}");
        for (seed, run) in campaign.failures.get(id).into_iter().flatten() {
            if let Some((_, Finding::Broken { at, what, .. })) = run.broken() {
                println!("    seed {seed}, {:.3} s: {what}", *at as f64 / 1e6);
            }
        }
    }
    for (doubt, count) in campaign.doubts.iter().take(5) {
        println!("  in {count} seeds: {doubt}");
    }
    if let Some(limit) = &campaign.given_up {
        println!("  given up: {limit}");
    }
    let not_judged = CATALOGUE.iter().filter(|i| !is_judged(i.id, experiment.world));
    let not_judged: Vec<&str> = not_judged.map(|i| i.id).collect();
    if experiment.world != World::Virtual {
        println!("  not judged in this world: {}", not_judged.join(", "));
    }
    let goals: Vec<_> = SOMETIMES.iter().filter(|(id, _)| is_seen(id, experiment.world)).collect();
    let reached = goals.iter().filter(|(id, _)| campaign.sometimes.contains_key(id)).count();
    println!("  goals reached: {reached} of {}", goals.len());
    for (goal, says) in goals {
        match campaign.sometimes.get(goal) {
            Some(count) => println!("    {count:7} {goal}"),
            None => println!("          - {goal}: never {says}"),
        }
    }
    for goal in campaign.missed(experiment) {
        println!("  the experiment asks for {goal}, which no seed reached");
    }
    for path in written {
        println!("  {}", path.display());
    }
}

/// Runs that shrinking may take.
const SHRINKING: u64 = 300;

pub fn mutants(arguments: &Mutants) -> Result<Verdict> {
    if !mutants::COMPILED {
        bail!("this program has no planted bugs: build it with `--features mutants`");
    }
    let (explore, whole) = (exploring(World::Virtual)?, exploring(World::InProcess)?);
    let fits = |m: &&Mutant| m.name().to_lowercase().contains(&arguments.name.to_lowercase());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut caught, mut all) = (0, 0);
    println!(
        "{:24} {:7} {:>6} of {:>5}  {:5} what is wrong",
        "planted bug", "class", "seed", "most", "by"
    );
    for mutant in Mutant::ALL.iter().filter(fits) {
        let most = arguments.seeds.unwrap_or_else(|| mutant.seeds());
        let experiment = match mutant.world() {
            threat::mutants::World::Virtual => &explore,
            threat::mutants::World::InProcess => &whole,
        };
        let found = mutants::hunt(experiment, *mutant, most, threads);
        all += 1;
        caught += u64::from(found.by.is_some());
        let class = format!("{:?}", mutant.class()).to_lowercase();
        let (seed, by) = match &found.by {
            Some((seed, run)) => {
                (seed.to_string(), run.broken().map(|(id, _)| id).unwrap_or_default())
            }
            None => ("-".into(), "-"),
        };
        println!("{:24} {class:7} {seed:>6} of {most:>5}  {by:5} {}", mutant.name(), mutant.says());
        if let Some((_, run)) = found.by.as_ref().filter(|_| arguments.shrink) {
            let began = Instant::now();
            if let Some(small) = shrink::shrink(&run.plan, experiment, SHRINKING) {
                println!(
                    "{:24} {} of {} faults, {} operations, {} runs, {:.1} s",
                    "  shrunk",
                    small.plan.faults.len(),
                    run.plan.faults.len(),
                    small.operations,
                    small.runs,
                    began.elapsed().as_secs_f64()
                );
            }
        }
    }
    println!("{caught} of {all} found");
    Ok(if caught == all { Verdict::Pass } else { Verdict::Fail })
}
