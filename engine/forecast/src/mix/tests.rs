use super::*;
use crate::Kind;
use crate::validation::Measured;

fn record(errors: &[f64], forecasts: &[f64]) -> Record {
    let forecasts = forecasts.iter().map(|f| vec![*f]).collect();
    let measured =
        Measured { forecasts, errors: vec![0.0; errors.len()], scaled_errors: errors.to_vec() };
    Record { kind: Kind::Flat, measured }
}

#[test]
fn twice_the_error_is_a_sixteenth_of_the_weight() {
    assert_eq!(weights(&[1.0, 2.0]), [16.0 / 17.0, 1.0 / 17.0]);
    assert_eq!(weights(&[3.0, 3.0]), [0.5, 0.5]);
}

#[test]
fn a_method_without_error_takes_all() {
    assert_eq!(weights(&[0.0, 1.0]), [1.0, 0.0]);
    assert_eq!(weights(&[0.0, 0.0, 5.0]), [0.5, 0.5, 0.0]);
}

#[test]
fn a_mix_is_the_weighted_mean_of_the_steps_that_all_have() {
    assert_eq!(mixed(&[&[1.0, 2.0, 3.0], &[5.0, 10.0]], &[0.75, 0.25]), [2.0, 4.0]);
    assert!(mixed(&[], &[]).is_empty());
}

#[test]
fn an_origin_and_its_neighbours_do_not_weigh_their_own_forecast() {
    // Origin 0 is weighed by origin 2 alone and the other way round; origin 1 has only neighbours,
    // so that all count.
    let plan = Plan { fitted: 10, horizon: 1, origins: vec![30, 20, 10] };
    let (a, b) = (record(&[0.0, 1.0, 2.0], &[1.0; 3]), record(&[2.0, 1.0, 0.0], &[2.0; 3]));
    assert_eq!(errors(&[&a, &b], [0, 2].into_iter()), [1.0, 1.0]);
    assert_eq!(validated(&[&a, &b], &plan), [[2.0], [1.5], [1.0]]);
}
