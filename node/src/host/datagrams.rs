//! Syslog over UDP (RFC 5426): one record a datagram. A sender cannot be held back, so what finds
//! no room is shed, the less urgent first, and counted: `offered = accepted + shed` at any moment.

use super::follow::Step;
use flow::admission::{Admission, Decision, Patience, Priority, Reason, Tally};
use intake::urgency;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Datagrams that wait to be decoded: a tenth of a second of a busy site.
pub const ROOM: usize = 16_384;

/// A longer datagram is cut here. Receivers should take 2,048 bytes (RFC 5426, 3.2); four times
/// that holds the longest events seen, and bounds what [`ROOM`] datagrams hold to 128 MiB.
pub const DATAGRAM_BYTES: usize = 8_192;

/// Bytes handed to the decoder at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// How long the receiving thread waits before it looks whether it is to end.
const WAIT: Duration = Duration::from_millis(100);

/// A socket that is read by a thread of its own.
#[derive(Debug)]
pub struct Datagrams {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    over: AtomicBool,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Box<[u8]>>,
    admission: Admission,
    broken: Option<String>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, datagram: &[u8]) {
        let mut queue = self.queue();
        let decision = queue.admission.offer(urgency(datagram), 1, Patience::Cannot);
        if decision == Decision::Accept {
            queue.waiting.push_back(datagram.into());
        }
    }
}

/// What became of the datagrams of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Read from the socket.
    pub offered: u64,
    /// Those of them that were handed on.
    pub accepted: u64,
    /// Those of them that found no room, by [`Reason`] in the order of [`Reason::ALL`].
    pub shed: [u64; 3],
    /// Dropped by the kernel before they could be read, where it tells.
    pub dropped: u64,
}

impl Received {
    /// The law of admission.
    pub fn balanced(&self) -> bool {
        self.offered == self.accepted + self.shed.iter().sum::<u64>()
    }

    /// What was lost, by reason in words.
    pub fn lost(&self) -> [(&'static str, u64); 4] {
        let [full, reserved, draining] = self.shed;
        [
            ("no room was left", full),
            ("the room left was kept for more urgent ones", reserved),
            ("the node was ending", draining),
            ("the kernel dropped them before they were read", self.dropped),
        ]
    }
}

impl Datagrams {
    /// Listens on `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::with_room(address, ROOM)
    }

    fn with_room(address: SocketAddr, room: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let address = socket.local_addr()?;
        socket.set_read_timeout(Some(WAIT))?;
        let queue =
            Queue { waiting: VecDeque::new(), admission: Admission::new(room), broken: None };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), over: AtomicBool::new(false) });
        let receiving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("datagrams".into())
            .spawn(move || receive(&socket, &receiving))?;
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends what waits to `bytes`, a line for each datagram, up to a chunk.
    ///
    /// # Errors
    /// When the socket can no longer be read; what was received before comes first.
    pub fn poll(&self, bytes: &mut Vec<u8>) -> io::Result<Step> {
        let mut queue = self.shared.queue();
        let before = bytes.len();
        while bytes.len() - before < CHUNK_BYTES {
            let Some(datagram) = queue.waiting.pop_front() else { break };
            queue.admission.release();
            append(&datagram, bytes);
        }
        match (bytes.len() - before, &queue.broken) {
            (0, Some(why)) => Err(io::Error::other(why.clone())),
            (0, None) => Ok(Step::Idle),
            (n, _) => Ok(Step::Data(n)),
        }
    }

    /// What became of the datagrams so far.
    pub fn received(&self) -> Received {
        let queue = self.shared.queue();
        let mut all = Received { dropped: dropped(self.address), ..Received::default() };
        for priority in Priority::ALL {
            let Tally { offered, accepted, shed } = queue.admission.tally(priority);
            all.offered += offered;
            all.accepted += accepted;
            for reason in Reason::ALL {
                all.shed[reason as usize] += shed[reason as usize];
            }
        }
        all
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended as well.
            let _panicked = thread.join().is_err();
        }
    }
}

fn receive(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    while !shared.over.load(SeqCst) {
        match socket.recv_from(&mut buffer) {
            Ok((n, _)) => shared.offer(&buffer[..n]),
            Err(e) => match e.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => {}
                _ => {
                    shared.queue().broken = Some(e.to_string());
                    return;
                }
            },
        }
    }
}

/// A datagram as one line: line ends within it become blanks.
fn append(datagram: &[u8], bytes: &mut Vec<u8>) {
    let text = datagram.trim_ascii_end();
    bytes.extend(text.iter().map(|&b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }));
    bytes.push(b'\n');
}

/// Datagrams that Linux dropped for want of room in the socket bound to `address`: the last column
/// of its line in `/proc/net/udp`, whose second is `address:port` in hexadecimal.
fn dropped(address: SocketAddr) -> u64 {
    let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let port = format!(":{:04X}", address.port());
    let text = fs::read_to_string(table).unwrap_or_default();
    let lines = text.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&port)))
        .filter_map(|fields| fields.last()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LOOPBACK: &str = "127.0.0.1:0";

    fn until(what: impl Fn() -> bool) {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < Duration::from_secs(10), "nothing came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn what_finds_no_room_is_shed_the_less_urgent_first_and_counted() {
        let datagrams = Datagrams::with_room(LOOPBACK.parse().unwrap(), 8).unwrap();
        let sender = UdpSocket::bind(LOOPBACK).unwrap();
        let send = |text: String| {
            let before = datagrams.received().offered;
            sender.send_to(text.as_bytes(), datagrams.address()).unwrap();
            until(|| datagrams.received().offered > before);
        };
        // The usual may fill half of the room, authentication three quarters, an alert all of it.
        (0..10).for_each(|i| send(format!("<14>usual {i}\nand on")));
        (0..10).for_each(|i| send(format!("<38>logon {i}")));
        (0..10).for_each(|i| send(format!("<9>alert {i}")));
        let all = datagrams.received();
        assert_eq!((all.offered, all.accepted), (30, 8));
        assert_eq!(all.shed, [8, 14, 0], "full, kept for the more urgent, draining");
        assert!(all.balanced());
        let mut bytes = Vec::new();
        assert!(matches!(datagrams.poll(&mut bytes).unwrap(), Step::Data(_)));
        let lines: Vec<&str> = std::str::from_utf8(&bytes).unwrap().lines().collect();
        let expected = ["<14>usual 0 and on", "<14>usual 1 and on", "<14>usual 2 and on"];
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[..3], expected);
        assert_eq!(lines[6..], ["<9>alert 0", "<9>alert 1"]);
        assert!(matches!(datagrams.poll(&mut bytes).unwrap(), Step::Idle));
        send("<14>there is room again".into());
        assert!(matches!(datagrams.poll(&mut bytes).unwrap(), Step::Data(_)));
    }

    #[test]
    fn an_address_in_use_is_refused() {
        let first = Datagrams::bind(LOOPBACK.parse().unwrap()).unwrap();
        assert!(Datagrams::bind(first.address()).is_err());
    }
}
