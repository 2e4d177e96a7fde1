//! The threats actor of a node: every verdict passes here, in the order of the batches.

use super::messages::Decided;
use super::models::{ADOPTION, Learner, train};
use super::recorder::{Accounted, Record, Recorder};
use super::watch::Watch;
use crate::mailbox::{Envelope, Slip};
use crate::observe::Observed;
use crate::ports::Clock;
use detection::judgement::{Judged, Judgement, Settled};
use detection::rules::RuleSet;
use detection::tally::Tally;
use learning::{Plan, Sample, Settings};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use threat::{SourceNames, Threat, ThreatId, Timestamp};
use tokio::sync::oneshot;

/// Verdict latencies kept to tell percentiles from: the latest minute at 100 batches a second.
const LATENCIES: usize = 6_000;

/// Where all sources stand after a batch, by name; rides with the batch that completes it.
pub type Barrier = Arc<BTreeMap<String, Vec<u8>>>;

/// To the threats actor.
pub enum ThreatsMessage {
    /// A decided part of a batch.
    Decided(Box<Decided>),
    /// Before the batch of this number all sources stand so: record it.
    Barrier(u64, Barrier),
    /// No batch from this number on will come: record, and tell all.
    Finish(u64, oneshot::Sender<Final>),
}

/// What a run found.
pub struct Final {
    /// The counts.
    pub tally: Tally,
    /// All threats that are open.
    pub threats: Vec<Threat>,
    /// Rows that models could learn from so far, of the class with most.
    pub learnt_rows: u64,
    /// Verdicts that found no room as threats.
    pub turned_away: u64,
    /// From read to verdict.
    pub latency: Latency,
}

/// Milliseconds from read to verdict over the latest batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the batches took no longer.
    pub p50: f64,
    /// 95 in 100.
    pub p95: f64,
    /// 99 in 100.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

impl Latency {
    fn of(batches: &VecDeque<Duration>) -> Self {
        let mut sorted: Vec<Duration> = batches.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |q: f64| {
            let at = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
            sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1_000.0)
        };
        Self { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), max: quantile(1.0) }
    }
}

/// What an operator sees of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct View {
    /// Events judged.
    pub events: u64,
    /// Those that are threats.
    pub threats: u64,
    /// Threats held open.
    pub open: usize,
    /// Batches judged.
    pub batches: u64,
    /// Records written.
    pub records: u64,
}

/// The actor.
#[derive(Clone)]
pub struct Threats {
    /// The rules, for correlations.
    pub rules: Arc<RuleSet>,
    /// How many false verdicts the user accepts.
    pub budget: detection::calibration::Budget,
    /// Names of the sources, by id.
    pub sources: SourceNames,
    /// Threats found before, to go on with.
    pub known: Vec<Threat>,
    /// Gives threats up when their hour is over: for runs without an end.
    pub closes: bool,
    /// Where bundles are; `None` when nothing is to be learnt.
    pub learns: Option<Learner>,
    /// Makes records durable.
    pub recorder: Arc<dyn Recorder>,
    /// Sees the verdicts as they come.
    pub watch: Arc<dyn Watch>,
    /// For latencies.
    pub clock: Arc<dyn Clock>,
    /// Where it publishes.
    pub observed: Observed<View>,
}

/// Its state.
pub struct State {
    judgement: Judgement,
    sample: Sample,
    plan: Plan,
    barriers: BTreeMap<u64, Barrier>,
    record: Record,
    examples: BTreeMap<ThreatId, u32>,
    slips: VecDeque<(u64, Slip)>,
    latencies: VecDeque<Duration>,
    read_at: BTreeMap<u64, Duration>,
    next: u64,
    newest: Option<Timestamp>,
    finish: Option<(u64, oneshot::Sender<Final>)>,
    view: View,
}

impl Threats {
    async fn decided(&self, state: &mut State, decided: Decided) -> Result<(), ActorProcessingErr> {
        let Decided { features, verdicts, correlations, parts, read_at, slip } = decided;
        self.watch.decided(&features, &verdicts, self.clock.now().saturating_sub(read_at));
        let batch = Arc::clone(&features.batch);
        let judged = verdicts
            .into_iter()
            .zip(correlations)
            .enumerate()
            .map(|(place, (verdict, correlation))| Judged {
                features: Arc::clone(&features),
                place: place as u32,
                verdict,
                correlation,
            })
            .collect();
        // The credit goes back when the batch is settled, so that parts waiting for a slower shard
        // stay bounded too.
        state.slips.push_back((batch.sequence, slip));
        state.read_at.insert(batch.sequence, read_at);
        state.judgement.push(&batch, parts, judged);
        // One by one: a record between two batches must not hold threats of the later one.
        while let Some(batch) = state.judgement.settle_next() {
            self.settled(state, batch).await?;
        }
        let next = state.next;
        state.slips.retain(|(sequence, _)| *sequence >= next);
        Ok(())
    }

    async fn settled(&self, state: &mut State, settled: Settled) -> Result<(), ActorProcessingErr> {
        let sequence = settled.batch.sequence;
        state.next = sequence + 1;
        if let Some(read_at) = state.read_at.remove(&sequence) {
            state.latencies.push_back(self.clock.now().saturating_sub(read_at));
            if state.latencies.len() > LATENCIES {
                state.latencies.pop_front();
            }
        }
        let events = settled.batch.events.len() as u64;
        let view = &mut state.view;
        view.events += events;
        view.threats += settled.threats.len() as u64;
        view.batches += 1;
        state.newest = state.newest.max(settled.batch.latest());
        state.record.accounted.push(Accounted {
            source: settled.batch.source,
            segment: settled.batch.segment,
            end_offset: settled.batch.end_offset,
            events,
            threats: settled.threats,
            verdicts: settled.verdicts,
        });
        state.record.new.extend(settled.new);
        for ((hour, counted), count) in settled.hours {
            let key = (settled.batch.source, hour, counted);
            *state.record.hours.entry(key).or_default() += count;
        }
        for (id, example) in settled.examples {
            let number = state.examples.entry(id).or_default();
            state.record.examples.push((id, *number, example));
            *number += 1;
        }
        self.learn(state, sequence, settled.lessons);
        if let Some(barrier) = state.barriers.remove(&state.next) {
            self.record(state, &barrier, false).await?;
        }
        state.view.open = state.judgement.folder.open_count();
        self.observed.publish(state.view);
        Ok(())
    }

    fn learn(
        &self,
        state: &mut State,
        sequence: u64,
        lessons: Vec<(Arc<detection::features::FeatureBatch>, u32)>,
    ) {
        let Some(learner) = &self.learns else { return };
        let host = &learner.host;
        for (features, place) in lessons {
            state.sample.add_row(&features, place);
        }
        if !host.pending() && !host.is_assigned() && state.plan.due(&state.sample) {
            host.announce(sequence + ADOPTION);
            let version = host.current().map_or(1, |b| b.version + 1);
            let origin = format!("what was watched up to batch {sequence}");
            let class_rows = learning::sample::FIRST_BUNDLE_ROWS;
            let settings = Settings { seed: learner.seed, version, origin, class_rows };
            train(learner.clone(), state.sample.blocks(), settings);
        }
        // After the announcement: whoever deals may go on only when it is known.
        host.settled(sequence + 1);
    }

    async fn record(
        &self,
        state: &mut State,
        barrier: &BTreeMap<String, Vec<u8>>,
        last: bool,
    ) -> Result<(), ActorProcessingErr> {
        let mut record = std::mem::take(&mut state.record);
        record.checkpoints.clone_from(barrier);
        record.threats = state.judgement.folder.take_changed();
        record.last = last;
        record.newest = state.newest;
        if self.closes
            && let Some(newest) = state.newest
        {
            record.closed = state.judgement.folder.close(newest);
            state.judgement.forget(record.closed.iter().map(|t| t.id));
            for closed in &record.closed {
                state.examples.remove(&closed.id);
            }
        }
        state.view.records += 1;
        // What is not durable is not acknowledged; storage that fails ends the node.
        Ok(self.recorder.record(record).await.map_err(|e| e.to_string())?)
    }

    async fn finish(&self, state: &mut State) -> Result<(), ActorProcessingErr> {
        let over = state.finish.as_ref().is_some_and(|(end, _)| state.next >= *end);
        if !over {
            return Ok(());
        }
        let barrier = state.barriers.pop_last().map(|(_, b)| b).unwrap_or_default();
        self.record(state, &barrier, true).await?;
        let Some((_, reply)) = state.finish.take() else { return Ok(()) };
        let told = Final {
            tally: std::mem::take(&mut state.judgement.tally),
            threats: state.judgement.folder.open().cloned().collect(),
            learnt_rows: state.sample.seen().values().copied().max().unwrap_or(0),
            turned_away: state.judgement.folder.turned_away(),
            latency: Latency::of(&state.latencies),
        };
        // Whoever asked may have gone; the record is written all the same.
        let _gone = reply.send(told).is_err();
        Ok(())
    }
}

impl Actor for Threats {
    type Msg = Envelope<ThreatsMessage>;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<State, ActorProcessingErr> {
        let mut judgement = Judgement::new(&self.rules, self.budget, 0, self.sources.clone());
        judgement.restore(self.known.clone());
        Ok(State {
            judgement,
            sample: Sample::default(),
            plan: Plan::default(),
            barriers: BTreeMap::new(),
            record: Record::default(),
            examples: BTreeMap::new(),
            slips: VecDeque::new(),
            latencies: VecDeque::new(),
            read_at: BTreeMap::new(),
            next: 0,
            newest: None,
            finish: None,
            view: View::default(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (message, _slip) = envelope.open();
        match message {
            ThreatsMessage::Decided(decided) => self.decided(state, *decided).await?,
            ThreatsMessage::Barrier(sequence, barrier) if sequence <= state.next => {
                self.record(state, &barrier, false).await?;
            }
            ThreatsMessage::Barrier(sequence, barrier) => {
                state.barriers.insert(sequence, barrier);
            }
            ThreatsMessage::Finish(end, reply) => state.finish = Some((end, reply)),
        }
        self.finish(state).await
    }
}
