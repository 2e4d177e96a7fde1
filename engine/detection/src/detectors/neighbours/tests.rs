use super::*;
use crate::detectors::tests::{auc, block, scores};
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

const SEED: TrainOptions = TrainOptions { seed: 5 };

fn benign(rows: usize, width: usize, seed: u64) -> Block {
    let mut rng = Rng::new(seed);
    block(rows, width, |_, _| rng.normal() as f32)
}

/// The definition, without any layout.
fn plain(model: &Neighbours, row: &[f32]) -> f32 {
    let mut all: Vec<f32> = (0..model.stored.rows.len())
        .map(|p| model.point(p).iter().zip(row).map(|(a, b)| (b - a).abs()).sum())
        .collect();
    all.sort_by(f32::total_cmp);
    all[..NEAREST].iter().sum::<f32>() / NEAREST as f32
}

#[test]
fn planted_outliers_rank_first() {
    let model = Arc::new(Neighbours::train(&benign(5_000, 12, 1), &SEED).unwrap());
    let quiet = scores(model.clone(), &benign(1_000, 12, 2));
    let mut rng = Rng::new(3);
    let loud = scores(model, &block(200, 12, |_, c| if c < 2 { 6.0 } else { rng.normal() as f32 }));
    let auc = auc(&quiet, &loud);
    println!("planted outliers: AUC {auc:.4}");
    assert!(auc > 0.99, "{auc}");
}

#[test]
fn same_rows_and_seed_give_the_same_bytes() {
    let train = benign(NEIGHBOUR_POINTS + 500, 6, 4);
    let encode =
        |seed| Neighbours::train(&train, &TrainOptions { seed }).unwrap().encode().unwrap();
    assert_eq!(encode(1), encode(1));
    assert_ne!(encode(1), encode(2));
    let back = Arc::new(Neighbours::decode(&encode(1)).unwrap());
    assert_eq!(back.encode().unwrap(), encode(1));
    assert_eq!(back.stored.rows.len(), NEIGHBOUR_POINTS);
}

#[test]
fn contributions_add_up_and_the_path_names_rows() {
    let train = benign(2_000, 8, 6);
    let model = Arc::new(Neighbours::train(&train, &SEED).unwrap());
    let mut rng = Rng::new(7);
    let odd = block(10, 8, |_, c| if c == 5 { 12.0 } else { rng.normal() as f32 });
    for (row, score) in scores(model.clone(), &odd).into_iter().enumerate() {
        let e = model.explain(&odd, row);
        assert_eq!(e.score.to_bits(), score.to_bits());
        let sum: f32 = e.contributions.iter().map(|c| c.1).sum();
        assert!((e.base + sum + e.unattributed - e.score).abs() < 1e-4);
        assert!(e.unattributed.abs() <= 0.01 * (e.score - e.base).abs(), "{e:?}");
        assert_eq!(e.contributions[0].0, 5);
        assert_eq!(e.path.len(), NEAREST);
        assert!(e.path[0].starts_with("benign training row "), "{:?}", e.path);
        assert!(e.path[0].contains(": n5 "), "{:?}", e.path);
    }
    // A benign row's score is about the base.
    let quiet = scores(model.clone(), &benign(500, 8, 8));
    let mean = quiet.iter().sum::<f32>() / 500.0;
    let base = model.explain(&odd, 0).base;
    assert!((mean / base - 1.0).abs() < 0.1, "{mean} {base}");
}

#[test]
fn few_rows_equal_rows_and_other_widths() {
    let few = Neighbours::train(&benign(NEIGHBOUR_ROWS - 1, 3, 1), &SEED);
    assert!(matches!(few, Err(Error::TooFewRows { .. })));
    let equal = Arc::new(Neighbours::train(&block(70, 3, |_, _| 2.0), &SEED).unwrap());
    assert_eq!(scores(equal.clone(), &block(1, 3, |_, _| 2.0)), [0.0]);
    let e = equal.explain(&block(1, 3, |_, _| 2.0), 0);
    assert!(e.contributions.is_empty() && e.path[0].ends_with("is equal"));
    let mut out = vec![];
    let other = equal.scorer().score(&block(1, 4, |_, _| 0.0), &mut out);
    assert!(matches!(other, Err(Error::Width { expected: 3, got: 4 })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scanning_finds_what_the_definition_does(seed: u64, width in 1usize..40, far in 0f32..30.0) {
        let model = Arc::new(Neighbours::train(&benign(200, width, seed), &SEED).unwrap());
        let mut rng = Rng::new(!seed);
        let asked = block(9, width, |_, _| far * rng.normal() as f32);
        for (row, got) in scores(model.clone(), &asked).into_iter().enumerate() {
            let want = plain(&model, &asked.encoded.row(row).to_vec());
            prop_assert!((got - want).abs() <= 1e-5 * want.max(1.0), "{got} {want}");
            let alone = scores(model.clone(), &asked.select(&[row]));
            prop_assert_eq!(alone[0].to_bits(), got.to_bits());
        }
    }

    /// Bit by bit, for points and rows that lie close, far out, or on one another.
    #[test]
    fn bytes_rule_out_no_near_point(
        seed: u64, width in 1usize..=NEIGHBOUR_COLUMNS, count in 4usize..100,
        tight in 0f32..2.0, kinds in 1u64..9, odd in 0f32..60.0,
    ) {
        let mut rng = Rng::new(seed);
        // Some columns are constant, some wide; some points are equal, some are far outside.
        let mut rows = |count: usize| -> Vec<f32> {
            let cell = |i: usize| {
                let (row, column) = (i / width, i % width);
                let wide = [0.0, 0.01, 1.0, 1.0, 20.0][(seed as usize + column) % 5];
                let far = if row % 7 == 3 { odd * rng.normal() as f32 } else { 0.0 };
                let place = (threat::entropy::mix64(row as u64 % kinds) % 13) as f32;
                wide * (place + tight * rng.normal() as f32 * (row % 3) as f32) + far
            };
            (0..count * width).map(cell).collect()
        };
        let (values, asked) = (rows(count), rows(40));
        let points = Points::new(&values, width);
        for row in asked.chunks_exact(width).chain(values.chunks_exact(width)) {
            prop_assert_eq!(points.nearest::<NEAREST>(row), points.plainly::<NEAREST>(row));
            prop_assert_eq!(points.nearest::<4>(row), points.plainly::<4>(row));
        }
    }

    #[test]
    fn damaged_artifacts_do_not_panic(at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = Neighbours::train(&benign(80, 3, 2), &SEED).unwrap().encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(model) = Neighbours::decode(&bytes) {
            let _ = scores(Arc::new(model), &benign(1, 3, 1));
        }
    }
}
