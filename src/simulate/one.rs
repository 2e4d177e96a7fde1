//! One run: again, step by step, or smaller.

use super::{Replay, Shrink, many, real};
use anyhow::{Context, Result, bail};
use simulations::experiment::World as Place;
use simulations::in_process;
use simulations::invariants::Finding;
use simulations::journal::Entry;
use simulations::plan::Plan;
use simulations::report::{FORMAT, File, name};
use simulations::run::{Run, Verdict};
use simulations::shrink;
use simulations::world::{NodeState, World};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let file: File = serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of a run", path.display()))?;
    if file.format != FORMAT {
        bail!("{}: format {} is not {FORMAT}", path.display(), file.format);
    }
    Ok(file)
}

pub fn replay(arguments: &Replay) -> Result<Verdict> {
    let file = read(&arguments.report)?;
    if file.plan.world == Place::Processes {
        return replay_real(&file, arguments);
    }
    let run = Run::of(&file.plan, &file.experiment);
    let trace = format!("{:016x}", run.trace);
    if trace == file.trace_hash {
        println!("seed {}: the same {} events again, trace {trace}", file.seed, run.steps);
    } else {
        if file.plan.world == Place::InProcess && !in_process::REPEATS {
            println!("this program was not built to repeat runs of nodes in one process");
        }
        println!(
            "seed {}: not the same run: trace {trace}, the report has {}. Another version of the \
             program gives another run of a plan",
            file.seed, file.trace_hash
        );
        first_difference(&file, &run);
    }
    let broken = run.broken();
    let until = arguments.until.or(match broken {
        Some((_, Finding::Broken { at, .. })) => Some(*at),
        _ => None,
    });
    let until = until.unwrap_or(file.plan.end()).min(file.plan.end());
    let states = match file.plan.world {
        Place::InProcess => in_process::states(&file.plan, until).map_err(anyhow::Error::msg)?,
        _ => {
            let mut world = World::new(&file.plan);
            world.run_until(until);
            world.states()
        }
    };
    let before = run.journal.entries.partition_point(|entry| entry.at <= until);
    show(&file.plan, &run.journal.entries[..before], until, arguments);
    show_states(&states);
    if let Some((id, Finding::Broken { at, what, .. })) = broken {
        println!("\n{id} is broken at {:.6} s: {what}", *at as f64 / 1e6);
    }
    Ok(run.verdict())
}

/// The same plan with real nodes once more: what happens is as it happens.
fn replay_real(file: &File, arguments: &Replay) -> Result<Verdict> {
    println!(
        "seed {}: the same plan with real nodes once more, which is not the same run: processors, \
         disks and timers have a will of their own",
        file.seed
    );
    let run = real::again(&file.plan, &file.experiment)?;
    let broken = run.broken();
    let end = match broken {
        Some((_, Finding::Broken { at, .. })) => *at,
        _ => file.plan.end(),
    };
    let end = arguments.until.unwrap_or(end);
    println!("the last events before {:.6} s:", end as f64 / 1e6);
    let upto = run.journal.entries.partition_point(|entry| entry.at <= end);
    for entry in &run.journal.entries[upto.saturating_sub(arguments.last)..upto] {
        println!("{}", words(&file.plan, entry));
    }
    let verdict = run.verdict();
    println!("\nit was {}, it is {}", many::word(file.verdict), many::word(verdict));
    if let Some((id, Finding::Broken { at, what, .. })) = broken {
        println!("{id} is broken at {:.6} s: {what}", *at as f64 / 1e6);
    }
    for doubt in &run.doubts {
        println!("it says nothing: {doubt}");
    }
    Ok(verdict)
}

/// The first line of the report's timeline that is another one now.
fn first_difference(file: &File, run: &Run) {
    for line in &file.timeline {
        let now = run.journal.entries.get(line.place);
        let same = now.is_some_and(|entry| {
            entry.at == line.at
                && serde_json::to_value(&entry.what).is_ok_and(|what| what == line.what)
        });
        if !same {
            println!(
                "  first difference, event {}: {:.6} s {}",
                line.place,
                line.at as f64 / 1e6,
                line.what
            );
            if let Some(entry) = now {
                println!("  is now:         {}", words(&file.plan, entry));
            }
            return;
        }
    }
}

/// A line about an event.
pub fn words(plan: &Plan, entry: &Entry) -> String {
    let who = entry.who.map(|who| name(plan, who)).unwrap_or_default();
    let what = serde_json::to_string(&entry.what).unwrap_or_default();
    format!("{:12.6} s  {who:10} {what}", entry.at as f64 / 1e6)
}

fn show(plan: &Plan, entries: &[Entry], until: u64, arguments: &Replay) {
    let first = entries.len().saturating_sub(arguments.last);
    println!("\nthe last events before {:.6} s:", until as f64 / 1e6);
    for entry in &entries[first..] {
        println!("{}", words(plan, entry));
        if arguments.step {
            let _ = std::io::stdout().flush();
            let mut line = String::new();
            if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
        }
    }
}

fn show_states(states: &[NodeState]) {
    println!(
        "\n{:12} {:7} {:>6} {:>8} {:>7} {:>8}",
        "node", "is", "term", "applied", "acts", "threats"
    );
    for state in states {
        println!(
            "{:12} {:7} {:>6} {:>8} {:>7} {:>8}{}",
            state.name,
            state.standing,
            state.term,
            state.applied,
            state.acting,
            state.threats,
            if state.leads { "  leads" } else { "" }
        );
    }
}

pub fn shrink(arguments: &Shrink) -> Result<Verdict> {
    let file = read(&arguments.report)?;
    if file.plan.world == Place::Processes {
        return real::no_shrinking();
    }
    let began = Instant::now();
    let Some(shrunk) = shrink::shrink(&file.plan, &file.experiment, arguments.runs) else {
        println!("seed {} breaks nothing: there is nothing to shrink", file.seed);
        return Ok(Verdict::Pass);
    };
    let run = Run::of(&shrunk.plan, &file.experiment);
    println!(
        "{} is still broken with {} of {} faults and {} operations; {} runs in {:.1} s",
        shrunk.invariant,
        shrunk.plan.faults.len(),
        file.plan.faults.len(),
        shrunk.operations,
        shrunk.runs,
        began.elapsed().as_secs_f64()
    );
    for fault in &shrunk.plan.faults {
        println!(
            "  {} {:?} for {} ms: {:?}",
            fault.id,
            fault.when,
            fault.lasts / 1_000,
            fault.action
        );
    }
    let out = arguments.out.clone().unwrap_or_else(|| {
        let stem = arguments.report.file_stem().unwrap_or_default().to_string_lossy();
        arguments.report.with_file_name(format!("{stem}-small.json"))
    });
    let small = simulations::report::file(&run, &file.experiment, None);
    let out = out.with_extension("json");
    many::put(&out, &serde_json::to_string(&small)?)?;
    println!("  {}: what happens, to be replayed", out.display());
    let kept = out.with_extension("toml");
    many::put(&kept, &shrunk.regression(&file.experiment).map_err(anyhow::Error::msg)?)?;
    println!("  {}: the experiment, to be run with other versions", kept.display());
    Ok(Verdict::Fail)
}
