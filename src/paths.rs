//! Files that several subcommands are given: logs, rules, bundles, state.

use anyhow::{Context, Result, bail};
use detection::bundle::Bundle;
use detection::rules::RuleSet;
use node::host::clock::{self, Clock as _, SystemClock};
use node::host::{Place, walk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Places to read with their sizes, and what cannot be read with its reason.
pub type Found = (Vec<(Place, Option<u64>)>, Vec<(String, String)>);

/// How far ahead a log's clock may be: a day covers every time zone and a clock set wrong.
const AHEAD_SECONDS: f64 = 86_400.0;

/// Name of the state file in its folder.
const STATE_FILE: &str = "state.redb";

/// Expands what was named into places to read; what cannot be read is told, not fatal.
pub fn logs(paths: &[PathBuf]) -> Found {
    let found = walk(paths);
    let mut problems: Vec<(String, String)> =
        found.problems.into_iter().map(|p| (p.place.to_string(), p.why)).collect();
    if found.more_problems > 0 {
        problems.push(("(others)".into(), format!("{} more problems", found.more_problems)));
    }
    (found.inputs.into_iter().map(|i| (i.place, i.size)).collect(), problems)
}

/// How to decode: a syslog date without a year is of `year`, or else of the last twelve months.
pub fn options(year: Option<i16>) -> intake::Options {
    let now = SystemClock::start().wall();
    let usual = intake::Options::default();
    match year {
        Some(reference_year) => intake::Options { reference_year, ..usual },
        None => intake::Options {
            reference_year: clock::year(now),
            not_after: Some(now.plus_secs(AHEAD_SECONDS)),
            ..usual
        },
    }
}

/// Why nothing of what was named can be read.
pub fn nothing(paths: &[PathBuf]) -> String {
    let found = walk(paths);
    let mut why = Vec::new();
    if found.empty > 0 {
        why.push(format!("empty files: {}", found.empty));
    }
    if found.hidden > 0 {
        why.push(format!("hidden files, which are read only when named: {}", found.hidden));
    }
    if found.special > 0 {
        why.push(format!("sockets, devices and pipes in folders: {}", found.special));
    }
    match (why.is_empty(), found.problems.is_empty()) {
        (false, _) => why.join("; "),
        (true, false) => "none of the files can be read as a log".to_owned(),
        (true, true) => "there are no files here".to_owned(),
    }
}

/// Loads Sigma rules from files and folders, with the shipped pack unless told otherwise. A rule
/// that does not load is told on standard error, and the others are used.
pub fn rules(paths: &[PathBuf], pack: bool) -> Result<Arc<RuleSet>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            bail!("{}: no such file or folder of rules", path.display());
        }
        collect(path, &mut files)?;
    }
    let (set, problems) = RuleSet::load(pack, &files);
    for problem in problems.iter().take(10) {
        eprintln!("watchfire: rule not loaded: {}: {}", problem.file, problem.reason);
    }
    if problems.len() > 10 {
        eprintln!("watchfire: {} more rules were not loaded", problems.len() - 10);
    }
    Ok(Arc::new(set))
}

fn collect(path: &Path, files: &mut Vec<(String, String)>) -> Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
            .with_context(|| path.display().to_string())?
            .filter_map(|e| e.ok().map(|e| e.path()))
            .collect();
        entries.sort();
        for entry in entries {
            collect(&entry, files)?;
        }
        return Ok(());
    }
    if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        files.push((path.display().to_string(), text));
    }
    Ok(())
}

/// Reads and checks a bundle file.
pub fn bundle(path: &Path) -> Result<Bundle> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Bundle::decode(&bytes).with_context(|| format!("{}: not a usable bundle", path.display()))
}

/// The state file in the folder asked for, or in the usual one.
pub fn state(folder: Option<PathBuf>) -> PathBuf {
    node::host::paths::state_dir(folder).join(STATE_FILE)
}
