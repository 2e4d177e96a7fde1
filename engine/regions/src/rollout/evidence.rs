//! What nodes measure of a bundle on trial, and when it says that the bundle does worse.

use super::limits::{
    ALARMS, LACKING, LATE, MIN_BATCHES, MIN_ROWS, ONE_SIDED, OVER_BUDGET, SLOW_MICROS, SLOWER, Z,
};
use serde::{Deserialize, Serialize};

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Share of benign events that the budget lets be taken for threats.
    pub budget: f64,
}

/// The same rows judged under a bundle and under what it replaces, on one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairs {
    /// Rows.
    pub rows: u64,
    /// Alarms under both.
    pub both: u64,
    /// Alarms under the bundle alone.
    pub new: u64,
    /// Alarms under the other alone.
    pub gone: u64,
    /// Rows that lack votes under the bundle.
    pub lacking: u64,
    /// Rows that lack votes under the other.
    pub lacked: u64,
    /// Microseconds that the bundle took.
    pub micros: u64,
    /// Microseconds that the other took.
    pub took: u64,
}

impl Pairs {
    /// Adds what others measured.
    pub fn add(&mut self, more: &Self) {
        let sum = |a: &mut u64, b: u64| *a = a.saturating_add(b);
        sum(&mut self.rows, more.rows);
        sum(&mut self.both, more.both);
        sum(&mut self.new, more.new);
        sum(&mut self.gone, more.gone);
        sum(&mut self.lacking, more.lacking);
        sum(&mut self.lacked, more.lacked);
        sum(&mut self.micros, more.micros);
        sum(&mut self.took, more.took);
    }

    /// As fields of a JSON object, for the evidence of a step.
    pub fn told(&self) -> String {
        let Self { rows, both, new, gone, lacking, lacked, .. } = self;
        let each = |micros: u64| micros / (*rows).max(1);
        format!(
            "\"rows\":{rows},\"both\":{both},\"new\":{new},\"gone\":{gone},\"lacking\":{lacking},\
             \"lacked\":{lacked},\"micros\":{},\"took\":{}",
            each(self.micros),
            each(self.took)
        )
    }
}

/// Verdicts that counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Rows judged.
    pub rows: u64,
    /// Those that the models call threats.
    pub alarms: u64,
    /// Batches, or parts of them.
    pub batches: u64,
    /// Those whose verdicts came late.
    pub late: u64,
}

impl Live {
    /// Adds what others measured.
    pub fn add(&mut self, more: &Self) {
        self.rows = self.rows.saturating_add(more.rows);
        self.alarms = self.alarms.saturating_add(more.alarms);
        self.batches = self.batches.saturating_add(more.batches);
        self.late = self.late.saturating_add(more.late);
    }
}

/// What a node measured of a bundle since it came to its stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The bundle.
    pub version: u64,
    /// The log index of its last step, as the node has applied it.
    pub since: u64,
    /// Whether the node uses it now.
    pub uses: bool,
    /// Beside what it replaces.
    pub pairs: Pairs,
    /// Verdicts made with it.
    pub with: Live,
    /// Verdicts made with another.
    pub without: Live,
}

/// What the nodes of a region measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Nodes of the region.
    pub nodes: usize,
    /// Those that use it.
    pub using: usize,
    /// Beside what it replaces.
    pub pairs: Pairs,
    /// Verdicts made with it.
    pub with: Live,
    /// Verdicts made with another.
    pub without: Live,
}

impl Sums {
    /// Adds a node, with its report if it has sent one.
    pub fn add(&mut self, report: Option<&Report>) {
        self.nodes += 1;
        if let Some(report) = report {
            self.using += usize::from(report.uses);
            self.pairs.add(&report.pairs);
            self.with.add(&report.with);
            self.without.add(&report.without);
        }
    }
}

/// The range that a share lies in, by Wilson's score interval (Wilson: "Probable inference, the law
/// of succession, and statistical inference", JASA 1927): it holds for shares of nothing and of
/// all, too.
fn range(some: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, z2) = (all as f64, Z * Z);
    let p = (some as f64 / n).min(1.0);
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    (middle - half, middle + half)
}

fn low(some: u64, all: u64) -> f64 {
    range(some, all).0
}

fn high(some: u64, all: u64) -> f64 {
    range(some, all).1
}

/// Why a bundle does worse in a region, as fields of a JSON object; nothing as long as that is not
/// clear. `live` has the verdicts of the region where it is in use, and those of all others.
pub fn regression(
    settings: &Settings,
    pairs: &Pairs,
    live: Option<(&Live, &Live)>,
) -> Option<String> {
    let accepted = ALARMS.max(settings.budget * OVER_BUDGET);
    let because = |why: &str| Some(format!("\"why\":\"{why}\",{}", pairs.told()));
    let &Pairs { rows, new, gone, lacking, lacked, micros, took, .. } = pairs;
    if rows >= MIN_ROWS {
        if low(new, rows) > accepted && new > gone.saturating_mul(ONE_SIDED) {
            return because("new alarms");
        }
        if low(lacking, rows) > LACKING + high(lacked, rows) {
            return because("votes are missing");
        }
        // What it replaces may be nothing, which takes no time.
        let before = took.max(rows.saturating_mul(SLOW_MICROS) / SLOWER);
        if micros > before.saturating_mul(SLOWER) {
            return because("scoring is slow");
        }
    }
    let (own, others) = live?;
    let told = |why: &str| {
        let Live { rows, alarms, batches, late } = own;
        let numbers =
            format!("\"judged\":{rows},\"alarms\":{alarms},\"batches\":{batches},\"late\":{late}");
        Some(format!("\"why\":\"{why}\",{numbers}"))
    };
    // An attack on this region alone raises both bundles' alarms: where rows were judged under
    // both, other regions say nothing.
    if rows < MIN_ROWS && own.rows >= MIN_ROWS {
        let elsewhere =
            if others.rows >= MIN_ROWS { high(others.alarms, others.rows) } else { 0.0 };
        if low(own.alarms, own.rows) > accepted.max(2.0 * elsewhere) {
            return told("more alarms than other regions");
        }
    }
    let both = own.batches >= MIN_BATCHES && others.batches >= MIN_BATCHES;
    if both && low(own.late, own.batches) > LATE + high(others.late, others.batches) {
        return told("verdicts are late");
    }
    None
}
