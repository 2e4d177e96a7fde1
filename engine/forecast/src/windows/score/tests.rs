use super::*;
use crate::windows::Threshold;
use crate::{Grid, Model, Settings};
use threat::Timestamp;

fn marks(text: &str) -> Vec<bool> {
    text.chars().map(|c| c == 'x').collect()
}

/// `?` was not observed.
fn came(text: &str) -> Vec<Option<bool>> {
    text.chars().map(|c| (c != '?').then_some(c == 'x')).collect()
}

#[test]
fn windows_episodes_and_steps_are_counted_as_by_hand() {
    let tally = Tally::of(
        &marks("x.x.....x......xx."), //
        &came("...x.......x....xx"),
        1,
    );
    // The first window ends a step before a critical one, which is within the gap; the second is
    // three steps early. The first episode is covered by no window, nor is the second.
    assert_eq!((tally.windows, tally.windows_right), (3, 2));
    assert_eq!((tally.episodes, tally.episodes_found), (3, 1));
    assert_eq!(tally.leads, [16]);
    assert_eq!((tally.steps_said, tally.steps_critical, tally.steps_right), (5, 4, 1));
    assert_eq!((tally.precision(), tally.recall()), (Some(2.0 / 3.0), Some(1.0 / 3.0)));
    assert!((tally.f1().unwrap() - 4.0 / 9.0).abs() < 1e-12);
    assert_eq!((tally.step_precision(), tally.step_recall()), (Some(0.2), Some(0.25)));
}

#[test]
fn a_gap_that_windows_cover_belongs_to_them_but_was_not_said_step_by_step() {
    let tally = Tally::of(&marks("x.x"), &came(".x."), 1);
    assert_eq!((tally.windows_right, tally.episodes_found, tally.leads[0]), (1, 1, 1));
    assert_eq!((tally.steps_said, tally.steps_right), (2, 0));
    let apart = Tally::of(&marks("x.x"), &came(".x."), 0);
    assert_eq!((apart.windows, apart.windows_right, apart.episodes_found), (2, 0, 0));
}

#[test]
fn an_episode_is_found_when_a_window_first_covers_it() {
    let tally = Tally::of(&marks("....x"), &came("..xxx"), 0);
    assert_eq!((tally.episodes_found, tally.leads[0]), (1, 4));
    // The first window counts, wherever others lie; a neighbour within the gap covers nothing.
    assert_eq!(Tally::of(&marks("..x.x"), &came("..xxx"), 0).leads, [2]);
    assert_eq!(Tally::of(&marks(".x..."), &came("..xxx"), 2).episodes_found, 0);
}

#[test]
fn what_was_not_observed_is_neither_right_nor_wrong() {
    let tally = Tally::of(&marks("xx..x."), &came("??..?x"), 0);
    assert_eq!((tally.windows, tally.steps_said, tally.episodes), (0, 0, 1));
    // Steps beyond what is known are not observed, either.
    assert_eq!(Tally::of(&marks("xx"), &[], 0), Tally::default());
}

#[test]
fn nothing_said_of_something_is_worth_nothing_and_of_nothing_unknown() {
    let silent = Tally::of(&marks("..."), &came(".x."), 2);
    assert_eq!((silent.precision(), silent.recall()), (None, Some(0.0)));
    assert_eq!((silent.f1(), silent.step_f1()), (Some(0.0), Some(0.0)));
    let quiet = Tally::of(&marks("..."), &came("..."), 2);
    assert_eq!((quiet.f1(), quiet.step_f1(), quiet.median_lead()), (None, None, None));
}

#[test]
fn tallies_add_up_over_origins() {
    let mut sum = Tally::of(&marks("x."), &came("x."), 0);
    sum.add(&Tally::of(&marks("...x"), &came("x..x"), 0));
    assert_eq!((sum.windows, sum.windows_right), (2, 2));
    assert_eq!((sum.episodes, sum.episodes_found), (3, 2));
    assert_eq!((sum.steps_said, sum.steps_critical, sum.steps_right), (2, 3, 2));
    assert_eq!(sum.median_lead(), Some(1.5));
}

#[test]
fn last_week_is_the_same_hour_of_it() {
    let mut values = vec![1.0; 24 * 15];
    values[24 * 8 + 5] = 9.0;
    let series =
        |values: &[f64]| Series::new(Grid::HOURLY, Timestamp::default(), values.to_vec()).unwrap();
    // A day before the burst is a week old.
    let said = last_season(&series(&values[..24 * 14]), &[5.0; 72]);
    assert_eq!(said.iter().position(|s| *s), Some(24 + 5));
    assert_eq!(said.iter().filter(|s| **s).count(), 1);
    // Thresholds are those of the steps, and what equals one does not pass it.
    let mut thresholds = vec![5.0; 72];
    thresholds[24 + 5] = 9.0;
    assert!(!last_season(&series(&values[..24 * 14]), &thresholds).contains(&true));
    // Beyond a week it is the latest week known again.
    let far = last_season(&series(&values[..24 * 14]), &[5.0; 24 * 14]);
    let at: Vec<usize> = (0..far.len()).filter(|step| far[*step]).collect();
    assert_eq!(at, [24 + 5, 24 * 8 + 5]);
    // Within the first week nothing is known of the one before.
    assert_eq!(last_season(&series(&[9.0; 48]), &[5.0; 24]), [false; 24]);
}

#[test]
fn a_forecaster_and_last_week_are_counted_alike() {
    // A hundred at 3 and 4 o'clock but on the seventh day, which last week takes for the rule.
    let value = |h: usize| match (h / 24 % 7, h % 24) {
        (6, _) => 10.0,
        (_, 3 | 4) => 100.0,
        _ => 10.0,
    };
    let mut values: Vec<f64> = (0..24 * 36).map(|h| value(h) + (h % 5) as f64).collect();
    // Last week's burst at noon does not come back.
    values[24 * 28 + 12] = 100.0;
    let all = Series::new(Grid::HOURLY, Timestamp::default(), values).unwrap();
    let known = all.until(24 * 35);
    let settings = Settings { horizon: 24, ..Settings::default() };
    let forecast = Model::fit(&known, &settings).unwrap().forecast(&known).unwrap();
    let actual: Vec<Option<f64>> = all.values()[24 * 35..].iter().map(|v| Some(*v)).collect();
    let rule = Rule { threshold: Threshold::Value(50.0), ..Rule::default() };
    let scores = Scores::of(&forecast, &known, &actual, &rule);
    assert_eq!((scores.last_season.windows, scores.last_season.windows_right), (2, 1));
    assert_eq!((scores.last_season.steps_said, scores.last_season.steps_right), (3, 2));
    assert_eq!((scores.forecast.windows, scores.forecast.steps_right), (1, 2));
    assert_eq!((scores.forecast.steps_critical, scores.forecast.episodes), (2, 1));
    assert_eq!((scores.forecast.leads.clone(), scores.last_season.leads), (vec![3], vec![3]));
}
