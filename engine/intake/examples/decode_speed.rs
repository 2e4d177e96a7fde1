//! CPU time per record of decoding one file, over several rounds.
//!
//! `cargo run --release -p intake --example decode_speed -- FILE [ROUNDS]`
#![allow(clippy::disallowed_methods, reason = "a measurement reads a file and a clock")]

use intake::{Decoder, Options};
use std::time::Instant;
use threat::SourceId;

/// Bytes pushed at a time, as a file source does.
const CHUNK: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let rounds: usize = arguments.next().map_or(Ok(7), |n| n.parse())?;
    let bytes = std::fs::read(&path)?;
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let mut decoder = Decoder::new(SourceId(0), Options::default());
        let start = Instant::now();
        let mut checksum = 0u64;
        for chunk in bytes.chunks(CHUNK) {
            decoder.push(chunk);
            while let Some(batch) = decoder.next_batch(false) {
                checksum += batch.events.iter().map(|e| e.time.micros() as u64 & 0xff).sum::<u64>();
            }
        }
        decoder.finish();
        while let Some(batch) = decoder.next_batch(true) {
            checksum += batch.events.len() as u64;
        }
        let seconds = start.elapsed().as_secs_f64();
        best = best.min(seconds);
        let counts = decoder.counts();
        println!(
            "{:?} {} records, {} events, {} quarantined: {:.3} us/record, {:.0} MB/s ({checksum})",
            decoder.format(),
            counts.read,
            counts.events,
            counts.quarantined,
            seconds * 1e6 / counts.read.max(1) as f64,
            counts.bytes as f64 / 1e6 / seconds,
        );
    }
    println!("best round: {:.1} ms", best * 1e3);
    Ok(())
}
