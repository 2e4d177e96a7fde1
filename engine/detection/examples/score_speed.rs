//! How long one row takes in the encoder and each detector of tables, and how long each takes to
//! learn, on one core.
//!
//! `cargo run --release -p detection --example score_speed`

use detection::block::{Block, History};
use detection::detector::{Error, Model, TrainOptions};
use detection::detectors::bayes::Bayes;
use detection::detectors::labelled::Labelled;
use detection::detectors::{forest, neighbours};
use detection::encoder::Encoder;
use detection::schema::{Category, Group, Numeric, Schema};
use ndarray::Array2;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use threat::entropy::Rng;
use threat::limits::BATCH_EVENTS;
use threat::{EntityId, Timestamp};

const NUMERIC: usize = 16;
const CATEGORIES: usize = 6;
const TRAIN_ROWS: usize = 25_000;
const ROUNDS: usize = 200;

fn main() -> Result<(), Error> {
    let train = block(TRAIN_ROWS, 1);
    let encoder = Encoder::fit(&train.schema, &train.raw, &train.categories);
    let encoded = |mut b: Block| {
        b.encoded = encoder.encode(b.raw.view(), b.categories.view());
        b
    };
    let (train, asked) = (encoded(train), encoded(block(BATCH_EVENTS, 2)));
    println!("{NUMERIC} numbers and {CATEGORIES} categories, blocks of {BATCH_EVENTS} rows");
    time("encoder", || {
        black_box(encoder.encode(asked.raw.view(), asked.categories.view()));
        Ok(())
    })?;
    let options = TrainOptions { seed: 7 };
    // Every third row is called an attack when it is large, so that there is something to learn.
    let attack: Vec<bool> =
        (0..train.len()).map(|r| r % 3 == 0 && train.encoded[(r, 0)] > 0.0).collect();
    type Learn<'a> = &'a dyn Fn() -> Result<Arc<dyn Model>, Error>;
    let learn: [(&str, Learn<'_>); 4] = [
        ("forest", &|| forest::train(&train, &options)),
        ("bayes", &|| Ok(Arc::new(Bayes::train(&train, &options)?))),
        ("neighbours", &|| neighbours::train(&train, &options)),
        ("labelled", &|| Ok(Arc::new(Labelled::train(&train, &attack)?))),
    ];
    for (name, learn) in learn {
        let mut learnt = None;
        let took = elapsed(&mut || {
            learnt = Some(learn()?);
            Ok(())
        })?;
        println!(
            "{:>20} {:>9.2} s for {TRAIN_ROWS} rows",
            format!("{name}, learn"),
            took.as_secs_f64()
        );
        let Some(model) = learnt else { continue };
        let mut scorer = Arc::clone(&model).scorer();
        let mut out = Vec::new();
        time(name, || scorer.score(black_box(&asked), &mut out))?;
        let explain = format!("{name}, explain");
        time(&explain, || {
            for row in 0..BATCH_EVENTS {
                black_box(model.explain(&asked, row));
            }
            Ok(())
        })?;
        println!("{:>20} {:>9} bytes", format!("{name}, artifact"), model.encode()?.len());
    }
    Ok(())
}

/// Prints the median and the best time a row of `work`, which handles one block.
fn time(name: &str, mut work: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(elapsed(&mut work)?);
    }
    rounds.sort();
    let per_row = |d: Duration| d.as_nanos() as f64 / BATCH_EVENTS as f64;
    let (median, best) = (per_row(rounds[ROUNDS / 2]), per_row(rounds[0]));
    println!("{name:>20} {median:>9.0} ns a row (best {best:.0})");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock; nothing decides by it")]
fn elapsed(work: &mut impl FnMut() -> Result<(), Error>) -> Result<Duration, Error> {
    let start = std::time::Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Rows with log-normal amounts and skewed categories.
fn block(rows: usize, seed: u64) -> Block {
    let mut rng = Rng::new(seed);
    let numeric = (0..NUMERIC).map(|i| Numeric {
        name: format!("n{i}"),
        group: Group::Core,
        unit: "bytes".into(),
        volume: true,
    });
    let categories =
        (0..CATEGORIES).map(|i| Category { name: format!("c{i}"), group: Group::Core });
    let schema = Schema {
        name: "speed".into(),
        version: 1,
        numeric: numeric.collect(),
        categories: categories.collect(),
        tokens: 0,
    };
    Block {
        schema: Arc::new(schema),
        raw: Array2::from_shape_fn((rows, NUMERIC), |_| (2.0 * rng.normal()).exp() as f32),
        categories: Array2::from_shape_fn((rows, CATEGORIES), |_| {
            threat::entropy::mix64(rng.exponential(10.0) as u64)
        }),
        encoded: Array2::zeros((rows, 0)),
        entity: vec![EntityId(1); rows],
        token: vec![0; rows],
        history: vec![History::default(); rows],
        time: vec![Timestamp::default(); rows],
    }
}
