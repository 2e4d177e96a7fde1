//! Writes to the control log of a running cluster, from many clients over TCP, and checks that
//! nothing that was acknowledged is lost.
//!
//! `watchfire up &`, then `cargo run --release -p node --example control_load --
//! watchfire-cluster/operator.toml CLIENTS SECONDS`
//!
//! Each client sets its own flag to one number after the other. It prints commands per second, the
//! latency, and the longest time without an acknowledgement, then reads the flags of a majority:
//! each must be the last number that was acknowledged, or the one that was under way.
//!
//! Two more arguments: milliseconds between an answer and the next command (on average; drawn from
//! none to twice that), and `other` to ask a node that does not lead, as from another region.
//! `etcd=ADDRESS` in place of the file puts the same load on etcd, at the client address of its
//! leader (without TLS).

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a program for measuring")]

mod etcd;

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

impl Done {
    fn note(&mut self, since: Instant) {
        self.acknowledged += 1;
        self.latencies.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
        self.at.push(Instant::now());
    }
}

/// How the clients ask.
#[derive(Clone)]
struct Load {
    nodes: Vec<String>,
    until: Instant,
    pause: Duration,
    /// Asks a node that does not lead.
    other: bool,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().expect("operator.toml, or etcd=ADDRESS");
    let mut number = || arguments.next().and_then(|a| a.parse::<u64>().ok());
    let clients = number().expect("how many clients") as usize;
    let seconds = number().expect("how many seconds");
    if let Some(address) = target.strip_prefix("etcd=") {
        report(&etcd::run(address, clients, seconds).await, seconds);
        return;
    }
    let pause = Duration::from_millis(number().unwrap_or_default());
    let other = arguments.next().is_some_and(|a| a == "other");
    let config = PathBuf::from(target);
    let (_, nodes) = operator(&config).expect("operator");
    let until = Instant::now() + Duration::from_secs(seconds);
    let load = Load { nodes, until, pause, other };
    let mut tasks = Vec::new();
    let mut link = None;
    for client in 0..clients {
        if client % CLIENTS_PER_LINK == 0 {
            link = Some(Arc::new(operator(&config).expect("operator").0));
        }
        let fabric = link.clone().expect("a link");
        tasks.push(tokio::spawn(write(fabric, load.clone(), client)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a client ended"));
    }
    report(&all, seconds);
    check(&config, &load.nodes, &all).await;
}

async fn write(fabric: Arc<Links>, load: Load, client: usize) -> Done {
    let within = Duration::from_secs(5);
    let (mut to, opened) = place(&fabric, &load).await;
    let id = Client { opened, nonce: random() };
    let mut done = Done { client, acknowledged: 0, latencies: vec![], at: vec![] };
    while Instant::now() < load.until {
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
                _ if Instant::now() > load.until + within => return done,
                // Repeated with the same sequence, perhaps at another node.
                _ => to = place(&fabric, &load).await.0,
            }
        }
        done.note(since);
        if !load.pause.is_zero() {
            let share = random() as f64 / u64::MAX as f64;
            tokio::time::sleep(load.pause.mul_f64(2.0 * share)).await;
        }
    }
    done
}

/// Where to ask, and how far that node has applied.
async fn place(fabric: &Links, load: &Load) -> (String, u64) {
    loop {
        for node in &load.nodes {
            let asked =
                ask(fabric, node, &Ask::Status { digest: false }, Duration::from_millis(500)).await;
            if let Ok(Told::Status(s)) = asked
                && s.leader.is_some_and(|leader| (leader != s.id) == load.other)
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
        "{} clients: {:.0} commands/s, p50 {:.2}, p95 {:.2}, p99 {:.2} ms, longest pause {:.0} ms",
        all.len(),
        latencies.len() as f64 / seconds as f64,
        ms(0.5),
        ms(0.95),
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
