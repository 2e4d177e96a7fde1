//! `watchfire node`: one node of a cluster, until it is told to end.

use anyhow::{Result, anyhow};
use clap::Args;
use node::host::cluster_files::node_config;
use node::membership::config::NodeConfig;
use node::membership::{Fatal, Member, Running, detect, reload, start};
use std::cell::Cell;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// What the help ends with.
const AFTER: &str = "\
The node takes part in agreement with the others (who is a member, which bundles and playbooks hold,
who owns what), judges the events of the entities that it owns, and shares what it finds. SIGTERM
and Ctrl-C end it after it has stored what it has applied; SIGHUP reads its certificates anew.

A failed write or sync of its disk ends the process at once with exit code 1: what reached the disk
is then unknown. Start it again once the disk is well; what it had acknowledged, others have.

Examples:
  watchfire node --config eu-1.toml --found    the first node of a new cluster, once
  watchfire node --config eu-1.toml --found --end-when-ready    then its service starts it
  watchfire node --config us-1.toml            joins by its seeds, or goes on as the member it is";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The node's configuration (`watchfire config template` writes one)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Found a new cluster: on its first node, at its first start
    #[arg(long)]
    found: bool,
    /// End once it is ready: founds a cluster ahead of the service that runs its first node
    #[arg(long, requires = "found")]
    end_when_ready: bool,
    /// End when standard input does, as whoever started it ends
    #[arg(long, hide = true)]
    while_stdin: bool,
}

impl Arguments {
    /// A node that joins by its seeds, or goes on as the member it is.
    pub fn of(config: PathBuf, while_stdin: bool) -> Self {
        Self { config, found: false, end_when_ready: false, while_stdin }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let config = node_config(&arguments.config)?;
    crate::runtime()?.block_on(async {
        let fatal = Fatal::new(|error| {
            eprintln!("watchfire: the disk failed, this node ends: {error}");
            std::process::exit(i32::from(crate::exit::FAILED));
        });
        let rules = crate::paths::rules(&config.detection.rules, true)?;
        let running = start(&config, arguments.found, fatal).await?;
        let detecting = detect(&config, &running, rules).await?;
        let status = running.member.status();
        println!("{} ({}) is node {} at {}", status.name, status.region, status.id, status.address);
        let was_ready = Cell::new(false);
        let ready = async {
            running.member.admitted().await;
            println!("ready: {} is a member", status.name);
            was_ready.set(true);
            if !arguments.end_when_ready {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            () = ready => Ok(()),
            ended = until_told(&config, &running.member, arguments.while_stdin) => ended,
            ended = detecting => {
                Err(ended.map_or_else(Into::into, |()| anyhow!("detection has ended")))
            }
        };
        let Running { member, data, models, .. } = running;
        // A failed disk has ended the process; all else costs the next start a moment.
        if let Err(error) = member.shutdown().await {
            eprintln!("warning: {error}");
        }
        drop((data, models));
        ended?;
        println!("{} has ended", status.name);
        let interrupted = ExitCode::from(crate::exit::INTERRUPTED);
        Ok(if was_ready.get() { ExitCode::SUCCESS } else { interrupted })
    })
}

/// Waits for the word to end.
async fn until_told(config: &NodeConfig, member: &Member, while_stdin: bool) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (tell, told) = tokio::sync::oneshot::channel();
    if while_stdin {
        // A thread of its own: a runtime would wait for the read when it ends.
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            while matches!(stdin.read(&mut [0]), Ok(1..)) {}
            tell.send(())
        });
    }
    tokio::pin!(told);
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            _ = terminate.recv() => return Ok(()),
            _ = &mut told, if while_stdin => return Ok(()),
            _ = hang_up.recv() => match reload(config, member) {
                Ok(()) => println!("certificates were read anew"),
                Err(error) => eprintln!("watchfire: the old certificates stay: {error}"),
            },
        }
    }
}
