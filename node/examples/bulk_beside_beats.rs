//! Whether a large blob on its way delays heartbeats: small messages on the lane of consensus, one
//! every 50 ms, alone and while a blob moves in pieces on the lane for blobs between the same two
//! ends. Real TCP and TLS; one process holds both ends, so they share its processors.
//!
//! ```text
//! cargo run --release -p node --example bulk_beside_beats -- [MEGABYTES]
//! ```

use cluster::fabric::{
    Answer, BoxFuture, Caller, Credentials, Fabric, Gate, Identity, Lane, authority,
};
use node::host::tcp::{Door, Tcp};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Bytes of a piece, as nodes fetch bundles.
const PIECE: usize = 1 << 20;

/// Time between two heartbeats, as on a LAN.
const BEAT: Duration = Duration::from_millis(50);

/// Gives a piece for what is asked on the lane for blobs, and an empty answer else.
struct Holder(Vec<u8>);

impl Answer for Holder {
    fn answer<'a>(&'a self, caller: &'a Caller, _: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        let bulk = caller.lane == Lane::Bulk;
        Box::pin(async move { if bulk { self.0.clone() } else { Vec::new() } })
    }
}

fn fabric(authority: &authority::Made, name: &str) -> Result<Fabric, Box<dyn Error>> {
    let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
    let identity = Identity::node("demo", "eu", name)?;
    let made = authority::issue(&authority.key, &identity, now, life)?;
    let shown = Credentials::of_pem(&authority.certificate, &made.certificate, &made.key)?;
    Ok(Fabric::new(shown, Arc::new(Tcp), None, 1))
}

/// Beats until `over`: the round trips in milliseconds, sorted, and the longest time between two
/// answers.
async fn beat(fabric: &Fabric, to: &str, over: impl Fn() -> bool) -> (Vec<f64>, f64) {
    let mut times = Vec::new();
    let mut ticks = tokio::time::interval(BEAT);
    let (mut last, mut longest) = (Instant::now(), 0.0);
    while !over() {
        ticks.tick().await;
        let since = Instant::now();
        if let Err(error) = fabric.ask(to, 0, Lane::Raft, vec![0; 200], BEAT).await {
            println!("a heartbeat failed after {:?}: {error}", since.elapsed());
        }
        times.push(since.elapsed().as_secs_f64() * 1_000.0);
        longest = f64::max(longest, last.elapsed().as_secs_f64() * 1_000.0);
        last = Instant::now();
    }
    times.sort_by(f64::total_cmp);
    (times, longest)
}

fn report(what: &str, times: &[f64], longest: f64) {
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
    let [median, high] = [0.5, 0.99].map(|share| at(share).unwrap_or_default());
    let most = times.last().copied().unwrap_or_default();
    println!(
        "{what}: {} beats, round trip p50 {median:.2}, p99 {high:.2}, at most {most:.2} ms; \
         at most {longest:.0} ms between two",
        times.len()
    );
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let megabytes: usize = std::env::args().nth(1).map_or(Ok(1_000), |n| n.parse())?;
    let authority = authority::found("demo", SystemTime::now())?;
    let (asking, holding) = (Arc::new(fabric(&authority, "a")?), fabric(&authority, "b")?);
    let door = Door::bind("127.0.0.1:0").await?;
    let address = door.address()?.to_string();
    let _gate = Gate::open(&holding, Box::new(door), Arc::new(Holder(vec![7; PIECE])));
    let began = Instant::now();
    let (times, longest) = beat(&asking, &address, || began.elapsed().as_secs() >= 5).await;
    report("alone", &times, longest);
    let began = Instant::now();
    let moving = {
        let (asking, address) = (Arc::clone(&asking), address.clone());
        tokio::spawn(async move {
            for _ in 0..megabytes {
                let asked = asking.ask(&address, 0, Lane::Bulk, vec![0; 64], 100 * BEAT).await;
                if asked.map_or(0, |piece| piece.len()) != PIECE {
                    println!("a piece failed");
                }
            }
        })
    };
    let (times, longest) = beat(&asking, &address, || moving.is_finished()).await;
    report("beside the blob", &times, longest);
    let rate = megabytes as f64 / began.elapsed().as_secs_f64();
    println!("{megabytes} MB moved, {rate:.0} MB/s");
    Ok(())
}
