//! The decoder of one source: bytes in, batches of events out, everything accounted for.
//!
//! Work happens in `next_batch`, not in `push`, so that back-pressure is simply not asking. A
//! decoder made from a checkpoint continues exactly where the checkpoint's batch ended.

use crate::error::Error;
use crate::formats::{Format, Headers};
use crate::frame::{Frame, Framer};
use crate::quarantine::Quarantine;
use crate::reading::{content, read};
use crate::record::Parsed;
use serde::{Deserialize, Serialize};
use threat::event::{Position, RawRef};
use threat::limits::{BATCH_EVENTS, BATCH_SPAN_SECS, RECORD_BYTES};
use threat::{Event, EventBatch, IntakeCounts, SourceId, Timestamp};

/// Raw bytes that a batch may hold: it is closed early when long records fill it, so that a batch
/// of records at the length limit does not grow to 256 of them.
pub const BATCH_BYTES: usize = 4 << 20;

/// How to read a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The year of syslog dates that have none.
    pub reference_year: i16,
    /// A syslog date without a year that would be later than this is of the year before: in
    /// January a log still holds December. `None` takes the reference year as it is.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Seconds east of UTC of local times that name no offset.
    pub utc_offset_seconds: i32,
    /// The one format to read; `None` finds it by content, record by record where formats are
    /// mixed.
    pub format: Option<Format>,
    /// A longer record is set aside without being held.
    pub max_record_bytes: usize,
    /// Events in a batch.
    pub batch_events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reference_year: 1970,
            not_after: None,
            utc_offset_seconds: 0,
            format: None,
            max_record_bytes: RECORD_BYTES,
            batch_events: BATCH_EVENTS,
        }
    }
}

/// Where a decoder stood at the end of a batch, with everything it needs to go on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The source.
    pub source: SourceId,
    /// Bytes before the next record.
    pub offset: u64,
    /// Lines before the next record.
    pub line: u64,
    /// Counts up to `offset`.
    pub counts: IntakeCounts,
    /// Field coverage up to `offset`.
    pub coverage: Coverage,
    format: Option<Format>,
    headers: Headers,
}

/// How many fields found a typed place. Fields that fill one and are kept by name too count as
/// both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Fields that found a typed place.
    pub typed: u64,
    /// Fields kept by name in `extra`.
    pub extra: u64,
}

impl Coverage {
    /// The typed share; 1 when there were no fields.
    pub fn share(&self) -> f64 {
        let all = self.typed + self.extra;
        if all == 0 { 1.0 } else { self.typed as f64 / all as f64 }
    }
}

/// A [`Checkpoint`] without what only comments change.
#[derive(Clone, Copy)]
struct Standing {
    offset: u64,
    line: u64,
    counts: IntakeCounts,
    coverage: Coverage,
    format: Option<Format>,
}

/// Decodes one source.
#[derive(Debug)]
pub struct Decoder {
    source: SourceId,
    options: Options,
    framer: Framer,
    format: Option<Format>,
    headers: Headers,
    counts: IntakeCounts,
    coverage: Coverage,
    quarantine: Quarantine,
    batch: EventBatch,
    /// The event of the last record when it lies too far from the batch's first, with its raw
    /// bytes: it begins the next batch.
    ahead: Option<(Event, Vec<u8>)>,
    /// Why the source broke off.
    broken: String,
    /// At the end of the last batch handed out.
    checkpoint: Checkpoint,
}

impl Decoder {
    /// A decoder at the beginning of a source.
    pub fn new(source: SourceId, options: Options) -> Self {
        let checkpoint = Checkpoint {
            source,
            offset: 0,
            line: 0,
            counts: IntakeCounts::default(),
            coverage: Coverage::default(),
            format: options.format,
            headers: Headers::default(),
        };
        Self::resume(options, &checkpoint)
    }

    /// A decoder that continues at `checkpoint.offset`, with the format and header held there. The
    /// quarantine starts empty; the counts go on.
    pub fn resume(options: Options, checkpoint: &Checkpoint) -> Self {
        Self {
            source: checkpoint.source,
            framer: Framer::new(checkpoint.offset, checkpoint.line, options.max_record_bytes),
            format: options.format.or(checkpoint.format),
            headers: checkpoint.headers.clone(),
            counts: checkpoint.counts,
            coverage: checkpoint.coverage,
            quarantine: Quarantine::default(),
            batch: EventBatch { source: checkpoint.source, ..EventBatch::default() },
            ahead: None,
            broken: String::new(),
            checkpoint: checkpoint.clone(),
            options,
        }
    }

    /// Takes the source's next bytes, in chunks of any size. Ask for batches until there is none
    /// before pushing again: then never more than one chunk and one record are held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// The source has ended: a last line without a line end is a record too.
    pub fn finish(&mut self) {
        self.framer.finish();
    }

    /// The source broke off (a truncated archive, say): what is left of the last record is
    /// quarantined with this reason, and so is the end itself where nothing is left, so that it
    /// shows.
    pub fn abort(&mut self, reason: &str) {
        self.broken = reason.to_owned();
        self.framer.abort();
    }

    /// A full batch; with `flush` whatever there is, even a batch without events when other
    /// records moved the offset. Its `sequence` is 0: the caller numbers batches. `None`: push
    /// more.
    pub fn next_batch(&mut self, flush: bool) -> Option<EventBatch> {
        if let Some((event, raw)) = self.ahead.take() {
            hold(&mut self.batch, event, &raw);
        }
        loop {
            let full = self.batch.events.len() >= self.options.batch_events.max(1)
                || self.batch.bytes.len() >= BATCH_BYTES;
            let before = self.standing();
            if full {
                return Some(self.take_batch(before));
            }
            let Some((position, frame)) = self.framer.next() else { break };
            self.record(position, frame);
            if self.part_far_event() {
                return Some(self.take_batch(before));
            }
        }
        let moved = self.framer.position().offset != self.checkpoint.offset
            || self.counts != self.checkpoint.counts;
        (flush && moved).then(|| self.take_batch(self.standing()))
    }

    /// Takes the last event out again when the batch would span too much with it.
    fn part_far_event(&mut self) -> bool {
        let [first, .., last] = self.batch.events.as_slice() else { return false };
        if last.time.since(first.time).abs() <= BATCH_SPAN_SECS {
            return false;
        }
        self.ahead = self.batch.events.pop().map(|event| {
            let raw = self.batch.bytes.split_off(event.raw.start as usize);
            (event, raw)
        });
        true
    }

    /// Counts of everything decoded so far; they always balance.
    pub const fn counts(&self) -> IntakeCounts {
        self.counts
    }

    /// The format of the last record that one was found for.
    pub const fn format(&self) -> Option<Format> {
        self.format
    }

    /// Records set aside since this decoder was made.
    pub const fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// How many fields found a typed place.
    pub const fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The state at the end of the last batch handed out (at the beginning before the first).
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Where the decoder stands between two records.
    fn standing(&self) -> Standing {
        let position = self.framer.position();
        Standing {
            offset: position.offset,
            line: position.line - 1,
            counts: self.counts,
            coverage: self.coverage,
            format: self.format,
        }
    }

    fn take_batch(&mut self, at: Standing) -> EventBatch {
        self.checkpoint = Checkpoint {
            source: self.source,
            offset: at.offset,
            line: at.line,
            counts: at.counts,
            coverage: at.coverage,
            format: at.format,
            // Only a comment changes these, and it ends no batch.
            headers: self.headers.clone(),
        };
        let next = EventBatch {
            source: self.source,
            events: Vec::with_capacity(self.batch.events.len()),
            bytes: Vec::with_capacity(self.batch.bytes.len()),
            ..EventBatch::default()
        };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.end_offset = at.offset;
        batch.counts = at.counts;
        batch
    }

    /// Decodes one record and accounts for it.
    fn record(&mut self, position: Position, frame: Frame) {
        self.counts.read += 1;
        self.counts.bytes += self.framer.position().offset - position.offset;
        let (record, parsed) = match &frame {
            Frame::Record { start, end } => {
                let record = content(&self.framer.bytes()[*start..*end], position);
                let (format, headers) = (&mut self.format, &mut self.headers);
                (record, read(record, format, headers, &self.options))
            }
            Frame::TooLong { length, excerpt } => {
                (excerpt.as_slice(), Err(Error::TooLong(*length)))
            }
            Frame::Broken { start, end } => {
                (&self.framer.bytes()[*start..*end], Err(Error::Aborted(self.broken.clone())))
            }
        };
        match parsed {
            Ok(Parsed::Event(mut event, typed)) => {
                self.counts.events += 1;
                self.coverage.typed += u64::from(typed);
                self.coverage.extra += event.extra.len() as u64;
                event.position = position;
                hold(&mut self.batch, *event, record);
            }
            Ok(Parsed::Comment) => self.counts.comments += 1,
            Err(reason) => {
                self.counts.quarantined += 1;
                self.quarantine.add(position, &reason, record);
            }
        }
    }
}

/// Appends an event with its raw bytes.
fn hold(batch: &mut EventBatch, mut event: Event, raw: &[u8]) {
    event.raw = RawRef { start: batch.bytes.len() as u32, len: raw.len() as u32 };
    batch.bytes.extend_from_slice(raw);
    batch.events.push(event);
}
