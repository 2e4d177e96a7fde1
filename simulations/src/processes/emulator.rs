//! Carries packets between the TUN devices of all namespaces, as a [`Queue`] says.

use super::queue::Queue;
use crate::plan::{MILLI, Micros};
use crate::world::net::Trouble;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// The first two parts of all addresses.
const NET: [u8; 2] = [10, 78];

/// Bytes of a packet at most: what a device without another word takes.
const PACKET: usize = 1_500;

/// The longest time without a look at links that changed.
const LOOK: Micros = 5 * MILLI;

/// Packets before anybody else are carried on time where there is more work than processors.
const NICE: i32 = -10;

/// The address of an end.
pub fn address(end: usize) -> Ipv4Addr {
    let [high, low] = (end as u16 + 1).to_be_bytes();
    Ipv4Addr::new(NET[0], NET[1], high, low)
}

/// Where an IPv4 packet goes, if it is one.
fn end_of(packet: &[u8]) -> Option<usize> {
    let to = packet.get(16..20).filter(|_| packet[0] >> 4 == 4)?;
    let number = u16::from_be_bytes([to[2], to[3]]);
    (to[..2] == NET && number > 0).then(|| usize::from(number) - 1)
}

struct Shared {
    queue: Mutex<Queue>,
    over: AtomicBool,
    start: Instant,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that holds it leaves it half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Micros {
        self.start.elapsed().as_micros() as Micros
    }
}

/// The thread that carries packets. It ends when this is dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Starts to carry packets between devices, one for each end of the queue.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(queue: Queue, devices: Vec<OwnedFd>) -> std::io::Result<Self> {
        let (queue, over) = (Mutex::new(queue), AtomicBool::new(false));
        let shared = Arc::new(Shared { queue, over, start: Instant::now() });
        let own = Arc::clone(&shared);
        let carry = move || {
            // Without the right to it packets are late under load, and that is all.
            let _denied = rustix::process::setpriority_process(None, NICE);
            while !own.over.load(Ordering::Relaxed) {
                turn(&own, &devices);
            }
        };
        let thread = std::thread::Builder::new().name("network".into()).spawn(carry)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Changes all links.
    pub fn trouble(&self, trouble: impl Fn(usize, usize) -> Trouble) {
        let mut queue = self.shared.queue();
        let now = self.shared.now();
        queue.trouble(now, trouble);
    }

    /// Packets that arrived so far.
    pub fn delivered(&self) -> u64 {
        self.shared.queue().delivered()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Hands out what has arrived, waits, and takes in what was sent.
fn turn(shared: &Shared, devices: &[OwnedFd]) {
    let wait = {
        let mut queue = shared.queue();
        while let Some((to, packet)) = queue.arrived(shared.now()) {
            // A full device loses packets, as a full buffer does.
            let _full = rustix::io::write(&devices[to], &packet);
        }
        let next = queue.next().map_or(LOOK, |at| at.saturating_sub(shared.now()));
        next.min(LOOK)
    };
    let mut waits: Vec<PollFd<'_>> =
        devices.iter().map(|device| PollFd::new(device, PollFlags::IN)).collect();
    let wait = Timespec { tv_sec: 0, tv_nsec: (wait * 1_000) as _ };
    if poll(&mut waits, Some(&wait)).unwrap_or(0) == 0 {
        return;
    }
    let ready: Vec<usize> =
        (0..waits.len()).filter(|at| waits[*at].revents().contains(PollFlags::IN)).collect();
    let mut buffer = [0; PACKET];
    for from in ready {
        while let Ok(length) = rustix::io::read(&devices[from], &mut buffer) {
            let packet = &buffer[..length];
            let mut queue = shared.queue();
            if let Some(to) = end_of(packet).filter(|to| *to < queue.ends()) {
                let now = shared.now();
                queue.send(now, (from, to), packet.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_goes_where_its_address_says() {
        assert_eq!(address(0), Ipv4Addr::new(10, 78, 0, 1));
        assert_eq!(address(300), Ipv4Addr::new(10, 78, 1, 45));
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&address(300).octets());
        assert_eq!(end_of(&packet), Some(300));
        packet[16] = 11;
        assert_eq!(end_of(&packet), None, "another net");
        assert_eq!(end_of(&packet[..19]), None, "cut off");
        packet[0] = 0x65;
        assert_eq!(end_of(&packet), None, "IPv6");
    }
}
