//! What a node does about the others: says that it is there, listens for silence, renews leases,
//! grants them while it leads, and sees to what it owns.

use super::node::Running;
use super::{Body, Lane, Timer, World};
use crate::experiment::Moment;
use crate::journal::What;
use crate::plan::MILLI;
use regions::lease::{Answer, Renewal};
use std::rc::Rc;
use std::time::Duration;

impl World<'_> {
    fn clock(&self, run: &Running) -> Duration {
        Duration::from_micros(self.nodes[run.me].local(self.now))
    }

    /// Ten times a second.
    pub(super) fn look(&mut self, run: &mut Running) {
        let now = self.clock(run);
        if run.coordinator.tick(now) {
            run.asking.urgent = true;
            self.tell_all(run);
        }
        if run.learned != run.log.applied() {
            // What is followed was learnt when it was applied.
            run.ownership.caught_up(run.log.applied());
            run.learned = run.log.applied();
            self.members(run);
        }
        self.renewals(run);
        self.see_to_duties(run);
        self.join(run);
        self.gossip(run);
        self.timer(run, 100 * MILLI, Timer::Look);
    }

    /// Takes note of what is applied.
    pub(super) fn learn(&mut self, run: &mut Running) {
        let now = self.clock(run);
        run.coordinator.learn(now, &run.log, &self.shape.ids);
        let given_up = run.ownership.learn(&run.log);
        run.learned = run.log.applied();
        if !given_up.is_empty() {
            self.give_back(run, given_up);
        }
        self.members(run);
        self.renewals(run);
    }

    fn give_back(&mut self, run: &mut Running, given_up: Vec<(u32, u64)>) {
        match run.raft.leader {
            Some(leader) if leader == run.me => run.coordinator.release(&given_up, &run.log),
            Some(leader) => {
                let body = Body::Released(Rc::new(given_up));
                self.send((run.me, leader), Lane::Control, self.now, body);
            }
            None => {}
        }
    }

    fn renewals(&mut self, run: &mut Running) {
        let due = run.ownership.due();
        if !due.is_empty() {
            let due = Rc::new(due);
            match run.raft.leader {
                Some(leader) if leader == run.me => self.renew(run, run.me, due),
                Some(leader) => {
                    self.send((run.me, leader), Lane::Control, self.now, Body::Renew(due));
                }
                None => {}
            }
        }
        self.note_acting(run);
    }

    fn note_acting(&mut self, run: &mut Running) {
        let mut all = std::mem::take(&mut self.acting);
        run.ownership.each_acting(|workload, epoch| all.push((workload, epoch)));
        let acting = all.len() as u32;
        for (workload, epoch) in all.drain(..) {
            // Whoever may act does, at once: told when it is another one than before.
            if self.agreed.acted.get(&workload) != Some(&(epoch, run.me)) {
                self.agreed.acted.insert(workload, (epoch, run.me));
                self.effect(run, workload, epoch);
            }
        }
        self.acting = all;
        if acting != run.acting {
            if acting < run.acting && self.nodes[run.me].paused.is_none() {
                self.note(run.me, What::Sometimes("lease-lapsed"));
            }
            let more = acting > run.acting;
            run.acting = acting;
            self.note(run.me, What::Acts { workloads: acting });
            if more {
                self.moment(Moment::Owner, run.me);
            }
        }
    }

    pub(super) fn renew(&mut self, run: &mut Running, from: usize, renewals: Rc<Vec<Renewal>>) {
        if run.raft.leads().is_some() {
            self.confirm_grant(run, from, renewals);
        }
    }

    /// This node is sure to lead: it answers renewals.
    pub(super) fn grant(&mut self, run: &mut Running, from: usize, renewals: &[Renewal]) {
        let (now, Some(term)) = (self.clock(run), run.raft.leads()) else { return };
        let id = self.nodes[from].id;
        let answers = run.coordinator.grant(now, term, id, renewals, &run.log);
        if answers.iter().any(|(_, answer)| *answer == Answer::NotTheOwner) {
            self.note(run.me, What::Sometimes("renewal-refused"));
        }
        if from == run.me {
            self.renewed(run, run.log.applied(), &answers);
        } else {
            let body = Body::Renewed(run.log.applied(), Rc::new(answers));
            self.send((run.me, from), Lane::Control, self.now, body);
        }
    }

    pub(super) fn renewed(&mut self, run: &mut Running, index: u64, answers: &[(Renewal, Answer)]) {
        run.ownership.answered(run.log.applied(), index, answers.to_vec());
        self.note_acting(run);
    }

    pub(super) fn tell_all(&mut self, run: &mut Running) {
        let now = self.clock(run);
        let beat = Rc::new(run.coordinator.beat(now, &run.log));
        for to in (0..self.nodes.len()).filter(|n| *n != run.me) {
            self.send((run.me, to), Lane::Control, self.now, Body::Beat(Rc::clone(&beat)));
        }
    }

    /// One that the log does not have is not listened to.
    pub(super) fn heard(
        &mut self,
        run: &mut Running,
        from: usize,
        beat: &cluster::coordinator::Beat,
    ) {
        let id = self.nodes[from].id;
        if !run.log.nodes().present().contains_key(&id) {
            return;
        }
        self.nodes[run.me].heard[from].beat(self.now);
        let now = self.clock(run);
        if run.coordinator.hear(now, id, beat.clone()) {
            run.asking.urgent = true;
        }
    }
}
