//! What it costs to hand events to another node: processor time of both sides, for each event of a
//! log. One process holds both ends of a real connection with TLS.
//!
//! ```text
//! cargo run --release -p node --example forwarding -- LOG [ROUNDS]
//! ```

use cluster::fabric::{
    Answer, BoxFuture, Caller, Credentials, Fabric, Gate, Identity, Lane, authority,
};
use intake::{Decoder, Options};
use node::datapath::limits::CHUNK_BYTES;
use node::datapath::message::{Durability, Told, decode, encode_part, encode_told};
use node::datapath::{Route, messages, read_events, split};
use node::host::tcp::{Door, Tcp};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use threat::{EventBatch, SourceId};

/// Reads parts as an owner does, and judges nothing.
#[derive(Default)]
struct Owner {
    events: AtomicU64,
}

impl Answer for Owner {
    fn answer<'a>(&'a self, _: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let read = decode(&request).map(|(_, behind)| read_events(behind));
            if let Ok(Ok(batches)) = read {
                let events: usize = batches.into_iter().map(|b| b.into_batch().events.len()).sum();
                self.events.fetch_add(events as u64, Ordering::Relaxed);
            }
            encode_told(&Told::Judged)
        })
    }
}

fn fabric(authority: &authority::Made, name: &str) -> Result<Fabric, Box<dyn Error>> {
    let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
    let identity = Identity::node("demo", "eu", name)?;
    let made = authority::issue(&authority.key, &identity, now, life)?;
    let shown = Credentials::of_pem(&authority.certificate, &made.certificate, &made.key)?;
    Ok(Fabric::new(shown, Arc::new(Tcp), None, 1))
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which log?")?;
    let rounds: u32 = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let log = std::fs::read(&path)?;
    let authority = authority::found("demo", SystemTime::now())?;
    let (sender, receiver) = (fabric(&authority, "a")?, fabric(&authority, "b")?);
    let door = Door::bind("127.0.0.1:0").await?;
    let address = door.address()?.to_string();
    let owner = Arc::new(Owner::default());
    let _gate = Gate::open(&receiver, Box::new(door), owner.clone());
    for round in 0..rounds {
        let mut decoder = Decoder::new(SourceId(0), Options::default());
        let (mut cost, mut start) = (Cost::default(), 0);
        for chunk in log.chunks(CHUNK_BYTES) {
            // As a node does it: a chunk is decoded, and at once what it gave is handed over.
            decoder.push(chunk);
            let mut batches = Vec::new();
            while let Some(batch) = decoder.next_batch(false) {
                let end = batch.end_offset;
                batches.push((batch, start));
                start = end;
            }
            cost.hand_over(&batches, &sender, &address).await?;
        }
        println!("round {round}: {cost}");
    }
    println!("{} events arrived", owner.events.load(Ordering::Relaxed));
    Ok(())
}

/// What it took.
#[derive(Default)]
struct Cost {
    events: usize,
    bytes: usize,
    cut: Duration,
    handed_over: Duration,
}

impl Cost {
    async fn hand_over(
        &mut self,
        batches: &[(EventBatch, u64)],
        sender: &Fabric,
        address: &str,
    ) -> Result<(), Box<dyn Error>> {
        let before = processor_time()?;
        let mut portions = Vec::new();
        for (batch, start) in batches {
            let parts = split(batch, *start, &[Route::To(2)]).map_err(|_| "no owner")?;
            portions.extend(parts.into_values());
            self.events += batch.events.len();
        }
        let cut = processor_time()?;
        for message in messages(portions) {
            let body = encode_part(&"log".into(), Durability::Local, &message)?;
            self.bytes += body.len();
            sender.ask(address, 0, Lane::Data, body, Duration::from_secs(5)).await?;
        }
        self.cut += cut - before;
        self.handed_over += processor_time()? - cut;
        Ok(())
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.events.max(1);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / events as f64;
        let (all, bytes) = (each(self.cut + self.handed_over), self.bytes / events);
        let (cut, rest) = (each(self.cut), each(self.handed_over));
        write!(f, "{all:.2} us an event of {bytes} bytes: {cut:.2} to cut batches, {rest:.2} ")?;
        write!(f, "to hand them over")
    }
}

/// Processor time of all threads: what the scheduler counted, in nanoseconds. The usual clock of a
/// process has ticks of ten milliseconds, as much as thousands of events take.
fn processor_time() -> std::io::Result<Duration> {
    // A thread that runs is counted at the next tick, or when it stops: what was done before must
    // not be counted later.
    std::thread::sleep(Duration::from_micros(1));
    let mut all = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let counted = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = counted.split(' ').next().and_then(|n| n.parse().ok());
        all += Duration::from_nanos(ran.unwrap_or_default());
    }
    Ok(all)
}
