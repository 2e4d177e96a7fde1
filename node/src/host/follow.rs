//! Following a log as it grows and is rotated away, like `tail -F`, without skipping or repeating.
//!
//! By polling: it works on every file system, and needs no inotify handle per folder. A log is a
//! chain of *segments*, the files that it was made of; within one, offsets only grow. Rotation by
//! renaming, by copying and truncating, and by deleting are known apart by inode and content. Lines
//! and threads are the caller's.

use super::read::{self, ByteSource, CHUNK_BYTES};
use super::siblings::{FileId, HEAD_BYTES, Mark, Sibling, TAIL_BYTES, by_id, id, modified, rotated};
use super::walk::Place;
use serde::{Deserialize, Serialize};
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

/// Version of an encoded [`FollowCheckpoint`].
const CHECKPOINT_VERSION: u8 = 1;

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
    /// The bytes are no checkpoint.
    #[error("not a position in a log: {0}")]
    Checkpoint(#[from] threat::codec::Error),
}

/// A position in a log that finds its place again after rotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowCheckpoint {
    /// The followed path, for people.
    pub path: String,
    /// The segment's number since following began.
    pub segment: u64,
    /// Bytes of the segment that are done.
    pub offset: u64,
    /// The segment's device.
    pub dev: u64,
    /// The segment's inode.
    pub inode: u64,
    /// The segment's modification time, nanoseconds since the epoch.
    pub modified: i64,
    /// The segment's first bytes.
    pub head: Mark,
    /// The bytes before `offset`.
    pub tail: Mark,
}

impl FollowCheckpoint {
    /// For storing.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(threat::codec::encode(CHECKPOINT_VERSION, self)?)
    }

    /// From what was stored.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(threat::codec::decode(CHECKPOINT_VERSION, bytes)?)
    }
}

/// One of the files that a log is made of. Batches that came from it hold on to it, so that their
/// position can be stored after the follower has gone on.
#[derive(Debug)]
pub struct Segment {
    path: String,
    number: u64,
    id: FileId,
    modified: i64,
    /// `None` of a packed file.
    file: Option<File>,
    /// The first bytes as they were read, up to [`HEAD_BYTES`].
    head: Mutex<Vec<u8>>,
}

impl Segment {
    /// Counts the files that the log was made of since following began, across restarts.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// A name that is the same after a restart: what ledger and counts are kept under.
    pub fn name(&self) -> String {
        format!("{}@{}", self.path, self.number)
    }

    fn head(&self) -> Vec<u8> {
        // Only whole values are ever put there, so a panic elsewhere left a good one.
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The position after `offset` bytes of this segment.
    pub fn checkpoint(&self, offset: u64) -> FollowCheckpoint {
        let head = self.head();
        let mut mark = FollowCheckpoint {
            path: self.path.clone(),
            segment: self.number,
            offset,
            dev: self.id.0,
            inode: self.id.1,
            modified: self.modified,
            head: Mark::of(&head),
            tail: Mark::default(),
        };
        if let Some(file) = &self.file {
            mark.modified = file.metadata().map_or(mark.modified, |m| modified(&m));
            let mut tail = vec![0; (offset as usize).min(TAIL_BYTES)];
            let read = file.read_exact_at(&mut tail, offset - tail.len() as u64);
            // Of a file that was truncated meanwhile these would be other bytes.
            if read.is_ok() && begins_with(file, &head).unwrap_or(false) {
                mark.tail = Mark::of(&tail);
            }
        }
        mark
    }
}

fn begins_with(file: &File, head: &[u8]) -> io::Result<bool> {
    let mut now = vec![0; head.len()];
    match file.read_exact_at(&mut now, 0) {
        Ok(()) => Ok(now == head),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
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
        /// Some of the log may be lost: the old file was truncated or is gone, and no copy is there.
        gap: bool,
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
    gap: bool,
}

impl Follower {
    /// Follows `path`, which need not be there yet.
    pub fn new(path: &Path, start: Start) -> Self {
        let name = path.display().to_string();
        let path = path.to_owned();
        Self { path, name, start, current: None, next: 0, queued: None, gap: false }
    }

    /// Goes on from a checkpoint: first with the rest of the file that it names, wherever that has
    /// been rotated to, then with the files after it.
    pub fn resume(path: &Path, at: &FollowCheckpoint) -> Result<Self, Error> {
        let mut f = Self::new(path, Start::Beginning);
        f.next = at.segment;
        let found = f.find((at.dev, at.inode), at.head, at.tail, at.offset).map_err(f.io())?;
        if let Some(file) = found {
            let number = at.segment;
            f.open(&file, number, at.offset)?;
        } else {
            f.queued = f.newer_than(at.modified).map_err(f.io())?;
            f.gap = at.offset > 0;
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
        if std::mem::take(&mut self.gap) {
            self.next += 1;
            return Ok(Step::NextSegment { gap: true });
        }
        let io = self.io();
        let Some(current) = &mut self.current else { return self.begin() };
        let n = match &mut current.reader {
            Reader::Packed(source) => source.read_chunk(out)?,
            Reader::Plain => match current.read_plain(out).map_err(io)? {
                Some(n) => n,
                None => return self.truncated(),
            },
        };
        if n == 0 {
            return self.at_end();
        }
        current.offset += n as u64;
        current.quiet = 0;
        Ok(Step::Data(n))
    }

    /// Opens what comes next.
    fn begin(&mut self) -> Result<Step, Error> {
        let file = match self.queued.take() {
            Some(file) => Ok(Some(file)),
            None => Sibling::at(&self.path),
        };
        match file {
            Ok(None) => Ok(Step::Waiting("not there yet".into())),
            Err(e) => Ok(Step::Waiting(e.to_string())),
            Ok(Some(file)) => match self.open(&file, self.next, 0) {
                Ok(()) => {
                    if std::mem::take(&mut self.start) == Start::End {
                        self.skip_to_end()?;
                    }
                    Ok(Step::Data(0))
                }
                // Rotated once more since it was found: look again.
                Err(Error::Io { source, .. }) => {
                    if source.kind() != io::ErrorKind::NotFound {
                        return Ok(Step::Waiting(source.to_string()));
                    }
                    self.queued = by_id(&self.path, file.id).map_err(self.io())?;
                    Ok(Step::Idle)
                }
                Err(e) => Err(e),
            },
        }
    }

    fn open(&mut self, file: &Sibling, number: u64, offset: u64) -> Result<(), Error> {
        let mut head = Vec::new();
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
        self.current = Some(Current { segment, reader, offset, quiet: 0 });
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
        current.offset = size;
        Ok(())
    }

    /// The file shrank or begins otherwise: its old content is in a copy, or lost.
    fn truncated(&mut self) -> Result<Step, Error> {
        let io = self.io();
        let Some(current) = self.current.take() else { return Ok(Step::Idle) };
        let (head, own) = (Mark::of(&current.segment.head()), current.segment.id);
        let mut copy = None;
        if head.len > 0 {
            for file in rotated(&self.path).map_err(io)?.into_iter().rev() {
                if file.id != own && file.holds(head, Mark::default(), current.offset) {
                    copy = Some(file);
                    break;
                }
            }
        }
        match copy {
            Some(file) => {
                self.open(&file, current.segment.number, current.offset)?;
                Ok(Step::Data(0))
            }
            None => Ok(Step::NextSegment { gap: true }),
        }
    }

    /// Nothing more in this file for now: stay, or go on to a newer one.
    fn at_end(&mut self) -> Result<Step, Error> {
        let io = self.io();
        let Some(current) = &mut self.current else { return Ok(Step::Idle) };
        let own = current.segment.id;
        if let Ok(Some(file)) = Sibling::at(&self.path)
            && file.id == own
        {
            current.quiet = 0;
            return Ok(Step::Idle);
        }
        let packed = matches!(current.reader, Reader::Packed(_));
        current.quiet += 1;
        if current.quiet < GRACE_POLLS && !packed {
            return Ok(Step::Idle);
        }
        let at = current.segment.checkpoint(current.offset);
        let Some(next) = self.after(&at).map_err(io)? else { return Ok(Step::Idle) };
        self.queued = Some(next);
        self.current = None;
        Ok(Step::NextSegment { gap: false })
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
    fn find(
        &self,
        own: FileId,
        head: Mark,
        tail: Mark,
        offset: u64,
    ) -> io::Result<Option<Sibling>> {
        let known = match Sibling::at(&self.path)? {
            Some(file) if file.id == own => Some(file),
            _ => by_id(&self.path, own).or_else(missing_folder)?,
        };
        if let Some(file) = known
            && file.holds(head, tail, offset)
        {
            return Ok(Some(file));
        }
        if head.len == 0 {
            return Ok(None);
        }
        let chain = self.chain().or_else(missing_folder)?;
        Ok(chain.into_iter().rev().find(|f| f.holds(head, tail, offset)))
    }
}

/// A log whose folder is not there yet has no files.
fn missing_folder<T: Default>(e: io::Error) -> io::Result<T> {
    if e.kind() == io::ErrorKind::NotFound { Ok(T::default()) } else { Err(e) }
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
        // Looked at after reading, so that what was read is of the same file as the head.
        let mut head = self.segment.head.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() < self.offset || !begins_with(file, &head)? {
            out.truncate(before);
            return Ok(None);
        }
        if self.offset == head.len() as u64 {
            let room = HEAD_BYTES - head.len();
            head.extend_from_slice(&out[before..before + n.min(room)]);
        }
        Ok(Some(n))
    }
}
