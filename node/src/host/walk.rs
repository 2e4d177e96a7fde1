//! From the paths that a person names to the inputs that can be read.
//!
//! Folders are walked in sorted order, so that the same tree gives the same run. What cannot be
//! read is a problem to report, never the end of the run.

use super::sniff::{Packing, SNIFF_BYTES, sniff};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Inputs of one run: a year of hourly logs of a dozen kinds. More is a wrong path, like `/`.
pub const INPUTS: usize = 100_000;

/// Folders inside of folders; deeper is a loop or a mistake.
pub const DEPTH: usize = 32;

/// Problems kept; a run over the wrong folder must not fill the screen or the memory.
pub const PROBLEMS: usize = 1_000;

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Standard input.
    Stdin,
    /// A file, or a pipe that was named.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub place: Place,
    /// Bytes as they lie there (packed, if so); `None` for pipes.
    pub size: Option<u64>,
    /// How it is packed; pipes are looked at when they are opened.
    pub packing: Packing,
}

/// Something that is not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Problem {
    /// What was named or found.
    pub place: Place,
    /// Why it is not read, and what to do.
    pub why: String,
}

/// What there is to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// In the order of the paths, and sorted within each folder.
    pub inputs: Vec<Input>,
    /// What is not read, at most [`PROBLEMS`].
    pub problems: Vec<Problem>,
    /// Problems beyond those kept.
    pub more_problems: u64,
    /// Hidden files and folders found in folders: not read.
    pub hidden: u64,
    /// Sockets, devices and pipes found in folders: not read.
    pub special: u64,
    /// Empty files: nothing to read.
    pub empty: u64,
    /// Files met before under another name or path: read once.
    pub repeated: u64,
}

impl Walk {
    /// Bytes of all inputs whose size is known.
    pub fn known_bytes(&self) -> u64 {
        self.inputs.iter().filter_map(|i| i.size).sum()
    }
}

/// Expands what was named: files, folders with all that is in them, `-` for standard input.
pub fn walk(paths: &[PathBuf]) -> Walk {
    let mut walker = Walker::default();
    for path in paths {
        if path.as_os_str() == "-" {
            walker.stdin();
        } else {
            walker.visit(path, true, 0);
        }
    }
    walker.out
}

#[derive(Default)]
struct Walker {
    out: Walk,
    /// Device and inode of everything met.
    met: BTreeSet<(u64, u64)>,
    stdin: bool,
}

impl Walker {
    fn problem(&mut self, place: Place, why: impl Into<String>) {
        if self.out.problems.len() < PROBLEMS {
            self.out.problems.push(Problem { place, why: why.into() });
        } else {
            self.out.more_problems += 1;
        }
    }

    fn input(&mut self, input: Input) {
        if self.out.inputs.len() < INPUTS {
            self.out.inputs.push(input);
        } else {
            self.problem(input.place, format!("over the limit of {INPUTS} inputs: name fewer"));
        }
    }

    fn stdin(&mut self) {
        if std::mem::replace(&mut self.stdin, true) {
            self.out.repeated += 1;
        } else {
            self.input(Input { place: Place::Stdin, size: None, packing: Packing::Plain });
        }
    }

    fn visit(&mut self, path: &Path, named: bool, depth: usize) {
        let place = || Place::File(path.to_owned());
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) => return self.problem(place(), e.to_string()),
        };
        let kind = meta.file_type();
        if !self.met.insert((meta.dev(), meta.ino())) {
            self.out.repeated += 1;
        } else if kind.is_dir() {
            self.folder(path, depth);
        } else if kind.is_file() {
            self.file(path, &meta);
        } else if !named {
            self.out.special += 1;
        } else if kind.is_fifo() || kind.is_char_device() {
            self.input(Input { place: place(), size: None, packing: Packing::Plain });
        } else {
            self.problem(place(), "a socket or block device is not read");
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        if depth >= DEPTH {
            let why = format!("folders deeper than {DEPTH} are not read");
            return self.problem(Place::File(path.to_owned()), why);
        }
        let mut children = Vec::new();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) => return self.problem(Place::File(path.to_owned()), e.to_string()),
        };
        for entry in entries {
            match entry {
                Ok(entry) => children.push(entry.path()),
                Err(e) => self.problem(Place::File(path.to_owned()), e.to_string()),
            }
        }
        children.sort();
        for child in children {
            let name = child.file_name().map(|n| n.as_encoded_bytes());
            if name.is_some_and(|n| n.starts_with(b".")) {
                self.out.hidden += 1;
            } else {
                self.visit(&child, false, depth + 1);
            }
        }
    }

    fn file(&mut self, path: &Path, meta: &Metadata) {
        let place = Place::File(path.to_owned());
        if meta.len() == 0 {
            self.out.empty += 1;
            return;
        }
        let mut head = Vec::with_capacity(SNIFF_BYTES);
        let read =
            File::open(path).and_then(|file| file.take(SNIFF_BYTES as u64).read_to_end(&mut head));
        match read.map(|_| sniff(&head)) {
            Ok(Ok(packing)) => self.input(Input { place, size: Some(meta.len()), packing }),
            Ok(Err(why)) => self.problem(place, why),
            Err(e) => self.problem(place, e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(walk: &Walk, root: &Path) -> Vec<String> {
        let name = |i: &Input| match &i.place {
            Place::File(p) => p.strip_prefix(root).unwrap().display().to_string(),
            Place::Stdin => "-".into(),
        };
        walk.inputs.iter().map(name).collect()
    }

    #[test]
    fn folders_are_walked_in_order_and_files_met_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for name in ["c.log", "a.log", "b/2.log", "b/deep/1.log", ".hidden", ".git/x"] {
            fs::write(root.join(name), "text\n").unwrap();
        }
        fs::write(root.join("empty"), "").unwrap();
        symlink(root.join("a.log"), root.join("current")).unwrap();
        symlink(root, root.join("b/loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
        let w = walk(&[root.to_owned(), root.join("c.log"), "-".into(), "-".into()]);
        assert_eq!(names(&w, root), ["a.log", "b/2.log", "b/deep/1.log", "c.log", "-"]);
        assert_eq!((w.hidden, w.special, w.empty), (2, 1, 1));
        // The link to a file, the link to the root, the file and stdin named again.
        assert_eq!(w.repeated, 4);
        assert_eq!(w.known_bytes(), 20);
        assert!(w.problems.is_empty(), "{:?}", w.problems);
    }

    #[test]
    fn a_hidden_file_is_read_when_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".log");
        fs::write(&path, "text\n").unwrap();
        assert_eq!(walk(&[path]).inputs.len(), 1);
    }

    #[test]
    fn a_pipe_is_read_when_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|s| s.success()) {
            println!("skipped: no mkfifo here");
            return;
        }
        let w = walk(&[path]);
        assert_eq!(w.inputs[0].size, None);
        assert_eq!(walk(&[dir.path().to_owned()]).special, 1);
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join("a.zst"), b"\x28\xb5\x2f\xfd....").unwrap();
        fs::write(root.join("b.pcap"), b"\xd4\xc3\xb2\xa1\x02\0\x04\0").unwrap();
        fs::write(root.join("c.log"), "text\n").unwrap();
        fs::write(root.join("d.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03").unwrap();
        symlink("nowhere", root.join("e.log")).unwrap();
        let w = walk(&[root.to_owned(), root.join("missing.log")]);
        assert_eq!(names(&w, root), ["c.log", "d.gz"]);
        assert_eq!(w.inputs[1].packing, Packing::Gzip);
        let problems: Vec<_> = w.problems.iter().map(ToString::to_string).collect();
        for (problem, words) in problems.iter().zip([
            ["a.zst", "decompress it first"],
            ["b.pcap", "packet capture"],
            ["e.log", "No such file"],
            ["missing.log", "No such file"],
        ]) {
            assert!(words.iter().all(|w| problem.contains(w)), "{problem}");
        }
        assert_eq!(problems.len(), 4);
    }
}
