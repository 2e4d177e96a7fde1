//! What will happen, in order of time; what happens at one time in the order in which it was made.

use super::event::Event;
use crate::plan::Micros;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bits of a key that say where the event lies.
const PLACE: u32 = 24;

/// Events that will happen. What is sorted is small keys: events are many times as large, and a
/// heap moves each of its entries about a dozen times.
#[derive(Default)]
pub struct Queue {
    /// Time, number and place of each event.
    keys: BinaryHeap<Reverse<(Micros, u64)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    /// Events that were ever put in.
    made: u64,
}

impl Queue {
    /// Whether nothing will happen.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Puts one in.
    pub fn push(&mut self, at: Micros, event: Event) {
        self.made += 1;
        let place = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(place) {
            Some(free) => *free = Some(event),
            None => self.events.push(Some(event)),
        }
        // A run ends long before there are as many as a key can tell apart.
        self.keys.push(Reverse((at, self.made << PLACE | place as u64)));
    }

    /// The next one and its time, if that is not after the end.
    pub fn pop(&mut self, end: Micros) -> Option<(Micros, Event)> {
        let Reverse((at, _)) = self.keys.peek()?;
        if *at > end {
            return None;
        }
        let Reverse((at, key)) = self.keys.pop()?;
        let place = (key & ((1 << PLACE) - 1)) as usize;
        let event = self.events[place].take()?;
        self.free.push(place);
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_they_were_made() {
        let mut queue = Queue::default();
        let event = |node| Event::Resume { node };
        for (at, node) in [(5, 0), (3, 1), (5, 2), (3, 3), (9, 4)] {
            queue.push(at, event(node));
        }
        let mut come = Vec::new();
        while let Some((at, Event::Resume { node })) = queue.pop(5) {
            come.push((at, node));
            if node == 1 {
                queue.push(4, event(7));
            }
        }
        assert_eq!(come, [(3, 1), (3, 3), (4, 7), (5, 0), (5, 2)]);
        assert!(!queue.is_empty());
        assert!(matches!(queue.pop(9), Some((9, Event::Resume { node: 4 }))));
    }
}
