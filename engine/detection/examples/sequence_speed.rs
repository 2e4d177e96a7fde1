//! Measures training and scoring of the sequence model on made-up tokens:
//! `cargo run --release -p detection --example sequence_speed`.
#![expect(clippy::disallowed_methods, reason = "an example measures time; the engine does not")]
#![expect(clippy::unwrap_used, reason = "an example ends at the first error")]

use detection::block::{Block, HISTORY_TOKENS, History};
use detection::detector::{Model, TrainOptions};
use detection::detectors::sequence::Sequence;
use detection::schema::Schema;
use ndarray::Array2;
use std::sync::Arc;
use std::time::Instant;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

/// Entities in turns, each walking over the alphabet with some habit.
fn block(rows: usize, entities: usize, alphabet: u16, seed: u64) -> Block {
    let mut rng = Rng::new(seed);
    let schema = Schema {
        name: "speed".into(),
        version: 1,
        numeric: Vec::new(),
        categories: Vec::new(),
        tokens: alphabet,
    };
    let mut past = vec![History::default(); entities];
    let mut last = vec![0u16; entities];
    let (mut entity, mut token, mut history) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let e = rng.below(entities);
        let step = if rng.chance(0.7) { 1 } else { rng.below(usize::from(alphabet)) as u16 };
        last[e] = (last[e] + step) % alphabet;
        entity.push(EntityId(threat::entropy::mix64(e as u64)));
        token.push(last[e]);
        history.push(past[e]);
        past[e].push(last[e]);
    }
    Block {
        schema: Arc::new(schema),
        raw: Array2::zeros((rows, 0)),
        categories: Array2::zeros((rows, 0)),
        encoded: Array2::zeros((rows, 0)),
        entity,
        token,
        history,
        time: vec![Timestamp::default(); rows],
    }
}

fn main() {
    println!("history of {HISTORY_TOKENS} tokens");
    for alphabet in [32, 256] {
        let start = Instant::now();
        let training = block(20_000, 200, alphabet, 1);
        let model = Sequence::train(&training, &TrainOptions { seed: 1 }).unwrap();
        println!("alphabet {alphabet}: 20,000 tokens learnt in {:.2?}", start.elapsed());
        for entities in [200, 20_000] {
            let rows = block(200_000, entities, alphabet, 2);
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
            let micros = best / rows.len() as f64 * 1e6;
            println!("alphabet {alphabet}, {entities} entities: {micros:.3} µs a row");
        }
        let bytes = model.encode().unwrap();
        println!("alphabet {alphabet}: artifact of {} bytes", bytes.len());
    }
}
