use super::*;
use crate::Grid;
use proptest::prelude::*;
use threat::Timestamp;

fn forecast(values: Vec<f64>, horizon: usize) -> Forecast {
    forecast_on(Grid::HOURLY, values, horizon)
}

fn forecast_on(grid: Grid, values: Vec<f64>, horizon: usize) -> Forecast {
    let series = Series::new(grid, Timestamp::default(), values).unwrap();
    let settings = Settings { horizon, levels: vec![0.5, 0.8, 0.95] };
    Model::fit(&series, &settings).unwrap().forecast(&series).unwrap()
}

/// Bands hold the point, and each lies in the next.
fn ordered(forecast: &Forecast) -> bool {
    (0..forecast.mean.len()).all(|step| {
        let point = forecast.mean[step];
        let holds = |b: &Band| b.low[step] <= point && point <= b.high[step];
        let within = |pair: &[Band]| {
            pair[1].low[step] <= pair[0].low[step] && pair[1].high[step] >= pair[0].high[step]
        };
        forecast.bands.iter().all(holds) && forecast.bands.windows(2).all(within)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn intervals_hold_the_point_and_lie_in_each_other(
        values in prop::collection::vec(-1e3f64..1e6, 48..700),
        horizon in 1usize..100,
    ) {
        prop_assert!(ordered(&forecast(values, horizon)));
    }

    /// Steps of a quarter of an hour; horizons up to a week.
    #[test]
    fn finer_grids_forecast(
        values in prop::collection::vec(prop_oneof![Just(0.0), 0.0f64..1e6], 192..2200),
        horizon in 1usize..=672,
    ) {
        let forecast = forecast_on(Grid::of_step(900).unwrap(), values, horizon);
        prop_assert_eq!(forecast.mean.len(), horizon);
        prop_assert!(ordered(&forecast));
    }

    /// Steps of a day, of which the week is the only season.
    #[test]
    fn days_forecast(
        values in prop::collection::vec(prop_oneof![Just(0.0), -1e3f64..1e6], 14..120),
        horizon in 1usize..=7,
    ) {
        let forecast = forecast_on(Grid::of_step(86_400).unwrap(), values, horizon);
        prop_assert_eq!(forecast.mean.len(), horizon);
        prop_assert!(ordered(&forecast));
    }

    #[test]
    fn any_finite_values_give_finite_points(
        values in prop::collection::vec(prop_oneof![
            Just(0.0), -1e100f64..1e100, 0.0f64..1e-300, 0.0f64..10.0,
        ], 48..500),
    ) {
        let forecast = forecast(values, 72);
        prop_assert!(forecast.mean.iter().all(|f| f.is_finite()));
    }

    /// Sixteen times the counts give sixteen times the forecast: roots of such a factor are exact.
    #[test]
    fn counts_scale(values in prop::collection::vec(0u32..50, 60..500)) {
        let values: Vec<f64> = values.into_iter().map(|v| f64::from(v) + 1.0).collect();
        let of = |factor: f64| {
            let zero = std::iter::once(0.0);
            forecast(zero.chain(values.iter().map(|v| v * factor)).collect(), 24)
        };
        let (one, more) = (of(1.0), of(16.0));
        for (a, b) in one.mean.iter().zip(&more.mean) {
            prop_assert!((16.0 * a - b).abs() <= 1e-6 * b.abs().max(1.0), "{} {}", a, b);
        }
    }
}
