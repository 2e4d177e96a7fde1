//! One input of the dealer: bytes from a file, a pipe or a followed log, decoded into batches.
//!
//! Reading blocks, so it is done on the runtime's blocking threads; decoding is not. A followed log
//! is a chain of segments (files after rotation), each decoded from its own beginning.

use crate::host::follow::POLL_INTERVAL;
use crate::host::{
    ByteSource, Datagrams, FollowCheckpoint, Follower, Place, Received, Segment, Start, Step,
};
use detection::quality::Quality;
use intake::{Checkpoint, Decoder, Options};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use threat::{EventBatch, IntakeCounts, SourceId};

/// Problems of one input that are kept to show: rotation gaps, a damaged end.
const PROBLEMS: usize = 20;

/// What went wrong with an input as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its socket can no longer be read.
    #[error("datagrams: {0}")]
    Datagrams(std::io::Error),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] crate::host::read::Error),
    /// It cannot be followed.
    #[error(transparent)]
    Follow(#[from] crate::host::follow::Error),
    /// A stored position is not readable.
    #[error("stored position: {0}")]
    Position(String),
    /// A blocking read panicked.
    #[error("reading panicked")]
    Panicked,
}

/// Where an input stood after a dealt batch.
#[derive(Serialize, Deserialize)]
struct Stored {
    follow: Option<Vec<u8>>,
    decoder: Checkpoint,
    earlier: IntakeCounts,
}

/// An error without the input's name, for places where that stands already.
pub fn reason(name: &str, error: &Error) -> String {
    let text = error.to_string();
    let bare = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
    bare.map_or(text.clone(), ToOwned::to_owned)
}

/// How long datagrams may wait for a batch to fill.
const DATAGRAM_INTERVAL: Duration = Duration::from_millis(5);

enum Reader {
    Once(ByteSource),
    Follow(Box<Follower>),
    Datagrams(Datagrams),
}

/// A decoded batch with the position after it.
pub struct Ready {
    /// The batch; not numbered yet.
    pub batch: EventBatch,
    at: Checkpoint,
    segment: Option<Arc<Segment>>,
    earlier: IntakeCounts,
}

/// What an attempt to have a batch found.
pub enum Next {
    /// A batch is ready.
    Ready,
    /// Nothing now; ask again later.
    Idle,
    /// Nothing will come any more.
    Ended,
}

/// An input.
pub struct Input {
    /// Its name: a path, or `-`.
    pub name: String,
    options: Options,
    id: SourceId,
    reader: Option<Reader>,
    decoder: Decoder,
    segment: Option<Arc<Segment>>,
    /// Counts of the segments before this one.
    earlier: IntakeCounts,
    /// The next batch, decoded ahead.
    pub ready: Option<Ready>,
    dealt: Option<(Checkpoint, Option<Arc<Segment>>, IntakeCounts)>,
    ended: bool,
    /// The present segment is read to its end, and why some of the log may be lost after it; the
    /// next one begins when its last batch is dealt.
    over: Option<Option<String>>,
    /// What became of its datagrams, where it has any.
    pub received: Received,
    /// What went wrong with it as a whole.
    pub problems: Vec<String>,
    /// Bytes taken from where it lies (packed bytes, if packed).
    pub consumed: u64,
    /// Whether what is dealt is still what was dealt at the beginning. A start anew from a stored
    /// position begins anew here, too.
    pub quality: Quality,
}

impl Input {
    /// Reads `place` once, to its end.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn once(id: SourceId, place: &Place, options: &Options) -> Result<Self, Error> {
        let source = ByteSource::open(place)?;
        Ok(Self::new(id, place.to_string(), options, Reader::Once(source)))
    }

    /// Reads a stream to its end.
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn reader(
        id: SourceId,
        name: String,
        reader: Box<dyn std::io::Read + Send>,
        options: &Options,
    ) -> Result<Self, Error> {
        let source = ByteSource::new(name.clone(), reader)?;
        Ok(Self::new(id, name, options, Reader::Once(source)))
    }

    /// Takes what comes as datagrams, without an end. What was received is gone with the process:
    /// there is no position to go on from.
    pub fn datagrams(id: SourceId, datagrams: Datagrams, options: &Options) -> Self {
        let name = datagrams_name(&datagrams);
        Self::new(id, name, options, Reader::Datagrams(datagrams))
    }

    /// Follows the log at `path`, from where `stored` says or from its beginning.
    ///
    /// # Errors
    /// When the stored position is not readable.
    pub fn follow(
        id: SourceId,
        path: &Path,
        options: &Options,
        stored: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let name = path.display().to_string();
        let Some(stored) = stored else {
            let follower = Follower::new(path, Start::Beginning);
            return Ok(Self::new(id, name, options, Reader::Follow(Box::new(follower))));
        };
        let stored: Stored =
            serde_json::from_slice(stored).map_err(|e| Error::Position(e.to_string()))?;
        let follower = match &stored.follow {
            Some(at) => Follower::resume(
                path,
                &FollowCheckpoint::from_bytes(at).map_err(|e| Error::Position(e.to_string()))?,
            )?,
            None => Follower::new(path, Start::Beginning),
        };
        let mut input = Self::new(id, name, options, Reader::Follow(Box::new(follower)));
        let mut at = stored.decoder;
        at.source = id;
        input.decoder = Decoder::resume(options.clone(), &at);
        input.earlier = stored.earlier;
        Ok(input)
    }

    fn new(id: SourceId, name: String, options: &Options, reader: Reader) -> Self {
        Self {
            name,
            options: options.clone(),
            id,
            reader: Some(reader),
            decoder: Decoder::new(id, options.clone()),
            segment: None,
            earlier: IntakeCounts::default(),
            ready: None,
            dealt: None,
            ended: false,
            over: None,
            received: Received::default(),
            problems: Vec::new(),
            consumed: 0,
            quality: Quality::default(),
        }
    }

    /// Decodes ahead until a batch is ready. With `flush` a batch need not be full.
    ///
    /// # Errors
    /// When the input cannot be read on; what was read before is still decoded first.
    pub async fn advance(&mut self, flush: bool) -> Result<Next, Error> {
        loop {
            let whole = self.ended || self.over.is_some();
            if self.ready.is_some() || self.take(whole) {
                return Ok(Next::Ready);
            }
            if self.ended {
                return Ok(Next::Ended);
            }
            if let Some(gap) = self.over.take() {
                self.next_segment(gap);
            }
            match self.read().await? {
                Step::Idle | Step::Waiting(_) => {
                    let rest = flush && self.take(true);
                    return Ok(if rest { Next::Ready } else { Next::Idle });
                }
                Step::NextSegment { gap } => {
                    self.decoder.finish();
                    self.over = Some(gap);
                }
                Step::Data(_) => {}
            }
        }
    }

    /// Goes on to the next segment, once all batches of the old one are dealt.
    fn next_segment(&mut self, gap: Option<String>) {
        if let Some(gap) = gap {
            self.problem(gap);
        }
        self.earlier.add(&self.decoder.counts());
        self.decoder = Decoder::new(self.id, self.options.clone());
        self.segment = None;
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(what);
        }
    }

    fn take(&mut self, flush: bool) -> bool {
        let Some(mut batch) = self.decoder.next_batch(flush) else { return false };
        batch.segment = self.segment.as_ref().map_or(0, |s| s.number());
        self.ready = Some(Ready {
            batch,
            at: self.decoder.checkpoint().clone(),
            segment: self.segment.clone(),
            earlier: self.earlier,
        });
        true
    }

    /// Reads the next chunk on a blocking thread and hands it to the decoder.
    async fn read(&mut self) -> Result<Step, Error> {
        let Some(mut reader) = self.reader.take() else { return Ok(Step::Idle) };
        let work = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let step = match &mut reader {
                Reader::Once(source) => {
                    source.read_chunk(&mut bytes).map(Step::Data).map_err(Error::from)
                }
                Reader::Follow(follower) => follower.poll(&mut bytes).map_err(Error::from),
                Reader::Datagrams(datagrams) => {
                    datagrams.poll(&mut bytes).map_err(Error::Datagrams)
                }
            };
            (reader, bytes, step)
        });
        let (reader, bytes, step) = work.await.map_err(|_| Error::Panicked)?;
        match &reader {
            Reader::Once(source) => self.consumed = source.consumed(),
            Reader::Datagrams(datagrams) => {
                self.consumed += bytes.len() as u64;
                self.received = datagrams.received();
            }
            Reader::Follow(follower) => {
                self.consumed += bytes.len() as u64;
                // What is left of a segment that is over still belongs to it.
                if !matches!(step, Ok(Step::NextSegment { .. })) {
                    self.segment = follower.segment();
                }
            }
        }
        self.reader = Some(reader);
        self.decoder.push(&bytes);
        match step {
            // A file read once ends with an empty chunk.
            Ok(Step::Data(0)) => {
                self.decoder.finish();
                self.ended = true;
                Ok(Step::Data(0))
            }
            Ok(step) => Ok(step),
            Err(error) => {
                let why = reason(&self.name, &error);
                self.decoder.abort(&why);
                self.problem(why);
                self.ended = true;
                Ok(Step::Data(0))
            }
        }
    }

    /// How long to wait before looking again when there is nothing.
    pub const fn poll_interval(&self) -> Duration {
        match self.reader {
            Some(Reader::Datagrams(_)) => DATAGRAM_INTERVAL,
            _ => POLL_INTERVAL,
        }
    }

    /// Takes the batch that is ready; the position moves past it.
    pub fn deal(&mut self) -> Option<EventBatch> {
        let Ready { batch, at, segment, earlier } = self.ready.take()?;
        self.dealt = Some((at, segment, earlier));
        self.quality.observe(&batch);
        Some(batch)
    }

    /// The position after the last dealt batch, to be stored; `None` before the first one.
    ///
    /// # Errors
    /// When the position cannot be written down.
    pub fn position(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some((at, segment, earlier)) = &self.dealt else { return Ok(None) };
        let follow = segment.as_ref().map(|s| s.checkpoint(at.offset).to_bytes()).transpose();
        let follow = follow.map_err(|e| Error::Position(e.to_string()))?;
        let stored = Stored { follow, decoder: at.clone(), earlier: *earlier };
        let bytes = serde_json::to_vec(&stored).map_err(|e| Error::Position(e.to_string()))?;
        Ok(Some(bytes))
    }

    /// Counts of all that was decoded, over all segments.
    pub fn counts(&self) -> IntakeCounts {
        let mut counts = self.earlier;
        counts.add(&self.decoder.counts());
        counts
    }

    /// The decoder, for what it set aside and found.
    pub const fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

/// What a socket's source is called.
pub fn datagrams_name(datagrams: &Datagrams) -> String {
    format!("udp:{}", datagrams.address())
}
