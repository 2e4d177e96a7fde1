//! Parity with an independent computation, the gradient, and the laws of training and scoring.

use super::gradient::Gradient;
use super::lstm::{EMBED, GATES, State};
use super::scorer::SequenceScorer;
use super::*;
use crate::block::History;
use crate::detector::RowScore;
use crate::schema::Schema;
use ndarray::Array2;
use proptest::prelude::*;
use threat::entropy::Rng;
use threat::{EntityId, Timestamp};

/// Rows of entities' token sequences, taken in turns.
pub(crate) fn block_of(alphabet: Token, sequences: &[Vec<Token>]) -> Block {
    let schema = Schema {
        name: "test".into(),
        version: 1,
        numeric: Vec::new(),
        categories: Vec::new(),
        tokens: alphabet,
    };
    let (mut entity, mut token, mut history) = (Vec::new(), Vec::new(), Vec::new());
    let mut past = vec![History::default(); sequences.len()];
    for i in 0..sequences.iter().map(Vec::len).max().unwrap_or(0) {
        for (e, sequence) in sequences.iter().enumerate() {
            if let Some(&t) = sequence.get(i) {
                entity.push(EntityId(e as u64 * 7 + 1));
                token.push(t);
                history.push(past[e]);
                past[e].push(t);
            }
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

/// Entities that repeat a cycle of seven tokens, each from a start of its own.
fn cycles(entities: usize, length: usize, seed: u64) -> Vec<Vec<Token>> {
    let mut rng = Rng::new(seed);
    let mut cycle = |_| {
        let start = rng.below(7);
        (0..length).map(|i| ((start + i) % 7) as Token).collect()
    };
    (0..entities).map(&mut cycle).collect()
}

fn options() -> TrainOptions {
    TrainOptions { seed: 11 }
}

fn scores(model: &Sequence, block: &Block) -> Vec<f32> {
    let mut out = Vec::new();
    Arc::new(model.clone()).scorer().score(block, &mut out).unwrap();
    let number = |s: &RowScore| match s {
        RowScore::Score(x) => *x,
        RowScore::Abstain => panic!("abstained"),
    };
    out.iter().map(number).collect()
}

/// Weights by a formula that the golden file's maker shares; see its `about`.
fn formula_weights(classes: usize) -> Weights {
    let v = |part: usize, row: usize, column: usize| {
        let n = (part * 131 + row * 31 + column * 17) * 7919 % 2003;
        (n as f64 / 2003.0 - 0.5) as f32
    };
    let mut w = Weights::zeros(classes);
    for k in 0..EMBED {
        (0..=classes).for_each(|s| w.embed[s][k] = v(1, s, k));
        for j in 0..GATES {
            w.input[k][j] = v(2, k, j);
            w.recur[k][j] = v(3, k, j);
        }
        (0..classes).for_each(|c| w.out[k][c] = 3.0 * v(5, k, c));
    }
    (0..GATES).for_each(|j| w.bias[0][j] = v(4, 0, j));
    w.out_bias[0].fill(lstm::FILLER_BIAS);
    (0..classes).for_each(|c| w.out_bias[0][c] = v(6, 0, c));
    w
}

#[test]
fn steps_match_an_independent_computation() {
    let golden = include_str!("../../../tests/golden/sequence_lstm.json");
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    let vocabulary = Vocabulary::new(6, vec![0, 1, 2, 3]).unwrap();
    let model = Sequence::from_parts(vocabulary, formula_weights(5), 0.0);
    let (mut state, mut logits) = (model.cell.first(), Vec::new());
    for step in golden["steps"].as_array().unwrap() {
        let class = model.vocabulary.class(step["token"].as_u64().unwrap() as Token);
        for (got, want) in state.hidden.iter().zip(step["hidden"].as_array().unwrap()) {
            assert!((f64::from(*got) - want.as_f64().unwrap()).abs() < 2e-6);
        }
        let got = f64::from(model.cell.surprise(&state, class, &mut logits));
        assert!((got - step["surprise"].as_f64().unwrap()).abs() < 1e-5, "{got} {step}");
        model.cell.step(class, &mut state);
    }
}

/// The summed surprise by the equations, in doubles, of weights in flat order.
fn textbook_loss(flat: &[f64], inputs: &[usize], targets: &[Option<usize>], classes: usize) -> f64 {
    let shape = Weights::zeros(classes);
    let mut start = 0;
    let parts: Vec<&[f64]> = shape
        .parts()
        .iter()
        .map(|p| {
            start += p.len();
            &flat[start - p.len()..start]
        })
        .collect();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c, mut loss) = ([0.0; UNITS], [0.0; UNITS], 0.0);
    for (&x, target) in inputs.iter().zip(targets) {
        let z: Vec<f64> = (0..GATES)
            .map(|j| {
                let from_input: f64 =
                    (0..EMBED).map(|k| parts[0][x * EMBED + k] * parts[1][k * GATES + j]).sum();
                let from_past: f64 = (0..UNITS).map(|k| h[k] * parts[2][k * GATES + j]).sum();
                from_input + from_past + parts[3][j]
            })
            .collect();
        for j in 0..UNITS {
            c[j] = sigmoid(z[UNITS + j]) * c[j] + sigmoid(z[j]) * z[2 * UNITS + j].tanh();
            h[j] = sigmoid(z[3 * UNITS + j]) * c[j].tanh();
        }
        if let Some(target) = *target {
            let logit = |q: usize| {
                let row = |k: usize| (q / LANES * UNITS + k) * LANES + q % LANES;
                parts[4][q] + (0..UNITS).map(|k| h[k] * parts[5][row(k)]).sum::<f64>()
            };
            let total: f64 = (0..classes).map(|q| logit(q).exp()).sum();
            loss += total.ln() - logit(target);
        }
    }
    loss
}
const UNITS: usize = lstm::HIDDEN;

#[test]
fn gradient_matches_finite_differences() {
    let classes = 19; // two blocks, the second partly filled
    let mut rng = Rng::new(5);
    let mut weights = Weights::zeros(classes);
    for part in weights.parts_mut() {
        part.iter_mut().for_each(|x| *x = (0.5 * rng.normal()) as f32);
    }
    for lane in classes % LANES..LANES {
        weights.out_bias[1][lane] = lstm::FILLER_BIAS;
    }
    let inputs = [19, 3, 18, 0, 3, 7];
    let targets = [Some(3), None, Some(0), Some(3), Some(7), Some(18)];
    let mut gradient = Gradient::new(classes);
    let cell = Cell::new(&weights, classes);
    let loss = gradient.add(&cell, &inputs, &targets);
    gradient.finish(&weights);
    let flat: Vec<f64> = weights.to_flat().iter().map(|&x| f64::from(x)).collect();
    assert!((loss - textbook_loss(&flat, &inputs, &targets, classes)).abs() < 1e-4);
    let analytic = gradient.sum.to_flat();
    let (mut moved, step) = (0, 1e-5);
    for i in 0..flat.len() {
        let mut shifted = flat.clone();
        shifted[i] += step;
        let up = textbook_loss(&shifted, &inputs, &targets, classes);
        shifted[i] -= 2.0 * step;
        let down = textbook_loss(&shifted, &inputs, &targets, classes);
        let want = (up - down) / (2.0 * step);
        let got = f64::from(analytic[i]);
        assert!((got - want).abs() < 2e-4 * want.abs().max(0.05), "weight {i}: {got} {want}");
        moved += usize::from(want.abs() > 1e-3);
    }
    assert!(moved > flat.len() / 2, "the check must see most weights move: {moved}");
}

#[test]
fn training_repeats_bit_by_bit() {
    let block = block_of(8, &cycles(5, 30, 1));
    let bytes = |seed| Sequence::train(&block, &TrainOptions { seed }).unwrap().encode().unwrap();
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn an_odd_token_scores_above_benign_rows() {
    let model = Sequence::train(&block_of(9, &cycles(40, 60, 1)), &options()).unwrap();
    let mut benign = scores(&model, &block_of(9, &cycles(60, 60, 2)));
    benign.sort_by(f32::total_cmp);
    let limit = benign[benign.len() * 999 / 1000];
    for odd in [0, 2, 3, 5] {
        let planted: Vec<Token> = (0..20).map(|i| if i == 15 { odd } else { i % 7 }).collect();
        let score = scores(&model, &block_of(9, &[planted]))[15];
        assert!(score > limit, "token {odd} for 1: {score} under {limit}");
    }
    let unknown: Vec<Token> = (0..16).map(|i| if i == 15 { 8 } else { i % 7 }).collect();
    let score = scores(&model, &block_of(9, &[unknown]))[15];
    assert!(score > limit, "a token never seen: {score} under {limit}");
    let middle = benign[benign.len() / 2];
    assert!(middle < 0.1, "the cycle itself is learnt: {middle}");
}

#[test]
fn every_row_is_learnt_once_with_its_own_history() {
    let block = block_of(8, &cycles(3, 100, 4));
    let all = train::segments(&block);
    let counted: u32 = all.iter().map(|s| s.counted.count_ones()).sum();
    assert_eq!(counted as usize, block.len());
    assert!(all.iter().all(|s| s.tokens.len() <= crate::block::HISTORY_TOKENS + 1));
    for s in &all {
        for i in (0..s.tokens.len()).filter(|i| s.counted >> i & 1 == 1) {
            let is_row = |r: usize| {
                block.history[r].as_slice() == &s.tokens[..i] && block.token[r] == s.tokens[i]
            };
            assert!((0..block.len()).any(is_row), "{s:?} at {i}");
        }
    }
    let gaps = block.select(&(0..block.len()).filter(|r| r % 4 != 0).collect::<Vec<_>>());
    let counted: u32 = train::segments(&gaps).iter().map(|s| s.counted.count_ones()).sum();
    assert_eq!(counted as usize, gaps.len());
}

#[test]
fn the_work_budget_bounds_training() {
    let segment = |n| train::Segment { tokens: vec![0; n], counted: (1 << n) - 1 };
    let small = train::plan(&vec![segment(20); 50], 20);
    assert_eq!((small.epochs, small.batch, small.kept), (40, 8, 50));
    let large = train::plan(&vec![segment(33); 500_000], 250);
    assert_eq!(large.epochs, 1);
    assert!((8..=64).contains(&large.batch) && large.kept < 25_000, "{large:?}");
}

#[test]
fn rows_without_tokens_are_abstained_on_and_not_learnt() {
    let model = Sequence::train(&block_of(8, &cycles(5, 30, 1)), &options()).unwrap();
    let none = block_of(0, &[vec![0; 60]]);
    let mut out = Vec::new();
    SequenceScorer::new(Arc::new(model.clone())).score(&none, &mut out).unwrap();
    assert!(out.len() == 60 && out.iter().all(|s| *s == RowScore::Abstain));
    assert!(matches!(Sequence::train(&none, &options()), Err(Error::TooFewRows { got: 0, .. })));
    let few = block_of(8, &[vec![1; 49]]);
    assert!(matches!(Sequence::train(&few, &options()), Err(Error::TooFewRows { got: 49, .. })));
    let other = block_of(9, &[vec![1; 5]]);
    let got = SequenceScorer::new(Arc::new(model)).score(&other, &mut out);
    assert!(matches!(got, Err(Error::Invalid { .. })));
}

#[test]
fn artifacts_round_trip_and_are_checked() {
    let model = Sequence::train(&block_of(8, &cycles(5, 30, 1)), &options()).unwrap();
    let bytes = model.encode().unwrap();
    let back = Sequence::decode(&bytes).unwrap();
    assert_eq!(back.encode().unwrap(), bytes);
    let block = block_of(8, &cycles(4, 70, 9));
    assert_eq!(scores(&model, &block), scores(&back, &block));
    let broken = |change: &dyn Fn(&mut Artifact)| {
        let mut artifact: Artifact = codec::decode(FORMAT, &bytes).unwrap();
        change(&mut artifact);
        Sequence::decode(&codec::encode(FORMAT, &artifact).unwrap())
    };
    assert!(broken(&|_| ()).is_ok());
    assert!(broken(&|a| a.weights[3] = f32::NAN).is_err());
    assert!(broken(&|a| a.mean = f32::INFINITY).is_err());
    assert!(broken(&|a| a.weights.push(0.0)).is_err());
    assert!(broken(&|a| a.seen.swap(0, 1)).is_err());
    assert!(broken(&|a| a.alphabet = 3).is_err());
    assert!(Sequence::decode(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn explanations_add_up_and_tell_what_was_expected() {
    let model = Sequence::train(&block_of(9, &cycles(40, 60, 1)), &options()).unwrap();
    let block = block_of(9, &[(0..30).map(|i| if i == 29 { 3 } else { i % 7 }).collect()]);
    let e = model.explain(&block, 29);
    assert_eq!(e.score.to_bits(), scores(&model, &block)[29].to_bits());
    assert!((e.base + e.unattributed - e.score).abs() < 1e-5 && e.contributions.is_empty());
    assert!(e.path[0].starts_with("saw token 3 with probability"), "{:?}", e.path);
    assert!(e.path[1].starts_with("expected token 1 with probability 0.9"), "{:?}", e.path);
    assert!(e.path.iter().any(|l| l.starts_with("1 before: token 0, surprise 0.")));
}

#[test]
fn a_surprise_is_put_down_to_the_part_that_is_odd() {
    // Protocol, state and port change together in the cycle: 0 0 2, 1 0 1, 0 1 4, 2 2 0, 0 0 3.
    let cycle: [Token; 5] = [2, 65, 20, 160, 3];
    let flows = |sequences: &[Vec<Token>]| {
        let mut block = block_of(256, sequences);
        let schema = crate::features::schemas::of(threat::EventClass::Flow);
        block.schema = Arc::new(schema);
        block
    };
    let benign: Vec<Vec<Token>> =
        (0..40).map(|e| (0..60).map(|i| cycle[(e + i) % 5]).collect()).collect();
    let model = Sequence::train(&flows(&benign), &options()).unwrap();
    // Instead of 0 0 2 at the end: another protocol, state and port, seen or never seen.
    let odd = [(66, "protocol"), (18, "state"), (3, "port"), (15, "port")];
    for (token, column) in odd {
        let mut row: Vec<Token> = (0..21).map(|i| cycle[i % 5]).collect();
        row[20] = token;
        let block = flows(&[row]);
        let e = model.explain(&block, 20);
        let sum: f32 = e.contributions.iter().map(|c| c.1).sum();
        assert!((sum - (e.score - e.base)).abs() < 1e-4 && e.score > 3.0, "{token}: {e:?}");
        assert!(e.unattributed.abs() < 1e-4 && e.contributions.iter().all(|c| c.1 > 0.0));
        assert_eq!(block.schema.column(e.contributions[0].0), column, "{token}: {e:?}");
        assert_eq!(e, model.explain(&block, 20));
    }
}

#[test]
fn shares_are_those_of_the_definition() {
    use crate::features::tokens::Part;
    let parts = [Part { column: "a", values: 2 }, Part { column: "b", values: 2 }];
    // Tokens 00, 01, 11; 10 is never seen and is the last class.
    let (seen, chances) = ([0, 1, 3], [0.5f32, 0.25, 0.125, 0.125]);
    let got = attribution::shares(&parts, &seen, 2, 3, &chances);
    // a: −ln(1/8) alone, −ln((1/8)/(3/8)) after b; b: −ln(3/8) alone, 0 after a.
    let (eight, three) = (8f64.ln(), 3f64.ln());
    assert!((got[0] - (eight + three) / 2.0).abs() < 1e-9, "{got:?}");
    assert!((got[1] - (eight - three) / 2.0).abs() < 1e-9, "{got:?}");
    // 10: a has 11 and itself, 1/4; b has 00 and itself, 5/8; both have itself alone, 1/8.
    let got = attribution::shares(&parts, &seen, 3, 2, &chances);
    let (a, b, both) = (4f64.ln(), 1.6f64.ln(), 8f64.ln());
    assert!((got[0] - (a + both - b) / 2.0).abs() < 1e-9, "{got:?}");
    assert!((got[1] - (b + both - a) / 2.0).abs() < 1e-9, "{got:?}");
}

/// A model good enough to tell states apart, cheap enough to make once a property.
fn formula_model() -> Sequence {
    let vocabulary = Vocabulary::new(6, vec![0, 1, 2, 3]).unwrap();
    Sequence::from_parts(vocabulary, formula_weights(5), 1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any rows in any order, cut anywhere, with states dropped and forgotten on the way.
    #[test]
    fn scores_depend_on_rows_alone(
        sequences in prop::collection::vec(prop::collection::vec(0u16..8, 1..80), 1..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        cuts in prop::collection::vec((1usize..40, any::<bool>()), 1..20),
        room in 1usize..20,
    ) {
        let (model, block) = (formula_model(), block_of(6, &sequences));
        let rows: Vec<usize> =
            (0..block.len()).chain(picks.iter().map(|p| p.index(block.len()))).collect();
        let mut scorer = SequenceScorer::new(Arc::new(model.clone()));
        *scorer.memory() = scorer::Memory::new(room);
        let (mut pieces, mut out) = (Vec::new(), Vec::new());
        for &(count, forget) in cuts.iter().cycle() {
            if pieces.len() == rows.len() {
                break;
            }
            if forget {
                scorer.memory().clear();
            }
            let end = (pieces.len() + count).min(rows.len());
            scorer.score(&block.select(&rows[pieces.len()..end]), &mut out).unwrap();
            pieces.extend_from_slice(&out);
        }
        for (piece, &r) in pieces.iter().zip(&rows) {
            // The reference: from the start symbol over the row's history.
            let mut state = State::default();
            model.cell.step(5, &mut state);
            for &t in block.history[r].as_slice() {
                model.cell.step(model.vocabulary.class(t), &mut state);
            }
            let class = model.vocabulary.class(block.token[r]);
            let want = model.cell.surprise(&state, class, &mut Vec::new());
            prop_assert_eq!(*piece, RowScore::Score(want));
        }
    }
}

#[test]
fn memory_saves_steps_and_stays_bounded() {
    let block = block_of(6, &vec![vec![1; 30]; 20]);
    let mut scorer = SequenceScorer::new(Arc::new(formula_model()));
    let mut out = Vec::new();
    scorer.score(&block, &mut out).unwrap();
    assert_eq!(scorer.memory().steps, 20 * 29, "one step a row after the first");
    *scorer.memory() = scorer::Memory::new(8);
    scorer.score(&block, &mut out).unwrap();
    assert_eq!(scorer.memory().len(), 8);
    assert!(scorer.memory().evicted > 0 && !scorer.memory().is_empty());
}
