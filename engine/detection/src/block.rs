//! Rows of one class of events, ready for the detectors: what is scored and what is trained on.

use crate::schema::Schema;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::{EntityId, Timestamp};

/// A token of an entity's event sequence; below [`Schema::tokens`].
pub type Token = u16;

/// Tokens of an entity's past that travel with a row. A sequence detector's state is a function of
/// these alone, so that a scorer which lost an entity's state rebuilds it exactly, and a stored
/// finding re-scores to identical bits.
pub const HISTORY_TOKENS: usize = 32;

/// Tokens kept when a full history makes room: the newest half.
pub const HISTORY_CARRY: usize = 16;

/// The last tokens of an entity before a row, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The tokens; only the first `len` count, the others are 0.
    pub tokens: [Token; HISTORY_TOKENS],
    /// How many there are.
    pub len: u8,
}

impl History {
    /// The tokens, oldest first.
    pub fn as_slice(&self) -> &[Token] {
        &self.tokens[..usize::from(self.len).min(HISTORY_TOKENS)]
    }

    /// Appends a token. A full history first forgets all but its newest [`HISTORY_CARRY`] tokens;
    /// returns whether it did, since a cached state must then be rebuilt.
    pub fn push(&mut self, token: Token) -> bool {
        let full = usize::from(self.len) >= HISTORY_TOKENS;
        if full {
            self.tokens.copy_within(HISTORY_TOKENS - HISTORY_CARRY.., 0);
            self.tokens[HISTORY_CARRY..].fill(0);
            self.len = HISTORY_CARRY as u8;
        }
        self.tokens[usize::from(self.len)] = token;
        self.len += 1;
        full
    }
}

/// Rows of one class. All per-row fields have the same length, in event order.
#[derive(Clone, Debug)]
pub struct Block {
    /// What the columns mean.
    pub schema: Arc<Schema>,
    /// `rows x numeric`, in the features' own units. Finite; an absent amount is 0.
    pub raw: Array2<f32>,
    /// `rows x categories`: stable hash of each category's value.
    pub categories: Array2<u64>,
    /// `rows x width`: standardised signed logs, then surprisals (see `encoder`); `rows x 0` until
    /// an encoder has been learnt.
    pub encoded: Array2<f32>,
    /// The entity of each row.
    pub entity: Vec<EntityId>,
    /// The token of each row; 0 where the schema has no tokens.
    pub token: Vec<Token>,
    /// The tokens of the row's entity before the row's own token.
    pub history: Vec<History>,
    /// Event time of each row.
    pub time: Vec<Timestamp>,
}

impl Block {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entity.len()
    }

    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.entity.is_empty()
    }

    /// The rows of several blocks of one schema, one block after another; `None` without a block or
    /// when their columns differ.
    pub fn concat(blocks: &[Self]) -> Option<Self> {
        use ndarray::{Axis, concatenate};
        let first = blocks.first()?;
        let raw: Vec<_> = blocks.iter().map(|b| b.raw.view()).collect();
        let categories: Vec<_> = blocks.iter().map(|b| b.categories.view()).collect();
        let encoded: Vec<_> = blocks.iter().map(|b| b.encoded.view()).collect();
        Some(Self {
            schema: Arc::clone(&first.schema),
            raw: concatenate(Axis(0), &raw).ok()?,
            categories: concatenate(Axis(0), &categories).ok()?,
            encoded: concatenate(Axis(0), &encoded).ok()?,
            entity: blocks.iter().flat_map(|b| &b.entity).copied().collect(),
            token: blocks.iter().flat_map(|b| &b.token).copied().collect(),
            history: blocks.iter().flat_map(|b| &b.history).copied().collect(),
            time: blocks.iter().flat_map(|b| &b.time).copied().collect(),
        })
    }

    /// The given rows, in the given order, as a block of their own.
    pub fn select(&self, rows: &[usize]) -> Self {
        use ndarray::Axis;
        Self {
            schema: Arc::clone(&self.schema),
            raw: self.raw.select(Axis(0), rows),
            categories: self.categories.select(Axis(0), rows),
            encoded: self.encoded.select(Axis(0), rows),
            entity: rows.iter().map(|&r| self.entity[r]).collect(),
            token: rows.iter().map(|&r| self.token[r]).collect(),
            history: rows.iter().map(|&r| self.history[r]).collect(),
            time: rows.iter().map(|&r| self.time[r]).collect(),
        }
    }
}
