//! Scoring with a bounded memory of entities' states.
//!
//! A state is a pure function of a row's history; the memory only saves recomputing it. A
//! remembered state is used exactly when its history begins the row's history, and the steps that
//! are missing are made up, so that what a row scores never depends on what is remembered.

use super::Sequence;
use super::lstm::{LANES, State};
use crate::block::{Block, History};
use crate::detector::{Error, RowScore, Scorer};
use std::sync::Arc;
use threat::EntityId;
use threat::entropy::mix64;
use threat::limits::ENTITIES_HOT;

/// Places that one hash may fall into: the least recently used of so few is found by looking, and
/// gives nearly the same hits as one order over all.
const WAYS: usize = 8;

/// An entity's state after the start symbol and `history`.
#[derive(Clone, Debug)]
struct Remembered {
    entity: EntityId,
    used: u64,
    history: History,
    state: State,
}

/// States of the most recently seen entities, at most [`ENTITIES_HOT`]; grows as they come.
#[derive(Clone, Debug)]
pub struct Memory {
    sets: Vec<Vec<Remembered>>,
    clock: u64,
    /// States dropped to make room.
    pub evicted: u64,
    /// Tokens fed to the network.
    pub steps: u64,
}

impl Memory {
    /// Room for so many entities, rounded up to whole sets of eight.
    pub fn new(entities: usize) -> Self {
        Self {
            sets: vec![Vec::new(); entities.div_ceil(WAYS).max(1)],
            clock: 0,
            evicted: 0,
            steps: 0,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sets.iter_mut().for_each(Vec::clear);
    }

    /// Entities remembered.
    pub fn len(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }

    /// Nothing remembered.
    pub fn is_empty(&self) -> bool {
        self.sets.iter().all(Vec::is_empty)
    }

    /// The state after `history`, from what is remembered where that helps.
    fn state(&mut self, model: &Sequence, entity: EntityId, history: &History) -> State {
        self.clock += 1;
        let place = (u128::from(mix64(entity.0)) * self.sets.len() as u128) >> 64;
        let set = &mut self.sets[place as usize];
        let fresh =
            Remembered { entity, used: 0, history: History::default(), state: model.cell.first() };
        let way = match set.iter().position(|r| r.entity == entity) {
            Some(way) => way,
            None if set.len() < WAYS => {
                set.push(fresh.clone());
                set.len() - 1
            }
            None => {
                let oldest = set.iter().enumerate().min_by_key(|(_, r)| r.used);
                let way = oldest.map_or(0, |(way, _)| way);
                self.evicted += 1;
                set[way] = fresh.clone();
                way
            }
        };
        let known = &mut set[way];
        let tokens = history.as_slice();
        if !tokens.starts_with(known.history.as_slice()) {
            *known = fresh;
        }
        for &token in &tokens[known.history.as_slice().len()..] {
            model.cell.step(model.vocabulary.class(token), &mut known.state);
            self.steps += 1;
        }
        known.history = *history;
        known.used = self.clock;
        known.state
    }
}

/// The sequence model at work in one shard.
pub struct SequenceScorer {
    model: Arc<Sequence>,
    memory: Memory,
    logits: Vec<[f32; LANES]>,
}

impl SequenceScorer {
    /// Without any entity's state.
    pub fn new(model: Arc<Sequence>) -> Self {
        Self { model, memory: Memory::new(ENTITIES_HOT), logits: Vec::new() }
    }

    /// What is remembered, for metrics and for tests that forget on purpose.
    pub fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

impl Scorer for SequenceScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        if block.schema.tokens == 0 {
            out.resize(block.len(), RowScore::Abstain);
            return Ok(());
        }
        self.model.check_alphabet(block)?;
        let model = &self.model;
        for ((entity, history), token) in block.entity.iter().zip(&block.history).zip(&block.token)
        {
            let state = self.memory.state(model, *entity, history);
            let class = model.vocabulary.class(*token);
            out.push(RowScore::Score(model.cell.surprise(&state, class, &mut self.logits)));
        }
        Ok(())
    }
}
