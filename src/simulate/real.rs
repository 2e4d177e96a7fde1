//! Runs with real nodes, one after the other, and what the host can do for them.

use super::{Output, many};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use simulations::campaign::Campaign;
use simulations::experiment::{Experiment, Limit, Seeds, Stop};
use simulations::journal::What;
use simulations::plan::{Action, Plan, expand};
use simulations::processes::{self, Error, Options, Progress, Ran, probe};
use simulations::run::{Run as One, Verdict};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Times of the harness itself, of all runs.
#[derive(Default)]
struct Times {
    set_up: Vec<Duration>,
    ready: Vec<Duration>,
    tear_down: Vec<Duration>,
    power_cuts: usize,
    kept: Vec<PathBuf>,
}

/// When runs are given up.
struct Limits<'a> {
    stop: &'a Stop,
    began: Instant,
    reached: Mutex<Option<Limit>>,
}

impl Limits<'_> {
    /// Whether one is passed.
    fn reached(&self, memory: u64) -> bool {
        let Some(limit) = self.stop.reached(self.began, Some(memory)) else { return false };
        // Nothing that holds it can leave it half changed.
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(*limit);
        true
    }

    fn given_up(&self) -> Option<Limit> {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs seeds until all are, or somebody interrupts.
pub fn run(experiment: &Experiment, seeds: Seeds, kept: bool, output: &Output) -> Result<Verdict> {
    std::fs::create_dir_all(&output.out)
        .with_context(|| format!("{} cannot be made", output.out.display()))?;
    let began = Instant::now();
    let (mut campaign, mut times) = (Campaign::default(), Times::default());
    let mut written = Vec::new();
    let stop = interrupted();
    let limits = Limits { stop: &experiment.stop, began, reached: Mutex::default() };
    for seed in (seeds.from..).take(usize::try_from(seeds.count).unwrap_or(usize::MAX)) {
        let plan = expand(experiment, seed);
        let ran = match one(&plan, kept, &stop, &limits) {
            Err(Error::Interrupted) if campaign.seeds > 0 || limits.given_up().is_some() => break,
            ran => ran.with_context(|| format!("seed {seed}"))?,
        };
        let folder = ran.folder.clone();
        let run = judged(&plan, experiment, ran, &mut times);
        if let Some(folder) = folder {
            keep(folder, run.verdict(), &mut times)?;
        }
        if !output.json {
            tell(&run, &times);
        }
        written.extend(many::write_one(experiment, &run, None, output)?);
        campaign.add(run);
    }
    campaign.given_up = limits.given_up();
    let verdict = campaign.verdict(experiment);
    if output.json {
        let mut value = many::as_json(experiment, &campaign, verdict, &written);
        value["seconds"] = json!({
            "set_up": mean(&times.set_up),
            "ready": mean(&times.ready),
            "tear_down": mean(&times.tear_down),
            "all": began.elapsed().as_secs_f64(),
        });
        value["power_cuts"] = times.power_cuts.into();
        value["kept"] = json!(times.kept);
        println!("{value:#}");
        return Ok(verdict);
    }
    many::say(experiment, &campaign, verdict, &written, began.elapsed());
    let hours = began.elapsed().as_secs_f64() / 3_600.0;
    println!(
        "  {:.0} runs an hour; {:.2} s to set up, {:.1} s more until all were ready, {:.2} s to \
         tear down",
        campaign.seeds as f64 / hours,
        mean(&times.set_up),
        mean(&times.ready),
        mean(&times.tear_down)
    );
    if times.power_cuts > 0 {
        let cuts = times.power_cuts;
        println!("  {cuts} power cuts of a node, {:.0} an hour", cuts as f64 / hours);
    }
    for folder in &times.kept {
        println!("  kept: {}", folder.display());
    }
    Ok(verdict)
}

/// Runs a report's plan once more.
pub fn again(plan: &Plan, experiment: &Experiment) -> Result<One> {
    let never = Limits { stop: &Stop::default(), began: Instant::now(), reached: Mutex::default() };
    let ran = one(plan, false, &interrupted(), &never)?;
    Ok(judged(plan, experiment, ran, &mut Times::default()))
}

/// Set once somebody wants the program to end.
fn interrupted() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&stop);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Without a runtime the signal ends this process, and all that it started with it.
        if let Ok(runtime) = runtime
            && runtime.block_on(crate::detect::stop_signal()).is_ok()
        {
            own.store(true, Ordering::Relaxed);
        }
    });
    stop
}

fn one(plan: &Plan, keep: bool, stop: &AtomicBool, limits: &Limits<'_>) -> Result<Ran, Error> {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let told = |progress: &Progress<'_>| {
        let Progress { seed, phase, now, end, faults, memory } = progress;
        if limits.reached(*memory) {
            stop.store(true, Ordering::Relaxed);
        }
        let (now, end) = (*now as f64 / 1e6, *end as f64 / 1e6);
        let faults = if faults.is_empty() { "-".to_owned() } else { faults.join(", ") };
        bar.set_message(format!("seed {seed}: {phase}, {now:.0} of {end:.0} s, now: {faults}"));
        bar.tick();
    };
    let executable = std::env::current_exe().unwrap_or_else(|_| "watchfire".into());
    let ran = processes::run(plan, &Options { executable, keep, stop, told: &told });
    bar.finish_and_clear();
    ran
}

fn judged(plan: &Plan, experiment: &Experiment, ran: Ran, times: &mut Times) -> One {
    times.set_up.push(ran.set_up);
    times.ready.push(ran.ready);
    times.tear_down.push(ran.tear_down);
    let cut = |what: &What| match what {
        What::FaultBegins { fault, nodes } => {
            let power = matches!(plan.faults[*fault].action, Action::PowerCut(..));
            if power { nodes.len() } else { 0 }
        }
        _ => 0,
    };
    let entries = ran.outcome.journal.entries.iter();
    times.power_cuts += entries.map(|entry| cut(&entry.what)).sum::<usize>();
    One::judge(plan, experiment, ran.outcome)
}

/// Keeps what a run left, unless it passed.
fn keep(folder: PathBuf, verdict: Verdict, times: &mut Times) -> Result<()> {
    if verdict == Verdict::Pass {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    } else {
        times.kept.push(folder);
    }
    Ok(())
}

fn tell(run: &One, times: &Times) {
    let last = |all: &[Duration]| all.last().map_or(0.0, Duration::as_secs_f64);
    let broken = run.broken().map_or(String::new(), |(id, _)| format!(", {id} is broken"));
    println!(
        "seed {}: {}{broken}; {} ok, {} failed or unknown; up in {:.2} s, ready {:.1} s later, \
         gone in {:.2} s",
        run.plan.seed,
        many::word(run.verdict()),
        run.tally.ok,
        run.tally.failed + run.tally.unknown,
        last(&times.set_up),
        last(&times.ready),
        last(&times.tear_down),
    );
}

fn mean(all: &[Duration]) -> f64 {
    all.iter().sum::<Duration>().as_secs_f64() / all.len().max(1) as f64
}

/// Tells what this host can do.
pub fn probe(json: bool) -> Result<Verdict> {
    let all = probe::all();
    if json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(Verdict::Pass);
    }
    println!("{:28} {:4} {:44} serves", "ability", "can", "seen");
    for ability in &all {
        let can = if ability.can { "yes" } else { "NO" };
        println!("{:28} {can:4} {:44} {}", ability.ability, ability.seen, ability.serves);
        if !ability.can {
            println!("{:33} to have it: {}", "", ability.help);
        }
    }
    Ok(Verdict::Pass)
}

/// Refuses to make a smaller plan of a run of real nodes.
pub fn no_shrinking() -> Result<Verdict> {
    bail!(
        "runs of real nodes are not shrunk: a plan does not give the same run twice. Run the \
         report's seed with `--world virtual`; what is broken there, too, can be shrunk"
    )
}
