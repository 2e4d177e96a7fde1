//! Logs without an end: flows, a log that nobody knows, and logins.

use crate::conn::{Conn, HEADER};
use detection::ensemble::voters;
use std::fmt::Write as _;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use threat::{DetectorKind, EventClass};

/// A batch comes so often: healthy or not, verdicts pause for so long between two.
pub const PACE: Duration = Duration::from_millis(20);

/// Writes the next line of a log.
pub type Lines = Box<dyn FnMut(&mut String) + Send>;

/// An endless log at a steady pace, until told to end.
pub struct Paced {
    pub next: Lines,
    pub end: Arc<AtomicBool>,
    pub lines: Arc<AtomicU64>,
    pub ready: Vec<u8>,
}

impl Read for Paced {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.ready.is_empty() && !self.end.load(SeqCst) {
            std::thread::sleep(PACE);
            let mut text = String::new();
            (0..128).for_each(|_| (self.next)(&mut text));
            self.lines.fetch_add(128, SeqCst);
            self.ready = text.into_bytes();
        }
        let n = self.ready.len().min(out.len());
        out[..n].copy_from_slice(&self.ready[..n]);
        self.ready.drain(..n);
        Ok(n)
    }
}

/// A log that is fed, and who votes on its events.
#[derive(Clone, Copy)]
pub struct Fed {
    pub path: &'static str,
    pub voters: [DetectorKind; 3],
}

/// Flows: scans in them are told by rules.
pub const FLOWS: Fed = Fed { path: "conn", voters: voters(EventClass::Flow) };

/// The same lines as a log that nobody knows.
pub const OTHERS: Fed = Fed { path: "custom", voters: voters(EventClass::Generic) };

/// Logins: what accounts do is voted on by their profiles.
pub const LOGINS: Fed = Fed { path: "sshd", voters: voters(EventClass::Authentication) };

impl Fed {
    /// What stands at the top of the log.
    pub fn header(&self) -> String {
        match self.path {
            "sshd" => String::new(),
            path => HEADER.replace("#path\tconn", &format!("#path\t{path}")),
        }
    }

    /// A log to learn from.
    pub fn log(&self, lines: u64) -> String {
        match self.path {
            "sshd" => {
                let mut out = String::new();
                (0..lines).for_each(|n| login(n, &mut out));
                out
            }
            _ => Conn::log(3, 0.2, false, lines).replace(HEADER, &self.header()),
        }
    }

    /// The lines to judge.
    pub fn lines(&self) -> Lines {
        let mut conn = Conn::new(11, 0.2, true);
        match self.path {
            "sshd" => {
                let mut next = 0;
                Box::new(move |out| {
                    login(next, out);
                    next += 1;
                })
            }
            _ => Box::new(move |out| conn.line(out)),
        }
    }
}

/// The `n`th login: twenty accounts, each from its own machine to one of three servers.
fn login(n: u64, out: &mut String) {
    let (second, account) = (n / 8, n * 7 % 20);
    let (hour, minute, second) = (second / 3_600 % 24, second / 60 % 60, second % 60);
    let (day, server, port) = (5 + n / 8 / 86_400, (n * 7 / 20) % 3, 40_000 + n % 20_000);
    let _never = writeln!(
        out,
        "2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00 srv{server} sshd[{port}]: \
         Accepted publickey for user{account} from 10.0.2.{account} port {port} ssh2"
    );
}
