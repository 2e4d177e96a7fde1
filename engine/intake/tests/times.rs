//! Event times where the record's own words mislead: Suricata flows that were flushed or replayed,
//! and syslog dates without a year.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use intake::{Decoder, Options};
use threat::limits::BATCH_SPAN_SECS;
use threat::{SourceId, Timestamp};

/// Seconds since the epoch of all events.
fn times(input: &str, options: Options) -> Vec<i64> {
    let mut decoder = Decoder::new(SourceId(1), options);
    decoder.push(input.as_bytes());
    decoder.finish();
    let mut times = Vec::new();
    while let Some(batch) = decoder.next_batch(true) {
        times.extend(batch.events.iter().map(|e| e.time.secs()));
    }
    times
}

/// A flow that was logged at a second of the epoch's first minute and lasted up to another one.
fn flow(logged: u32, ended: u32, reason: &str) -> String {
    format!(
        "{{\"timestamp\":\"1970-01-01T00:00:{logged:02}+0000\",\"flow_id\":1,\
         \"event_type\":\"flow\",\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"10.0.0.2\",\
         \"proto\":\"UDP\",\"flow\":{{\"pkts_toserver\":1,\"pkts_toclient\":0,\
         \"start\":\"1970-01-01T00:00:01+0000\",\
         \"end\":\"1970-01-01T00:00:{ended:02}+0000\",\"reason\":\"{reason}\"}}}}\n"
    )
}

#[test]
fn a_flow_that_was_flushed_or_replayed_has_the_time_of_its_end() {
    let input = [flow(40, 10, "timeout"), flow(40, 11, "shutdown"), flow(5, 12, "timeout")];
    assert_eq!(times(&input.concat(), Options::default()), [40, 11, 12]);
}

#[test]
fn a_date_without_a_year_is_not_of_the_future() {
    let line = "Dec 10 06:55:46 host sshd[1]: Connection closed by 10.0.0.1\n";
    let written = "Dec 10 2027 06:55:46 host sshd[1]: Connection closed by 10.0.0.1\n";
    let input = format!("{line}{written}Jan  2 00:00:00 host sshd[1]: x\n");
    // 2027-01-03T00:00:00Z
    let not_after = Some(Timestamp::from_micros(1_798_934_400_000_000));
    let options = Options { reference_year: 2027, ..Options::default() };
    let limited = Options { not_after, ..options.clone() };
    let [december, january] = [1_828_421_746, 1_798_848_000];
    assert_eq!(times(&input, options), [december, december, january]);
    assert_eq!(times(&input, limited), [december - 365 * 86_400, december, january]);
}

#[test]
fn a_batch_of_a_quiet_log_spans_seconds_and_loses_nothing() {
    let line = |t: u32| format!("{{\"ts\":{t}.5,\"uid\":\"C{t}\",\"_path\":\"weird\"}}\n");
    // Ten at once, one a quarter of an hour for a while, one that comes late, and two at the end.
    let seconds: Vec<u32> =
        [vec![100; 10], (1..9).map(|i| i * 900).collect(), vec![30], vec![8_000, 8_001]].concat();
    let input: String = seconds.iter().map(|&t| line(t)).collect();
    let mut decoder = Decoder::new(SourceId(1), Options::default());
    let mut batches = Vec::new();
    for chunk in input.as_bytes().chunks(37) {
        decoder.push(chunk);
        batches.extend(std::iter::from_fn(|| decoder.next_batch(false)));
    }
    decoder.finish();
    batches.extend(std::iter::from_fn(|| decoder.next_batch(true)));
    let sizes: Vec<usize> = batches.iter().map(|b| b.events.len()).collect();
    assert_eq!(sizes, [10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    for batch in &batches {
        let (first, last) = (&batch.events[0], batch.events.last().unwrap());
        assert!(last.time.since(first.time).abs() <= BATCH_SPAN_SECS);
        assert!(batch.counts.balanced());
        let end = last.position.offset + u64::from(last.raw.len) + 1;
        assert_eq!(batch.end_offset, end, "the position is behind the batch's own events");
        assert!(batch.raw(last).starts_with(b"{\"ts\":"));
    }
    assert_eq!(decoder.counts().events, seconds.len() as u64);
}
