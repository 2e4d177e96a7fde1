//! How well the sequence model tells abnormal HDFS block sessions from normal ones:
//! `cargo run --release -p detection --example sequence_hdfs [train normal abnormal]`.
//!
//! Without arguments the sessions of `../shared/data/hdfs` are split here: 70% of the normal ones
//! are learnt, the others and 3,000 abnormal ones judged. A session ends with a token of its own,
//! and scores by its greatest surprise.
#![expect(clippy::disallowed_methods, reason = "an example reads files and measures time")]
#![expect(clippy::unwrap_used, reason = "an example ends at the first error")]

use detection::block::{Block, History, Token};
use detection::detector::{Model, RowScore, TrainOptions};
use detection::detectors::sequence::Sequence;
use detection::schema::Schema;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

type Session = Vec<String>;

/// Numbers the events met in training from 1; 0 ends a session, the last one is any other event.
struct Alphabet(BTreeMap<String, Token>);

impl Alphabet {
    fn of(sessions: &[Session]) -> Self {
        let mut all: BTreeMap<String, Token> =
            sessions.iter().flatten().map(|event| (event.clone(), 0)).collect();
        all.values_mut().zip(1..).for_each(|(token, i)| *token = i);
        Self(all)
    }

    fn size(&self) -> Token {
        self.0.len() as Token + 2
    }

    fn tokens<'a>(&'a self, session: &'a [String]) -> impl Iterator<Item = Token> + 'a {
        let other = self.size() - 1;
        session.iter().map(move |event| self.0.get(event).copied().unwrap_or(other)).chain([0])
    }
}

/// Each session as an entity of its own; `entity` holds the session's number.
fn block(sessions: &[Session], alphabet: &Alphabet) -> Block {
    let schema = Schema {
        name: "hdfs".into(),
        version: 1,
        numeric: Vec::new(),
        categories: Vec::new(),
        tokens: alphabet.size(),
    };
    let (mut entity, mut token, mut history) = (Vec::new(), Vec::new(), Vec::new());
    for (number, session) in sessions.iter().enumerate() {
        let mut past = History::default();
        for t in alphabet.tokens(session) {
            entity.push(EntityId(number as u64));
            token.push(t);
            history.push(past);
            past.push(t);
        }
    }
    let rows = entity.len();
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

/// The greatest surprise of each session.
fn judge(model: &Arc<Sequence>, sessions: &[Session], alphabet: &Alphabet) -> Vec<f32> {
    let block = block(sessions, alphabet);
    let mut out = Vec::new();
    Arc::clone(model).scorer().score(&block, &mut out).unwrap();
    let mut worst = vec![f32::MIN; sessions.len()];
    for (score, entity) in out.iter().zip(&block.entity) {
        if let RowScore::Score(s) = score {
            let w = &mut worst[entity.0 as usize];
            *w = w.max(*s);
        }
    }
    worst
}

/// Area under the ROC curve, ties counted half.
fn auc(normal: &[f32], abnormal: &[f32]) -> f64 {
    let mut sorted = normal.to_vec();
    sorted.sort_by(f32::total_cmp);
    let wins = abnormal.iter().map(|a| {
        let under = sorted.partition_point(|n| n < a);
        let upto = sorted.partition_point(|n| n <= a);
        (under + upto) as f64 / 2.0
    });
    wins.sum::<f64>() / (normal.len() * abnormal.len()) as f64
}

/// Share of abnormal sessions above the score that at most 1% of normal ones exceed.
fn found_at_one_percent(normal: &[f32], abnormal: &[f32]) -> f64 {
    let mut sorted = normal.to_vec();
    sorted.sort_by(f32::total_cmp);
    let limit = sorted[sorted.len() - 1 - sorted.len() / 100];
    abnormal.iter().filter(|&&a| a > limit).count() as f64 / abnormal.len() as f64
}

fn read(path: &str) -> Option<Vec<Session>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(|l| l.split_whitespace().map(Into::into).collect()).collect())
}

/// Sessions to learn, normal and abnormal ones to judge.
fn sessions() -> Option<[Vec<Session>; 3]> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [train, normal, abnormal] = given.as_slice() {
        return Some([read(train)?, read(normal)?, read(abnormal)?]);
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/hdfs");
    let mut train = read(&format!("{folder}/normal.txt"))?;
    let mut abnormal = read(&format!("{folder}/abnormal.txt"))?;
    let mut rng = Rng::new(42);
    rng.shuffle(&mut train);
    rng.shuffle(&mut abnormal);
    abnormal.truncate(3_000);
    let normal = train.split_off(train.len() * 7 / 10);
    Some([train, normal, abnormal])
}

fn main() {
    let Some([train, normal, abnormal]) = sessions() else {
        println!("no HDFS sessions here");
        return;
    };
    let alphabet = Alphabet::of(&train);
    let learnt = block(&train, &alphabet);
    println!("{} sessions, {} tokens of {}", train.len(), learnt.len(), alphabet.size());
    for seed in 1..=6 {
        let start = Instant::now();
        let model = Arc::new(Sequence::train(&learnt, &TrainOptions { seed }).unwrap());
        let took = start.elapsed();
        let (normal, abnormal) =
            (judge(&model, &normal, &alphabet), judge(&model, &abnormal, &alphabet));
        println!(
            "seed {seed}: learnt in {took:.2?}, AUC {:.4}, TPR at 1% FPR {:.3}",
            auc(&normal, &abnormal),
            found_at_one_percent(&normal, &abnormal)
        );
    }
}
