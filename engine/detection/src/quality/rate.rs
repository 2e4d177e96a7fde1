//! Is something more frequent than can be tolerated?
//!
//! Against "at most `tolerated` of the observations, whatever came before" some bets on higher
//! rates are placed. The wealth of a bet that is opened anew whenever it is broke is an e-CUSUM;
//! the mean of several reaches a threshold T no sooner, on average, than after T observations while
//! the rate is tolerated (e-detectors: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric
//! framework for sequential change detection", 2022). Observations need not be independent, as long
//! as the chance of each, given those before, is tolerated.

use threat::Timestamp;

/// Bets on rates that lie so far from the tolerated one to 1.
const STEPS: [f64; 4] = [0.03, 0.12, 0.4, 0.95];

/// The tolerated rate never nears 1 so much that nothing could exceed it, nor 0.
const TOLERATED: (f64, f64) = (1e-4, 0.98);

/// Cases before anything is told: a change that a person is to look into is no handful.
pub(super) const CASES: u32 = 20;

/// Entities that have to show a change, where there are as many: one that scans, floods or is
/// broken is no trouble of the source.
pub(super) const BREADTH: usize = 8;

/// Observations after which it is asked whether a told change is over: at 5% of cases where 1% are
/// tolerated, one time in a hundred thousand has so few by chance.
const HEALED: u32 = 400;

#[derive(Clone, Debug)]
struct Bet {
    /// What a case pays, and what its absence costs.
    case: f64,
    other: f64,
    wealth: f64,
    stretch: Stretch,
}

/// Observations since something began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Time of the first case.
    pub since: Timestamp,
    /// Observations.
    pub seen: u64,
    /// Cases among them.
    pub cases: u64,
}

/// What an observation led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Quiet,
    /// The rate is too high.
    Told(Stretch),
    /// It still is, or may be.
    Lasts,
    /// It is tolerable again.
    Healed,
}

/// Watches a rate.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    bets: Vec<Bet>,
    tolerated: f64,
    threshold: f64,
    breadth: usize,
    /// A bet is not broke.
    active: bool,
    /// Who the cases of the stretch were, up to `breadth`.
    who: Vec<u64>,
    told: bool,
    healing: (u32, u32),
}

impl Rate {
    /// A watch that tolerates a rate and tells by mistake once in `threshold` observations.
    pub fn new(tolerated: f64, threshold: f64, breadth: usize) -> Self {
        let p = tolerated.clamp(TOLERATED.0, TOLERATED.1);
        Self::with(p, STEPS.map(|step| p + (1.0 - p) * step).to_vec(), threshold, breadth)
    }

    /// The same, where only a rate of 1 is to be told.
    pub fn always(tolerated: f64, threshold: f64, breadth: usize) -> Self {
        Self::with(tolerated.clamp(TOLERATED.0, TOLERATED.1), vec![1.0], threshold, breadth)
    }

    fn with(p: f64, rates: Vec<f64>, threshold: f64, breadth: usize) -> Self {
        let bet = |q: f64| Bet {
            case: q / p,
            other: (1.0 - q) / (1.0 - p),
            wealth: 1.0,
            stretch: Stretch::default(),
        };
        Self {
            bets: rates.into_iter().map(bet).collect(),
            tolerated: p,
            threshold,
            breadth: breadth.clamp(1, BREADTH),
            active: false,
            who: Vec::new(),
            told: false,
            healing: (0, 0),
        }
    }

    /// Nothing speaks for a change at the moment.
    pub const fn calm(&self) -> bool {
        !self.active && !self.told
    }

    /// Takes an observation. `credible` says whether a change may be told now.
    pub fn observe(&mut self, case: bool, who: u64, time: Timestamp, credible: bool) -> Outcome {
        if self.told {
            return self.heal(case);
        }
        if !case && !self.active {
            return Outcome::Quiet;
        }
        if case && self.who.len() < self.breadth && !self.who.contains(&who) {
            self.who.push(who);
        }
        self.bet(case, time);
        if !self.active {
            self.who.clear();
        }
        let mean = self.bets.iter().map(|b| b.wealth).sum::<f64>() / self.bets.len() as f64;
        if mean < self.threshold || self.who.len() < self.breadth || !credible {
            return Outcome::Quiet;
        }
        let best = self.bets.iter().max_by(|a, b| a.wealth.total_cmp(&b.wealth));
        let Some(stretch) = best.map(|b| b.stretch) else { return Outcome::Quiet };
        if stretch.cases < u64::from(CASES) {
            return Outcome::Quiet;
        }
        self.told = true;
        self.healing = (0, 0);
        Outcome::Told(stretch)
    }

    fn bet(&mut self, case: bool, time: Timestamp) {
        // More wealth would only make it slower to see that all is well again.
        let most = self.threshold * self.bets.len() as f64;
        self.active = false;
        for bet in &mut self.bets {
            if case && bet.stretch.seen == 0 {
                bet.stretch.since = time;
            }
            bet.stretch.seen += 1;
            bet.stretch.cases += u64::from(case);
            bet.wealth = (bet.wealth.max(1.0) * if case { bet.case } else { bet.other }).min(most);
            if bet.wealth <= 1.0 {
                *bet = Bet { wealth: 1.0, stretch: Stretch::default(), ..*bet };
            } else {
                self.active = true;
            }
        }
    }

    fn heal(&mut self, case: bool) -> Outcome {
        self.healing.0 += 1;
        self.healing.1 += u32::from(case);
        if self.healing.0 < HEALED {
            return Outcome::Lasts;
        }
        let healed = f64::from(self.healing.1) <= self.tolerated * f64::from(HEALED);
        self.healing = (0, 0);
        if !healed {
            return Outcome::Lasts;
        }
        self.told = false;
        self.active = false;
        self.who.clear();
        for bet in &mut self.bets {
            *bet = Bet { wealth: 1.0, stretch: Stretch::default(), ..*bet };
        }
        Outcome::Healed
    }
}

/// With near certainty (99.7%, Poisson) no more than this share stands behind `cases` in `seen`.
pub(super) fn at_most(cases: usize, seen: usize) -> f64 {
    let k = cases as f64;
    (k + 3.0 + 3.0 * (k + 1.0).sqrt()) / (seen as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::entropy::Rng;

    /// Observations until it is told, at most `most`, while the true rate is `rate`.
    fn first(rate: f64, tolerated: f64, threshold: f64, seed: u64, most: u64) -> Option<u64> {
        let (mut rng, mut watch) = (Rng::new(seed), Rate::new(tolerated, threshold, 1));
        (0..most).find(|&i| {
            let time = Timestamp::from_micros(i as i64);
            matches!(watch.observe(rng.chance(rate), 0, time, true), Outcome::Told(_))
        })
    }

    #[test]
    fn false_alarms_are_rarer_than_stated() {
        for tolerated in [0.01, 0.05, 0.5] {
            let runs = 300;
            let told = (0..runs).filter(|&s| first(tolerated, tolerated, 1e4, s, 2_000).is_some());
            // Within a fifth of the stated length no more than a fifth of the runs may tell.
            assert!(told.count() <= 60);
        }
    }

    #[test]
    fn the_more_the_sooner() {
        let median = |rate| {
            let mut all: Vec<u64> =
                (0..51).filter_map(|s| first(rate, 0.01, 5e7, s, 100_000)).collect();
            assert_eq!(all.len(), 51);
            all.sort_unstable();
            all[25]
        };
        let delays = [0.05, 0.2, 1.0].map(median);
        assert!(delays[0] < 900 && delays[1] < 150 && delays[2] < 25, "{delays:?}");
    }

    #[test]
    fn one_entity_alone_is_not_told_and_a_change_that_ends_heals() {
        let mut watch = Rate::new(0.01, 1e6, BREADTH);
        let at = Timestamp::from_micros;
        for i in 0..10_000 {
            assert_eq!(watch.observe(i % 3 == 0, 7, at(i), true), Outcome::Quiet);
        }
        let told = (0..).find(|&i| {
            matches!(watch.observe(true, i as u64, at(20_000 + i), true), Outcome::Told(_))
        });
        assert!(told.is_some_and(|n| n < 20), "{told:?}");
        let healed = (0..1_000).find(|&i| watch.observe(false, 1, at(i), true) == Outcome::Healed);
        assert!(healed.is_some());
        assert!(watch.calm());
    }
}
