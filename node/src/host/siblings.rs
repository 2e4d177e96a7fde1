//! The files that a followed log was rotated into, and how to know one again.
//!
//! Names are those of logrotate (`conn.log.1`, `conn.log-20250101`, `.gz` after either) and Zeek
//! (`conn.2025-01-01-00-00-00.log`). A file is known by its first and last bytes as well as by its
//! inode, since inodes are used again and copies have others.

use super::read::ByteSource;
use super::walk::Place;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes at a file's beginning that tell it from another: beyond the header lines of most logs.
pub(crate) const HEAD_BYTES: usize = 1_024;

/// Bytes before a position that tell whether it is the same position: a line or two.
pub(crate) const TAIL_BYTES: usize = 256;

/// Files of a folder that are looked at; a folder with more is no log folder.
const FOLDER_FILES: usize = 20_000;

/// The hash of some bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How many bytes; 0 marks nothing.
    pub len: u32,
    /// First half of their BLAKE3.
    pub hash: [u8; 16],
}

impl Mark {
    /// Marks these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
        Self { len: bytes.len() as u32, hash }
    }
}

/// Device and inode.
pub(crate) type FileId = (u64, u64);

pub(crate) fn id(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

/// Modification time in nanoseconds since the epoch.
pub(crate) fn modified(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// A file that the log was, or is.
#[derive(Clone, Debug)]
pub(crate) struct Sibling {
    pub path: PathBuf,
    pub id: FileId,
    pub modified: i64,
    pub gzip: bool,
}

impl Sibling {
    /// The file at `path`; `None` when there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() => Ok(Some(Self {
                path: path.to_owned(),
                id: id(&meta),
                modified: modified(&meta),
                gzip: path.extension() == Some(OsStr::new("gz")),
            })),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether its content is what was read before: the same beginning, at least `offset` bytes,
    /// and the same bytes before `offset`.
    pub(crate) fn holds(&self, head: Mark, tail: Mark, offset: u64) -> bool {
        if head.len as usize > HEAD_BYTES || u64::from(tail.len) > offset.min(TAIL_BYTES as u64) {
            // No position of ours.
            return false;
        }
        if self.gzip {
            return self.packed_holds(head, offset);
        }
        let Ok(file) = File::open(&self.path) else { return false };
        let marked = |mark: Mark, at: u64| {
            let mut bytes = vec![0; mark.len as usize];
            file.read_exact_at(&mut bytes, at).is_ok() && Mark::of(&bytes) == mark
        };
        file.metadata().is_ok_and(|m| m.len() >= offset)
            && (head.len == 0 || marked(head, 0))
            && (tail.len == 0 || marked(tail, offset - u64::from(tail.len)))
    }

    /// As [`Sibling::holds`], of what was packed since; the tail would cost unpacking twice.
    fn packed_holds(&self, head: Mark, offset: u64) -> bool {
        let open = || ByteSource::open(&Place::File(self.path.clone()));
        let (Ok(mut s), mut bytes) = (open(), Vec::new()) else { return false };
        while bytes.len() < head.len as usize {
            if !matches!(s.read_chunk(&mut bytes), Ok(1..)) {
                return false;
            }
        }
        let same = Mark::of(&bytes[..head.len as usize]) == head;
        let beyond = offset.saturating_sub(s.offset());
        same && s.skip(beyond).unwrap_or(false)
    }
}

/// What stands between the parts of a rotated name: digits and what dates are written with.
fn stamp<'a>(name: &'a str, log: &str) -> Option<&'a str> {
    let inner = name.strip_suffix(".gz").unwrap_or(name);
    let after = inner.strip_prefix(log).or_else(|| {
        let (stem, extension) = log.rsplit_once('.')?;
        inner.strip_prefix(stem)?.strip_suffix(extension)?.strip_suffix('.')
    })?;
    let stamp = after.strip_prefix(['.', '-', '_'])?;
    let date = |c: char| c.is_ascii_digit() || "-._:TZ+".contains(c);
    (stamp.starts_with(|c: char| c.is_ascii_digit()) && stamp.chars().all(date)).then_some(stamp)
}

/// The rotation number of `conn.log.3`; a date is longer.
fn number(stamp: &str) -> Option<u32> {
    if stamp.len() <= 5 { stamp.parse().ok() } else { None }
}

/// The files that `log` was rotated into, oldest first, without `log` itself. Of one that lies
/// there packed and unpacked (gzip is at work) only the unpacked one.
pub(crate) fn rotated(log: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(name), Some(folder)) = (log.file_name().and_then(OsStr::to_str), folder(log)) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<(Option<u32>, String, Sibling)> = Vec::new();
    for entry in fs::read_dir(folder)?.take(FOLDER_FILES) {
        let path = entry?.path();
        let Some(stamp) = path.file_name().and_then(OsStr::to_str).and_then(|n| stamp(n, name))
        else {
            continue;
        };
        // A file that vanishes while the folder is read is no sibling.
        if let Ok(Some(sibling)) = Sibling::at(&path) {
            found.push((number(stamp), stamp.to_owned(), sibling));
        }
    }
    let plain: Vec<PathBuf> =
        found.iter().filter(|(.., s)| !s.gzip).map(|(.., s)| s.path.clone()).collect();
    found.retain(|(.., s)| !s.gzip || !plain.contains(&s.path.with_extension("")));
    if found.iter().all(|(n, ..)| n.is_some()) {
        found.sort_by_key(|(number, ..)| std::cmp::Reverse(*number));
    } else {
        found.sort_by(|a, b| (a.2.modified, &a.1).cmp(&(b.2.modified, &b.1)));
    }
    Ok(found.into_iter().map(|(.., s)| s).collect())
}

/// A file of the log's folder by its inode, whatever its name.
pub(crate) fn by_id(log: &Path, wanted: FileId) -> io::Result<Option<Sibling>> {
    let Some(folder) = folder(log) else { return Ok(None) };
    for entry in fs::read_dir(folder)?.take(FOLDER_FILES) {
        let entry = entry?;
        if entry.metadata().is_ok_and(|m| id(&m) == wanted) {
            return Sibling::at(&entry.path());
        }
    }
    Ok(None)
}

/// A log whose folder is not there yet has no files.
pub(crate) fn missing_folder<T: Default>(e: io::Error) -> io::Result<T> {
    if e.kind() == io::ErrorKind::NotFound { Ok(T::default()) } else { Err(e) }
}

fn folder(log: &Path) -> Option<&Path> {
    log.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_known() {
        for name in [
            "conn.log.1",
            "conn.log.12.gz",
            "conn.log-20250101",
            "conn.log-20250101.gz",
            "conn.log_2025-01-01T10:00:00Z",
            "conn.2025-01-01-00-00-00.log",
            "conn.2025-01-01-00-00-00.log.gz",
        ] {
            assert!(stamp(name, "conn.log").is_some(), "{name}");
        }
        for name in [
            "conn.log",
            "conn.log.bak",
            "conn.log.1.tmp",
            "conn.log.swp",
            "conn.log.gz",
            "dns.log.1",
            "conn.summary.log",
            "conn-old.log",
        ] {
            assert!(stamp(name, "conn.log").is_none(), "{name}");
        }
    }

    #[test]
    fn numbers_go_down_with_time_and_dates_up() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("conn.log");
        let write = |n: &str| fs::write(dir.path().join(n), n).unwrap();
        let names = || -> Vec<String> {
            let siblings = rotated(&log).unwrap();
            siblings.iter().map(|s| s.path.file_name().unwrap().to_str().unwrap().into()).collect()
        };
        for n in ["conn.log", "conn.log.1", "conn.log.10.gz", "conn.log.2", "conn.log.2.gz"] {
            write(n);
        }
        assert_eq!(names(), ["conn.log.10.gz", "conn.log.2", "conn.log.1"]);
        for n in ["conn.log.1", "conn.log.10.gz", "conn.log.2", "conn.log.2.gz"] {
            fs::remove_file(dir.path().join(n)).unwrap();
        }
        for (i, n) in
            ["conn.log-20250101", "conn.log-20250102", "conn.log-20250103"].iter().enumerate()
        {
            write(n);
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000 + i as u64);
            File::options()
                .append(true)
                .open(dir.path().join(n))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        assert_eq!(names(), ["conn.log-20250101", "conn.log-20250102", "conn.log-20250103"]);
    }
}
