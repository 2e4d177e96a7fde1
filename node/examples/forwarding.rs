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
use node::datapath::message::{Ask, Durability, Told, decode, encode, encode_told, part};
use node::datapath::{Route, messages, split};
use node::host::tcp::{Door, Tcp};
use node::host::usage;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use threat::SourceId;

/// Reads parts as an owner does, and judges nothing.
#[derive(Default)]
struct Owner {
    events: AtomicU64,
}

impl Answer for Owner {
    fn answer<'a>(&'a self, _: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        Box::pin(async move {
            if let Ok((Ask::Part { batches, .. }, _)) = decode(&request) {
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
    let mut decoder = Decoder::new(SourceId(0), Options::default());
    let (mut batches, mut start) = (Vec::new(), 0);
    for chunk in log.chunks(512 << 10) {
        decoder.push(chunk);
        while let Some(batch) = decoder.next_batch(false) {
            let end = batch.end_offset;
            batches.push((batch, start));
            start = end;
        }
    }
    let events: usize = batches.iter().map(|(b, _)| b.events.len()).sum();
    println!("{events} events, {} bytes each on average", start / events.max(1) as u64);

    let authority = authority::found("demo", SystemTime::now())?;
    let (sender, receiver) = (fabric(&authority, "a")?, fabric(&authority, "b")?);
    let door = Door::bind("127.0.0.1:0").await?;
    let address = door.address()?.to_string();
    let owner = Arc::new(Owner::default());
    let _gate = Gate::open(&receiver, Box::new(door), owner.clone());
    for round in 0..rounds {
        let before = usage::processor_time();
        let mut portion = Vec::new();
        for (batch, start) in &batches {
            portion.extend(split(batch, *start, &[Route::To(2)]).map_err(|_| "no owner")?);
        }
        let cut = usage::processor_time();
        let portion = portion.into_iter().map(|(_, batch)| batch).collect();
        for message in messages(portion) {
            let body = encode(&part("log".into(), Durability::Local, message), &[])?;
            sender.ask(&address, 0, Lane::Data, body, Duration::from_secs(5)).await?;
        }
        let after = usage::processor_time();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / events.max(1) as f64;
        println!(
            "round {round}: {:.2} us an event: {:.2} to cut batches, {:.2} to hand them over",
            each(after - before),
            each(cut - before),
            each(after - cut)
        );
    }
    println!("{} events arrived", owner.events.load(Ordering::Relaxed));
    Ok(())
}
