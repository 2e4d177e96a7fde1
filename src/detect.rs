//! `watchfire detect`: from logs to explained verdicts.

use crate::{exit, paths, runtime};
use anyhow::{Context, Result, bail};
use clap::Args;
use detection::calibration::Budget;
use indicatif::{ProgressBar, ProgressStyle};
use node::host::Datagrams;
use node::report::{RunReport, page};
use node::run::{Progress, Request};
use node::summary::{self, Style};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use threat::Severity;
use tokio::sync::watch;

/// How often the progress line is renewed.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What `detect --help` ends with.
const AFTER: &str = "\
Reads zeek (TSV and JSON), suricata EVE, syslog with sshd, sudo and su, windows events as JSON,
OCSF, JSON lines and CSV, also mixed; malformed records are counted, set aside and told. The rules
judge from the first event on; the models join in once they have seen 2,000 benign rows, or at once
with --baseline or --model.

Examples:
  watchfire detect /var/log/zeek --report report.html    one page with every reason
  watchfire detect --baseline last-month/ today.log.gz   learn what is usual first
  zcat old/*.gz | watchfire detect --json -              a summary for scripts
  watchfire detect --listen 127.0.0.1:5514 --output found.jsonl
  watchfire detect --follow eve.json --output found.jsonl --fail-on high";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Files or folders to read, plain or gzip; `-` is standard input. The format is found by
    /// content
    #[arg(required_unless_present = "listen", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also take syslog over UDP here, one record a datagram, until interrupted; implies --follow.
    /// What finds no room is shed, the less urgent first, and counted
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Keep reading as files grow and are rotated; goes on where it was after a stop or a kill
    #[arg(long)]
    follow: bool,
    /// Learn from these known-good logs first: files or folders
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    baseline: Vec<PathBuf>,
    /// Use this model bundle (see `watchfire train`) instead of learning
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Sigma rules, single and correlated: files or folders of .yml; the shipped ones stay on
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Leave the shipped rules out
    #[arg(long)]
    no_shipped_rules: bool,
    /// How many false verdicts you accept: N/day, N/million (events) or N%
    #[arg(long, default_value = "10/million", value_name = "RATE")]
    budget: Budget,
    /// Write findings as OCSF 1.8 Detection Findings, one JSON object a line; `-` is standard
    /// output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a report as one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Exit with code 3 when an incident is at least this severe: low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
    /// Folder of state: positions, findings for `explain`, models [default:
    /// $XDG_STATE_HOME/watchfire or ~/.local/state/watchfire]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Keep no state: `explain` will not know these findings, --follow starts from the beginning
    #[arg(long, conflicts_with = "state")]
    no_state: bool,
    /// Year of syslog dates that have none [default: this year, or last year
    /// for dates that would lie ahead]
    #[arg(long)]
    year: Option<i16>,
    /// Slices of entities, each with threads of its own [default: one for each processor]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    shards: usize,
    /// Seed of training: same data and seed, same models
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// No progress line
    #[arg(long, short)]
    quiet: bool,
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text)
        .ok_or_else(|| "one of informational, low, medium, high, critical".to_owned())
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let (places, problems) = paths::logs(&arguments.paths);
    for (name, why) in &problems {
        eprintln!("watchfire: {name}: {why}");
    }
    let follow = arguments.follow || !arguments.listen.is_empty();
    let followed = if follow { follow_places(&arguments.paths, &places)? } else { places };
    if followed.is_empty() && arguments.listen.is_empty() {
        bail!("nothing to read: {}", paths::nothing(&arguments.paths));
    }
    if let Some(path) = &arguments.report {
        // A page that cannot be written is told before the work, not after it.
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    }
    let (baseline, bad) = paths::logs(&arguments.baseline);
    if let Some((name, why)) = bad.first() {
        bail!("baseline {name}: {why}");
    }
    let rules = paths::rules(&arguments.rules, !arguments.no_shipped_rules)?;
    let total: Option<u64> = followed.iter().map(|(_, size)| *size).sum();
    let options = paths::options(arguments.year);
    let state = (!arguments.no_state).then(|| paths::state(arguments.state.clone()));
    let request = Request {
        problems,
        follow,
        listeners: listeners(&arguments.listen)?,
        options,
        baseline: baseline.into_iter().map(|(place, _)| place).collect(),
        bundle: arguments.model.as_deref().map(paths::bundle).transpose()?.map(Arc::new),
        output: arguments.output.clone(),
        state,
        shards: arguments.shards,
        seed: arguments.seed,
        command: std::env::args().collect(),
        ..Request::new(followed, rules, arguments.budget)
    };
    let shown = !arguments.quiet && std::io::stderr().is_terminal();
    let bar = shown.then(|| progress_bar(total.filter(|_| !follow)));
    let runtime = runtime()?;
    let watched = runtime.block_on(watched(request, bar));
    // A read of a pipe that nobody writes to cannot be called off: its thread is left behind.
    runtime.shutdown_background();
    let (report, interrupted) = watched?;
    finish(&arguments, report, interrupted && !follow)
}

fn listeners(addresses: &[SocketAddr]) -> Result<Vec<Datagrams>> {
    let bind = |&address| {
        let bound = Datagrams::bind(address);
        let bound = bound.with_context(|| format!("cannot listen on udp:{address}"))?;
        eprintln!("watchfire: listening on udp:{}", bound.address());
        Ok(bound)
    };
    addresses.iter().map(bind).collect()
}

/// Followed files need not be there yet; folders stand for the files in them now.
fn follow_places(
    paths: &[PathBuf],
    found: &[(node::host::Place, Option<u64>)],
) -> Result<Vec<(node::host::Place, Option<u64>)>> {
    use node::host::Place;
    let mut all = found.to_vec();
    for path in paths {
        if path.as_os_str() == "-" {
            bail!("--follow reads files; standard input is read to its end without it");
        }
        let known = all.iter().any(|(p, _)| matches!(p, Place::File(f) if f == path));
        if !path.is_dir() && !known {
            all.push((Place::File(path.clone()), None));
        }
    }
    Ok(all)
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{bar:30} {percent:>3}% {msg} {bytes_per_sec} left {eta}")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Runs with progress on the terminal until the inputs end or a signal asks to stop.
async fn watched(request: Request, bar: Option<ProgressBar>) -> Result<(RunReport, bool)> {
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let signalled = Arc::clone(&stop);
    tokio::spawn(async move {
        if stop_signal().await.is_ok() {
            // Without a receiver the run is over already.
            let _over = signalled.send(true).is_err();
        }
    });
    let shown = bar.clone();
    let report = node::run::run(request, stopped, move |progress| {
        if let Some(bar) = shown {
            tokio::spawn(show(progress, bar));
        }
    })
    .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let interrupted = *stop.borrow();
    Ok((report?, interrupted))
}

/// Returns when a signal asks the process to end.
pub async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

async fn show(progress: Progress, bar: ProgressBar) {
    while !bar.is_finished() {
        let (reading, _) = progress.reading.read();
        let judged = progress.judged().unwrap_or_default();
        let state = if progress.models.current().is_some() { "" } else { " (learning)" };
        bar.set_position(reading.consumed);
        bar.set_message(format!(
            "{} events, {} threat verdicts{state}",
            judged.events, judged.threats
        ));
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
}

fn finish(arguments: &Arguments, mut report: RunReport, interrupted: bool) -> Result<ExitCode> {
    let mut unwritten = Ok(());
    if let Some(path) = &arguments.report {
        report.outputs.report = Some(path.display().to_string());
        unwritten = std::fs::write(path, page(&report))
            .map_err(|e| anyhow::anyhow!("the report was not written: {}: {e}", path.display()));
        if unwritten.is_err() {
            report.outputs.report = None;
        }
    }
    let to_stdout = arguments.output.as_ref().is_some_and(|p| p.as_os_str() == "-");
    let text = if arguments.json {
        format!("{:#}\n", summary::json(&report))
    } else {
        let terminal = std::io::stdout().is_terminal() && !to_stdout;
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100);
        summary::text(&report, &Style { colour, width })
    };
    if to_stdout {
        std::io::stderr().write_all(text.as_bytes())?;
    } else {
        std::io::stdout().write_all(text.as_bytes())?;
    }
    unwritten?;
    let worst = report.incidents.iter().map(|i| i.severity).max();
    if arguments.fail_on.is_some_and(|limit| worst.is_some_and(|w| w >= limit)) {
        return Ok(ExitCode::from(exit::FOUND));
    }
    if report.verdicts.total == 0 && report.sources.iter().all(|s| s.counts.read == 0) {
        let told = report.sources.iter().any(|s| !s.problems.is_empty());
        let why = if told { "see the sources above" } else { "the input is empty" };
        eprintln!("watchfire: nothing was read: {why}");
        return Ok(ExitCode::from(exit::FAILED));
    }
    Ok(if interrupted { ExitCode::from(exit::INTERRUPTED) } else { ExitCode::SUCCESS })
}
