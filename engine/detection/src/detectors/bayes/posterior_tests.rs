//! Calibration, coverage, prior shift and the unknown class, on simulated truth.

use super::*;
use threat::entropy::Rng;

/// Classes that draw each piece of evidence from shares of their own.
struct Truth {
    names: Vec<&'static str>,
    rate: Vec<f64>,
    shares: Vec<Vec<Vec<f64>>>,
}

const SHAPE: [u32; 3] = [4, 5, 3];

impl Truth {
    fn new(seed: u64, rate: &[f64]) -> Self {
        let mut rng = Rng::new(seed);
        let mut shares = || {
            let piece = |bins: u32, rng: &mut Rng| -> Vec<f64> {
                let drawn: Vec<f64> = (0..bins).map(|_| rng.exponential(1.0)).collect();
                let sum: f64 = drawn.iter().sum();
                drawn.iter().map(|d| d / sum).collect()
            };
            SHAPE.iter().map(|&b| piece(b, &mut rng)).collect::<Vec<_>>()
        };
        let shares = rate.iter().map(|_| shares()).collect();
        let names = ["scan", "brute_force", "exfiltration"][..rate.len()].to_vec();
        Self { names, rate: rate.to_vec(), shares }
    }

    fn draw(&self, rng: &mut Rng) -> (usize, Vec<u32>) {
        let choose = |shares: &[f64], rng: &mut Rng| {
            let mut left = rng.unit();
            let found = shares.iter().position(|s| {
                left -= s;
                left < 0.0
            });
            found.unwrap_or(shares.len() - 1)
        };
        let class = choose(&self.rate, rng);
        let evidence = self.shares[class].iter().map(|s| choose(s, rng) as u32).collect();
        (class, evidence)
    }

    fn posterior(&self, evidence: &[u32]) -> Vec<f64> {
        let joint = |c: usize| {
            let pieces = self.shares[c].iter().zip(evidence);
            self.rate[c] * pieces.map(|(s, &b)| s[b as usize]).product::<f64>()
        };
        let all: Vec<f64> = (0..self.rate.len()).map(joint).collect();
        all.iter().map(|j| j / all.iter().sum::<f64>()).collect()
    }

    fn taught(&self, rows: usize, rng: &mut Rng) -> Posterior {
        let mut posterior = Posterior::new(SHAPE.to_vec()).unwrap();
        for _ in 0..rows {
            let (class, evidence) = self.draw(rng);
            posterior.observe(self.names[class], &evidence).unwrap();
        }
        posterior
    }
}

fn of<'a>(beliefs: &'a [Belief], class: &str) -> &'a Belief {
    beliefs.iter().find(|b| b.class == class).unwrap()
}

/// Mean distance between stated and met frequency over ten bins of stated probability.
fn calibration_error(posterior: &Posterior, truth: &Truth, rng: &mut Rng) -> f64 {
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for _ in 0..4_000 {
        let (class, evidence) = truth.draw(rng);
        let beliefs = posterior.posterior(&evidence).unwrap();
        for (c, name) in truth.names.iter().enumerate() {
            let p = of(&beliefs, name).mean;
            let bin = &mut bins[((p * 10.0) as usize).min(9)];
            *bin = (bin.0 + 1.0, bin.1 + p, bin.2 + f64::from(u8::from(c == class)));
        }
    }
    let all: f64 = bins.iter().map(|b| b.0).sum();
    bins.iter().map(|b| (b.1 - b.2).abs() / all).sum()
}

#[test]
fn stated_probabilities_come_true() {
    let mut rng = Rng::new(2);
    let truth = Truth::new(1, &[0.5, 0.3, 0.2]);
    let posterior = truth.taught(3_000, &mut rng);
    let error = calibration_error(&posterior, &truth, &mut rng);
    assert!(error < 0.02, "{error}");
}

#[test]
fn a_shifted_prior_is_mended_by_the_rate_alone() {
    let mut rng = Rng::new(3);
    let posterior = Truth::new(1, &[0.4, 0.3, 0.3]).taught(3_000, &mut rng);
    let live = Truth::new(1, &[0.95, 0.03, 0.02]);
    let stale = calibration_error(&posterior, &live, &mut rng);
    let mut mended = posterior.clone();
    for (name, rate) in live.names.iter().zip(&live.rate) {
        mended.set_rate(name, 3_000.0 * rate).unwrap();
    }
    let fresh = calibration_error(&mended, &live, &mut rng);
    assert!(stale > 0.03 && fresh < 0.01, "{stale} {fresh}");
}

#[test]
fn intervals_cover_the_true_posterior_and_shrink() {
    let (mut inside, mut all) = (0, 0);
    let mut widths = Vec::new();
    for rows in [150, 1_500] {
        let mut width = 0.0;
        for seed in 0..40 {
            let truth = Truth::new(100 + seed, &[0.5, 0.3, 0.2]);
            let mut rng = Rng::new(seed);
            let posterior = truth.taught(rows, &mut rng);
            for _ in 0..25 {
                let (_, evidence) = truth.draw(&mut rng);
                let want = truth.posterior(&evidence);
                let beliefs = posterior.posterior(&evidence).unwrap();
                for (name, want) in truth.names.iter().zip(want) {
                    let b = of(&beliefs, name);
                    assert!(0.0 <= b.low && b.low <= b.mean && b.mean <= b.high && b.high <= 1.0);
                    inside += usize::from((b.low..=b.high).contains(&want));
                    all += 1;
                    width += b.high - b.low;
                }
            }
        }
        widths.push(width);
    }
    let share = f64::from(inside as u32) / f64::from(all);
    assert!((0.92..0.985).contains(&share), "95% intervals cover {share}");
    assert!(widths[1] < 0.5 * widths[0], "{widths:?}");
}

#[test]
fn thin_or_foreign_evidence_is_unknown() {
    let mut posterior = Posterior::new(vec![10; 4]).unwrap();
    assert_eq!(posterior.posterior(&[1; 4]).unwrap()[0].class, UNKNOWN);
    for _ in 0..200 {
        posterior.observe("scan", &[1; 4]).unwrap();
        posterior.observe("exfiltration", &[2; 4]).unwrap();
    }
    let known = posterior.posterior(&[1; 4]).unwrap();
    assert!(known[0].class == "scan" && known[0].mean > 0.99, "{known:?}");
    let foreign = posterior.posterior(&[7; 4]).unwrap();
    assert!(foreign[0].class == UNKNOWN && foreign[0].mean > 0.9, "{foreign:?}");
    let sum: f64 = foreign.iter().map(|b| b.mean).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    let missing = posterior.posterior(&[u32::MAX; 4]).unwrap();
    assert!((of(&missing, "scan").mean - 201.0 / 403.0).abs() < 1e-9, "only rates are left");
}

#[test]
fn what_does_not_fit_is_refused_and_bytes_round_trip() {
    let mut posterior = Posterior::new(vec![2, 3]).unwrap();
    assert!(matches!(posterior.observe("scan", &[0]), Err(Error::Pieces { expected: 2, got: 1 })));
    assert!(matches!(posterior.observe(UNKNOWN, &[0, 0]), Err(Error::Class(_))));
    assert!(matches!(posterior.set_rate("scan", 1.0), Err(Error::Class(_))));
    for class in 0..CLASSES {
        posterior.observe(&format!("c{class}"), &[0, 2]).unwrap();
    }
    assert!(matches!(posterior.observe("one more", &[0, 0]), Err(Error::Class(_))));
    assert!(matches!(posterior.set_rate("c1", f64::NAN), Err(Error::Rate(_))));
    assert!(matches!(Posterior::new(vec![0]), Err(Error::Shape)));
    let bytes = posterior.encode().unwrap();
    assert_eq!(Posterior::decode(&bytes).unwrap(), posterior);
    let mut broken = posterior.clone();
    broken.classes.get_mut("c0").unwrap().bins[0].push(1.0);
    assert!(matches!(Posterior::decode(&broken.encode().unwrap()), Err(Error::Counts)));
    assert!(Posterior::decode(&bytes[1..]).is_err());
}
