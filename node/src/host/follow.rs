//! Following a log as it grows and is rotated away, like `tail -F`, without skipping or repeating.
//!
//! By polling: it works on every file system, and needs no inotify handle per folder. A log is a
//! chain of *segments*, the files that it was made of; within one, offsets only grow. Rotation by
//! renaming, by copying and truncating, and by deleting are known apart by inode and content. Lines
//! and threads are the caller's.

use super::read::{self, ByteSource, CHUNK_BYTES};
use super::segment::{FollowCheckpoint, Segment, bytes_at};
use super::siblings::{
    FileId, HEAD_BYTES, Mark, Sibling, TAIL_BYTES, by_id, id, missing_folder, modified, rotated,
};
use super::walk::Place;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long to wait after [`Step::Idle`] or [`Step::Waiting`]: unnoticed by a person, and under
/// 0.1 % of a core per followed file.
pub const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Polls without news before a rotated file is left: one second, in which a writer that was told to
/// reopen its log may still write to the old file.
pub const GRACE_POLLS: u32 = 5;

/// Files opened within one poll before it gives back the turn.
const TURNS: usize = 4;

/// Why following cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The followed file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// A packed older file cannot be read.
    #[error(transparent)]
    Read(#[from] read::Error),
}

/// Where following begins when there is no checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the file's first byte.
    #[default]
    Beginning,
    /// With what is written from now on.
    End,
}

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes were appended; poll again at once.
    Data(usize),
    /// Nothing new; wait [`POLL_INTERVAL`].
    Idle,
    /// The file is not there, or not readable as said; wait [`POLL_INTERVAL`].
    Waiting(String),
    /// The segment is over: a line without its end is as long as it will be. Poll again at once.
    NextSegment {
        /// Some of the log may be lost, and why: the file was truncated or is gone and no copy is
        /// there, or a packed one is damaged.
        gap: Option<String>,
    },
}

enum Reader {
    Plain,
    Packed(ByteSource),
}

struct Current {
    segment: Arc<Segment>,
    reader: Reader,
    offset: u64,
    /// The last bytes given out, up to [`TAIL_BYTES`].
    tail: Vec<u8>,
    quiet: u32,
}

/// Reads a log for ever. See the module's comment.
pub struct Follower {
    path: PathBuf,
    name: String,
    start: Start,
    current: Option<Current>,
    /// The number of the next segment.
    next: u64,
    /// What comes when there is no current file; else the path itself.
    queued: Option<Sibling>,
    /// To be told at the next poll.
    gap: Option<String>,
}

impl Follower {
    /// Follows `path`, which need not be there yet.
    pub fn new(path: &Path, start: Start) -> Self {
        let name = path.display().to_string();
        let path = path.to_owned();
        Self { path, name, start, current: None, next: 0, queued: None, gap: None }
    }

    /// Goes on from a checkpoint: first with the rest of the file that it names, wherever that has
    /// been rotated to, then with the files after it.
    pub fn resume(path: &Path, at: &FollowCheckpoint) -> Result<Self, Error> {
        let mut f = Self::new(path, Start::Beginning);
        f.next = at.segment;
        if let Some(file) = f.find(at).map_err(f.io())? {
            f.open(&file, at.segment, at.offset)?;
        } else {
            f.queued = f.newer_than(at.modified).or_else(missing_folder).map_err(f.io())?;
            if at.offset > 0 {
                f.next += 1;
                f.gap = Some("the file read last is gone, and no copy of it is there".into());
            }
        }
        Ok(f)
    }

    fn io(&self) -> impl Fn(io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::Io { path: path.clone(), source }
    }

    /// The segment that the last bytes came from.
    pub fn segment(&self) -> Option<Arc<Segment>> {
        self.current.as_ref().map(|c| Arc::clone(&c.segment))
    }

    /// The offset in the segment after the last byte given out.
    pub fn offset(&self) -> u64 {
        self.current.as_ref().map_or(0, |c| c.offset)
    }

    /// Appends what is new to `out`, at most [`CHUNK_BYTES`].
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Result<Step, Error> {
        if let Some(gap) = self.gap.take() {
            return Ok(Step::NextSegment { gap: Some(gap) });
        }
        for _ in 0..TURNS {
            let step = if self.current.is_none() { self.begin()? } else { self.read(out)? };
            if let Some(step) = step {
                return Ok(step);
            }
        }
        Ok(Step::Idle)
    }

    /// Reads on in the current file; `None` when another one has taken its place.
    fn read(&mut self, out: &mut Vec<u8>) -> Result<Option<Step>, Error> {
        let io = self.io();
        let Some(current) = &mut self.current else { return Ok(None) };
        let before = out.len();
        let n = match &mut current.reader {
            Reader::Packed(source) => match source.read_chunk(out) {
                Ok(n) => n,
                Err(e) => {
                    let own = current.segment.id;
                    self.queued = self.next_in_chain(own).map_err(self.io())?;
                    self.current = None;
                    return Ok(Some(Step::NextSegment { gap: Some(e.to_string()) }));
                }
            },
            Reader::Plain => match current.read_plain(out).map_err(io)? {
                Some(n) => n,
                None => return self.truncated(),
            },
        };
        if n == 0 {
            return self.at_end().map(Some);
        }
        current.given(&out[before..]);
        Ok(Some(Step::Data(n)))
    }

    /// Opens what comes next; `None` when it is open.
    fn begin(&mut self) -> Result<Option<Step>, Error> {
        let file = match self.queued.take() {
            Some(file) => file,
            None => match Sibling::at(&self.path) {
                Ok(Some(file)) => file,
                other => {
                    // What will be created from now on is new from its first byte.
                    self.start = Start::Beginning;
                    let why = other.err().map_or_else(|| "not there yet".into(), |e| e.to_string());
                    return Ok(Some(Step::Waiting(why)));
                }
            },
        };
        match self.open(&file, self.next, 0) {
            Ok(()) if std::mem::take(&mut self.start) == Start::End => {
                self.skip_to_end().map(|()| None)
            }
            Ok(()) => Ok(None),
            // A damaged packed file is passed over, and told of.
            Err(Error::Read(e)) if file.gzip => {
                self.queued = self.next_in_chain(file.id).map_err(self.io())?;
                Ok(Some(Step::NextSegment { gap: Some(e.to_string()) }))
            }
            Err(Error::Io { source, .. }) => {
                // Renamed since it was found: look for it again. Unreadable: wait until it is not.
                self.queued = by_id(&self.path, file.id)
                    .or_else(missing_folder)
                    .map_err(self.io())?
                    .filter(|f| f.path != self.path);
                Ok(Some(Step::Waiting(source.to_string())))
            }
            Err(e) => Err(e),
        }
    }

    fn open(&mut self, file: &Sibling, number: u64, offset: u64) -> Result<(), Error> {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        let (reader, handle) = if file.gzip {
            let place = Place::File(file.path.clone());
            let mut source = ByteSource::open(&place)?;
            if offset > 0 {
                ByteSource::open(&place)?.read_chunk(&mut head)?;
                source.skip(offset)?;
            }
            (Reader::Packed(source), None)
        } else {
            let handle = File::open(&file.path).map_err(self.io())?;
            head.resize(offset.min(HEAD_BYTES as u64) as usize, 0);
            handle.read_exact_at(&mut head, 0).map_err(self.io())?;
            tail.resize(offset.min(TAIL_BYTES as u64) as usize, 0);
            let start = offset - tail.len() as u64;
            handle.read_exact_at(&mut tail, start).map_err(self.io())?;
            (Reader::Plain, Some(handle))
        };
        head.truncate(HEAD_BYTES.min(usize::try_from(offset).unwrap_or(HEAD_BYTES)));
        let meta = handle.as_ref().and_then(|h| h.metadata().ok());
        let segment = Arc::new(Segment {
            path: self.name.clone(),
            number,
            // Of the file that was opened, should the name have moved on.
            id: meta.as_ref().map_or(file.id, id),
            modified: meta.as_ref().map_or(file.modified, modified),
            file: handle,
            head: Mutex::new(head),
        });
        self.next = number + 1;
        self.current = Some(Current { segment, reader, offset, tail, quiet: 0 });
        Ok(())
    }

    /// Passes over what is there already.
    fn skip_to_end(&mut self) -> Result<(), Error> {
        let io = self.io();
        let Some(current) = &mut self.current else { return Ok(()) };
        let Some(file) = &current.segment.file else { return Ok(()) };
        let size = file.metadata().map_err(&io)?.len();
        let mut head = vec![0; size.min(HEAD_BYTES as u64) as usize];
        file.read_exact_at(&mut head, 0).map_err(&io)?;
        *current.segment.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        current.tail.resize(size.min(TAIL_BYTES as u64) as usize, 0);
        let place = size - current.tail.len() as u64;
        file.read_exact_at(&mut current.tail, place).map_err(&io)?;
        current.offset = size;
        Ok(())
    }

    /// The file shrank or begins otherwise: its old content is in a copy, or lost.
    fn truncated(&mut self) -> Result<Option<Step>, Error> {
        let Some(current) = self.current.take() else { return Ok(None) };
        let (head, own) = (Mark::of(&current.segment.head()), current.segment.id);
        let tail = Mark::of(&current.tail);
        let siblings = rotated(&self.path).map_err(self.io())?;
        let mut copies = siblings.into_iter().rev().filter(|f| f.id != own);
        let copy = copies.find(|f| head.len > 0 && f.holds(head, tail, current.offset));
        if let Some(file) = copy {
            self.open(&file, current.segment.number, current.offset)?;
            return Ok(None);
        }
        self.queued = self.next_in_chain(own).map_err(self.io())?;
        let gap = Some("the file was truncated, and no copy of it is there".into());
        Ok(Some(Step::NextSegment { gap }))
    }

    /// Nothing more in this file for now: stay, or go on to a newer one.
    fn at_end(&mut self) -> Result<Step, Error> {
        let Some(current) = &mut self.current else { return Ok(Step::Idle) };
        if matches!(Sibling::at(&self.path), Ok(Some(file)) if file.id == current.segment.id) {
            current.quiet = 0;
            return Ok(Step::Idle);
        }
        // Only a newer file says that this one is over: counted from when there is one.
        let at = current.segment.checkpoint(current.offset);
        let packed = matches!(current.reader, Reader::Packed(_));
        let next = self.after(&at).or_else(missing_folder).map_err(self.io())?;
        let Some(current) = &mut self.current else { return Ok(Step::Idle) };
        current.quiet = if next.is_some() { current.quiet.saturating_add(1) } else { 0 };
        if next.is_none() || !packed && current.quiet < GRACE_POLLS {
            return Ok(Step::Idle);
        }
        (self.queued, self.current) = (next, None);
        Ok(Step::NextSegment { gap: None })
    }

    /// The file after one that is in the chain; `None` after the last.
    fn next_in_chain(&self, own: FileId) -> io::Result<Option<Sibling>> {
        Ok(self.chain()?.into_iter().skip_while(|f| f.id != own).nth(1))
    }

    /// Every file of the log, oldest first.
    fn chain(&self) -> io::Result<Vec<Sibling>> {
        let mut files = rotated(&self.path)?;
        files.extend(Sibling::at(&self.path)?);
        Ok(files)
    }

    /// The file that came after the one of this position.
    fn after(&self, at: &FollowCheckpoint) -> io::Result<Option<Sibling>> {
        let chain = self.chain()?;
        let own = (at.dev, at.inode);
        let place = chain.iter().position(|f| f.id == own).or_else(|| {
            let packed = |f: &Sibling| f.gzip && f.holds(at.head, at.tail, at.offset);
            chain.iter().position(|f| at.head.len > 0 && packed(f))
        });
        match place {
            Some(i) => Ok(chain.into_iter().nth(i + 1)),
            None => self.newer_than(at.modified),
        }
    }

    /// The first file that was written to after a time, when the one of that time is gone; else the
    /// log itself.
    fn newer_than(&self, time: i64) -> io::Result<Option<Sibling>> {
        let newer = rotated(&self.path)?.into_iter().find(|f| f.modified > time);
        Ok(newer.or(Sibling::at(&self.path)?))
    }

    /// The file of a position: by its inode and content under any name, else by its content.
    fn find(&self, at: &FollowCheckpoint) -> io::Result<Option<Sibling>> {
        let own = (at.dev, at.inode);
        let holds = |file: &Sibling| file.holds(at.head, at.tail, at.offset);
        let known = match Sibling::at(&self.path)? {
            Some(file) if file.id == own => Some(file),
            _ => by_id(&self.path, own).or_else(missing_folder)?,
        };
        if known.as_ref().is_some_and(holds) {
            return Ok(known);
        }
        if at.head.len == 0 {
            return Ok(None);
        }
        Ok(self.chain().or_else(missing_folder)?.into_iter().rev().find(holds))
    }
}

impl Current {
    /// Reads on; `None` when the file is not what it was, and then nothing was appended.
    fn read_plain(&mut self, out: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(file) = &self.segment.file else { return Ok(Some(0)) };
        let before = out.len();
        out.resize(before + CHUNK_BYTES, 0);
        let read = loop {
            match file.read_at(&mut out[before..], self.offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        out.truncate(before + *read.as_ref().unwrap_or(&0));
        let n = read?;
        // Looked at after reading, so that what was read follows what was given out before.
        let place = self.offset - self.tail.len() as u64;
        if !bytes_at(file, 0, &self.segment.head())? || !bytes_at(file, place, &self.tail)? {
            out.truncate(before);
            return Ok(None);
        }
        Ok(Some(n))
    }

    /// Remembers what was given out.
    fn given(&mut self, bytes: &[u8]) {
        let mut head = self.segment.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.offset == head.len() as u64 {
            let room = HEAD_BYTES - head.len();
            head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        drop(head);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        self.offset += bytes.len() as u64;
        self.quiet = 0;
    }
}

#[cfg(test)]
mod tests;
