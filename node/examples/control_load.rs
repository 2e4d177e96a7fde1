//! Writes to the control log of a running cluster, from many clients over TCP, and checks that
//! nothing that was acknowledged is lost.
//!
//! `watchfire up &`, then `cargo run --release -p node --example control_load --
//! watchfire-cluster/operator.toml CLIENTS SECONDS`
//!
//! Each client sets its own flag to one number after the other. It prints commands per second, the
//! latency, and the longest time without an acknowledgement, then reads the flags of a majority:
//! each must be the last number that was acknowledged, or the one that was under way.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a program for measuring")]

use node::host::cluster_files::random;
use node::membership::{Ask, Client, Command, Links, Reply, Request, Told};
use node::membership::{ask, ask_leader, operator};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests of one connection that a node works on at a time: more clients take another.
const CLIENTS_PER_LINK: usize = 48;

/// As the size of a command that was measured elsewhere.
const PADDING: usize = 120;

struct Done {
    client: usize,
    acknowledged: u64,
    latencies: Vec<u32>,
    at: Vec<Instant>,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let config = PathBuf::from(arguments.next().expect("operator.toml"));
    let mut number = || arguments.next().and_then(|a| a.parse::<u64>().ok()).expect("a number");
    let (clients, seconds) = (number() as usize, number());
    let (_, nodes) = operator(&config).expect("operator");
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = Vec::new();
    let mut link = None;
    for client in 0..clients {
        if client % CLIENTS_PER_LINK == 0 {
            link = Some(Arc::new(operator(&config).expect("operator").0));
        }
        let fabric = link.clone().expect("a link");
        tasks.push(tokio::spawn(write(fabric, nodes.clone(), client, until)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a client ended"));
    }
    report(&all, seconds);
    check(&config, &nodes, &all).await;
}

async fn write(fabric: Arc<Links>, nodes: Vec<String>, client: usize, until: Instant) -> Done {
    let within = Duration::from_secs(5);
    let (mut to, opened) = leader(&fabric, &nodes).await;
    let id = Client { opened, nonce: random() };
    let mut done = Done { client, acknowledged: 0, latencies: vec![], at: vec![] };
    while Instant::now() < until {
        let sequence = done.acknowledged + 1;
        let value = format!("{sequence} {:PADDING$}", "");
        let name = format!("load-{client}").into();
        let command = Command::SetFlag { name, value: Some(value.into()) };
        let request = Ask::Propose(Box::new(Request { client: id, sequence, command }));
        let since = Instant::now();
        loop {
            match ask(&fabric, &to, &request, within).await {
                Ok(Told::Reply(Reply::Refused(refusal))) => panic!("{refusal}"),
                Ok(Told::Reply(_)) => break,
                _ if Instant::now() > until + within => return done,
                // Repeated with the same sequence, perhaps at another node.
                _ => to = leader(&fabric, &nodes).await.0,
            }
        }
        done.acknowledged = sequence;
        done.latencies.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
        done.at.push(Instant::now());
    }
    done
}

/// Where the leader is, and how far it has applied.
async fn leader(fabric: &Links, nodes: &[String]) -> (String, u64) {
    loop {
        for node in nodes {
            let asked = ask(fabric, node, &Ask::Status, Duration::from_millis(500)).await;
            if let Ok(Told::Status(s)) = asked
                && s.leader == Some(s.id)
            {
                return (node.clone(), s.applied);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn report(all: &[Done], seconds: u64) {
    let mut latencies: Vec<u32> = all.iter().flat_map(|d| d.latencies.iter().copied()).collect();
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied();
    let ms = |share| f64::from(at(share).unwrap_or_default()) / 1_000.0;
    let mut times: Vec<Instant> = all.iter().flat_map(|d| d.at.iter().copied()).collect();
    times.sort_unstable();
    let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap_or_default();
    println!(
        "{} clients: {:.0} commands/s, p50 {:.2} ms, p99 {:.2} ms, longest pause {:.0} ms",
        all.len(),
        latencies.len() as f64 / seconds as f64,
        ms(0.5),
        ms(0.99),
        longest.as_secs_f64() * 1_000.0
    );
}

async fn check(config: &std::path::Path, nodes: &[String], all: &[Done]) {
    let (fabric, _) = operator(config).expect("operator");
    let asked = Ask::Flags { linearizable: true };
    let told = ask_leader(&fabric, nodes, &asked, Duration::from_secs(30)).await;
    let Ok(Told::Flags(_, flags)) = told else { panic!("no flags: {told:?}") };
    for done in all {
        let value = flags.get(&format!("load-{}", done.client)).map_or("0", |v| v.trim());
        let kept: u64 = value.parse().expect("a number");
        let (least, most) = (done.acknowledged, done.acknowledged + 1);
        assert!((least..=most).contains(&kept), "{}: {kept}, not {least}", done.client);
    }
    let sum: u64 = all.iter().map(|d| d.acknowledged).sum();
    println!("{sum} acknowledged, none lost");
}
