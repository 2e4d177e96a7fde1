//! How fast records are made and written, into nothing: `traffic_speed [SECONDS_OF_TRAFFIC]`.

use simulations::traffic::writers::{Format, Log, Writer, zeek_tsv::ZeekTsv};
use simulations::traffic::{Record, Scenario, Traffic, throughput};
use std::error::Error;
use std::io::{self, Write};
use std::time::Instant;

/// Counts bytes.
struct Sink(u64);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn report(what: &str, began: Instant, records: u64, bytes: u64) {
    let secs = began.elapsed().as_secs_f64();
    let rate = records as f64 / secs;
    println!("{what}: {records} records, {bytes} bytes in {secs:.2} s, {rate:.0} records/s");
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(36_000.0), |s| s.parse::<f64>())?;
    let began = Instant::now();
    let (mut sink, mut records) = (Sink(0), 0u64);
    let mut conn = ZeekTsv::new(Log::Conn, false);
    for record in throughput(1, 1_000_000, 1_000_000, 50_000) {
        records += conn.write(&mut sink, &record, &[])?;
    }
    report("throughput, conn TSV", began, records, sink.0);

    let scenario = Scenario { duration: seconds, ..Scenario::default() };
    let began = Instant::now();
    let (mut sink, mut records) = (Sink(0), 0u64);
    for record in Traffic::new(&scenario)? {
        records += conn.write(&mut sink, &record, &[])?;
    }
    report("scenario, conn TSV", began, records, sink.0);

    let began = Instant::now();
    let (mut sink, mut records) = (Sink(0), 0u64);
    let mut streams = Format::ZeekTsv.streams(true);
    let mut write = |record: &Record| -> io::Result<()> {
        records += 1;
        for (_, writer) in &mut streams {
            writer.write(&mut sink, record, &[])?;
        }
        Ok(())
    };
    for record in Traffic::new(&scenario)? {
        write(&record)?;
    }
    report("scenario, all Zeek TSV", began, records, sink.0);
    Ok(())
}
