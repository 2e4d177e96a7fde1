//! `watchfire evaluate users`: commands of accounts, some of which somebody else typed.

use super::outcome::Outcome;
use anyhow::{Context, Result, bail};
use detection::calibration::Budget;
use learning::evaluation::users::{Account, judge};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use threat::DetectorKind;

/// Commands in a block.
const BLOCK: usize = 100;

/// What the help ends with.
const AFTER: &str = "\
The folder holds a NAME.txt for each account, one command a line, in blocks of 100. The labels are
CSV: `user,block,masquerader`. The first 50 blocks of each account are clean, and learnt; later
ones with a label are judged. Rows are `user:block`.
`score` is the mean evidence of a block's commands that somebody else typed them; `users` its
calibrated tail.";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Folder of commands
    #[arg(long, value_name = "DIR")]
    commands: PathBuf,
    /// Which blocks are to be judged, and which of them are masqueraded (1)
    #[arg(long, value_name = "CSV")]
    labels: PathBuf,
    /// Where row, label, score and verdict go, as CSV
    #[arg(long, value_name = "CSV")]
    scores: PathBuf,
    /// How many false verdicts are accepted: N% or N/million (blocks)
    #[arg(long, default_value = "1%", value_name = "RATE")]
    budget: Budget,
    /// Blocks of each account, from its first, that are known to be its owner's
    #[arg(long, default_value_t = 50, value_name = "N")]
    clean: usize,
    /// Seed of training
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Label of each block to judge, by the account's name and the block's place.
type Labels = BTreeMap<(String, usize), bool>;

fn labels(path: &Path, clean: usize) -> Result<Labels> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut all = Labels::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
        let place = || format!("{}:{}", path.display(), number + 1);
        let fields: Vec<&str> = line.trim().split(',').collect();
        let [user, block, masquerader] = fields[..] else {
            bail!("{}: not `user,block,masquerader`", place());
        };
        let block: usize = block.parse().with_context(place)?;
        if block >= clean {
            all.insert((user.to_owned(), block), masquerader != "0");
        }
    }
    if all.is_empty() {
        bail!("{}: no labels beyond the clean blocks", path.display());
    }
    Ok(all)
}

fn accounts(folder: &Path, labels: &Labels, clean: usize) -> Result<Vec<Account>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_stem().map(|n| n.to_string_lossy().into_owned()) else {
            continue;
        };
        if path.extension().is_none_or(|e| e != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let commands: Vec<String> = text.lines().map(Into::into).collect();
        let blocks: Vec<Vec<String>> = commands.chunks(BLOCK).map(<[_]>::to_vec).collect();
        let judged = (0..blocks.len()).filter(|b| labels.contains_key(&(name.clone(), *b)));
        all.push(Account { judged: judged.collect(), name, blocks, clean });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

pub fn run(arguments: &Args) -> Result<ExitCode> {
    let labels = labels(&arguments.labels, arguments.clean)?;
    let accounts = accounts(&arguments.commands, &labels, arguments.clean)?;
    let start = Instant::now();
    let judged = judge(&accounts, &arguments.budget, arguments.seed)?;
    let took = start.elapsed();
    let keys: Vec<(String, usize)> =
        accounts.iter().flat_map(|a| a.judged.iter().map(|b| (a.name.clone(), *b))).collect();
    if keys.len() < labels.len() {
        bail!("{} labelled blocks are not in the folder", labels.len() - keys.len());
    }
    let outcome = Outcome {
        rows: keys.iter().map(|(user, block)| format!("{user}:{block}")).collect(),
        positive: keys.iter().map(|key| labels[key]).collect(),
        label: "masquerader",
        detector: DetectorKind::Users.name(),
        judged,
    };
    outcome.write(&arguments.scores)?;
    println!("learnt from {} accounts, judged {} blocks in {took:.2?}", accounts.len(), keys.len());
    outcome.print(arguments.seed)?;
    Ok(ExitCode::SUCCESS)
}
