//! Measures learning and scoring of the hybrid Bayes model on made-up rows of ten volumes and five
//! kinds: `cargo run --release -p detection --example bayes_speed`.
#![expect(clippy::disallowed_methods, reason = "an example measures time; the engine does not")]
#![expect(clippy::unwrap_used, reason = "an example ends at the first error")]

use detection::block::{Block, History};
use detection::detector::{Model, TrainOptions};
use detection::detectors::bayes::Bayes;
use detection::schema::{Category, Group, Numeric, Schema};
use ndarray::Array2;
use std::sync::Arc;
use std::time::Instant;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

const VOLUMES: usize = 10;
const KINDS: usize = 5;
/// True clusters: more than the mixture has components, so that none falls idle.
const CLUSTERS: usize = 64;

fn block(rows: usize, seed: u64) -> Block {
    let numeric = |i| Numeric {
        name: format!("volume_{i}"),
        group: Group::Core,
        unit: "bytes".into(),
        volume: true,
    };
    let category = |i| Category { name: format!("kind_{i}"), group: Group::Core };
    let schema = Schema {
        name: "speed".into(),
        version: 1,
        numeric: (0..VOLUMES).map(numeric).collect(),
        categories: (0..KINDS).map(category).collect(),
        tokens: 0,
    };
    let mut places = Rng::new(1);
    let centres: Vec<f64> = (0..CLUSTERS * VOLUMES).map(|_| 2.0 * places.normal()).collect();
    let mut rng = Rng::new(seed);
    let mut encoded = Vec::new();
    for _ in 0..rows {
        let cluster = rng.below(CLUSTERS);
        for centre in &centres[cluster * VOLUMES..(cluster + 1) * VOLUMES] {
            encoded.push((centre + 0.3 * rng.normal()) as f32);
        }
        encoded.extend((0..KINDS).map(|_| rng.exponential(1.0) as f32));
    }
    Block {
        raw: Array2::zeros((rows, VOLUMES)),
        categories: Array2::zeros((rows, KINDS)),
        encoded: Array2::from_shape_vec((rows, schema.width()), encoded).unwrap(),
        schema: Arc::new(schema),
        entity: vec![EntityId(1); rows],
        token: vec![0; rows],
        history: vec![History::default(); rows],
        time: vec![Timestamp::default(); rows],
    }
}

fn main() {
    let start = Instant::now();
    let model = Bayes::train(&block(20_000, 2), &TrainOptions { seed: 1 }).unwrap();
    println!("20,000 rows learnt in {:.2?}, {} components", start.elapsed(), model.components());
    let rows = block(200_000, 3);
    let batches: Vec<Block> = (0..rows.len())
        .step_by(256)
        .map(|at| rows.select(&(at..rows.len().min(at + 256)).collect::<Vec<_>>()))
        .collect();
    let mut scorer = Arc::new(model.clone()).scorer();
    let mut out = Vec::new();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        batches.iter().for_each(|b| scorer.score(b, &mut out).unwrap());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{:.3} µs a row", best / rows.len() as f64 * 1e6);
    println!("artifact of {} bytes", model.encode().unwrap().len());
}
