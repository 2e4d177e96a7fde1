//! `watchfire train`: a model bundle from known-good logs.

use crate::{paths, runtime};
use anyhow::{Context, Result, bail};
use clap::Args;
use learning::{CLASS_MIN_ROWS, Settings};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
Takes at least 2,000 benign rows. The same logs and seed give the same file.

Examples:
  watchfire train --output office.model last-month/
  watchfire detect --model office.model today/";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Logs that are known to be good: files or folders, plain or gzip
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the bundle goes
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Same logs and seed, same bytes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The bundle's version
    #[arg(long, default_value_t = 1)]
    version: u32,
    /// Year of syslog dates that have none [default: this year, or last year
    /// for dates that would lie ahead]
    #[arg(long)]
    year: Option<i16>,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (places, problems) = paths::logs(&arguments.paths);
    if let Some((name, why)) = problems.first() {
        bail!("{name}: {why}");
    }
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    let options = paths::options(arguments.year);
    let origin = arguments.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
    let settings = Settings {
        seed: arguments.seed,
        version: arguments.version,
        origin: origin.join(", "),
        class_rows: CLASS_MIN_ROWS,
    };
    let learnt = runtime()?.block_on(node::learn::bundle(&places, &options, settings));
    let (bundle, events) = learnt?;
    let bytes = bundle.encode()?;
    std::fs::write(&arguments.output, &bytes)
        .with_context(|| arguments.output.display().to_string())?;
    println!("learnt from {events} events: {} ({} bytes)", arguments.output.display(), bytes.len());
    crate::models::show(&node::recorder::describe(&bundle));
    println!("next: watchfire detect --model {} PATH", arguments.output.display());
    Ok(ExitCode::SUCCESS)
}
