//! Deals batches to shards: in order of event time over all inputs, numbered, with credits.
//!
//! When a shard has no credit the inputs are not read (back-pressure). Twice a second a barrier
//! goes to the threats actor: "before the batch of this number all inputs stand so", which makes
//! positions, counts and threats move together.

use crate::host::Received;
use crate::host::follow::POLL_INTERVAL;
use crate::inputs::{Error, Input, Next, reason};
use actors::detection::models::ModelHost;
use actors::detection::threats::ThreatsMessage;
use actors::detection::{Deal, FeaturesMessage};
use actors::mailbox::{CreditedRef, Inbox};
use actors::observe::Observed;
use actors::ports::Clock;
use detection::features::{Around, Surroundings};
use detection::quality::Note;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use threat::{EventBatch, EventClass, IntakeCounts};
use tokio::sync::watch;

/// Quarantined records of an input that a report shows.
const QUARANTINE_SHOWN: usize = 20;

/// Said of an input in which no record of any format was found.
const NO_LOG: &str = "not a log in a known format (zeek, suricata eve, syslog, windows, ocsf, JSON \
                      lines, csv); nothing in it was judged";

/// Time between barriers: what a kill costs in work done again.
pub const BARRIER_EVERY: Duration = Duration::from_millis(500);

/// What can be seen of a dealer while it runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    /// What was read of all inputs.
    pub counts: IntakeCounts,
    /// Bytes taken from where the inputs lie.
    pub consumed: u64,
    /// Inputs that ended.
    pub ended: usize,
    /// Times that all shards' credits were gone and reading stopped.
    pub held_back: u64,
}

/// Where batches go.
pub struct Shards {
    /// The features actor of each shard.
    pub shards: Vec<CreditedRef<FeaturesMessage>>,
    /// The threats actor.
    pub threats: Inbox<ThreatsMessage>,
    /// The models.
    pub models: ModelHost,
}

/// What to do next.
enum Choice {
    /// Deal this input's batch.
    Input(usize),
    /// Wait.
    Idle,
    /// Inputs ended: look again.
    Again,
    /// All is dealt.
    Ended,
}

/// Files open at once and merged by event time; the others wait their turn. A sensor writes a few
/// dozen logs at a time.
pub const MERGED_INPUTS: usize = 64;

/// What became of an input.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Its name.
    pub name: String,
    /// The format that was found in it.
    pub format: String,
    /// What intake did with its records.
    pub counts: IntakeCounts,
    /// What went wrong with it as a whole.
    pub problems: Vec<String>,
    /// Some of the records set aside: line, reason, beginning.
    pub quarantined: Vec<(u64, String, String)>,
    /// What became of its datagrams, where it has any.
    pub received: Received,
    /// What it delivers otherwise than at its beginning.
    pub quality: Vec<Note>,
    /// Further such notes that found no room.
    pub quality_turned_away: u64,
    /// Records of each class that were compared with its beginning.
    pub quality_compared: BTreeMap<EventClass, u64>,
}

/// Opens an input when its turn comes.
pub type Open = Box<dyn FnOnce() -> Result<Input, (String, Error)> + Send>;

/// The dealer.
pub struct Dealer {
    inputs: Vec<Input>,
    waiting: VecDeque<Open>,
    done: Vec<Done>,
    done_consumed: u64,
    /// Inputs end; batches may wait for models.
    pub patient: bool,
    shards: Shards,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    observed: Observed<View>,
    sequence: u64,
    last_barrier: Duration,
    view: View,
}

impl Dealer {
    /// A dealer that has dealt nothing.
    pub fn new(
        inputs: impl IntoIterator<Item = Open>,
        patient: bool,
        shards: Shards,
        clock: Arc<dyn Clock>,
        observed: Observed<View>,
    ) -> Self {
        let view = View::default();
        let surroundings = Surroundings::default();
        let last_barrier = clock.now();
        Self {
            inputs: Vec::new(),
            waiting: inputs.into_iter().collect(),
            done: Vec::new(),
            done_consumed: 0,
            patient,
            shards,
            surroundings,
            clock,
            observed,
            sequence: 0,
            last_barrier,
            view,
        }
    }

    /// Deals until all inputs have ended or `stop` says so. Returns the number of batches dealt.
    ///
    /// # Errors
    /// When a position cannot be written down.
    pub async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<u64, Error> {
        while !*stop.borrow() {
            // Only waiting for input may be broken off: a batch is dealt whole or not at all.
            let choice = tokio::select! {
                choice = self.choose() => choice?,
                // Whoever could stop us is gone: so are we.
                changed = stop.changed() => if changed.is_err() { break } else { continue },
            };
            match choice {
                Choice::Input(place) => {
                    let read_at = self.clock.now();
                    if let Some(batch) = self.inputs[place].deal() {
                        self.deal(batch, read_at).await?;
                    }
                }
                Choice::Again => {}
                Choice::Ended => break,
                Choice::Idle => {
                    self.barrier_if_due(self.sequence)?;
                    let soonest = self.inputs.iter().map(Input::poll_interval).min();
                    tokio::select! {
                        () = tokio::time::sleep(soonest.unwrap_or(POLL_INTERVAL)) => {}
                        _changed = stop.changed() => {}
                    }
                }
            }
        }
        self.barrier(self.sequence)?;
        self.publish();
        Ok(self.sequence)
    }

    /// The input whose next batch begins earliest.
    async fn choose(&mut self) -> Result<Choice, Error> {
        self.open();
        let mut idle = false;
        let mut ended = Vec::new();
        // Followed inputs are dealt as they come; files are merged by event time.
        let flush = !self.patient;
        let mut first: Option<(threat::Timestamp, usize)> = None;
        for (place, input) in self.inputs.iter_mut().enumerate() {
            match input.advance(flush).await? {
                Next::Ready => {
                    let ready = input.ready.as_ref();
                    let time = ready.and_then(|r| r.batch.events.first()).map(|e| e.time);
                    // A batch without events only moves a position: it goes at once.
                    let time = time.unwrap_or(threat::Timestamp::from_micros(i64::MIN));
                    if first.is_none_or(|(t, _)| time < t) {
                        first = Some((time, place));
                    }
                }
                Next::Idle => idle = true,
                Next::Ended => ended.push(place),
            }
        }
        if !ended.is_empty() {
            for place in ended.into_iter().rev() {
                let input = self.inputs.remove(place);
                self.done_consumed += input.consumed;
                self.done.push(summary(&input));
            }
            return Ok(Choice::Again);
        }
        Ok(match first {
            Some((_, place)) => Choice::Input(place),
            None if idle => Choice::Idle,
            None => Choice::Ended,
        })
    }

    /// Opens inputs whose turn has come. One that cannot be opened is done with.
    fn open(&mut self) {
        while self.inputs.len() < MERGED_INPUTS {
            let Some(open) = self.waiting.pop_front() else { break };
            match open() {
                Ok(input) => self.inputs.push(input),
                Err((name, error)) => {
                    let problems = vec![reason(&name, &error)];
                    self.done.push(Done { name, problems, ..Done::default() });
                }
            }
        }
    }

    /// What became of all inputs, in the order of their ends.
    pub fn into_done(self) -> Vec<Done> {
        let mut done = self.done;
        done.extend(self.inputs.iter().map(summary));
        done
    }

    async fn deal(&mut self, mut batch: EventBatch, read_at: Duration) -> Result<(), Error> {
        if batch.events.is_empty() {
            return Ok(());
        }
        batch.sequence = self.sequence;
        let around: Vec<Around> = self.surroundings.observe(&batch);
        let count = self.shards.shards.len();
        let mut rows: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (row, event) in batch.events.iter().enumerate() {
            rows.entry(event.entity().id().shard(count)).or_default().push(row as u32);
        }
        let bundle = self.shards.models.bundle_for(self.sequence, self.patient).await;
        // The input's position is after this batch already.
        self.barrier_if_due(self.sequence + 1)?;
        let (batch, around, parts) = (Arc::new(batch), Arc::new(around), rows.len());
        for (shard, rows) in rows {
            let deal = FeaturesMessage::Deal(Deal {
                batch: Arc::clone(&batch),
                around: Arc::clone(&around),
                rows,
                parts,
                bundle: bundle.clone(),
                read_at,
            });
            let to = &self.shards.shards[shard];
            if let Err(refused) = to.try_send(deal) {
                self.view.held_back += 1;
                to.send(refused.into_message()).await;
            }
        }
        self.sequence += 1;
        self.publish();
        Ok(())
    }

    fn barrier_if_due(&mut self, before: u64) -> Result<(), Error> {
        if self.clock.now().saturating_sub(self.last_barrier) < BARRIER_EVERY {
            return Ok(());
        }
        self.barrier(before)
    }

    fn barrier(&mut self, before: u64) -> Result<(), Error> {
        let mut positions = BTreeMap::new();
        for input in &self.inputs {
            if let Some(position) = input.position()? {
                positions.insert(input.name.clone(), position);
            }
        }
        self.last_barrier = self.clock.now();
        // Without a threats actor the node is ending; its supervisor tells why.
        let _ending =
            self.shards.threats.send(ThreatsMessage::Barrier(before, Arc::new(positions))).is_err();
        Ok(())
    }

    fn publish(&mut self) {
        let mut counts = IntakeCounts::default();
        self.inputs.iter().for_each(|i| counts.add(&i.counts()));
        self.done.iter().for_each(|d| counts.add(&d.counts));
        self.view.counts = counts;
        self.view.ended = self.done.len();
        self.view.consumed =
            self.done_consumed + self.inputs.iter().map(|i| i.consumed).sum::<u64>();
        self.observed.publish(self.view.clone());
    }
}

fn summary(input: &Input) -> Done {
    let decoder = input.decoder();
    let (counts, mut problems) = (input.counts(), input.problems.clone());
    // A text that is no log (a licence, a note) is said once, not record by record.
    if decoder.format().is_none() && counts.events == 0 && counts.quarantined > 0 {
        problems.insert(0, NO_LOG.to_owned());
    }
    Done {
        name: input.name.clone(),
        format: decoder.format().map_or_else(|| "unknown".into(), |f| f.name().to_owned()),
        counts,
        received: input.received,
        quality: input.quality.notes(),
        quality_turned_away: input.quality.turned_away(),
        quality_compared: input.quality.compared(),
        problems,
        quarantined: decoder
            .quarantine()
            .kept
            .iter()
            .take(QUARANTINE_SHOWN)
            .map(|q| (q.position.line, q.reason.to_string(), q.excerpt.to_string()))
            .collect(),
    }
}
