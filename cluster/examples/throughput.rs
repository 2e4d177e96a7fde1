//! Commands per second of the control log on real files, for one node and for three nodes in this
//! process:
//! `cargo run --release -p cluster --features sim --example throughput -- FOLDER [SECONDS]`.
//! The folder should be on the disk that is to be measured.

use cluster::consensus::{Consensus, Fatal, MemoryNet, Options, Profile, Role, Storage};
use regions::control_log::{Command, Request};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a flag's value, so that a request has about 150.
const VALUE_BYTES: usize = 80;

const WITHIN: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder for the files is missing")?;
    let seconds = arguments.next().map_or(Ok(3), |s| s.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!("nodes clients commands/s p50_ms p99_ms");
    for nodes in [1, 3] {
        for clients in [1, 64, 256] {
            let folder = tempfile::tempdir_in(&folder)?;
            let (rate, p50, p99) = runtime.block_on(measure(
                folder.path(),
                nodes,
                clients,
                Duration::from_secs(seconds),
            ))?;
            println!("{nodes:5} {clients:7} {rate:10.0} {p50:6.2} {p99:6.2}");
        }
    }
    Ok(())
}

async fn measure(
    folder: &Path,
    nodes: u64,
    clients: u64,
    time: Duration,
) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let net = MemoryNet::new(1);
    let mut all = Vec::new();
    for id in 1..=nodes {
        let fatal = Fatal::new(|error| {
            eprintln!("{error}");
            std::process::exit(1);
        });
        let storage = Storage::open(&folder.join(id.to_string()), fatal)?;
        let options = Options::new(id, Profile::LAN);
        let node = Consensus::start(options, storage, net.wire(id)).await?;
        net.connect(id, node.responder());
        all.push(Arc::new(node));
    }
    let voters: BTreeMap<u64, String> = (1..=nodes).map(|id| (id, String::new())).collect();
    all[0].found(voters).await?;
    let leader = loop {
        if let Some(leader) = all.iter().find(|n| n.status().role == Role::Leader) {
            break Arc::clone(leader);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // So that files have grown and the threads are warm.
    let warm = ask(&leader, clients, 0, Duration::from_millis(500)).await?;
    let start = Instant::now();
    let mut took = ask(&leader, clients, warm.len() as u64 * 2, time).await?;
    let elapsed = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |q: f64| {
        let index = (took.len() as f64 * q) as usize;
        took.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let result = (took.len() as f64 / elapsed, at(0.5), at(0.99));
    drop(leader);
    for (node, id) in all.into_iter().zip(1..) {
        net.disconnect(id);
        Arc::try_unwrap(node).map_err(|_| "somebody has the node")?.shutdown().await?;
    }
    Ok(result)
}

/// All clients ask for so long; how long each request took.
async fn ask(
    leader: &Arc<Consensus>,
    clients: u64,
    first: u64,
    time: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let until = Instant::now() + time;
    let tasks: Vec<_> = (0..clients)
        .map(|nonce| {
            let leader = Arc::clone(leader);
            tokio::spawn(async move {
                let client = leader.client(nonce);
                let (mut took, mut sequence) = (Vec::new(), first);
                while Instant::now() < until {
                    sequence += 1;
                    let value = Some("v".repeat(VALUE_BYTES).into());
                    let name = format!("client-{nonce}").into();
                    let command = Command::SetFlag { name, value };
                    let start = Instant::now();
                    let request = Request { client, sequence, command };
                    let reply = leader.propose(request, WITHIN).await?;
                    assert!(reply.refusal().is_none(), "{reply:?}");
                    took.push(start.elapsed());
                }
                Ok::<_, cluster::consensus::Error>(took)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}
