//! The decoder of one source: bytes in, batches of events out, everything accounted for.
//!
//! Work happens in `next_batch`, not in `push`, so that back-pressure is simply not asking. A
//! decoder made from a checkpoint continues exactly where the checkpoint's batch ended.

use crate::error::Error;
use crate::formats::{Format, Headers};
use crate::frame::{Frame, Framer};
use crate::quarantine::Quarantine;
use crate::record::Parsed;
use serde::{Deserialize, Serialize};
use threat::event::{Position, RawRef};
use threat::limits::{BATCH_EVENTS, RECORD_BYTES};
use threat::{EventBatch, IntakeCounts, SourceId, Timestamp};

/// Raw bytes that a batch may hold: it is closed early when long records fill it, so that a batch
/// of records at the length limit does not grow to 256 of them.
pub const BATCH_BYTES: usize = 4 << 20;

/// Records that [`Format::sniff`] looks at before it gives up: banners and comments come first.
const SNIFFED_RECORDS: usize = 32;

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
        loop {
            let full = self.batch.events.len() >= self.options.batch_events.max(1)
                || self.batch.bytes.len() >= BATCH_BYTES;
            if full {
                return Some(self.take_batch());
            }
            let Some((position, frame)) = self.framer.next() else { break };
            self.record(position, frame);
        }
        let moved = self.framer.position().offset != self.checkpoint.offset
            || self.counts != self.checkpoint.counts;
        (flush && moved).then(|| self.take_batch())
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

    fn take_batch(&mut self) -> EventBatch {
        let position = self.framer.position();
        self.checkpoint = Checkpoint {
            source: self.source,
            offset: position.offset,
            line: position.line - 1,
            counts: self.counts,
            coverage: self.coverage,
            format: self.format,
            headers: self.headers.clone(),
        };
        let next = EventBatch {
            source: self.source,
            events: Vec::with_capacity(self.batch.events.len()),
            bytes: Vec::with_capacity(self.batch.bytes.len()),
            ..EventBatch::default()
        };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.end_offset = position.offset;
        batch.counts = self.counts;
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
                let start = self.batch.bytes.len() as u32;
                event.raw = RawRef { start, len: record.len() as u32 };
                self.batch.bytes.extend_from_slice(record);
                self.batch.events.push(*event);
            }
            Ok(Parsed::Comment) => self.counts.comments += 1,
            Err(reason) => {
                self.counts.quarantined += 1;
                self.quarantine.add(position, &reason, record);
            }
        }
    }
}

/// A record without its carriage return, and the first of a source without its byte order mark.
fn content(record: &[u8], position: Position) -> &[u8] {
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    if position.offset == 0 {
        record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record)
    } else {
        record
    }
}

/// Lines without a record: blank ones, and the brackets of an array written one element a line.
fn is_blank(record: &[u8]) -> bool {
    matches!(record.trim_ascii(), b"" | b"[" | b"]" | b"],")
}

/// Reads a record in the current format; else in whichever other takes it, which then is the
/// current.
fn read(
    record: &[u8],
    format: &mut Option<Format>,
    headers: &mut Headers,
    options: &Options,
) -> Result<Parsed, Error> {
    // the usual record begins with none of these: no need to look further
    if record.first().is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'[' | b']'))
        && is_blank(record)
    {
        return Ok(Parsed::Comment);
    }
    let mut reason = Error::Unknown;
    if let Some(current) = *format {
        match current.read(record, headers, options) {
            Ok(parsed) => return Ok(parsed),
            Err(error) if options.format.is_some() => return comment_or(record, error),
            Err(error) => reason = error,
        }
    }
    let its_own = format.is_some_and(|f| f.sniffs(record, headers, options));
    let mut claimed = its_own;
    for other in Format::ALL {
        if Some(other) == *format || !other.sniffs(record, headers, options) {
            continue;
        }
        match other.read(record, headers, options) {
            Ok(parsed) => {
                *format = Some(other);
                return Ok(parsed);
            }
            // the reason of whoever takes it for its own says most
            Err(error) if !claimed => {
                claimed = true;
                reason = error;
            }
            Err(_) => {}
        }
    }
    // broken JSON among lines of another format is best called that
    if !claimed && (format.is_none() || record.starts_with(b"{")) {
        reason = unknown(record);
    }
    comment_or(record, reason)
}

/// Lines with `#` are comments wherever nothing reads them.
fn comment_or(record: &[u8], reason: Error) -> Result<Parsed, Error> {
    if record.starts_with(b"#") { Ok(Parsed::Comment) } else { Err(reason) }
}

/// Why nothing reads it.
fn unknown(record: &[u8]) -> Error {
    match std::str::from_utf8(record) {
        Err(e) => Error::Utf8(e.valid_up_to()),
        Ok(text) if text.trim_start().starts_with('{') => {
            crate::json::parse(text).err().unwrap_or(Error::Unknown)
        }
        Ok(_) => Error::Unknown,
    }
}

/// The format of the first record that one of them knows.
pub(crate) fn sniff(beginning: &[u8]) -> Option<Format> {
    let options = Options::default();
    let headers = Headers::default();
    let mut framer = Framer::new(0, 0, options.max_record_bytes);
    framer.push(beginning);
    framer.finish();
    for _ in 0..SNIFFED_RECORDS {
        let (position, Frame::Record { start, end }) = framer.next()? else { continue };
        let record = content(&framer.bytes()[start..end], position);
        if is_blank(record) {
            continue;
        }
        let found = Format::ALL.into_iter().find(|f| f.sniffs(record, &headers, &options));
        if found.is_some() {
            return found;
        }
    }
    None
}
