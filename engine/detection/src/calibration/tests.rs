use super::*;
use proptest::prelude::*;
use threat::entropy::Rng;

type Draw = fn(&mut Rng) -> f32;

/// Laws with tails lighter than, equal to and heavier than the exponential, and two with ties.
const LAWS: [(&str, Draw); 7] = [
    ("normal", |r| r.normal() as f32),
    ("uniform", |r| r.unit() as f32),
    ("exponential", |r| r.exponential(3.0) as f32),
    ("log-normal", |r| (0.8 * r.normal()).exp() as f32),
    ("Pareto 2", |r| (1.0 - r.unit()).powf(-0.5) as f32),
    ("geometric", |r| r.exponential(8.0).floor() as f32),
    ("half zeros", |r| if r.chance(0.5) { 0.0 } else { r.exponential(1.0) as f32 }),
];

#[test]
fn a_one_percent_budget_is_kept_on_unseen_rows() {
    let threshold = Budget::Percent(1.0).threshold_tail(None);
    for (name, draw) in LAWS {
        let mut shares: Vec<f64> = (0..60)
            .map(|seed| {
                let mut rng = Rng::fork(seed, name);
                let held_out: Vec<f32> = (0..3_000).map(|_| draw(&mut rng)).collect();
                let calibrator = Calibrator::fit(&held_out).unwrap();
                let unseen = 20_000;
                let alarms =
                    (0..unseen).filter(|_| calibrator.tail(draw(&mut rng)) > threshold).count();
                alarms as f64 / f64::from(unseen)
            })
            .collect();
        shares.sort_by(f64::total_cmp);
        let (low, middle, high) = (shares[0], shares[30], shares[59]);
        println!("{name}: 1% budget realised {low:.4}..{high:.4}, median {middle:.4}");
        assert!(low > 0.003 && high < 0.03, "{name}: {low}..{high}");
    }
}

#[test]
fn small_samples_follow_the_recipe_exactly() {
    let scores: Vec<f32> = (1u8..=100).map(f32::from).collect();
    let c = Calibrator::fit(&scores).unwrap();
    let near = |tail: f32, p: f64| (f64::from(tail) + p.log10()).abs() < 1e-5;
    assert!(near(c.tail(0.0), 1.0) && c.tail(f32::NEG_INFINITY) == 0.0);
    assert!(near(c.tail(50.0), 52.0 / 101.0));
    assert!(near(c.tail(49.5), 52.0 / 101.0));
    assert!(near(c.tail(95.0), 7.0 / 101.0));
    // Five above 95, their mean excess is 3; too few to tell another shape than the usual 1/4.
    assert!(near(c.tail(98.0), 5.0 / 101.0 * (1.0f64 + 0.25 * 3.0 / 2.25).powi(-4)));
    assert_eq!(c.tail(f32::INFINITY), TAIL_MAX);
    assert_eq!(c.tail(f32::NAN), 0.0);
}

#[test]
fn ties_at_the_top_still_leave_room_above() {
    for scores in [vec![0.0f32; 200], vec![7.5; 60]] {
        let c = Calibrator::fit(&scores).unwrap();
        assert_eq!(c.tail(scores[0]), 0.0);
        assert!(c.tail(scores[0] + 1.0) > 2.0 || scores.len() < 100);
        assert!(c.tail(scores[0] + 1.0) > 1.7);
    }
}

#[test]
fn thinning_moves_no_probability_by_more_than_a_thousandth() {
    let mut rng = Rng::new(3);
    let mut scores: Vec<f32> = (0..30_000).map(|_| rng.normal() as f32).collect();
    scores.extend(vec![0.5; 5_000]);
    let c = Calibrator::fit(&scores).unwrap();
    assert!(c.parts.knots.len() <= QUANTILES_KEPT + 1, "{}", c.parts.knots.len());
    for &s in scores.iter().step_by(97).chain([&0.5]) {
        if s > c.parts.knots.last().unwrap().0 {
            continue;
        }
        let true_p = (scores.iter().filter(|&&o| o >= s).count() + 1) as f64 / 35_001.0;
        let p = 10f64.powf(-f64::from(c.tail(s)));
        assert!((p - true_p).abs() < 1.1e-3, "{s}: {p} {true_p}");
    }
}

#[test]
fn what_is_no_sample_is_refused() {
    assert_eq!(Calibrator::fit(&[1.0; 59]), Err(Error::TooFew(59)));
    let mut scores = vec![1.0; 100];
    scores[40] = f32::NAN;
    assert!(matches!(Calibrator::fit(&scores), Err(Error::NotFinite { index: 40, .. })));
}

#[test]
fn broken_calibrators_do_not_load() {
    let good = Calibrator::fit(&(0u8..100).map(f32::from).collect::<Vec<_>>()).unwrap();
    let broken: [fn(&mut Parts); 4] =
        [|p| p.knots.swap(0, 1), |p| p.knots.clear(), |p| p.scale = 0.0, |p| p.beyond = f64::NAN];
    for change in broken {
        let mut parts = good.parts.clone();
        change(&mut parts);
        let json = serde_json::to_string(&parts).unwrap();
        assert!(serde_json::from_str::<Calibrator>(&json).is_err());
    }
    let bytes = threat::codec::encode(1, &good).unwrap();
    assert_eq!(threat::codec::decode::<Calibrator>(1, &bytes).unwrap(), good);
}

#[test]
fn budgets_read_and_write() {
    for (text, budget, p) in [
        ("5/day", Budget::PerDay(5.0), 5e-6),
        ("10/million", Budget::PerMillion(10.0), 1e-5),
        ("1%", Budget::Percent(1.0), 1e-2),
        (" 0.5 % ", Budget::Percent(0.5), 5e-3),
        ("2 / day", Budget::PerDay(2.0), 2e-6),
    ] {
        assert_eq!(text.parse(), Ok(budget), "{text}");
        assert_eq!(budget.to_string().parse(), Ok(budget));
        assert!((budget.probability(None) - p).abs() < 1e-15, "{text}");
        let json = serde_json::to_string(&budget).unwrap();
        assert_eq!(serde_json::from_str::<Budget>(&json).unwrap(), budget);
    }
    assert_eq!(Budget::PerDay(5.0).threshold_tail(Some(5_000.0)), 3.0);
    assert_eq!(Budget::PerDay(5.0).threshold_tail(Some(2.0)), 0.0);
    assert_eq!(Budget::Percent(100.0).threshold_tail(None), 0.0);
    for bad in ["", "5", "five/day", "5/week", "-1%", "0/day", "101%", "nan%", "2e6/million", "%"] {
        let error = bad.parse::<Budget>().unwrap_err().to_string();
        assert!(error.contains("5/day, 10/million or 1%"), "{error}");
    }
}

proptest! {
    #[test]
    fn tails_never_fall_and_stay_finite(
        scores in prop::collection::vec(
            prop_oneof![-1e30f32..1e30, 0f32..1.0, Just(0.25f32)],
            60..3000,
        ),
        asked in prop::collection::vec(any::<f32>(), 2..60),
    ) {
        let c = Calibrator::fit(&scores).unwrap();
        let mut asked: Vec<f32> = asked.into_iter().filter(|s| !s.is_nan()).collect();
        asked.extend(&scores);
        asked.sort_by(f32::total_cmp);
        let tails: Vec<f32> = asked.iter().map(|&s| c.tail(s)).collect();
        prop_assert!(tails.is_sorted(), "{tails:?}");
        prop_assert!(tails.iter().all(|t| (0.0..=TAIL_MAX).contains(t)));
    }

    #[test]
    fn score_at_is_the_inverse(seed: u64, law in 0..LAWS.len(), tail in 0f32..8.0) {
        let mut rng = Rng::new(seed);
        let scores: Vec<f32> = (0..500).map(|_| (LAWS[law].1)(&mut rng)).collect();
        let c = Calibrator::fit(&scores).unwrap();
        let score = c.score_at(tail);
        prop_assert!(c.tail(score) >= tail - 1e-4, "{score} {} {tail}", c.tail(score));
        for &s in &scores {
            let (tail, back) = (c.tail(s), c.score_at(c.tail(s)));
            prop_assert!((c.tail(back) - tail).abs() < 1e-4);
            prop_assert!((back - s).abs() <= 1e-4 * s.abs().max(1.0), "{s} {back}");
        }
    }

    #[test]
    fn order_of_scores_does_not_matter(seed: u64) {
        let mut rng = Rng::new(seed);
        let mut scores: Vec<f32> = (0..300).map(|_| rng.normal() as f32).collect();
        let first = Calibrator::fit(&scores).unwrap();
        rng.shuffle(&mut scores);
        prop_assert_eq!(Calibrator::fit(&scores).unwrap(), first);
    }
}
