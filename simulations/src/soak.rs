//! The soak: a source faster than the engine for as long as wanted, with broken lines in it. Its
//! law: nothing is lost or counted twice, reading is held back, and memory stays flat once all
//! tables are full.

use crate::bench::Error;
use crate::traffic::throughput::{Throughput, throughput};
use crate::traffic::writers::{Log, Writer as _, zeek_tsv::ZeekTsv};
use detection::calibration::Budget;
use detection::rules::RuleSet;
use node::host::clock::{Clock as _, SystemClock};
use node::host::usage;
use node::run::{Progress, Request, run as detect};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use threat::IntakeCounts;
use tokio::sync::{oneshot, watch};

/// One line in so many is no record.
const BROKEN_EVERY: u64 = 1_000;

/// Lines made at a time: few enough that the end of the soak is not waited for.
const LINES_AT_ONCE: u64 = 2_000;

/// Time between two looks at memory.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Growth that is no leak: allocators round, and tables differ a little in size.
const GROWTH_ALLOWED: f64 = 0.05;

/// What to soak with.
#[derive(Clone, Debug)]
pub struct Soak {
    /// How long lines come.
    pub lasts: Duration,
    /// Different sources.
    pub entities: u32,
    /// Sources that are active again and again.
    pub hot: u32,
    /// Seed of all.
    pub seed: u64,
}

/// One look at the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// When, since the start.
    pub at: Duration,
    /// Events judged by then.
    pub events: u64,
    /// Times that reading was held back by then.
    pub held_back: u64,
    /// Resident memory in MiB.
    pub memory: f64,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Soaked {
    /// Lines written, the broken ones and the header among them.
    pub lines: u64,
    /// Broken lines among them.
    pub broken: u64,
    /// What intake counted.
    pub counts: IntakeCounts,
    /// Verdicts.
    pub verdicts: u64,
    /// All looks, in order.
    pub looks: Vec<Look>,
}

impl Soaked {
    /// Median memory of the looks in a share of the run, in MiB.
    fn memory(&self, from: f64, to: f64) -> f64 {
        let part = |share: f64| (self.looks.len() as f64 * share) as usize;
        let looks = self.looks.get(part(from)..part(to)).unwrap_or_default();
        let mut all: Vec<f64> = looks.iter().map(|l| l.memory).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Memory in the second fifth, when all tables are full, and in the last, in MiB.
    pub fn growth(&self) -> (f64, f64) {
        (self.memory(0.2, 0.4), self.memory(0.8, 1.0))
    }

    /// What does not hold of what must.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let counts = &self.counts;
        if !counts.balanced() {
            problems.push(format!("read is not the sum of its parts: {counts:?}"));
        }
        if counts.read != self.lines || counts.quarantined != self.broken {
            let (lines, broken) = (self.lines, self.broken);
            problems.push(format!("{lines} lines, {broken} broken, but read: {counts:?}"));
        }
        if self.verdicts != counts.events {
            problems.push(format!("{} verdicts for {} events", self.verdicts, counts.events));
        }
        if self.looks.last().is_none_or(|l| l.held_back == 0) {
            problems.push("reading was never held back: the source was too slow".into());
        }
        let (early, late) = self.growth();
        // A soak too short to compare has shown nothing.
        if late.is_nan() || early.is_nan() || late > early * (1.0 + GROWTH_ALLOWED) {
            problems.push(format!("memory grew from {early:.0} to {late:.0} MiB"));
        }
        problems
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.looks.last().copied().unwrap_or_default();
        let rate = last.events as f64 / last.at.as_secs_f64().max(1e-9);
        let counts = &self.counts;
        writeln!(
            f,
            "{} lines in {:.0} s, {rate:.0} events/s, reading held back {} times",
            self.lines,
            last.at.as_secs_f64(),
            last.held_back
        )?;
        writeln!(
            f,
            "read {} = events {} + quarantined {} + comments {}; verdicts {}",
            counts.read, counts.events, counts.quarantined, counts.comments, self.verdicts
        )?;
        let (early, late) = self.growth();
        let peak = self.looks.iter().map(|l| l.memory).fold(0.0, f64::max);
        write!(
            f,
            "resident memory {early:.0} MiB in the second fifth, {late:.0} MiB in the last, \
             {peak:.0} MiB at most"
        )
    }
}

/// Soaks, keeping its state in `folder`; `show` is told every look.
///
/// # Errors
/// When the run ends early.
pub async fn run(soak: &Soak, folder: &Path, mut show: impl FnMut(Look)) -> Result<Soaked, Error> {
    let (over, lines, broken) = <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let source = Source::new(soak, [&lines, &broken].map(Arc::clone), Arc::clone(&over))?;
    let mut request =
        Request::new(Vec::new(), Arc::new(RuleSet::load(true, &[]).0), Budget::PerMillion(10.0));
    request.readers.push(("soak".into(), Box::new(source)));
    // As a log without an end is watched: threats close, positions are kept.
    request.follow = true;
    request.state = Some(folder.join("soak.redb"));
    let (_stop, stopped) = watch::channel(false);
    let (told, watched) = oneshot::channel();
    let clock = SystemClock::start();
    let mut running = Box::pin(detect(request, stopped, move |p| drop(told.send(p))));
    let mut looks = Vec::new();
    let mut progress: Option<Progress> = None;
    let mut watched = Some(watched);
    let report = loop {
        tokio::select! {
            report = &mut running => break report?,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if progress.is_none() {
            progress = watched.as_mut().and_then(|w| w.try_recv().ok());
            if progress.is_some() {
                watched = None;
            }
        }
        let at = clock.now();
        if at >= soak.lasts {
            over.store(true, SeqCst);
        }
        let Some(progress) = &progress else { continue };
        let look = Look {
            at,
            events: progress.judged().map_or(0, |v| v.events),
            held_back: progress.reading.read().0.held_back,
            memory: usage::memory_mib(),
        };
        looks.push(look);
        show(look);
    };
    let mut counts = IntakeCounts::default();
    for source in &report.sources {
        counts.add(&source.counts);
    }
    let verdicts = report.verdicts.total;
    let (lines, broken) = (lines.load(SeqCst), broken.load(SeqCst));
    Ok(Soaked { lines, broken, counts, verdicts, looks })
}

/// Makes lines as fast as they are taken.
struct Source {
    records: Throughput,
    writer: ZeekTsv,
    ready: Vec<u8>,
    at: usize,
    made: u64,
    lines: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Source {
    fn new(
        soak: &Soak,
        [lines, broken]: [Arc<AtomicU64>; 2],
        over: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let mut writer = ZeekTsv::new(Log::Conn, false);
        let mut ready = Vec::new();
        writer.begin(&mut ready, threat::Timestamp::default())?;
        lines.store(ready.iter().filter(|&&b| b == b'\n').count() as u64, SeqCst);
        let records = throughput(soak.seed, u64::MAX, soak.entities, soak.hot);
        Ok(Self { records, writer, ready, at: 0, made: 0, lines, broken, over })
    }

    fn refill(&mut self) -> std::io::Result<()> {
        self.ready.clear();
        self.at = 0;
        if self.over.load(SeqCst) {
            return Ok(());
        }
        for _ in 0..LINES_AT_ONCE {
            self.made += 1;
            if self.made.is_multiple_of(BROKEN_EVERY) {
                self.ready.extend_from_slice(b"not\xff a\trecord\n");
                self.broken.fetch_add(1, SeqCst);
            } else if let Some(record) = self.records.next() {
                self.writer.write(&mut self.ready, &record, &[])?;
            }
        }
        self.lines.fetch_add(LINES_AT_ONCE, SeqCst);
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.ready.len() {
            self.refill()?;
        }
        let rest = &self.ready[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}
