//! How long models take to all nodes of a running cluster, and poison to be taken back.
//!
//! `watchfire up --nodes 3 &`, `watchfire train good.log --output good.model`, then
//! `cargo run --release -p node --example rollout_times -- watchfire-cluster/operator.toml
//! good.model more.log`
//!
//! It gives the first node of each region a share of all entities unless they have owners, brings
//! the bundle to all nodes, and prints the time from the answer to `ActivateBundle` until each node
//! uses it. Then it makes the bundle's calibration take every score for a threat, lets one region
//! use that, sends the log, and prints the time from the first byte until all nodes have gone back.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a program for measuring")]

use detection::bundle::Bundle;
use detection::calibration::Calibrator;
use node::datapath::message::Durability;
use node::host::ReadError;
use node::host::cluster_files::random;
use node::membership::{Ask, Client, Command, Links, NodeStatus, Reply, Request, Told};
use node::membership::{ask, operator};
use node::rollout::asking;
use node::sending::{Sending, Sent};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(10);

/// Numbers of shards, which the control log gives.
const SHARDS: u32 = 4_096;

#[tokio::main]
async fn main() {
    let arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [config, good, log] = &arguments[..] else { panic!("operator.toml good.model more.log") };
    let (fabric, nodes) = operator(config).expect("operator");
    let Ok(Told::Status(status)) =
        ask(&fabric, &nodes[0], &Ask::Status { digest: false }, WITHIN).await
    else {
        panic!("no status")
    };
    workloads(&fabric, &nodes[0], &status).await;
    let addresses: Vec<String> = status.members.values().map(|m| m.address.clone()).collect();
    let bytes = std::fs::read(good).expect("good.model");
    let to = &nodes[0];
    let first = asking::register(&fabric, to, &bytes, false).await.expect("registered");
    let began = Instant::now();
    shadow(&fabric, to, first, addresses.len()).await;
    println!("{} nodes ready after {:?}", addresses.len(), began.elapsed());
    propose(&fabric, to, canary(first, "eu")).await;
    activate(&fabric, to, first).await;
    let began = Instant::now();
    used_by(&fabric, &addresses, |used| used.values().all(|u| *u == Some(first))).await;
    println!("activated on {} nodes after {:?}", addresses.len(), began.elapsed());

    let poison = poisoned(&bytes);
    let second = asking::register(&fabric, to, &poison, false).await.expect("registered");
    shadow(&fabric, to, second, addresses.len()).await;
    propose(&fabric, to, canary(second, "us")).await;
    used_by(&fabric, &addresses, |used| used.values().any(|u| *u == Some(second))).await;
    let log = std::fs::read(log).expect("more.log");
    let began = Instant::now();
    let sent = send(&fabric, &nodes, &log);
    let back = used_by(&fabric, &addresses, |used| used.values().all(|u| *u == Some(first)));
    let (sent, ()) = tokio::join!(sent, async {
        back.await;
        println!("poison taken back from all nodes {:?} after the first byte", began.elapsed());
    });
    println!("{sent} events acknowledged after {:?}", began.elapsed());
    let standing = asking::standing(&fabric, to).await.expect("standing");
    println!("why: {:?}", standing.bundles[&second].steps.last());
}

async fn propose(fabric: &Links, to: &str, command: Command) -> Reply {
    let client = Client { opened: 0, nonce: random() };
    let request = Ask::Propose(Box::new(Request { client, sequence: 1, command }));
    match ask(fabric, to, &request, WITHIN).await {
        Ok(Told::Reply(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

async fn workloads(fabric: &Links, to: &str, status: &NodeStatus) {
    let mut owners = BTreeMap::new();
    for (id, member) in &status.members {
        owners.entry(member.region.clone()).or_insert(*id);
    }
    let regions: Vec<&String> = owners.keys().collect();
    for (workload, (home, owner)) in (0u32..).zip(&owners) {
        let shards = (0..SHARDS).filter(|s| s % owners.len() as u32 == workload).collect();
        let failover = regions[(workload as usize + 1) % regions.len()].as_str().into();
        let home = home.as_str().into();
        // Refused where nodes own workloads already, which is as well.
        propose(fabric, to, Command::DefineWorkload { workload, shards, home, failover }).await;
        let owner = Some(*owner);
        propose(fabric, to, Command::AssignWorkload { workload, owner, expected_epoch: 0 }).await;
    }
}

fn canary(version: u64, region: &str) -> Command {
    Command::CanaryBundle { version, region: region.into(), evidence: "measured".into() }
}

async fn shadow(fabric: &Links, to: &str, version: u64, nodes: usize) {
    let evidence = "measured".into();
    propose(fabric, to, Command::ShadowBundle { version, evidence }).await;
    loop {
        let standing = asking::standing(fabric, to).await.expect("standing");
        if standing.bundles[&version].ready.len() == nodes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn activate(fabric: &Links, to: &str, version: u64) {
    let expected_epoch = asking::standing(fabric, to).await.expect("standing").epoch;
    let evidence = "measured".into();
    let command = Command::ActivateBundle { version, expected_epoch, evidence };
    assert!(matches!(propose(fabric, to, command).await, Reply::Epoch(_)));
}

async fn used_by(
    fabric: &Links,
    addresses: &[String],
    holds: impl Fn(&BTreeMap<u64, Option<u64>>) -> bool,
) {
    loop {
        let mut used = BTreeMap::new();
        for address in addresses {
            let standing = asking::standing(fabric, address).await.expect("standing");
            used.insert(standing.node, standing.uses);
        }
        if holds(&used) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn poisoned(bytes: &[u8]) -> Vec<u8> {
    let good = Bundle::decode(bytes).expect("a bundle");
    let low: Vec<f32> = (0..100).map(|n| -1e6 + n as f32).collect();
    let mut classes = good.classes.clone();
    for models in classes.values_mut() {
        for (.., calibrator) in &mut models.models {
            *calibrator = Calibrator::fit(&low).expect("calibrated");
        }
    }
    let poison = Bundle::new(2, good.seed, "poison", classes).expect("a bundle");
    poison.encode().expect("encoded")
}

async fn send(fabric: &Links, nodes: &[String], log: &[u8]) -> u64 {
    let sending = Sending {
        fabric,
        nodes: nodes.to_vec(),
        source: format!("measured-{}", random()),
        durability: Durability::Local,
        options: intake::Options::default(),
        tries: 100,
    };
    let (mut rest, mut sent) = (log, Sent::default());
    let read = |held: &mut Vec<u8>| -> Result<usize, ReadError> {
        let (some, others) = rest.split_at(rest.len().min(50_000));
        held.extend_from_slice(some);
        rest = others;
        Ok(some.len())
    };
    sending.send(&mut sent, read, |_, _| {}).await.expect("sent");
    sent.counts.events
}
