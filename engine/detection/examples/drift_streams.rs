//! How soon planted shifts are found, and how often nothing is taken for one: writes seeded streams
//! for others to watch, watches them itself, and prints false alarms and delays.
//!
//! `cargo run --release -p detection --example drift_streams -- FOLDER` writes `streams.csv` (one
//! stream a line: kind, seed, place of the shift or -1, values); the first `REFERENCE` values of a
//! stream are known to be good, and probabilities come from their ranks.
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "an example takes a folder, writes to it, tells what failed and ends"
)]

use detection::drift::{RUN_LENGTH, Watch};
use std::fmt::Write as _;
use threat::entropy::Rng;

/// Values that are known to be good.
const REFERENCE: usize = 1_000;
/// Values after them.
const WATCHED: usize = 10_000;
/// Where the shift begins, counted after the reference.
const SHIFT: usize = 2_000;
/// Streams of a kind.
const STREAMS: u64 = 50;

const KINDS: [(&str, f64, f64); 7] = [
    ("nothing", 0.0, 1.0),
    ("mean up by half a deviation", 0.5, 1.0),
    ("mean up by one deviation", 1.0, 1.0),
    ("mean down by one deviation", -1.0, 1.0),
    ("deviation doubled", 0.0, 2.0),
    ("deviation halved", 0.0, 0.5),
    ("nothing, log-normal", 0.0, 1.0),
];

fn stream(kind: usize, seed: u64) -> Vec<f64> {
    let (name, moved, wider) = KINDS[kind];
    let mut rng = Rng::fork(seed, name);
    (0..REFERENCE + WATCHED)
        .map(|i| {
            let shifted = i >= REFERENCE + SHIFT;
            let (mean, deviation) = if shifted { (moved, wider) } else { (0.0, 1.0) };
            let x = mean + deviation * rng.normal();
            if name.ends_with("log-normal") { x.exp() } else { x }
        })
        .collect()
}

/// Places of alarms after the reference.
fn alarms(values: &[f64], seed: u64) -> Vec<usize> {
    let (reference, watched) = values.split_at(REFERENCE);
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut rng = Rng::fork(seed, "ties");
    let mut watch = Watch::new(RUN_LENGTH);
    let found = watched.iter().enumerate().filter(|(_, x)| {
        let higher = sorted.len() - sorted.partition_point(|r| r < x);
        let p = (higher as f64 + rng.unit()) / (sorted.len() + 1) as f64;
        watch.observe(p).is_some()
    });
    found.map(|(place, _)| place).collect()
}

fn main() {
    let folder = std::env::args().nth(1).expect("a folder to write streams.csv to");
    let mut csv = String::new();
    println!("{:32} {:>12} {:>8} {:>12}", "shift", "false alarms", "found", "median delay");
    for (kind, (name, ..)) in KINDS.iter().enumerate() {
        let shifts = !name.starts_with("nothing");
        let (mut false_alarms, mut delays, mut watched) = (0, Vec::new(), 0);
        for seed in 0..STREAMS {
            let values = stream(kind, seed);
            let place = if shifts { SHIFT as i64 } else { -1 };
            let _ = write!(csv, "{name};{seed};{place}");
            for value in &values {
                let _ = write!(csv, ";{value:.5}");
            }
            csv.push('\n');
            let at = alarms(&values, seed);
            let end = if shifts { SHIFT } else { WATCHED };
            watched += end;
            false_alarms += at.iter().filter(|&&a| a < end).count();
            delays.extend(at.iter().find(|&&a| shifts && a >= SHIFT).map(|a| a - SHIFT));
        }
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).map_or("-".to_owned(), ToString::to_string);
        let rate = false_alarms as f64 * 1e6 / watched as f64;
        println!("{name:32} {false_alarms:4} ({rate:.0}/M) {:>8} {median:>12}", delays.len());
    }
    std::fs::write(std::path::Path::new(&folder).join("streams.csv"), csv).expect("written");
}
