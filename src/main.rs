//! The `watchfire` command: parses arguments, calls the node, prints.
//!
//! One file per subcommand; nothing is decided here.

use clap::{CommandFactory, Parser, Subcommand};
use std::io::IsTerminal as _;
use std::process::ExitCode;

#[macro_use]
mod print;

mod asking;
mod bench;
mod bundle;
mod ca;
mod cluster;
mod config;
mod detect;
mod evaluate;
mod explain;
mod forecast;
mod generate;
mod join;
mod label;
mod models;
mod node;
mod paths;
mod picture;
mod playbook;
mod region;
mod send;
mod simulate;
mod threats;
mod train;
mod up;
mod workload;

/// Exit codes, beside 0: the run completed, findings or not.
mod exit {
    /// The run could not complete, or there was nothing to read.
    pub const FAILED: u8 = 1;
    /// `--fail-on` was given and a finding is at least that severe.
    pub const FOUND: u8 = 3;
    /// `explain --verify` did not get the stored bits again.
    pub const NOT_VERIFIED: u8 = 4;
    /// Interrupted before the inputs ended.
    pub const INTERRUPTED: u8 = 130;
}

/// Reads security logs and says what is wrong in them, how sure it is, and why.
#[derive(Parser)]
#[command(name = "watchfire", version, about, max_term_width = 100, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell more of what goes on: -v progress of learning, -vv every actor.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

const AFTER: &str = "\
Examples:
  watchfire generate --out sample --campaign scan        a day's logs with a labelled attack
  watchfire detect sample                                what is wrong in them
  watchfire detect --baseline good/ --report r.html new/ learn from known-good logs first
  watchfire detect --follow /var/log/zeek/conn.log --output findings.ndjson
  watchfire explain 3f2a9c                               why a finding was told
  watchfire label 3f2a9c fp                              it was none: learn from it
  watchfire forecast --input hourly.csv --horizon 72     what comes, with intervals

Exit codes: 0 completed, 1 failed, 2 wrong usage, 3 --fail-on met, 4 not verified,
  130 interrupted.";

/// What `completions --help` ends with.
const COMPLETIONS: &str = "\
Examples:
  watchfire completions bash > ~/.local/share/bash-completion/completions/watchfire
  watchfire completions zsh > \"${fpath[1]}/_watchfire\"
  watchfire completions fish > ~/.config/fish/completions/watchfire.fish";

#[derive(Subcommand)]
enum Command {
    /// Read logs and report what is wrong in them
    Detect(Box<detect::Arguments>),
    /// Tell why a finding was told, and check it
    Explain(explain::Arguments),
    /// Say whether a finding was right; thresholds and models learn from it at once
    Label(label::Arguments),
    /// Learn a model bundle from known-good logs
    Train(train::Arguments),
    /// List and inspect model bundles
    Models(models::Arguments),
    /// Say what the next hours and days bring, from counts per hour
    Forecast(Box<forecast::Arguments>),
    /// Write seeded traffic with labelled attack campaigns
    Generate(generate::Arguments),
    /// Judge labelled data with the detectors of `detect`, and measure how well
    #[command(subcommand)]
    Evaluate(Box<evaluate::Evaluate>),
    /// Try a cluster on this machine: nodes in several regions that agree with one another
    Up(up::Arguments),
    /// Run one node of a cluster
    Node(node::Arguments),
    /// Make a node of this machine with a token, and run it
    Join(join::Arguments),
    /// Send logs to a cluster, which judges them and says what it keeps
    Send(send::Arguments),
    /// Look at the members of a cluster, and change them
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// List, look at and handle the threats that the nodes of a cluster share
    #[command(subcommand)]
    Threats(Box<threats::Threats>),
    /// Bring models to all nodes of a cluster, step by step, and take them back
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Agree on response playbooks in a cluster
    #[command(subcommand)]
    Playbook(playbook::Playbook),
    /// Look at regions, empty them, fail them over and back
    #[command(subcommand)]
    Region(region::Region),
    /// Look at who owns what, and move it
    #[command(subcommand)]
    Workload(workload::Workload),
    /// Make the certificates of a cluster
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Check and write configurations of nodes
    #[command(subcommand)]
    Config(config::Config),
    /// Measure throughput, latency and memory of the whole path and of each stage
    Bench(bench::Arguments),
    /// Break a cluster by seed and see what holds
    #[command(subcommand)]
    Simulate(Box<simulate::Simulate>),
    /// Print a shell completion script
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff): `watchfire man | man -l -` shows it
    Man,
}

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let simulates = std::env::args_os().nth(1).is_some_and(|first| first == "simulate");
        // What `simulate` ends with says what it found, and 2 is one of these.
        let code =
            if simulates && error.use_stderr() { simulate::USAGE } else { error.exit_code() as u8 };
        let _ = error.print();
        std::process::exit(code.into())
    });
    // openraft calls each try to reach a node that is down an error; status tells who is.
    let level = ["error,ractor=off,openraft=off", "info,ractor=off,openraft=warn", "debug"]
        [usize::from(cli.verbose.min(2))];
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = match cli.command {
        Command::Detect(arguments) => detect::run(*arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Label(arguments) => label::run(&arguments),
        Command::Train(arguments) => train::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Evaluate(what) => evaluate::run(&what),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Up(arguments) => up::run(&arguments),
        Command::Node(arguments) => node::run(&arguments),
        Command::Join(arguments) => join::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Cluster(what) => cluster::run(&what),
        Command::Threats(what) => threats::run(&what),
        Command::Bundle(what) => bundle::run(&what),
        Command::Playbook(what) => playbook::run(&what),
        Command::Region(what) => region::run(&what),
        Command::Workload(what) => workload::run(&what),
        Command::Ca(what) => ca::run(&what),
        Command::Config(what) => config::run(&what),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Simulate(what) => Ok(simulate::run(&what)),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "watchfire",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => manual(),
    };
    done.unwrap_or_else(|error| {
        // A reader that went away (`watchfire … | head`) is no error.
        let pipe = error.downcast_ref::<std::io::Error>();
        if pipe.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("watchfire: {}", told(&error));
        ExitCode::from(exit::FAILED)
    })
}

/// An error with its causes; one that already says its cause does not say it twice.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// One page: the command, then each subcommand.
fn manual() -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    let mut out = std::io::stdout().lock();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for sub in command.get_subcommands() {
        let name = format!("watchfire-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().name(name)).render(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A runtime for the node: as many threads as the machine has processors.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
