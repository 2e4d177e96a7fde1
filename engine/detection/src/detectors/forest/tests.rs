use super::*;
use crate::detectors::tests::{auc, block, scores};
use proptest::prelude::{ProptestConfig, prop, proptest};

const SEED: TrainOptions = TrainOptions { seed: 11 };

/// Benign rows around two centres.
fn benign(rows: usize, width: usize, seed: u64) -> Block {
    let mut rng = Rng::new(seed);
    block(rows, width, |_, c| {
        let centre = if c % 2 == 0 && rng.chance(0.3) { 3.0 } else { 0.0 };
        (centre + rng.normal()) as f32
    })
}

#[test]
fn planted_outliers_rank_first() {
    let forest = Arc::new(Forest::train(&benign(4_000, 12, 1), &SEED).unwrap());
    let quiet = scores(forest.clone(), &benign(2_000, 12, 2));
    let mut rng = Rng::new(3);
    let planted = block(300, 12, |_, c| if c < 3 { 6.0 } else { rng.normal() as f32 });
    let loud = scores(forest, &planted);
    let auc = auc(&quiet, &loud);
    println!("planted outliers: AUC {auc:.4}");
    assert!(auc > 0.99, "{auc}");
}

#[test]
fn scores_are_those_of_the_definition() {
    let train = benign(1_000, 5, 4);
    let forest = Arc::new(Forest::train(&train, &SEED).unwrap());
    let asked = benign(300, 5, 5);
    for (row, got) in scores(forest.clone(), &asked).into_iter().enumerate() {
        let values = asked.encoded.row(row).to_vec();
        let lengths: f64 = forest.trees.iter().map(|t| f64::from(t.path(&values).0)).sum();
        let paper = 2f64.powf(-lengths / 100.0 / average_path(256));
        assert!((f64::from(got) - (1.0 + paper.log2())).abs() < 1e-5);
    }
    // Cuts are uniform in value, not in rank, so dense rows lie a little deeper than c(256).
    let mean = forest.trees.iter().map(|t| f64::from(t.expected())).sum::<f64>() / 100.0;
    assert!((10.0..13.0).contains(&mean), "{mean}");
}

#[test]
fn average_path_has_its_known_values() {
    assert_eq!(average_path(1), 0.0);
    assert_eq!(average_path(2), 1.0);
    // 2·H(255) − 2·255/256; the paper's approximation of H gives 10.2448.
    assert!((average_path(256) - 10.2487).abs() < 1e-3);
}

#[test]
fn same_rows_and_seed_give_the_same_bytes() {
    let train = benign(500, 7, 6);
    let encode = |seed| Forest::train(&train, &TrainOptions { seed }).unwrap().encode().unwrap();
    assert_eq!(encode(1), encode(1));
    assert_ne!(encode(1), encode(2));
    let back = Forest::decode(&encode(1)).unwrap();
    assert_eq!(back.encode().unwrap(), encode(1));
    let bits = |f| scores(Arc::new(f), &train).iter().map(|s| s.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(back), bits(Forest::train(&train, &TrainOptions { seed: 1 }).unwrap()));
}

#[test]
fn cutting_into_blocks_changes_no_score() {
    let forest = Arc::new(Forest::train(&benign(600, 20, 7), &SEED).unwrap());
    let asked = benign(391, 20, 8);
    let whole = scores(forest.clone(), &asked);
    for size in [1, 7, 128, 200] {
        let rows: Vec<usize> = (0..asked.len()).collect();
        let cut: Vec<f32> =
            rows.chunks(size).flat_map(|r| scores(forest.clone(), &asked.select(r))).collect();
        assert_eq!(whole, cut, "{size}");
    }
}

#[test]
fn contributions_add_up_and_name_the_planted_column() {
    let forest = Arc::new(Forest::train(&benign(2_000, 10, 9), &SEED).unwrap());
    let mut rng = Rng::new(10);
    let odd = block(20, 10, |_, c| if c == 4 { 15.0 } else { (0.3 * rng.normal()) as f32 });
    let scored = scores(forest.clone(), &odd);
    for (row, &score) in scored.iter().enumerate() {
        let e = forest.explain(&odd, row);
        assert_eq!(e.score.to_bits(), score.to_bits());
        let sum: f32 = e.contributions.iter().map(|c| c.1).sum();
        assert!((e.base + sum + e.unattributed - e.score).abs() < 1e-5);
        assert!(e.unattributed.abs() <= 0.05 * (e.score - e.base).abs(), "{e:?}");
        assert_eq!(e.contributions[0].0, 4, "{e:?}");
        assert!(e.contributions.is_sorted_by(|a, b| a.1 >= b.1));
        assert!(e.path.last().unwrap().contains("benign rows"), "{:?}", e.path);
    }
    let path = forest.explain(&odd, 0).path.join("\n");
    assert!(path.contains("n4 15 (+15.00 deviations) is at or above"), "{path}");
}

#[test]
fn few_or_alike_rows_and_other_widths() {
    let few = Forest::train(&benign(FOREST_ROWS - 1, 3, 1), &SEED);
    assert!(matches!(few, Err(Error::TooFewRows { needed: FOREST_ROWS, .. })));
    assert!(Forest::train(&benign(100, FOREST_COLUMNS + 1, 1), &SEED).is_err());
    let alike = Arc::new(Forest::train(&block(100, 3, |_, _| 1.0), &SEED).unwrap());
    assert!(scores(alike.clone(), &block(2, 3, |r, _| r as f32))[0].abs() < 1e-6);
    let mut out = vec![];
    let other = alike.scorer().score(&block(2, 4, |_, _| 0.0), &mut out);
    assert!(matches!(other, Err(Error::Width { expected: 3, got: 4 })));
}

#[test]
fn every_padded_width_scores_alike() {
    for width in [1, 15, 16, 17, 33, 64, 65, 128] {
        let train = benign(200, width, 3);
        let forest = Arc::new(Forest::train(&train, &SEED).unwrap());
        let got = scores(forest.clone(), &train);
        let e = forest.explain(&train, 17);
        assert_eq!(got[17].to_bits(), e.score.to_bits(), "{width}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_artifacts_do_not_panic(at: prop::sample::Index, bit in 0u8..8, values: [f32; 3]) {
        let train = benign(80, 3, 2);
        let mut bytes = Forest::train(&train, &SEED).unwrap().encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(forest) = Forest::decode(&bytes) {
            let odd = block(1, 3, |_, c| values[c]);
            let _ = scores(Arc::new(forest), &odd);
        }
    }
}
