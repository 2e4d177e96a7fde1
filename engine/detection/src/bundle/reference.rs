//! Rows that travel with a bundle, with the exact scores that its models must give them.

use super::ClassModels;
use crate::block::{Block, History, Token};
use crate::calibration::Calibrator;
use crate::detector::{Error, Model, RowScore};
use crate::encoder::Encoder;
use crate::schema::Schema;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{DetectorKind, EntityId, Timestamp};

/// Reference rows of a class: enough that a wrong operation shows in some bit, few enough that the
/// self-test of all classes takes milliseconds.
pub const REFERENCE_ROWS: usize = 64;

/// One reference row: what a [`Block`] holds of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceRow {
    /// Numbers in the features' own units.
    pub raw: Vec<f32>,
    /// Hash of each category's value.
    pub categories: Vec<u64>,
    /// The row's entity.
    pub entity: EntityId,
    /// Its token.
    pub token: Token,
    /// The entity's tokens before it.
    pub history: History,
    /// Event time.
    pub time: Timestamp,
}

/// Rows in event order with the bits of each model's score, `None` where it abstains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The rows.
    pub rows: Vec<ReferenceRow>,
    /// Score bits of each row by a fresh scorer of each model.
    pub expected: BTreeMap<DetectorKind, Vec<Option<u32>>>,
}

impl Reference {
    /// Takes up to [`REFERENCE_ROWS`] rows of `block`, evenly spaced and in order, and records what
    /// the models give them. The block's `encoded` columns are not looked at.
    pub fn record(
        block: &Block,
        encoder: &Encoder,
        models: &[(DetectorKind, Arc<dyn Model>, Calibrator)],
    ) -> Result<Self, Error> {
        let step = block.len().div_ceil(REFERENCE_ROWS).max(1);
        let rows = (0..block.len()).step_by(step).map(|r| ReferenceRow {
            raw: block.raw.row(r).to_vec(),
            categories: block.categories.row(r).to_vec(),
            entity: block.entity[r],
            token: block.token[r],
            history: block.history[r],
            time: block.time[r],
        });
        let mut reference = Self { rows: rows.collect(), expected: BTreeMap::new() };
        for (kind, model, _) in models {
            let scores = reference.score(&block.schema, encoder, model)?;
            reference.expected.insert(*kind, scores);
        }
        Ok(reference)
    }

    /// Records what a model that took the place of another gives the rows.
    ///
    /// # Errors
    /// When the model refuses the rows.
    pub fn renew(
        &mut self,
        kind: DetectorKind,
        (schema, encoder): (&Arc<Schema>, &Encoder),
        model: &Arc<dyn Model>,
    ) -> Result<(), Error> {
        let scores = self.score(schema, encoder, model)?;
        self.expected.insert(kind, scores);
        Ok(())
    }

    /// The rows as an encoded block; every row must have the schema's columns.
    fn block(&self, schema: &Arc<Schema>, encoder: &Encoder) -> Block {
        let (rows, numeric) = (self.rows.len(), schema.numeric.len());
        let kinds = schema.categories.len();
        let raw = Array2::from_shape_fn((rows, numeric), |(r, c)| self.rows[r].raw[c]);
        let categories = Array2::from_shape_fn((rows, kinds), |(r, c)| self.rows[r].categories[c]);
        Block {
            schema: Arc::clone(schema),
            encoded: encoder.encode(raw.view(), categories.view()),
            raw,
            categories,
            entity: self.rows.iter().map(|r| r.entity).collect(),
            token: self.rows.iter().map(|r| r.token).collect(),
            history: self.rows.iter().map(|r| r.history).collect(),
            time: self.rows.iter().map(|r| r.time).collect(),
        }
    }

    /// Score bits of every row by a fresh scorer.
    pub(super) fn score(
        &self,
        schema: &Arc<Schema>,
        encoder: &Encoder,
        model: &Arc<dyn Model>,
    ) -> Result<Vec<Option<u32>>, Error> {
        let mut out = Vec::new();
        Arc::clone(model).scorer().score(&self.block(schema, encoder), &mut out)?;
        let bits = out.iter().map(|score| match score {
            RowScore::Score(s) => Some(s.to_bits()),
            RowScore::Abstain => None,
        });
        Ok(bits.collect())
    }

    /// Whether rows and expectations have the shapes that the class needs.
    pub(super) fn check(&self, class: &ClassModels) -> Result<(), String> {
        let schema = &class.schema;
        let fits = |r: &ReferenceRow| {
            r.raw.len() == schema.numeric.len()
                && r.categories.len() == schema.categories.len()
                && (r.token == 0 || r.token < schema.tokens)
                && r.history.as_slice().iter().all(|&t| t == 0 || t < schema.tokens)
        };
        if self.rows.len() > REFERENCE_ROWS || !self.rows.iter().all(fits) {
            return Err("the reference rows have other columns than the schema".into());
        }
        if !self.expected.keys().eq(class.models.iter().map(|m| &m.0)) {
            return Err("the reference scores are not those of the models".into());
        }
        if self.expected.values().any(|scores| scores.len() != self.rows.len()) {
            return Err("a model has not one reference score a row".into());
        }
        Ok(())
    }
}
