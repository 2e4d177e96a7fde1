use super::*;

const FLOWS: Counted = Counted::Events(EventClass::Flow);
const SCANS: Counted = Counted::Attacks(ThreatClass::Scan);

fn hour(hour: i64, node: u64, region: &str, counts: &[(&str, Counted, u64)]) -> HourCounts {
    let mut all = HourCounts { hour, node, region: region.into(), ..HourCounts::default() };
    counts.iter().for_each(|(source, counted, count)| all.add(source, *counted, *count));
    all
}

fn of(hours: &[HourCounts]) -> History {
    let mut history = History::default();
    hours.iter().for_each(|hour| history.add(hour));
    history
}

#[test]
fn hours_are_summed_over_nodes_by_region_source_and_class() {
    let history = of(&[
        hour(10, 1, "eu", &[("a", FLOWS, 3), ("b", FLOWS, 4), ("a", SCANS, 1)]),
        hour(10, 2, "us", &[("a", FLOWS, 5)]),
        hour(12, 1, "eu", &[("a", FLOWS, 1)]),
    ]);
    assert_eq!(history.last(), Some(12));
    let told: Vec<String> = history.subjects(13).iter().map(ToString::to_string).collect();
    let values = |region: Option<&str>, source: Option<&str>, measure| {
        let (region, source) = (region.map(str::to_owned), source.map(str::to_owned));
        history.series(&Subject { region, source, measure }, 13).unwrap().values().to_vec()
    };
    assert_eq!(values(None, None, Measure::Events(None)), [12.0, 0.0, 1.0]);
    assert_eq!(values(Some("eu"), None, Measure::Events(None)), [7.0, 0.0, 1.0]);
    assert_eq!(values(None, Some("a"), Measure::Events(None)), [8.0, 0.0, 1.0]);
    assert_eq!(values(None, None, Measure::Attacks(Some(ThreatClass::Scan))), [1.0, 0.0, 0.0]);
    assert!(told.contains(&"attacks scan in eu".to_owned()), "{told:?}");
    assert!(told.contains(&"events of a".to_owned()), "{told:?}");
}

#[test]
fn what_is_older_than_models_look_back_and_what_comes_later_does_not_count() {
    let old = 5;
    let now = old + fitted() + 100;
    let history = of(&[
        hour(old, 1, "", &[("a", SCANS, 1)]),
        hour(now - 3, 1, "", &[("a", FLOWS, 7)]),
        hour(now, 1, "", &[("a", FLOWS, 9)]),
    ]);
    let events = Subject::all(Measure::Events(None));
    assert_eq!(history.series(&events, now).unwrap().values(), [7.0, 0.0, 0.0]);
    assert!(history.subjects(now).iter().all(|s| matches!(s.measure, Measure::Events(_))));
    assert!(history.series(&events, old).is_none(), "nothing was seen by then");
}

#[test]
fn of_too_many_subjects_the_widest_and_the_busiest_stay() {
    let mut hours = Vec::new();
    for node in 0..SUBJECTS as u64 {
        let busy = if node == 77 { 1_000 } else { 1 };
        hours.push(hour(1, node, &format!("r{node:03}"), &[("log", FLOWS, busy)]));
    }
    let subjects = of(&hours).subjects(2);
    assert_eq!(subjects.len(), SUBJECTS);
    assert!(subjects.contains(&Subject::all(Measure::Events(None))));
    let region = Some("r077".to_owned());
    assert!(subjects.contains(&Subject { region, ..Subject::all(Measure::Events(None)) }));
    assert!(subjects.iter().all(|s| s.source.is_none()));
}
