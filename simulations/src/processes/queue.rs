//! The network between nodes as a queue of packets: who gets which packet when. It knows no clock
//! and no device; [`super::emulator`] drives it.
//!
//! What happens to the n-th packet of a link is drawn from the seed, the link and n. Packets of a
//! link keep their order; one that arrives twice arrives late the second time.

use crate::plan::{MILLI, Micros, PlannedLink, unit};
use crate::world::net::Trouble;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use threat::entropy::mix64;

/// Packets of all links that may be on their way: more than links with long delays hold.
const FLYING: usize = 65_536;

/// Packets that a clogged link holds back: more are lost, as in a full buffer.
const HELD: usize = 4_096;

/// Purposes of drawn numbers.
const JITTER: u64 = 1;
const LOSS: u64 = 2;
const AGAIN: u64 = 3;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    at: Micros,
    order: u64,
    from: usize,
    to: usize,
    packet: Vec<u8>,
}

/// All links between all ends.
#[derive(Debug)]
pub struct Queue {
    ends: usize,
    seed: u64,
    ways: Vec<PlannedLink>,
    troubles: Vec<Trouble>,
    sent: Vec<u64>,
    /// By link: when the last one arrives.
    last: Vec<Micros>,
    flying: BinaryHeap<Reverse<Flying>>,
    held: Vec<Flying>,
    order: u64,
    delivered: u64,
}

impl Queue {
    /// Links between ends, each as `way` says.
    pub fn new(ends: usize, seed: u64, way: impl Fn(usize, usize) -> PlannedLink) -> Self {
        let pairs = (0..ends * ends).map(|at| (at / ends, at % ends));
        Self {
            ends,
            seed,
            ways: pairs.map(|(from, to)| way(from, to)).collect(),
            troubles: vec![Trouble::default(); ends * ends],
            sent: vec![0; ends * ends],
            last: vec![0; ends * ends],
            flying: BinaryHeap::new(),
            held: Vec::new(),
            order: 0,
            delivered: 0,
        }
    }

    /// How many there are.
    pub const fn ends(&self) -> usize {
        self.ends
    }

    /// Packets that arrived so far.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A packet leaves one end for another.
    pub fn send(&mut self, now: Micros, (from, to): (usize, usize), packet: Vec<u8>) {
        let link = from * self.ends + to;
        let number = self.sent[link];
        self.sent[link] += 1;
        let (way, trouble) = (self.ways[link], self.troubles[link]);
        let draw = |what: u64| mix64(mix64(mix64(self.seed ^ what) ^ link as u64) ^ number);
        let loss = way.loss.max(trouble.loss);
        let lost = loss > 0.0 && unit(draw(LOSS)) < loss;
        if trouble.cut || lost || self.flying.len() >= FLYING {
            return;
        }
        let drawn = draw(JITTER);
        let at = now + way.delay + drawn % (way.jitter + 1) + trouble.extra;
        let at = at.max(self.last[link]);
        self.last[link] = at;
        self.order += 1;
        let flying = Flying { at, order: self.order, from, to, packet };
        if trouble.clogged {
            if self.held.iter().filter(|h| (h.from, h.to) == (from, to)).count() < HELD {
                self.held.push(flying);
            }
            return;
        }
        if trouble.twice > 0.0 && unit(draw(AGAIN)) < trouble.twice {
            self.order += 1;
            let at = at + MILLI + drawn % (50 * MILLI);
            let again = Flying { at, order: self.order, packet: flying.packet.clone(), ..flying };
            self.flying.push(Reverse(again));
        }
        self.flying.push(Reverse(flying));
    }

    /// The next packet that has arrived by now, and where.
    pub fn arrived(&mut self, now: Micros) -> Option<(usize, Vec<u8>)> {
        while self.flying.peek().is_some_and(|Reverse(next)| next.at <= now) {
            let Reverse(next) = self.flying.pop()?;
            // What was on its way when the link was cut is lost.
            if !self.troubles[next.from * self.ends + next.to].cut {
                self.delivered += 1;
                return Some((next.to, next.packet));
            }
        }
        None
    }

    /// When the next one arrives.
    pub fn next(&self) -> Option<Micros> {
        self.flying.peek().map(|Reverse(next)| next.at)
    }

    /// Changes all links to what `trouble` says; what a link held back goes on if it may.
    pub fn trouble(&mut self, now: Micros, trouble: impl Fn(usize, usize) -> Trouble) {
        for at in 0..self.troubles.len() {
            self.troubles[at] = trouble(at / self.ends, at % self.ends);
        }
        for held in std::mem::take(&mut self.held) {
            if self.troubles[held.from * self.ends + held.to].clogged {
                self.held.push(held);
            } else {
                let at = held.at.max(now);
                self.flying.push(Reverse(Flying { at, ..held }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: PlannedLink = PlannedLink { delay: 10 * MILLI, jitter: 0, loss: 0.0 };

    fn arrivals(queue: &mut Queue, until: Micros) -> Vec<(Micros, usize, u8)> {
        let mut all = Vec::new();
        while let Some(at) = queue.next().filter(|at| *at <= until) {
            while let Some((to, packet)) = queue.arrived(at) {
                all.push((at, to, packet[0]));
            }
        }
        all
    }

    fn run(seed: u64, way: PlannedLink, trouble: Trouble) -> Vec<(Micros, usize, u8)> {
        let mut queue = Queue::new(3, seed, |_, _| way);
        queue
            .trouble(0, |from, to| if (from, to) == (0, 1) { trouble } else { Trouble::default() });
        for n in 0..200 {
            queue.send(u64::from(n) * MILLI, (0, 1), vec![n]);
        }
        arrivals(&mut queue, Micros::MAX)
    }

    #[test]
    fn packets_take_their_time_and_keep_their_order() {
        let all = run(1, PlannedLink { jitter: 9 * MILLI, ..WAY }, Trouble::default());
        assert_eq!(all.len(), 200);
        assert!(all.iter().enumerate().all(|(n, (_, to, byte))| (*to, *byte) == (1, n as u8)));
        let late = |(at, _, n): &(Micros, usize, u8)| at - u64::from(*n) * MILLI;
        assert!(all.iter().all(|a| (10 * MILLI..=19 * MILLI).contains(&late(a))));
        assert!(all.iter().any(|a| late(a) > 14 * MILLI), "there is jitter");
        let slow = run(1, WAY, Trouble { extra: 5 * MILLI, ..Trouble::default() });
        assert!(slow.iter().all(|a| late(a) == 15 * MILLI));
    }

    #[test]
    fn the_seed_says_what_is_lost_and_what_comes_twice() {
        let lossy = Trouble { loss: 0.3, ..Trouble::default() };
        let lost = run(7, WAY, lossy);
        assert!((100..180).contains(&lost.len()), "{}", lost.len());
        assert_eq!(lost, run(7, WAY, lossy));
        assert_ne!(lost, run(8, WAY, lossy));
        let twice = run(7, WAY, Trouble { twice: 0.5, ..Trouble::default() });
        assert!((270..330).contains(&twice.len()), "{}", twice.len());
        let order: Vec<u8> = twice.iter().map(|a| a.2).collect();
        assert!(!order.is_sorted(), "a second one is late");
    }

    #[test]
    fn a_cut_is_of_one_direction_and_takes_what_is_on_its_way() {
        let cut = Trouble { cut: true, ..Trouble::default() };
        let mut queue = Queue::new(2, 1, |_, _| WAY);
        queue.send(0, (0, 1), vec![1]);
        queue.trouble(5 * MILLI, |from, _| if from == 0 { cut } else { Trouble::default() });
        queue.send(6 * MILLI, (0, 1), vec![2]);
        queue.send(6 * MILLI, (1, 0), vec![3]);
        assert_eq!(arrivals(&mut queue, Micros::MAX), [(16 * MILLI, 0, 3)]);
        queue.trouble(20 * MILLI, |_, _| Trouble::default());
        queue.send(20 * MILLI, (0, 1), vec![4]);
        assert_eq!(arrivals(&mut queue, Micros::MAX), [(30 * MILLI, 1, 4)]);
        assert_eq!(queue.delivered(), 2);
    }

    #[test]
    fn a_clogged_link_lets_go_in_order_and_holds_so_much() {
        let clogged = Trouble { clogged: true, ..Trouble::default() };
        let mut queue = Queue::new(2, 1, |_, _| WAY);
        queue.trouble(0, |_, _| clogged);
        for n in 0..HELD + 10 {
            queue.send(n as u64, (0, 1), vec![(n % 251) as u8]);
        }
        assert!(arrivals(&mut queue, Micros::MAX).is_empty());
        queue.trouble(90 * MILLI, |_, _| Trouble::default());
        let all = arrivals(&mut queue, Micros::MAX);
        assert_eq!(all.len(), HELD);
        assert!(all.iter().enumerate().all(|(n, a)| *a == (90 * MILLI, 1, (n % 251) as u8)));
    }
}
