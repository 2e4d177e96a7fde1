//! `watchfire evaluate sequences`: sessions of event numbers, as log parsers write them.

use super::outcome::Outcome;
use anyhow::{Context, Result, bail};
use detection::calibration::Budget;
use learning::evaluation::sequences::{Session, judge};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use threat::DetectorKind;

/// What the help ends with.
const AFTER: &str = "\
A session is a line of event numbers or names, separated by blanks. Rows are numbered from 0
through the normal file and on through the abnormal one. `score` is the surprise of the session's
most surprising event; `sequence` its calibrated tail.";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Normal sessions to learn from
    #[arg(long, value_name = "TXT")]
    train: PathBuf,
    /// Normal sessions to judge
    #[arg(long, value_name = "TXT")]
    normal: PathBuf,
    /// Abnormal sessions to judge
    #[arg(long, value_name = "TXT")]
    abnormal: PathBuf,
    /// Where row, label, score and verdict go, as CSV
    #[arg(long, value_name = "CSV")]
    scores: PathBuf,
    /// How many false verdicts are accepted: N% or N/million (sessions)
    #[arg(long, default_value = "1%", value_name = "RATE")]
    budget: Budget,
    /// Seed of training
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

fn read(path: &Path) -> Result<Vec<Session>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let session = |line: &str| line.split_whitespace().map(Into::into).collect();
    let sessions: Vec<Session> = text.lines().map(session).collect();
    if sessions.is_empty() {
        bail!("{}: no sessions", path.display());
    }
    Ok(sessions)
}

pub fn run(arguments: &Args) -> Result<ExitCode> {
    let training = read(&arguments.train)?;
    let mut sessions = read(&arguments.normal)?;
    let normal = sessions.len();
    sessions.extend(read(&arguments.abnormal)?);
    let start = Instant::now();
    let judged = judge(&training, &sessions, &arguments.budget, arguments.seed)?;
    let took = start.elapsed();
    let outcome = Outcome {
        rows: (0..sessions.len()).map(|row| row.to_string()).collect(),
        positive: (0..sessions.len()).map(|row| row >= normal).collect(),
        label: "abnormal",
        detector: DetectorKind::Sequence.name(),
        judged,
    };
    outcome.write(&arguments.scores)?;
    println!("learnt from {} sessions, judged {} in {took:.2?}", training.len(), sessions.len());
    outcome.print(arguments.seed)?;
    Ok(ExitCode::SUCCESS)
}
