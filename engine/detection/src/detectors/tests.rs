//! What tests of detectors share.

use super::CATALOGUE;
use crate::block::{Block, History};
use crate::detector::{Model, RowScore};
use crate::schema::{Group, Numeric, Schema};
use ndarray::Array2;
use std::sync::Arc;
use threat::{EntityId, Timestamp};

/// A block of numeric columns `n0`, `n1`, … whose encoded and raw values are `value(row, column)`.
pub fn block(rows: usize, width: usize, mut value: impl FnMut(usize, usize) -> f32) -> Block {
    let numeric = (0..width).map(|i| Numeric {
        name: format!("n{i}"),
        group: Group::Core,
        unit: "count".into(),
        volume: true,
    });
    let schema = Schema {
        name: "test".into(),
        version: 1,
        numeric: numeric.collect(),
        categories: vec![],
        tokens: 0,
    };
    let raw = Array2::from_shape_fn((rows, width), |(r, c)| value(r, c));
    Block {
        schema: Arc::new(schema),
        encoded: raw.clone(),
        raw,
        categories: Array2::zeros((rows, 0)),
        entity: vec![EntityId(1); rows],
        token: vec![0; rows],
        history: vec![History::default(); rows],
        time: (0..rows).map(|r| Timestamp::from_micros(r as i64)).collect(),
    }
}

/// The scores of a fresh scorer.
pub fn scores(model: Arc<dyn Model>, block: &Block) -> Vec<f32> {
    let mut out = vec![];
    model.scorer().score(block, &mut out).unwrap();
    assert_eq!(out.len(), block.len());
    out.iter()
        .map(|s| match s {
            RowScore::Score(s) => *s,
            RowScore::Abstain => panic!("abstained"),
        })
        .collect()
}

/// Area under the ROC curve: how often a loud score is above a quiet one, ties half.
pub fn auc(quiet: &[f32], loud: &[f32]) -> f64 {
    let wins: f64 = loud
        .iter()
        .flat_map(|l| quiet.iter().map(move |q| (l > q, l == q)))
        .map(|(above, tie)| {
            if above {
                1.0
            } else if tie {
                0.5
            } else {
                0.0
            }
        })
        .sum();
    wins / (quiet.len() * loud.len()) as f64
}

#[test]
fn the_catalogue_is_in_the_order_of_votes() {
    assert!(CATALOGUE.is_sorted_by(|a, b| a.kind < b.kind));
}
