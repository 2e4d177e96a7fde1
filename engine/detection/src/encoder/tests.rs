use super::*;
use crate::schema::{Category, Group, Numeric};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use threat::codec;
use threat::entropy::Rng;

fn schema(numeric: usize, categories: usize) -> Schema {
    let numeric = (0..numeric).map(|i| Numeric {
        name: format!("n{i}"),
        group: Group::Core,
        unit: "count".into(),
        volume: true,
    });
    let categories =
        (0..categories).map(|i| Category { name: format!("c{i}"), group: Group::Core });
    Schema {
        name: "test".into(),
        version: 1,
        numeric: numeric.collect(),
        categories: categories.collect(),
        tokens: 0,
    }
}

fn sample(rows: usize, numeric: usize, categories: usize) -> (Array2<f32>, Array2<u64>) {
    let mut rng = Rng::new(5);
    let raw = Array2::from_shape_fn((rows, numeric), |_| (rng.normal() * 3.0).exp() as f32);
    let kinds = Array2::from_shape_fn((rows, categories), |_| rng.below(7) as u64);
    (raw, kinds)
}

#[test]
fn own_logarithm_is_the_logarithm() {
    let mut worst = 0.0f64;
    for i in 0..200_000 {
        let y = 1.0 + (f64::from(i) * 4.4e-4).exp_m1() * 1e-6;
        let (own, std) = (ln_from_one(y), y.ln_1p_reference());
        worst = worst.max((own - std).abs() / std.max(1e-300));
    }
    assert!(worst < 1e-10, "{worst}");
    assert_eq!(ln_from_one(1.0), 0.0);
    assert!((ln_from_one(f64::from(f32::MAX)) - 88.722_839_05).abs() < 1e-7);
}

trait Reference {
    fn ln_1p_reference(self) -> f64;
}

impl Reference for f64 {
    fn ln_1p_reference(self) -> f64 {
        (self - 1.0).ln_1p()
    }
}

#[test]
fn training_rows_are_standardised_in_log_and_constants_vanish() {
    let (mut raw, kinds) = sample(2_000, 3, 1);
    raw.column_mut(2).fill(42.0);
    let encoder = Encoder::fit(&schema(3, 1), &raw, &kinds);
    let encoded = encoder.encode(raw.view(), kinds.view());
    for c in 0..2 {
        let column = encoded.column(c);
        let mean = column.mean().unwrap();
        assert!(mean.abs() < 1e-3 && (column.std(0.0) - 1.0).abs() < 5e-2, "{mean}");
    }
    assert!(encoded.column(2).iter().all(|&v| v == 0.0));
    let other =
        encoder.encode(ndarray::array![[1.0, 1.0, 1e9]].view(), kinds.slice(ndarray::s![..1, ..]));
    assert_eq!(other[[0, 2]], 0.0);
    assert_eq!(encoder.decode_numeric(2, 0.0).round(), 42.0);
}

#[test]
fn surprisal_follows_the_smoothed_frequency() {
    let raw = Array2::zeros((10, 0));
    let kinds = Array2::from_shape_fn((10, 1), |(r, _)| if r < 9 { 0 } else { u64::MAX });
    let encoder = Encoder::fit(&schema(0, 1), &raw, &kinds);
    let asked = ndarray::array![[0u64], [u64::MAX], [77]];
    let out = encoder.encode(Array2::zeros((3, 0)).view(), asked.view());
    for (row, k) in [(0, 9.0f64), (1, 1.0), (2, 0.0)] {
        let want = -((k + 0.5) / (10.0 + 0.5 * 3.0)).ln();
        assert!((f64::from(out[[row, 0]]) - want).abs() < 1e-6, "{row}");
    }
    assert_eq!(encoder.frequency(0, 0), 0.9);
    assert_eq!(encoder.frequency(0, 77), 0.0);
    assert_eq!(encoder.most_frequent(0), Some(0));
    assert_eq!(encoder.most_frequent(1), None);
}

#[test]
fn baseline_is_in_the_features_own_unit() {
    let raw = Array2::from_shape_fn((101, 1), |(r, _)| r as f32);
    let encoder = Encoder::fit(&schema(1, 0), &raw, &Array2::zeros((101, 0)));
    assert_eq!(encoder.baseline(0), [5.0, 50.0, 95.0]);
    assert_eq!(encoder.baseline(1), [0.0; 3]);
}

#[test]
fn a_column_of_too_many_values_keeps_the_frequent_ones() {
    let rows = CATEGORY_VALUES + 1_000;
    let kinds = Array2::from_shape_fn((rows + 10, 1), |(r, _)| {
        threat::entropy::mix64(r.saturating_sub(10) as u64)
    });
    let encoder = Encoder::fit(&schema(0, 1), &Array2::zeros((rows + 10, 0)), &kinds);
    let frequent = threat::entropy::mix64(0);
    assert_eq!(encoder.most_frequent(0), Some(frequent));
    assert!((encoder.frequency(0, frequent) - 11.0 / (rows + 10) as f32).abs() < 1e-9);
    let kept = (0..rows).filter(|&r| encoder.frequency(0, threat::entropy::mix64(r as u64)) > 0.0);
    assert_eq!(kept.count(), CATEGORY_VALUES);
}

#[test]
fn what_breaks_the_rules_does_not_load() {
    let (raw, kinds) = sample(50, 1, 1);
    let encoder = Encoder::fit(&schema(1, 1), &raw, &kinds);
    let bad = |change: fn(&mut Parts)| {
        let mut parts = Parts::from(encoder.clone());
        change(&mut parts);
        Encoder::try_from(parts).is_err()
    };
    assert!(!bad(|_| ()));
    assert!(bad(|p| p.numeric[0].stored.mean = f32::NAN));
    assert!(bad(|p| p.numeric[0].stored.deviation = -1.0));
    assert!(bad(|p| p.rows = 3));
}

proptest! {
    #[test]
    fn one_row_encodes_as_the_matrix_does(
        rows in prop::collection::vec(any::<([f32; 4], [u64; 2])>(), 1..40)
    ) {
        let (train, kinds) = sample(200, 4, 2);
        let encoder = Encoder::fit(&schema(4, 2), &train, &kinds);
        let raw = Array2::from_shape_fn((rows.len(), 4), |(r, c)| rows[r].0[c]);
        let kinds = Array2::from_shape_fn((rows.len(), 2), |(r, c)| rows[r].1[c] % 9);
        let all = encoder.encode(raw.view(), kinds.view());
        // Column-major storage must not matter either.
        let turned = raw.t().as_standard_layout().into_owned();
        let all_turned = encoder.encode(turned.t(), kinds.view());
        for r in 0..rows.len() {
            let one = encoder.encode(
                raw.view().slice_axis(Axis(0), (r..=r).into()),
                kinds.view().slice_axis(Axis(0), (r..=r).into()),
            );
            for c in 0..6 {
                prop_assert!(all[[r, c]].is_finite() && all[[r, c]].abs() <= CLIP);
                prop_assert_eq!(all[[r, c]].to_bits(), one[[0, c]].to_bits());
                prop_assert_eq!(all[[r, c]].to_bits(), all_turned[[r, c]].to_bits());
            }
        }
    }

    #[test]
    fn decoding_undoes_encoding_within_the_clip(x in -1e6f32..1e6) {
        let (mut train, kinds) = sample(400, 1, 0);
        train.map_inplace(|v| if *v > 1.0 { *v = -*v * 100.0 });
        let encoder = Encoder::fit(&schema(1, 0), &train, &kinds);
        let z = encoder.encode(ndarray::array![[x]].view(), Array2::zeros((1, 0)).view())[[0, 0]];
        let back = encoder.decode_numeric(0, z);
        prop_assert!((back - x).abs() <= 1e-4 * (1.0 + x.abs()), "{x} -> {z} -> {back}");
    }

    #[test]
    fn encoders_survive_the_codec(seed: u64) {
        let mut rng = Rng::new(seed);
        let raw = Array2::from_shape_fn((60, 3), |_| rng.exponential(100.0) as f32);
        let kinds = Array2::from_shape_fn((60, 2), |_| rng.next_u64() % 40);
        let encoder = Encoder::fit(&schema(3, 2), &raw, &kinds);
        let bytes = codec::encode(1, &encoder).unwrap();
        let back: Encoder = codec::decode(1, &bytes).unwrap();
        prop_assert_eq!(&back, &encoder);
        prop_assert_eq!(codec::encode(1, &back).unwrap(), bytes);
    }
}
