//! What a leader does: asks the others, counts what they have, and is sure that it leads.

use super::super::disk::Disk;
use super::{Append, Message, Out, Raft, Role, Shape};
use crate::plan::Micros;
use std::rc::Rc;

/// What a leader knows of the others.
#[derive(Debug)]
pub struct Leading {
    pub next: Vec<u64>,
    pub matched: Vec<u64>,
    pub acked: Vec<u64>,
    /// The question to each that was not answered yet.
    pub asked: Vec<Option<u64>>,
    pub questions: u64,
    /// Index of the first entry of the term.
    pub first: u64,
    pub round: u64,
}

impl Raft {
    /// A round that confirms that it leads still: its number.
    pub fn confirm(&mut self, now: Micros, shape: &Shape, out: &mut Out) -> Option<u64> {
        let Role::Leader(leading) = &mut self.role else { return None };
        leading.round += 1;
        let (me, round) = (self.me, leading.round);
        for &voter in shape.voters.iter().filter(|v| **v != me) {
            self.ask(now, voter, shape, out);
        }
        Some(round)
    }

    /// The last round that a majority answered, once it has an entry of its own term committed.
    pub fn confirmed(&self, shape: &Shape) -> Option<u64> {
        let Role::Leader(leading) = &self.role else { return None };
        if self.commit < leading.first {
            return None;
        }
        Some(shape.agreed(|v| if v == self.me { leading.round } else { leading.acked[v] }))
    }

    /// Sends to all who wait for something, or have not been heard for a heartbeat.
    pub fn beat(&mut self, now: Micros, shape: &Shape, out: &mut Out) {
        let me = self.me;
        for to in (0..shape.nodes).filter(|n| *n != me) {
            self.ask(now, to, shape, out);
        }
    }

    pub(super) fn replicate(&mut self, now: Micros, shape: &Shape, out: &mut Out) {
        let (me, last) = (self.me, self.last().0);
        for to in (0..shape.nodes).filter(|n| *n != me) {
            let Role::Leader(leading) = &self.role else { return };
            if leading.asked[to].is_none() && leading.next[to] <= last {
                self.ask(now, to, shape, out);
            }
        }
    }

    fn ask(&mut self, now: Micros, to: usize, shape: &Shape, out: &mut Out) {
        let (term, commit) = (self.hard.term, self.commit);
        let Role::Leader(leading) = &self.role else { return };
        let question = leading.questions + 1;
        let (next, round) = (leading.next[to], (leading.round, question));
        let message = match (self.term_of(next - 1), &self.snapshot) {
            (Some(before), _) => {
                let from = (next - 1 - self.base.0) as usize;
                let some = self.log.iter().skip(from).take(shape.tuning.append_entries);
                let entries = some.cloned().collect();
                let before = (next - 1, before);
                Message::Append(Rc::new(Append { term, before, entries, commit, round }))
            }
            (None, Some(snapshot)) => Message::Install { term, snapshot: snapshot.clone(), round },
            (None, None) => return,
        };
        if let Role::Leader(leading) = &mut self.role {
            (leading.asked[to], leading.questions) = (Some(question), question);
        }
        out.sends.push((to, message, now));
    }

    pub(super) fn answered(
        &mut self,
        now: Micros,
        (from, matched, end, (round, question)): (usize, Option<u64>, u64, (u64, u64)),
        shape: &Shape,
        out: &mut Out,
    ) {
        let last = self.last().0;
        let Role::Leader(leading) = &mut self.role else { return };
        leading.acked[from] = leading.acked[from].max(round);
        // An answer that comes twice must not make two questions.
        let waited = leading.asked[from].take_if(|asked| *asked == question).is_some();
        match matched {
            Some(index) => {
                leading.matched[from] = leading.matched[from].max(index);
                leading.next[from] = leading.matched[from] + 1;
            }
            None => {
                // A node that lost its disk has less than it said before.
                leading.matched[from] = leading.matched[from].min(end);
                leading.next[from] = leading.next[from].saturating_sub(1).min(end + 1).max(1);
            }
        }
        if waited && leading.next[from] <= last {
            self.ask(now, from, shape, out);
        }
    }

    /// What a majority has on its disks is committed, if it is of this term.
    pub fn advance(&mut self, now: Micros, disk: &mut Disk, shape: &Shape) {
        let Role::Leader(leading) = &self.role else { return };
        let own = disk.durable(now).1;
        let agreed = shape.agreed(|v| if v == self.me { own } else { leading.matched[v] });
        if agreed > self.commit && self.term_of(agreed) == Some(self.hard.term) {
            self.commit = agreed;
        }
    }
}
