//! One of the files that a followed log is made of, and a position in it that survives rotation.

use super::siblings::{FileId, Mark, TAIL_BYTES, modified};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use threat::codec;

/// Version of an encoded [`FollowCheckpoint`].
const CHECKPOINT_VERSION: u8 = 1;

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
    pub fn to_bytes(&self) -> Result<Vec<u8>, codec::Error> {
        codec::encode(CHECKPOINT_VERSION, self)
    }

    /// From what was stored.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, codec::Error> {
        codec::decode(CHECKPOINT_VERSION, bytes)
    }
}

/// One of the files that a log is made of. Batches that came from it hold on to it, so that their
/// position can be stored after the follower has gone on.
#[derive(Debug)]
pub struct Segment {
    pub(crate) path: String,
    pub(crate) number: u64,
    pub(crate) id: FileId,
    pub(crate) modified: i64,
    /// `None` of a packed file.
    pub(crate) file: Option<File>,
    /// The first bytes as they were read, up to [`HEAD_BYTES`].
    pub(crate) head: Mutex<Vec<u8>>,
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

    pub(crate) fn head(&self) -> Vec<u8> {
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
            let start = offset - tail.len() as u64;
            let read = file.read_exact_at(&mut tail, start);
            // Of a file that was truncated meanwhile these would be other bytes.
            if read.is_ok() && bytes_at(file, 0, &head).unwrap_or(false) {
                mark.tail = Mark::of(&tail);
            }
        }
        mark
    }
}

/// Whether the file still has these bytes there.
pub(crate) fn bytes_at(file: &File, place: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut now = vec![0; bytes.len()];
    match file.read_exact_at(&mut now, place) {
        Ok(()) => Ok(now == bytes),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
