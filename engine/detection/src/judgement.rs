//! What happens with verdicts, in the order of the batches and whatever the number of shards:
//! correlations add their hits, threats are folded, examples kept, everything counted.

use crate::calibration::Budget;
use crate::ensemble::{settle, thresholds};
use crate::explain::example;
use crate::features::FeatureBatch;
use crate::folding::{Folded, Folder, classify};
use crate::rules::{CorrelationInput, Correlator, Released, Resequencer, RuleSet};
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use threat::entropy::mix64;
use threat::limits::THREAT_EXAMPLES;
use threat::{
    Counted, EntityId, EventBatch, EventClass, Example, Severity, SourceNames, ThreatId, Verdict,
};

/// Entities that rules spoke against: their events teach no model. Beyond this the oldest by id go.
const SUSPECTS: usize = 65_536;

/// A verdict on its way, with where its features are.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The features of its shard's part.
    pub features: Arc<FeatureBatch>,
    /// Its row in them.
    pub place: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// What correlations want to know.
    pub correlation: Option<CorrelationInput>,
}

/// A batch that is judged for good.
#[derive(Debug)]
pub struct Settled {
    /// The batch.
    pub batch: Arc<EventBatch>,
    /// The events whose verdicts are threats, by their place in the batch.
    pub threats: Vec<u32>,
    /// Hash of all verdicts, in event order.
    pub verdicts: u64,
    /// Threats that were not known before.
    pub new: Vec<ThreatId>,
    /// Examples to keep with their threat.
    pub examples: Vec<(ThreatId, Example)>,
    /// The rows that may teach a model, in event order: features and place in them.
    pub lessons: Vec<(Arc<FeatureBatch>, u32)>,
    /// What there was in each hour of event time, for forecasts.
    pub hours: BTreeMap<(i64, Counted), u64>,
}

impl Settled {
    fn count(&mut self, hour: i64, counted: Counted) {
        *self.hours.entry((hour, counted)).or_default() += 1;
    }
}

/// The machine behind the threats actor.
pub struct Judgement {
    resequencer: Resequencer<Judged>,
    correlator: Correlator,
    budget: Budget,
    thresholds: BTreeMap<(u64, EventClass), f32>,
    /// The open threats.
    pub folder: Folder,
    /// The counts of the run.
    pub tally: Tally,
    examples: BTreeMap<ThreatId, usize>,
    suspects: BTreeSet<EntityId>,
    sources: SourceNames,
    batches: BTreeMap<u64, Arc<EventBatch>>,
    /// Complete and in order, to be settled one by one.
    released: VecDeque<Released<Judged>>,
}

impl Judgement {
    /// Judges batches numbered from `first`; `sources` are the names of the node's sources by id.
    pub fn new(rules: &RuleSet, budget: Budget, first: u64, sources: SourceNames) -> Self {
        Self {
            resequencer: Resequencer::new(first),
            correlator: Correlator::new(rules),
            budget,
            thresholds: BTreeMap::new(),
            folder: Folder::default(),
            tally: Tally::default(),
            examples: BTreeMap::new(),
            suspects: BTreeSet::new(),
            sources,
            batches: BTreeMap::new(),
            released: VecDeque::new(),
        }
    }

    /// Takes back threats that were found before; their examples were kept then.
    pub fn restore(&mut self, threats: Vec<threat::Threat>) {
        self.examples.extend(threats.iter().map(|t| (t.id, THREAT_EXAMPLES)));
        self.folder.restore(threats);
    }

    /// Takes one of the `parts` parts of a batch. Call [`Self::settle_next`] until it has no more.
    pub fn push(&mut self, batch: &Arc<EventBatch>, parts: usize, judged: Vec<Judged>) {
        self.batches.insert(batch.sequence, Arc::clone(batch));
        let items = judged.into_iter().map(|j| (j.features.rows[j.place as usize], j));
        let mut released = Vec::new();
        // A part of a batch that was given up comes too late to count; the resequencer counts it.
        if self.resequencer.push(batch.sequence, parts, items, &mut released).is_err() {
            return;
        }
        self.released.extend(released);
    }

    /// Settles the next batch whose parts are all there, and no later one: what is recorded between
    /// two calls holds no trace of the second.
    pub fn settle_next(&mut self) -> Option<Settled> {
        loop {
            let batch = self.released.pop_front()?;
            let Some(events) = self.batches.remove(&batch.sequence) else { continue };
            return Some(self.settle(events, batch.items.into_iter().map(|(_, j)| j)));
        }
    }

    fn settle(&mut self, batch: Arc<EventBatch>, items: impl Iterator<Item = Judged>) -> Settled {
        let mut settled = Settled {
            batch,
            threats: Vec::new(),
            verdicts: 0,
            new: Vec::new(),
            examples: Vec::new(),
            lessons: Vec::new(),
            hours: BTreeMap::new(),
        };
        for judged in items {
            let event = &judged.features.batch.events[judged.verdict.event as usize];
            let mut verdict = judged.verdict;
            if let Some(input) = &judged.correlation {
                let hits = self.correlator.feed(input);
                if !hits.is_empty() {
                    verdict.rules.extend(hits);
                    settle(&mut verdict, self.threshold(&judged.features, event.class()));
                }
            }
            self.tally.add(event, &verdict);
            settled.count(event.time.hour(), Counted::Events(event.class()));
            if let Some(account) = event.user.as_ref() {
                let window = &judged.features.windows[judged.place as usize];
                self.tally.accounts.observe(account, event.time, window);
            }
            settled.verdicts = mix64(
                settled.verdicts
                    ^ verdict.inputs
                    ^ u64::from(verdict.score.to_bits())
                    ^ u64::from(verdict.threat) << 40,
            );
            let entity = event.entity().id();
            let spoken_against = verdict.rules.iter().any(|h| h.severity > Severity::Low);
            if spoken_against {
                if self.suspects.len() >= SUSPECTS {
                    self.suspects.pop_first();
                }
                self.suspects.insert(entity);
            }
            let teaches =
                verdict.rules.is_empty() && !verdict.threat && !self.suspects.contains(&entity);
            if teaches {
                settled.lessons.push((Arc::clone(&judged.features), judged.place));
            }
            if verdict.threat {
                settled.threats.push(verdict.event);
                self.fold(&judged.features, judged.place, &verdict, &mut settled);
            }
        }
        settled
    }

    fn fold(
        &mut self,
        features: &FeatureBatch,
        place: u32,
        verdict: &Verdict,
        settled: &mut Settled,
    ) {
        let event = &features.batch.events[verdict.event as usize];
        let (hour, class) = (event.time.hour(), classify(verdict).0);
        settled.count(hour, Counted::Attacks(class));
        let id = match self.folder.fold(event, verdict) {
            Folded::TurnedAway => return,
            Folded::New(id) => {
                settled.count(hour, Counted::Threats(class));
                settled.new.push(id);
                id
            }
            Folded::Grown(id) => id,
        };
        let kept = self.examples.entry(id).or_default();
        if *kept < THREAT_EXAMPLES {
            *kept += 1;
            let source = self.sources.get(features.batch.source);
            let source = source.as_deref().unwrap_or("?");
            settled.examples.push((id, example(features, place as usize, verdict, source)));
        }
    }

    /// Forgets what belongs to threats that are closed.
    pub fn forget(&mut self, closed: impl Iterator<Item = ThreatId>) {
        for id in closed {
            self.examples.remove(&id);
        }
    }

    fn threshold(&mut self, features: &FeatureBatch, class: EventClass) -> f32 {
        let Some(bundle) = &features.bundle else { return f32::INFINITY };
        let budget = &self.budget;
        *self.thresholds.entry((bundle.id(), class)).or_insert_with(|| {
            bundle.classes.get(&class).map_or(f32::INFINITY, |m| thresholds(m, budget).1)
        })
    }
}
