//! What streams, listeners and connects do.

use super::{Arrival, Door, Net, Opening, Pipe, WINDOW, wake};
use std::collections::{BTreeSet, VecDeque};
use std::task::Waker;

impl Net {
    /// A host listens from now on.
    pub fn listen(&mut self, host: usize) {
        let door = &mut self.doors[host];
        (door.open, door.powered) = (true, true);
        door.waiting.clear();
    }

    /// Has power and does not listen, as clients.
    pub fn power(&mut self, host: usize) {
        self.doors[host].powered = true;
    }

    /// A process ends; without power, its machine says nothing of it.
    pub fn ends(&mut self, host: usize, power: bool) {
        self.turn = None;
        let door = Door { powered: power, ..Door::default() };
        let door = std::mem::replace(&mut self.doors[host], door);
        for number in door.waiting {
            if let Some(pipe) = self.pipes.get_mut(&number) {
                pipe.unread = true;
            }
        }
        if !power {
            self.silent.insert(host);
        }
        self.ending = Some(BTreeSet::new());
    }

    /// All that the process held is dropped: what comes now is of the next one.
    pub fn ended(&mut self, host: usize) {
        let closed = self.ending.take();
        closed.into_iter().flatten().for_each(|number| self.close(number));
        self.silent.remove(&host);
    }

    /// Asks for a connection; the number of the way there.
    pub fn open(&mut self, from: usize, to: usize) -> u64 {
        let number = self.next;
        self.next += 2;
        self.pipes.insert(number, Pipe { from, to, ..Pipe::default() });
        self.pipes.insert(number ^ 1, Pipe { from: to, to: from, ..Pipe::default() });
        self.opening.insert(number, Opening::Waits);
        self.send(number, Arrival::Open);
        number
    }

    /// How a connection that was asked for stands; `waker` hears of a change.
    pub fn opening(&mut self, number: u64, waker: &Waker) -> Opening {
        let opening = self.opening.get(&number).copied().unwrap_or(Opening::Refused);
        match opening {
            Opening::Waits => {
                if let Some(pipe) = self.pipes.get_mut(&(number ^ 1)) {
                    pipe.reader = Some(waker.clone());
                }
            }
            Opening::Open | Opening::Refused => {
                self.opening.remove(&number);
            }
        }
        opening
    }

    /// The next connection of a host; the number of the way from it.
    pub fn accept(&mut self, host: usize, waker: &Waker) -> Option<u64> {
        let door = &mut self.doors[host];
        let taken = door.waiting.pop_front().map(|number| number ^ 1);
        if taken.is_none() {
            door.waker = Some(waker.clone());
        }
        taken
    }

    /// Takes bytes to send, as many as there is room for; none when the connection is broken.
    pub fn write(&mut self, number: u64, bytes: &[u8], waker: &Waker) -> Option<usize> {
        let pipe = self.pipes.get_mut(&number).filter(|p| !p.broken)?;
        let room = (WINDOW - pipe.flying).min(bytes.len());
        if room == 0 {
            pipe.writer = Some(waker.clone());
            return Some(0);
        }
        pipe.flying += room;
        self.send(number, Arrival::Bytes(bytes[..room].to_vec()));
        Some(room)
    }

    /// Reads what arrived; `Ok(0)` is the end, none means wait.
    pub fn read(
        &mut self,
        number: u64,
        out: &mut [u8],
        waker: &Waker,
    ) -> Option<std::io::Result<usize>> {
        let broken = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let Some(pipe) = self.pipes.get_mut(&number) else { return Some(Err(broken())) };
        if pipe.ready.is_empty() {
            if pipe.broken {
                return Some(Err(broken()));
            }
            if pipe.closed {
                return Some(Ok(0));
            }
            pipe.reader = Some(waker.clone());
            return None;
        }
        let count = out.len().min(pipe.ready.len());
        for (to, byte) in out.iter_mut().zip(pipe.ready.drain(..count)) {
            *to = byte;
        }
        pipe.flying = pipe.flying.saturating_sub(count);
        wake(&mut pipe.writer);
        Some(Ok(count))
    }

    /// A side sends no more.
    pub fn shut(&mut self, number: u64) {
        self.send(number, Arrival::End);
    }

    /// A side lets go of both ways: `number` is the one on which it wrote.
    pub fn close(&mut self, number: u64) {
        if let Some(ending) = &mut self.ending {
            ending.insert(number);
            return;
        }
        self.opening.remove(&number);
        self.shut(number);
        if let Some(back) = self.pipes.get_mut(&(number ^ 1)) {
            back.unread = true;
            back.ready = VecDeque::new();
        }
        self.forget(number);
    }
}
