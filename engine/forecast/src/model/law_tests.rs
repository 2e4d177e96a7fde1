use super::*;
use crate::Grid;
use proptest::prelude::*;
use threat::Timestamp;

fn forecast(values: Vec<f64>, horizon: usize) -> Forecast {
    let series = Series::new(Grid::HOURLY, Timestamp::default(), values).unwrap();
    let settings = Settings { horizon, levels: vec![0.5, 0.8, 0.95] };
    Model::fit(&series, &settings).unwrap().forecast(&series).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn intervals_hold_the_point_and_lie_in_each_other(
        values in prop::collection::vec(-1e3f64..1e6, 48..700),
        horizon in 1usize..100,
    ) {
        let forecast = forecast(values, horizon);
        for step in 0..horizon {
            let point = forecast.mean[step];
            for band in &forecast.bands {
                prop_assert!(band.low[step] <= point && point <= band.high[step]);
            }
            for pair in forecast.bands.windows(2) {
                prop_assert!(pair[1].low[step] <= pair[0].low[step]);
                prop_assert!(pair[1].high[step] >= pair[0].high[step]);
            }
        }
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
