//! Every way in which a log moves, on real files. Each byte must come once and in order.

mod down;
mod running;

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;

/// A folder with a log, what was written to it, and what a follower gave out.
struct World {
    dir: tempfile::TempDir,
    written: Vec<u8>,
    got: Vec<u8>,
    lines: u64,
    gaps: Vec<String>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, written: Vec::new(), got: Vec::new(), lines: 0, gaps: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("conn.log")
    }

    fn follower(&self) -> Follower {
        Follower::new(&self.log(), Start::Beginning)
    }

    /// Appends so many lines to `name`, and expects them.
    fn write_to(&mut self, name: &str, lines: u64) {
        let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
        for _ in 0..lines {
            self.lines += 1;
            let line = format!("{}\trecord {}\n", self.lines, self.lines * self.lines);
            file.write_all(line.as_bytes()).unwrap();
            self.written.extend(line.into_bytes());
        }
    }

    fn write(&mut self, lines: u64) {
        self.write_to("conn.log", lines);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// conn.log.1 → conn.log.2, conn.log → conn.log.1
    fn rotate(&self) {
        for n in (1..9).rev() {
            for end in ["", ".gz"] {
                let from = self.path(&format!("conn.log.{n}{end}"));
                if from.exists() {
                    fs::rename(from, self.path(&format!("conn.log.{}{end}", n + 1))).unwrap();
                }
            }
        }
        self.rename("conn.log", "conn.log.1");
    }

    fn copy_truncate(&self) {
        if self.path("conn.log.1").exists() {
            self.rename("conn.log.1", "conn.log.2");
        }
        fs::copy(self.log(), self.path("conn.log.1")).unwrap();
        File::options().write(true).open(self.log()).unwrap().set_len(0).unwrap();
    }

    fn pack(&self, name: &str) {
        let bytes = fs::read(self.path(name)).unwrap();
        let out = File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut e = GzEncoder::new(out, Compression::default());
        e.write_all(&bytes).unwrap();
        e.finish().unwrap();
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Polls until nothing comes for longer than the grace.
    fn drain(&mut self, f: &mut Follower) {
        let mut quiet = 0;
        while quiet < 2 * GRACE_POLLS {
            match f.poll(&mut self.got).unwrap() {
                Step::Data(n) => {
                    assert!(n > 0);
                    quiet = 0;
                }
                Step::NextSegment { gap } => {
                    self.gaps.extend(gap);
                    quiet = 0;
                }
                Step::Idle | Step::Waiting(_) => quiet += 1,
            }
        }
    }

    /// Stores the position as a node would, and starts anew from it.
    fn restart(&self, f: Follower) -> Follower {
        let bytes = f.segment().unwrap().checkpoint(f.offset()).to_bytes().unwrap();
        drop(f);
        self.resume(&bytes)
    }

    fn resume(&self, bytes: &[u8]) -> Follower {
        Follower::resume(&self.log(), &FollowCheckpoint::from_bytes(bytes).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(&self) {
        let text = String::from_utf8_lossy;
        assert_eq!(text(&self.got), text(&self.written));
        assert_eq!(self.gaps, [""; 0]);
    }
}
