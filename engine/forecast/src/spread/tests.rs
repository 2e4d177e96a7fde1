use super::*;
use crate::{Grid, Series};
use threat::Timestamp;

fn spread(scale: Scale, range: (f64, f64), size: f64) -> Spread {
    let signed = vec![-1.0, 0.0, 1.0, 2.0, 3.0];
    let absolute = sorted(signed.iter().map(|q: &f64| q.abs()));
    let paths = vec![signed.iter().copied().map(Some).collect()];
    Spread { scale, range, sizes: vec![size], paths, signed, absolute }
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 2e-3, "{a} {b}");
}

#[test]
fn a_bound_is_of_signs_sizes_and_a_normal_law() {
    // Signed quartiles 0 and 2, median size 1: −0.5 and 1.5. A normal law of mean size 1 has its
    // quartiles at ±0.8453. Half of each, of size 2, around 10.
    let spread = spread(Scale::Identity, (0.0, 100.0), 2.0);
    let (low, high) = spread.interval(0, 10.0, 0.5);
    near(low, 10.0 - 0.5 - 0.8453);
    near(high, 10.0 + 1.5 + 0.8453);
    // Steps beyond the last have its size.
    assert_eq!(spread.interval(9, 10.0, 0.5), (low, high));
    // An interval of everything has an end, too; without a size there is the point alone.
    assert!(spread.interval(0, 10.0, 1.0).1 < 30.0);
    let sure = Spread { sizes: vec![0.0], ..spread };
    assert_eq!(sure.interval(0, 10.0, 1.0), (10.0, 10.0));
}

#[test]
fn exceedance_counts_one_residual_more_for_both_sides() {
    // 8, 10, 12, 14 and 16 may come: two of them are above 12, by 2 and 4.
    let spread = spread(Scale::Identity, (0.0, 100.0), 2.0);
    assert_eq!(spread.above(0, 10.0, 12.0), (2.5 / 6.0, 6.0 / 5.0));
    assert_eq!(spread.above(0, 10.0, 1_000.0), (0.5 / 6.0, 0.0));
}

#[test]
fn any_of_several_steps_passes_as_often_as_errors_in_a_row_did() {
    // 8, 10, 12, 14 and 16 came one after the other. Of the four pairs, two have a first value
    // above 11 or a second one above 13: 12, 14 and 14, 16. The second alone: two of five.
    let spread = spread(Scale::Identity, (0.0, 100.0), 2.0);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    near(spread.any_above(0, &[10.0, 10.0], &[11.0, 13.0]), 3.5 / 6.0);
    // Now the pairs are fewer than what the first alone says, and it is the least.
    near(spread.any_above(0, &[10.0, 10.0], &[15.0, 99.0]), 1.5 / 6.0);
    near(spread.any_above(0, &[10.0, 10.0], &[13.0, 13.0]), 2.5 / 5.0);
    // One step alone is as before; so are more steps than any stretch has.
    near(spread.any_above(0, &[10.0], &[12.0]), spread.above(0, 10.0, 12.0).0);
    near(spread.any_above(0, &[10.0; 6], &[12.0; 6]), spread.above(0, 10.0, 12.0).0);
}

#[test]
fn stretches_with_an_unobserved_step_do_not_count() {
    let mut spread = spread(Scale::Identity, (0.0, 100.0), 2.0);
    spread.paths[0][1] = None;
    // Left are 12, 14 and 14, 16, both above 11.
    assert_eq!(spread.any_above(0, &[10.0, 10.0], &[11.0, 11.0]), 2.5 / 3.0);
}

#[test]
fn without_residuals_the_point_is_all() {
    let none = Spread {
        signed: Vec::new(),
        paths: Vec::new(),
        ..spread(Scale::Identity, (0.0, 9.0), 1.0)
    };
    assert_eq!(none.above(0, 5.0, 4.0), (1.0, 1.0));
    assert_eq!(none.above(0, 5.0, 6.0), (0.0, 0.0));
}

#[test]
fn bounds_stay_within_a_twentieth_beyond_the_range() {
    // Of a size of ten in logarithms a bound would be thousands of times the point.
    let spread = spread(Scale::Log, (1.0, 9.0), 10.0);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    near(spread.interval(0, 8.0, 0.8).1, 9.4);
    let (low, high) = spread.interval(0, 20.0, 0.8);
    assert!(low > 0.0 && low < 1.0);
    near(high, 20.4);
    assert_eq!(spread.above(0, 8.0, 11.0).1, 0.0);
}

#[test]
fn sizes_are_half_of_the_step_and_half_of_all() {
    // Steps: (1 + 3) / 2 and 3, smoothed 2.5; all: 7 / 3.
    let rows = [vec![Some(1.0), Some(3.0)], vec![Some(-3.0), None]];
    let found = sizes(&rows.iter().collect::<Vec<_>>(), 2);
    let expected = 0.5 * 2.5 + 0.5 * 7.0 / 3.0;
    assert!(found.iter().all(|s| (s - expected).abs() < 1e-12), "{found:?}");
}

#[test]
fn beyond_what_was_validated_errors_grow_with_the_root_of_steps() {
    let values: Vec<f64> = (0..96).map(|v| f64::from(v) - 1.0).collect();
    let series = Series::new(Grid::HOURLY, Timestamp::default(), values.clone()).unwrap();
    let validation = Validation::new(&series, 12);
    // Every forecast is one too low.
    let below = |origin: &usize| (0..12).map(|h| values[origin + h] - 1.0).collect();
    let forecasts: Vec<Vec<f64>> = validation.plan.origins.iter().map(below).collect();
    let spread = Spread::of(&validation, &forecasts, 48);
    assert_eq!(spread.sizes[..12], [1.0; 12]);
    assert_eq!(spread.sizes[47], 2.0);
    assert_eq!(spread.range, (-1.0, 94.0));
    // Of size 2: signed residuals are at 1, sizes at ±1, the law's quartiles at ±0.8453.
    let (low, high) = spread.interval(47, 50.0, 0.5);
    near(low, 50.0 - 0.8453);
    near(high, 51.0 + 0.8453);
}
