//! The features actor of a shard: owns its entities' state, describes dealt batches, matches rules.
//!
//! Rules run here, before any detector is asked, so that no detector's fault can keep them from
//! running. A panic inside the rule engine costs that batch its matches and is reported.

use super::messages::{Deal, EnsembleMessage, FeaturesMessage, Part};
use crate::mailbox::{Envelope, Inbox, Slip};
use crate::observe::Observed;
use detection::engine::matches;
use detection::features::state::Piece;
use detection::features::{Featurizer, Limits};
use detection::rules::{Matched, RuleSet};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What an operator sees of it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct View {
    /// Batches described.
    pub batches: u64,
    /// Events described.
    pub events: u64,
    /// Entities with full windows.
    pub hot: usize,
    /// Entities with compact state.
    pub compact: usize,
    /// Batches whose rules panicked.
    pub rule_panics: u64,
    /// Entries of entities' state that it went on with.
    pub restored: u64,
    /// Entries that were none, or of another version: their entities begin anew.
    pub not_restored: u64,
}

/// The actor.
#[derive(Clone)]
pub struct Features {
    /// How much it remembers.
    pub limits: Limits,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Who decides.
    pub ensemble: Inbox<EnsembleMessage>,
    /// Where it publishes.
    pub observed: Observed<View>,
}

/// Its state.
pub struct State {
    featurizer: Featurizer,
    view: View,
}

impl Actor for Features {
    type Msg = Envelope<FeaturesMessage>;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State { featurizer: Featurizer::new(self.limits), view: View::default() })
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (message, slip) = envelope.open();
        match message {
            FeaturesMessage::Deal(deal) => return self.describe(deal, slip, state),
            FeaturesMessage::Take(tell) => {
                // Whoever asked may be gone.
                let _gone = tell.send(state.featurizer.take_changed());
            }
            FeaturesMessage::Restore(pieces) => state.restore(&pieces),
        }
        self.observed.publish(state.view);
        Ok(())
    }
}

impl State {
    fn restore(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match self.featurizer.restore(piece) {
                Ok(()) => self.view.restored += 1,
                Err(error) => {
                    self.view.not_restored += 1;
                    tracing::debug!("an entity begins anew: {error}");
                }
            }
        }
        (self.view.hot, self.view.compact) = self.featurizer.entities();
    }
}

impl Features {
    fn describe(
        &self,
        deal: Deal,
        slip: Slip,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let features = state.featurizer.extract(&deal.batch, deal.rows, &deal.around, deal.bundle);
        let matching = AssertUnwindSafe(|| matches(&self.rules, &features));
        let matched = catch_unwind(matching).unwrap_or_else(|_| {
            state.view.rule_panics += 1;
            tracing::error!(batch = deal.batch.sequence, "the rule engine panicked");
            vec![Matched::default(); features.rows.len()]
        });
        let view = &mut state.view;
        view.batches += 1;
        view.events += features.rows.len() as u64;
        (view.hot, view.compact) = state.featurizer.entities();
        self.observed.publish(*view);
        let part = Part {
            features: Arc::new(features),
            matched,
            parts: deal.parts,
            read_at: deal.read_at,
            slip,
        };
        // A batch whose ensemble is gone has no verdict: fail, so that the shard starts over.
        Ok(self
            .ensemble
            .send(EnsembleMessage::Decide(Box::new(part)))
            .map_err(|e| e.to_string())?)
    }
}
