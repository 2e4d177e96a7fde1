//! The ensemble actor of a shard: asks the detectors, waits no longer than its patience, decides.

use super::messages::{Decided, DetectorMessage, EnsembleMessage, Part};
use super::threats::ThreatsMessage;
use crate::mailbox::{Envelope, Inbox};
use crate::observe::Observed;
use crate::ports::Clock;
use detection::calibration::Budget;
use detection::ensemble::{Answers, Ensemble, voters};
use detection::scorers::BatchScores;
use flow::breaker;
use flow::gather::{Effect, Gather, Input};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use threat::DetectorKind;

/// How often deadlines are looked at: a fraction of the shortest patience that is ever set.
pub const TICK: Duration = Duration::from_millis(5);

/// What an operator sees of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    /// Parts of batches decided.
    pub decided: u64,
    /// Parts that wait for answers.
    pub waiting: usize,
    /// Threads left behind on this actor's word.
    pub abandoned: u64,
    /// The breaker of each detector.
    pub breakers: BTreeMap<DetectorKind, breaker::Metrics>,
}

/// The actor.
#[derive(Clone)]
pub struct EnsembleActor {
    /// How many false verdicts the user accepts.
    pub budget: Budget,
    /// How long a detector may make no progress.
    pub patience: Duration,
    /// When a detector's breaker opens.
    pub breaker: breaker::Settings,
    /// The detectors.
    pub detectors: BTreeMap<DetectorKind, Inbox<DetectorMessage>>,
    /// Who gets the verdicts.
    pub threats: Inbox<ThreatsMessage>,
    /// For deadlines.
    pub clock: Arc<dyn Clock>,
    /// Where it publishes.
    pub observed: Observed<View>,
}

/// Its state.
pub struct State {
    gather: Gather<DetectorKind, BatchScores>,
    ensemble: Ensemble,
    parts: BTreeMap<u64, Part>,
    view: View,
}

impl EnsembleActor {
    fn step(
        &self,
        state: &mut State,
        input: Input<DetectorKind, BatchScores>,
    ) -> Result<(), ActorProcessingErr> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            state.gather.step(self.clock.now(), input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Call { ticket, voter } => {
                        if !self.call(state, ticket, voter) {
                            inputs.push(Input::Down { voter });
                        }
                    }
                    Effect::Abandon { voter } => {
                        state.view.abandoned += 1;
                        // A detector that is down has no thread to leave behind.
                        let _down = self
                            .detectors
                            .get(&voter)
                            .is_none_or(|d| d.send(DetectorMessage::Abandon).is_err());
                    }
                    Effect::Done { ticket, answers } => self.decide(state, ticket, &answers)?,
                }
            }
        }
        Ok(())
    }

    fn call(&self, state: &State, ticket: u64, voter: DetectorKind) -> bool {
        let (Some(part), Some(detector)) = (state.parts.get(&ticket), self.detectors.get(&voter))
        else {
            return false;
        };
        let features = Arc::clone(&part.features);
        detector.send(DetectorMessage::Score { ticket, features }).is_ok()
    }

    fn decide(
        &self,
        state: &mut State,
        ticket: u64,
        answers: &Answers,
    ) -> Result<(), ActorProcessingErr> {
        let Some(part) = state.parts.remove(&ticket) else { return Ok(()) };
        let (hits, correlations) =
            part.matched.into_iter().map(|m| (m.hits, m.correlation)).unzip();
        let verdicts = state.ensemble.decide(&part.features, answers, hits);
        state.view.decided += 1;
        let decided = Decided {
            features: part.features,
            verdicts,
            correlations,
            parts: part.parts,
            read_at: part.read_at,
            slip: part.slip,
        };
        let decided = ThreatsMessage::Decided(Box::new(decided));
        Ok(self.threats.send(decided).map_err(|e| e.to_string())?)
    }
}

/// Who is to be asked about a part: the voters of its classes, as far as there are models.
fn asked(part: &Part) -> Vec<DetectorKind> {
    if part.features.bundle.is_none() {
        return Vec::new();
    }
    let classes = part.features.blocks.iter().map(|(class, ..)| *class);
    classes.flat_map(voters).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Actor for EnsembleActor {
    type Msg = Envelope<EnsembleMessage>;
    type State = State;
    type Arguments = Inbox<EnsembleMessage>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        inbox: Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        inbox.connect(myself);
        inbox.tick(TICK, || EnsembleMessage::Tick);
        Ok(State {
            gather: Gather::new(self.patience, self.breaker, 0),
            ensemble: Ensemble::new(self.budget),
            parts: BTreeMap::new(),
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
        let input = match message {
            EnsembleMessage::Decide(part) => {
                let ticket = part.features.batch.sequence;
                let voters = asked(&part);
                state.parts.insert(ticket, *part);
                Input::Ask { ticket, voters }
            }
            EnsembleMessage::Answered { ticket, detector, answer } => {
                Input::Answered { ticket, voter: detector, answer }
            }
            EnsembleMessage::Lost(detector) => Input::Down { voter: detector },
            EnsembleMessage::Tick => {
                state.view.waiting = state.gather.waiting();
                state.view.breakers = state.gather.breakers(self.clock.now());
                self.observed.publish(state.view.clone());
                Input::Tick
            }
        };
        self.step(state, input)
    }
}
