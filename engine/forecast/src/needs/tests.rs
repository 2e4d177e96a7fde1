use super::*;
use crate::{Grid, Model, Series, Settings};
use threat::Timestamp;

fn steady() -> Forecast {
    let series = Series::new(Grid::HOURLY, Timestamp::default(), vec![7_200.0; 100]).unwrap();
    let settings = Settings { horizon: 10, levels: vec![0.8] };
    Model::fit(&series, &settings).unwrap().forecast(&series).unwrap()
}

const COSTS: Costs = Costs {
    incidents_per_event: 0.001,
    minutes_per_incident: 5.0,
    core_secs_per_event: 0.25,
    utilisation: 0.5,
    peak_to_mean: 3.0,
};

#[test]
fn two_events_a_second_need_what_they_cost() {
    let needs = needs(&steady(), &COSTS).unwrap();
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
    near(needs.analyst_minutes.total(), 10.0 * 36.0);
    near(needs.scoring_cores.mean[0], 1.0);
    near(needs.stream_events_per_sec.peak(0.8).unwrap(), 6.0);
    assert_eq!(needs.scoring_cores.peak(0.9), None);
}

#[test]
fn costs_that_are_none_are_refused() {
    let refused = |costs| needs(&steady(), &costs).unwrap_err().to_string();
    let wrong = refused(Costs { minutes_per_incident: -1.0, ..COSTS });
    assert_eq!(wrong, "minutes per incident of -1: it must be finite and not negative");
    assert!(refused(Costs { utilisation: 0.0, ..COSTS }).contains("above 0 and at most 1"));
    assert!(refused(Costs { peak_to_mean: f64::NAN, ..COSTS }).contains("at least 1"));
}
