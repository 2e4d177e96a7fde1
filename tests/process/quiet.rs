//! What nodes cost that have nothing to do: processor time of each, and bytes within and between
//! regions. It measures with `ss`, and needs the machine for itself.

use crate::cluster::{Up, processes, run, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const REGIONS: [&str; 3] = ["eu", "us", "ap"];

/// Until workloads are at home and nodes know each other.
const SETTLED: Duration = Duration::from_secs(20);

const MEASURED: Duration = Duration::from_secs(20);

/// Ticks of processor time in a second.
const TICKS: f64 = 100.0;

#[test]
#[ignore = "it measures: four minutes alone"]
fn idle_nodes_are_quiet_from_three_to_twenty_four() {
    for a_region in [1, 2, 4, 8] {
        measure(a_region);
    }
}

/// The first of so many free ports after one another.
fn ports(count: usize) -> u16 {
    let free = |p: u16| TcpListener::bind(("127.0.0.1", p)).is_ok();
    let mut firsts = (43_000..45_000).step_by(count);
    let found = firsts.find(|first| (*first..first + count as u16).all(free));
    found.expect("there are no free ports")
}

fn measure(a_region: usize) {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let count = a_region * REGIONS.len();
    let began = Instant::now();
    let _up = Up::start(at, ports(count), &["--nodes", &a_region.to_string()]);
    let ready = began.elapsed();
    let names = || REGIONS.iter().flat_map(|r| (1..=a_region).map(move |n| (*r, n)));
    let mut regions: BTreeMap<u32, &str> = BTreeMap::new();
    for (region, n) in names() {
        let [process] = processes(at, &format!("{region}-{n}"))[..] else { panic!("{region}-{n}") };
        regions.insert(process, region);
    }
    let standing = || {
        until("all answer", || {
            let output = run(at, &["cluster", "status", "--output", "json"]);
            let all: Value = serde_json::from_slice(&output.stdout).ok()?;
            let all = all.as_object()?;
            let terms: BTreeSet<u64> = all.values().filter_map(|n| n["term"].as_u64()).collect();
            (all.len() == count && terms.len() == 1).then_some(terms)
        })
    };
    sleep(SETTLED);
    let before = standing();
    let (ticks, bytes) = (all_ticks(&regions), sent(&regions));
    sleep(MEASURED);
    let (ticks_after, bytes_after) = (all_ticks(&regions), sent(&regions));
    assert_eq!(standing(), before, "there was an election");
    let seconds = MEASURED.as_secs_f64();
    let share = (ticks_after - ticks) as f64 / TICKS / seconds / count as f64;
    let rate = |between: bool| {
        let of = |(key, after): (&(u64, bool), &u64)| {
            let before = bytes.get(key).copied().unwrap_or_default();
            if key.1 == between { after.saturating_sub(before) } else { 0 }
        };
        bytes_after.iter().map(of).sum::<u64>() as f64 / seconds / 1e3
    };
    println!(
        "{count} nodes: ready after {ready:.1?}, {:.2}% of a core each, {:.1} kB/s between \
         regions, {:.1} kB/s within",
        share * 100.0,
        rate(true),
        rate(false)
    );
}

/// Processor time of all of these, in ticks.
fn all_ticks(processes: &BTreeMap<u32, &str>) -> u64 {
    let ticks = |process: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    processes.keys().map(ticks).sum()
}

/// Bytes that each socket of these processes has sent, and whether to another region.
fn sent(regions: &BTreeMap<u32, &str>) -> BTreeMap<(u64, bool), u64> {
    let output = Command::new("ss").args(["-tinpOH"]).output().expect("ss of iproute2");
    let all = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut sockets = Vec::new();
    for line in all.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = |word: &str| word.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
        let number = |key: &str| {
            let from = line.split(key).nth(1)?;
            from.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let ends = (words.get(3).and_then(|w| port(w)), words.get(4).and_then(|w| port(w)));
        let (Some(here), Some(there), Some(process)) = (ends.0, ends.1, number("pid=")) else {
            continue;
        };
        if let Some(region) = regions.get(&(process as u32)) {
            sockets.push((here, there, *region, number("bytes_sent:").unwrap_or_default()));
        }
    }
    let of: BTreeMap<(u16, u16), &str> = sockets.iter().map(|s| ((s.0, s.1), s.2)).collect();
    let key = |here: u16, there: u16| u64::from(here) << 16 | u64::from(there);
    let known = |(here, there, region, bytes): (u16, u16, &str, u64)| {
        let other = of.get(&(there, here))?;
        Some(((key(here, there), *other != region), bytes))
    };
    sockets.into_iter().filter_map(known).collect()
}
