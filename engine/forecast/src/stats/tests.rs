use super::*;

#[test]
fn of_nothing_all_are_zero() {
    assert_eq!((mean(&[]), deviation(&[]), quantile(&[], 0.5), median([])), (0.0, 0.0, 0.0, 0.0));
    assert_eq!(weighted_quantiles(Vec::new(), &[0.5]), [0.0]);
}

#[test]
fn means_and_deviations_are_those_of_a_population() {
    let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    assert_eq!((mean(&values), deviation(&values)), (5.0, 2.0));
}

#[test]
fn quantiles_are_linear_between_neighbours() {
    let values = sorted([40.0, 10.0, 30.0, 20.0]);
    assert_eq!(values, [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(quantile(&values, 0.0), 10.0);
    assert_eq!(quantile(&values, 0.25), 17.5);
    assert_eq!(quantile(&values, 1.0), 40.0);
    assert_eq!(quantile(&values, 2.0), 40.0);
    assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
}

#[test]
fn absolute_deviations_leave_one_burst_out() {
    assert_eq!(absolute_deviation(&[1.0, 2.0, 3.0, 4.0, 100.0], 3.0), 1.0);
}

#[test]
fn weights_move_quantiles() {
    let pairs = vec![(3.0, 1.0), (1.0, 1.0), (2.0, 6.0)];
    assert_eq!(weighted_quantiles(pairs, &[0.1, 0.5, 0.9]), [1.0, 2.0, 3.0]);
}

#[test]
fn a_normal_value_is_above_its_mean_as_tables_say() {
    let near = |tail: f64, z: f64| assert!((normal_above(tail) - z).abs() < 4.5e-4, "{tail}");
    near(0.5, 0.0);
    near(0.158_655, 1.0);
    near(0.1, 1.281_552);
    near(0.025, 1.959_964);
    near(0.000_5, 3.290_527);
    // The bounds of intervals rise with their level, up to one of everything.
    let mut last = -1.0;
    for step in 0..=10_000 {
        let z = normal_above(0.5 * (1.0 - f64::from(step) / 10_000.0));
        assert!(z.is_finite() && z >= last, "{step}");
        last = z;
    }
}
