//! The load behind `watchfire bench`: real-shaped connections through each stage, through the
//! engine called straight, and through the actors.

use crate::traffic::throughput;
use crate::traffic::writers::{Log, Writer, zeek_tsv::ZeekTsv};
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::engine::{Engine, matches};
use detection::ensemble::{Answers, Ensemble};
use detection::features::{Around, FeatureBatch, Featurizer, Limits, Surroundings};
use detection::judgement::{Judged, Judgement};
use detection::rules::RuleSet;
use detection::scorers::Scorers;
use intake::{Decoder, Options};
use learning::{CLASS_MIN_ROWS, Sample, Settings};
use node::host::clock::{Clock as _, SystemClock};
use node::host::usage;
use node::report::model::Latency;
use node::run::{Request, run as detect};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Read;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use threat::{DetectorKind, EventBatch, SourceId, SourceNames, Timestamp};
use tokio::sync::watch;

/// Rows that the bench's models learn from.
const LEARNT: usize = 20_000;

/// Why a bench could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No models.
    #[error(transparent)]
    Training(#[from] learning::Error),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] node::run::Error),
    /// The connections could not be written to memory.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What to measure with.
#[derive(Clone, Debug)]
pub struct Load {
    /// Connections.
    pub events: usize,
    /// Different sources.
    pub entities: usize,
    /// Sources that are active again and again.
    pub hot: usize,
    /// Seed of all.
    pub seed: u64,
    /// Shards; 0 is one for each processor.
    pub shards: usize,
    /// Events a second of the latency run; half of what was reached when `None`.
    pub rate: Option<f64>,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Events.
    pub events: usize,
    /// Nanoseconds an event, by stage, on one thread.
    pub stages: Vec<(String, f64)>,
    /// Events a second of wall time and of processor time, the engine called straight, one thread a
    /// shard.
    pub straight: (f64, f64),
    /// The same through the actors, reading included.
    pub actors: (f64, f64),
    /// Peak resident memory in MiB.
    pub memory: f64,
    /// Rate of the latency run, and what it took from read to verdict.
    pub latency: (f64, Latency),
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} connections", self.events)?;
        let mut lines = String::new();
        for (stage, nanos) in &self.stages {
            writeln!(lines, "  {stage:28} {nanos:8.0} ns an event on one thread")?;
        }
        f.write_str(&lines)?;
        let (wall, cpu) = self.straight;
        writeln!(
            f,
            "engine called straight         {wall:8.0} events/s, {cpu:8.0} a processor second"
        )?;
        let (wall, cpu) = self.actors;
        writeln!(
            f,
            "whole path through the actors  {wall:8.0} events/s, {cpu:8.0} a processor second"
        )?;
        let share = 100.0 * self.actors.1 / self.straight.1;
        writeln!(f, "the actor path keeps {share:.0}% of the straight path, by processor time")?;
        writeln!(f, "peak memory {:.0} MiB", self.memory)?;
        let (rate, Latency { p50, p95, p99, max }) = self.latency;
        write!(
            f,
            "read to verdict at {rate:.0} events/s: p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, \
             at most {max:.1} ms"
        )
    }
}

/// Runs the bench.
///
/// # Errors
/// When nothing can be learnt, or the run fails.
pub async fn run(load: &Load) -> Result<Measured, Error> {
    let mut log = Vec::new();
    let mut writer = ZeekTsv::new(Log::Conn, false);
    writer.begin(&mut log, Timestamp::default())?;
    let (events, entities, hot) = (load.events as u64, load.entities as u32, load.hot as u32);
    for record in throughput(load.seed, events, entities, hot) {
        writer.write(&mut log, &record, &[])?;
    }
    let log = Arc::new(log);
    let (rules, _) = RuleSet::load(true, &[]);
    let rules = Arc::new(rules);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if load.shards == 0 { processors } else { load.shards };
    let mut measured = Measured { events: load.events, ..Measured::default() };
    let bundle = Arc::new(learn(&log, load.seed)?);
    stages(&log, &rules, &bundle, &mut measured);
    measured.straight = straight(&log, &rules, &bundle, shards);
    let whole = through_actors(&log, &rules, &bundle, shards, None).await?;
    measured.actors = (whole.0, whole.1);
    measured.memory = usage::peak_memory_mib();
    let rate = load.rate.unwrap_or(whole.0 / 2.0);
    let paced = through_actors(&log, &rules, &bundle, shards, Some(rate)).await?;
    measured.latency = (rate, paced.2);
    Ok(measured)
}

fn batches(log: &[u8]) -> impl Iterator<Item = EventBatch> + '_ {
    let mut decoder = Decoder::new(SourceId(0), Options::default());
    let mut chunks = log.chunks(128 << 10);
    let mut sequence = 0;
    std::iter::from_fn(move || {
        loop {
            if let Some(mut batch) = decoder.next_batch(false) {
                batch.sequence = sequence;
                sequence += 1;
                return Some(batch);
            }
            decoder.push(chunks.next()?);
        }
    })
}

fn learn(log: &[u8], seed: u64) -> Result<Bundle, Error> {
    let mut surroundings = Surroundings::default();
    let mut featurizer = Featurizer::new(Limits::per_shard(1));
    let mut sample = Sample::default();
    for batch in batches(log).take(LEARNT / threat::limits::BATCH_EVENTS) {
        let batch = Arc::new(batch);
        let around = surroundings.observe(&batch);
        let rows = (0..batch.events.len() as u32).collect();
        sample.add(&featurizer.extract(&batch, rows, &around, None), |_| true);
    }
    let settings =
        Settings { seed, version: 1, origin: "bench".into(), class_rows: CLASS_MIN_ROWS };
    Ok(learning::train(&sample.blocks(), &settings)?)
}

/// Times one stage.
struct Stage {
    name: String,
    began: Duration,
    total: Duration,
}

impl Stage {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), began: Duration::ZERO, total: Duration::ZERO }
    }

    fn time<T>(&mut self, clock: &SystemClock, work: impl FnOnce() -> T) -> T {
        self.began = clock.now();
        let done = work();
        self.total += clock.now().saturating_sub(self.began);
        done
    }
}

fn stages(log: &[u8], rules: &RuleSet, bundle: &Arc<Bundle>, measured: &mut Measured) {
    let clock = SystemClock::start();
    let mut decode = Stage::new("decode");
    let mut around = Stage::new("surroundings");
    let mut features = Stage::new("features and encoding");
    let mut rule = Stage::new("rules");
    let mut voters: Vec<(Scorers, Stage)> = DetectorKind::ALL
        .into_iter()
        .map(|kind| (Scorers::new(kind), Stage::new(kind.name())))
        .collect();
    let mut vote = Stage::new("ensemble");
    let mut ensemble = Ensemble::new(Budget::PerMillion(10.0));
    let mut surroundings = Surroundings::default();
    let mut featurizer = Featurizer::new(Limits::per_shard(1));
    let mut source = batches(log);
    let mut events = 0usize;
    while let Some(batch) = decode.time(&clock, || source.next()) {
        let batch = Arc::new(batch);
        events += batch.events.len();
        let near: Vec<Around> = around.time(&clock, || surroundings.observe(&batch));
        let rows = (0..batch.events.len() as u32).collect();
        let described: FeatureBatch = features
            .time(&clock, || featurizer.extract(&batch, rows, &near, Some(Arc::clone(bundle))));
        let hits = rule.time(&clock, || matches(rules, &described));
        let mut answers = Answers::new();
        for (scorers, stage) in &mut voters {
            let scores = stage.time(&clock, || scorers.score(&described));
            answers.insert(scorers.kind(), scores.map_err(|_| threat::verdict::Absence::Failed));
        }
        let hits = hits.into_iter().map(|m| m.hits).collect();
        vote.time(&clock, || ensemble.decide(&described, &answers, hits));
    }
    let all = [decode, around, features, rule].into_iter();
    let all = all.chain(voters.into_iter().map(|v| v.1)).chain([vote]);
    measured.stages =
        all.map(|s| (s.name, s.total.as_nanos() as f64 / events.max(1) as f64)).collect();
}

/// The same work without actors: the engine on one thread a shard, fed with decoded batches from
/// this thread, and the judgement in order behind a lock.
fn straight(log: &[u8], rules: &Arc<RuleSet>, bundle: &Arc<Bundle>, shards: usize) -> (f64, f64) {
    let clock = SystemClock::start();
    let cpu = usage::processor_time();
    let mut events = 0usize;
    let budget = Budget::PerMillion(10.0);
    let names = SourceNames::from_iter(["bench".into()]);
    let judgement = Mutex::new(Judgement::new(rules, budget, 0, names));
    std::thread::scope(|scope| {
        let queues: Vec<SyncSender<Work>> = (0..shards)
            .map(|_| {
                let (send, receive) = sync_channel::<Work>(threat::limits::SHARD_CREDITS);
                let mut engine = Engine::new(Limits::per_shard(shards), Arc::clone(rules), budget);
                let (bundle, judgement) = (Arc::clone(bundle), &judgement);
                scope.spawn(move || {
                    while let Ok(work) = receive.recv() {
                        judge(&mut engine, &bundle, judgement, work);
                    }
                });
                send
            })
            .collect();
        let mut surroundings = Surroundings::default();
        for batch in batches(log) {
            events += batch.events.len();
            let around = Arc::new(surroundings.observe(&batch));
            let mut rows: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for (row, event) in batch.events.iter().enumerate() {
                rows.entry(event.entity().id().shard(shards)).or_default().push(row as u32);
            }
            let (batch, parts) = (Arc::new(batch), rows.len());
            for (shard, rows) in rows {
                let work = (Arc::clone(&batch), rows, Arc::clone(&around), parts);
                // A shard that panicked has closed its queue; the scope tells of it.
                let _closed = queues[shard].send(work).is_err();
            }
        }
    });
    let wall = clock.now().as_secs_f64();
    let used = usage::processor_time().saturating_sub(cpu).as_secs_f64();
    (events as f64 / wall, events as f64 / used.max(1e-9))
}

/// A part of a batch on its way to a thread.
type Work = (Arc<EventBatch>, Vec<u32>, Arc<Vec<Around>>, usize);

fn judge(engine: &mut Engine, bundle: &Arc<Bundle>, judgement: &Mutex<Judgement>, work: Work) {
    let (batch, rows, around, parts) = work;
    let (features, verdicts, correlations) =
        engine.process(&batch, rows, &around, Some(Arc::clone(bundle)));
    let features = Arc::new(features);
    let judged = verdicts.into_iter().zip(correlations).enumerate().map(|(place, (v, c))| Judged {
        features: Arc::clone(&features),
        place: place as u32,
        verdict: v,
        correlation: c,
    });
    let judged = judged.collect();
    let mut judgement = judgement.lock().unwrap_or_else(PoisonError::into_inner);
    judgement.push(&batch, parts, judged);
    while judgement.settle_next().is_some() {}
}

/// A whole run over the log in memory: events a second of wall and of processor time, latencies.
async fn through_actors(
    log: &Arc<Vec<u8>>,
    rules: &Arc<RuleSet>,
    bundle: &Arc<Bundle>,
    shards: usize,
    rate: Option<f64>,
) -> Result<(f64, f64, Latency), Error> {
    let mut request = Request::new(Vec::new(), Arc::clone(rules), Budget::PerMillion(10.0));
    let reader = Paced { log: Arc::clone(log), at: 0, lines: 0, rate, clock: SystemClock::start() };
    request.readers.push(("bench".into(), Box::new(reader)));
    request.bundle = Some(Arc::clone(bundle));
    request.shards = shards;
    let (_stop, stopped) = watch::channel(false);
    let (clock, cpu) = (SystemClock::start(), usage::processor_time());
    let report = detect(request, stopped, |_| ()).await?;
    let wall = clock.now().as_secs_f64();
    let used = usage::processor_time().saturating_sub(cpu).as_secs_f64();
    let events = report.verdicts.total as f64;
    Ok((events / wall, events / used.max(1e-9), report.latency_ms))
}

/// Gives a log out no faster than `rate` lines a second.
struct Paced {
    log: Arc<Vec<u8>>,
    at: usize,
    lines: u64,
    rate: Option<f64>,
    clock: SystemClock,
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.log[self.at..];
        let mut n = rest.len().min(buffer.len());
        if let Some(rate) = self.rate {
            // Two milliseconds' worth at a time, as a busy sensor writes.
            n = n.min((rate * 0.002 * 130.0) as usize + 1);
            self.lines += rest[..n].iter().filter(|&&b| b == b'\n').count() as u64;
            let due = Duration::from_secs_f64(self.lines as f64 / rate);
            let early = due.saturating_sub(self.clock.now());
            if !early.is_zero() {
                std::thread::sleep(early);
            }
        }
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}
