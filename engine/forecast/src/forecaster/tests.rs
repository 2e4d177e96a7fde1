use super::*;
use crate::series::Grid;

/// A stable noise by hour.
fn noise(hour: i64) -> f64 {
    (threat::entropy::mix64(hour as u64) % 1_000) as f64 / 1_000.0 - 0.5
}

fn load(hour: i64) -> f64 {
    let day = (hour.rem_euclid(24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    (100.0 + 60.0 * day + 30.0 * noise(hour)).max(0.0).round()
}

/// Hours of a function before `end`.
fn series(end: i64, of: impl Fn(i64) -> f64) -> Series {
    let grid = Grid::HOURLY;
    Series::new(grid, grid.time_of(0), (0..end).map(of).collect()).unwrap()
}

/// Goes through hours one by one; what happened, by hour.
fn replayed(
    hours: std::ops::Range<i64>,
    of: impl Fn(i64) -> f64 + Copy,
) -> (Forecaster, Vec<(i64, Effect)>) {
    let mut forecaster = Forecaster::new(Settings::default()).unwrap();
    let mut all = Vec::new();
    for end in hours {
        let mut effects = Vec::new();
        forecaster.step(&series(end, of), &mut effects).unwrap();
        all.extend(effects.into_iter().map(|effect| (end, effect)));
    }
    (forecaster, all)
}

const START: i64 = 24 * 28;

#[test]
fn a_week_of_hours_is_fitted_daily_and_covered_as_promised() {
    let (forecaster, effects) = replayed(START..START + 24 * 7 + 1, load);
    let fitted: Vec<i64> = effects
        .iter()
        .filter_map(|(at, e)| matches!(e, Effect::Fitted(_)).then_some(at - START))
        .collect();
    assert_eq!(fitted, [0, 24, 48, 72, 96, 120, 144, 168], "{effects:?}");
    assert_eq!(forecaster.said().count(), 8);
    let judged = forecaster.judged();
    assert_eq!(judged.iter().map(|j| j.day).collect::<Vec<_>>(), [1, 2, 3]);
    for day in &judged {
        let first = &day.online.coverage()[0];
        // What is said two days ahead is judged a day later for the first time.
        assert_eq!(first.seen, 24 * (8 - day.day as u64));
        let share = first.share().unwrap();
        // Three standard deviations of as many independent values.
        let room = 3.0 * (0.8 * 0.2 / first.seen as f64).sqrt();
        assert!((share - 0.8).abs() < room, "day {}: {share}", day.day);
        assert_eq!(day.online.fallen_back(), None);
    }
}

#[test]
fn a_shift_of_level_is_noticed_between_two_fits_and_said() {
    let moved = START + 30;
    let (forecaster, effects) =
        replayed(START..START + 24 * 9, |h| if h >= moved { 4.0 * load(h) } else { load(h) });
    let shift = effects.iter().find_map(|(at, effect)| match effect {
        Effect::Fitted(Why::Shift(shift)) => Some((*at, *shift)),
        _ => None,
    });
    let used = forecaster.model().and_then(Model::shift);
    let (at, shift) = shift.or(used.map(|s| (0, s))).expect("a shift");
    assert!(shift.after > 2.0 * shift.before, "{at}: {shift:?}");
    // Levels are compared by days, of which the first after it is a mixture.
    assert!((shift.at.hour() - moved).abs() <= 48, "{shift:?}");
}

#[test]
fn a_floor_takes_over_where_it_does_better_and_gives_way_again() {
    // Models believe in the day; then every hour only repeats what the series said last.
    let broken = START + 24;
    let walk = |h: i64| {
        if h < broken { load(h) } else { 100.0 + ((h - broken) / 24 * 40) as f64 }
    };
    let (_, effects) = replayed(START..START + 24 * 12, walk);
    let fell = effects.iter().find(|(_, e)| matches!(e, Effect::FellBack(0, _)));
    assert!(fell.is_some_and(|(at, _)| *at > broken), "{effects:?}");
}

#[test]
fn a_restart_says_nothing_twice_and_judges_no_value_twice() {
    let run = |restarts: bool| {
        let mut forecaster = Forecaster::new(Settings::default()).unwrap();
        for end in START..START + 60 {
            if restarts && end % 7 == 0 {
                let kept = serde_json::to_string(&forecaster).unwrap();
                forecaster = serde_json::from_str(&kept).unwrap();
            }
            forecaster.step(&series(end, load), &mut Vec::new()).unwrap();
            // The same hours again, and fewer.
            forecaster.step(&series(end, load), &mut Vec::new()).unwrap();
            forecaster.step(&series(end - 1, load), &mut Vec::new()).unwrap();
            forecaster.step(&series(end, load), &mut Vec::new()).unwrap();
        }
        let seen = forecaster.judged()[0].online.coverage()[0].seen;
        (forecaster.fits(), forecaster.said().cloned().collect::<Vec<_>>(), seen)
    };
    assert_eq!(run(false), run(true));
    assert_eq!(run(true).2, 59);
}
