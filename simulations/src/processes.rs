//! The world of processes: real nodes, each in a network namespace of its own, with real TLS and
//! real files. Packets between them are carried by an emulator in this process, which delays,
//! loses, repeats, holds and cuts as faults say.
//!
//! The same plan does not give the same run here: processors, disks and timers have a will of their
//! own. What each packet would meet, and what clients do, follows from the seed all the same.
//!
//! Nothing that is made has a name beyond this process: namespaces, devices and mounts go with
//! their threads and children, and children are killed when this process ends, whatever ends it.

mod asker;
mod clients;
mod cluster;
mod disk;
mod emulator;
mod ending;
mod faults;
mod harness;
mod means;
mod node;
mod orders;
pub mod probe;
mod queue;
mod seen;
mod space;
mod sys;
mod watch;

use self::cluster::Cluster;
use self::harness::Harness;
use crate::plan::{Micros, Plan};
use crate::world::Outcome;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host does not let it.
    #[error(
        "{what} cannot be had: {error}. `watchfire simulate probe` tells what this host can do"
    )]
    Host {
        /// What.
        what: &'static str,
        /// Why not.
        error: std::io::Error,
    },
    /// A file of the cluster.
    #[error(transparent)]
    Files(#[from] ::node::host::cluster_files::Error),
    /// A certificate.
    #[error("a certificate cannot be made or read: {0}")]
    Certificate(String),
    /// A node ended before all were ready.
    #[error("{name} ended before the run began: {said}")]
    Ended {
        /// Which.
        name: String,
        /// What it said last.
        said: String,
    },
    /// The cluster did not come up.
    #[error(
        "the cluster did not come up: {ready} of {count} nodes are ready, {acting} workloads have \
         an owner that acts. With --keep the nodes' logs stay"
    )]
    NotReady {
        /// Nodes that are.
        ready: usize,
        /// Of so many.
        count: usize,
        /// Workloads with an owner that acts.
        acting: usize,
    },
    /// Somebody wants it to end.
    #[error("interrupted: all that was started has ended")]
    Interrupted,
    /// A thread has ended that should not.
    #[error("a thread of the harness has ended")]
    Gone,
}

impl Error {
    const fn host(what: &'static str, error: std::io::Error) -> Self {
        Self::Host { what, error }
    }

    fn certificate(error: impl Display) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// How a run stands.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The seed.
    pub seed: u64,
    /// Which part of the run it is.
    pub phase: &'static str,
    /// Microseconds since its start.
    pub now: Micros,
    /// When it ends.
    pub end: Micros,
    /// Faults that last now.
    pub faults: Vec<&'a str>,
    /// The most memory that a node has had, in bytes.
    pub memory: u64,
}

/// How to run.
pub struct Options<'a> {
    /// The program that every node is.
    pub executable: PathBuf,
    /// Whether the folder of the run stays: configurations, states, logs.
    pub keep: bool,
    /// Set to end early.
    pub stop: &'a AtomicBool,
    /// Hears how it stands, twice a second.
    pub told: &'a dyn Fn(&Progress<'_>),
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// What happened. Its events are the packets that arrived, and it has no trace: a plan does
    /// not give the same run twice.
    pub outcome: Outcome,
    /// From nothing to processes that run.
    pub set_up: Duration,
    /// From there until all were members and every workload had an owner.
    pub ready: Duration,
    /// From the last word of a node until nothing was left.
    pub tear_down: Duration,
    /// What was kept.
    pub folder: Option<PathBuf>,
}

/// Runs a plan with real nodes.
///
/// # Errors
/// [`Error`], when it could not be run. A fault that the host cannot apply is none: the journal
/// says so, and the run says nothing.
pub fn run(plan: &Plan, options: &Options<'_>) -> Result<Ran, Error> {
    let means = means::Means::of(plan);
    let since = Instant::now();
    let environment = |folder: &std::path::Path, name: &str| means.environment(folder, name);
    let mut cluster = Cluster::start(plan, &options.executable, means.disks, environment)?;
    cluster.folder.keep = options.keep;
    let set_up = since.elapsed();
    (options.told)(&Progress {
        seed: plan.seed,
        phase: "waiting for the cluster",
        now: 0,
        end: plan.end(),
        faults: Vec::new(),
        memory: 0,
    });
    cluster.ready(plan, options.stop)?;
    let ready = since.elapsed() - set_up;
    let mut harness = Harness::new(plan, options, &mut cluster, means.clone());
    harness.run()?;
    let shared = std::sync::Arc::clone(&harness.shared);
    ending::ask_all(&cluster, &shared, plan.end())?;
    ending::read_all(&mut cluster, &shared, plan)?;
    let steps = cluster.emulator.delivered();
    let folder = options.keep.then(|| cluster.folder.path.clone());
    let since = Instant::now();
    drop(cluster);
    let tear_down = since.elapsed();
    let outcome = Outcome { journal: shared.record.take(), steps, ..Outcome::default() };
    Ok(Ran { outcome, set_up, ready, tear_down, folder })
}
