use super::*;
use proptest::prelude::*;

fn hour(h: i64) -> Timestamp {
    Timestamp::from_micros(h * 3_600_000_000)
}

fn rows(pairs: &[(i64, f64)]) -> Vec<(Timestamp, f64)> {
    pairs.iter().map(|(h, v)| (hour(*h), *v)).collect()
}

#[test]
fn rows_in_any_order_are_added_up_by_hour_and_gaps_are_zero() {
    let given = rows(&[(12, 3.0), (10, 1.0), (12, 4.0)]);
    let (series, treated) = Series::from_rows(Grid::HOURLY, &given, Treatment::default()).unwrap();
    assert_eq!(series.values(), [1.0, 0.0, 7.0]);
    assert_eq!((series.time(0), series.end()), (hour(10), hour(13)));
    assert_eq!((treated.gaps, treated.duplicates), (1, 1));
    assert!(series.is_of_counts() && series.filled().is_empty());
}

#[test]
fn an_unknown_hour_is_the_mean_of_the_days_around_it() {
    let mut pairs: Vec<(i64, f64)> = (0..72).map(|h| (h, h as f64)).collect();
    pairs.remove(30);
    let treatment = Treatment { gaps: Gaps::Unknown, ..Treatment::default() };
    let (series, _) = Series::from_rows(Grid::HOURLY, &rows(&pairs), treatment).unwrap();
    assert_eq!(series.filled(), [30]);
    assert_eq!(series.values()[30], (6.0 + 54.0) / 2.0);
}

#[test]
fn what_is_refused_is_named_with_its_row() {
    let refused = |pairs: &[(i64, f64)], treatment| {
        Series::from_rows(Grid::HOURLY, &rows(pairs), treatment).unwrap_err().to_string()
    };
    let default = Treatment::default();
    assert_eq!(refused(&[(0, 1.0), (1, -2.0)], default), "row 1: -2 is negative");
    assert_eq!(refused(&[(0, f64::NAN)], default), "row 0: NaN is not a number");
    assert_eq!(refused(&[(0, f64::INFINITY)], default), "row 0: inf is not finite");
    let strict = Treatment { duplicates: Duplicates::Refuse, ..default };
    let twice = "row 1: 2 is of a step that already has a row";
    assert_eq!(refused(&[(0, 5.0), (0, 2.0)], strict), twice);
    assert_eq!(refused(&[], default), "there is no row with a value");
    assert!(refused(&[(0, 1.0), (1_000_000, 1.0)], default).contains("at most 175200"));
}

#[test]
fn oddities_are_treated_as_stated() {
    let treatment = Treatment {
        gaps: Gaps::Unknown,
        duplicates: Duplicates::Largest,
        negatives: Negatives::Zero,
        not_a_number: NotANumber::Missing,
    };
    let given = rows(&[(0, 2.0), (0, 6.0), (1, f64::NAN), (2, -1.0)]);
    let (series, treated) = Series::from_rows(Grid::HOURLY, &given, treatment).unwrap();
    assert_eq!(series.values(), [6.0, 3.0, 0.0]);
    assert_eq!(treated, Treated { gaps: 1, duplicates: 1, negatives: 1, not_a_number: 1 });
}

#[test]
fn grids_have_the_seasons_of_their_step() {
    assert_eq!(Grid::of_step(900).unwrap().seasons(), Seasons { short: 96, long: 672 });
    assert_eq!(Grid::of_step(86_400).unwrap().seasons(), Seasons { short: 7, long: 7 });
    assert_eq!(Grid::of_step(7), Err(Error::Step { step_secs: 7 }));
    assert_eq!(Grid::of_step(0), Err(Error::Step { step_secs: 0 }));
    let uneven = Seasons { short: 5, long: 12 };
    assert!(Grid::with_seasons(60, uneven).is_err());
}

#[test]
fn parts_of_a_series_keep_their_time() {
    let mut series = Series::new(Grid::HOURLY, hour(5), vec![1.0, 2.0, 3.0]).unwrap();
    series.push(4.0).unwrap();
    assert!(series.push(f64::NAN).is_err());
    assert_eq!(series.since(3).time(0), hour(8));
    assert_eq!(series.until(2).end(), hour(7));
    assert_eq!(series.since(99).values(), [4.0]);
}

proptest! {
    #[test]
    fn order_of_rows_has_no_effect(
        pairs in prop::collection::vec((0i64..60, 0.0f64..1e6), 1..80),
        turn in 0usize..80,
    ) {
        let mut turned = pairs.clone();
        turned.rotate_left(turn % pairs.len());
        turned.reverse();
        let of = |pairs: &[(i64, f64)]| {
            Series::from_rows(Grid::HOURLY, &rows(pairs), Treatment::default())
        };
        prop_assert_eq!(of(&pairs), of(&turned));
    }
}
