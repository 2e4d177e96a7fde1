//! Actors of a node's detection fail, hang and are started again, by production's supervision.

use super::detection::{PATHS, Voter, supervision};
use super::node::Running;
use super::{Timer, World};
use crate::journal::What;
use crate::plan::{MILLI, Micros};
use detection::ensemble::voters;
use flow::gather::Input;
use flow::supervision::{Action, Exit};
use threat::EventClass;
use threat::entropy::mix64;

impl World<'_> {
    /// Actors of this node that a pattern names fail, or stop answering; how many.
    pub(super) fn hit_actors(
        &mut self,
        run: &mut Running,
        pattern: &str,
        share: (f64, u64),
        hang: bool,
    ) -> usize {
        let mut hit = 0;
        for (index, path) in PATHS.iter().enumerate() {
            let drawn = mix64(share.1 ^ mix64((run.me * 8 + index) as u64));
            if !crate::experiment::matches(pattern, path)
                || crate::plan::unit(drawn) >= share.0
                || run.detection.voters[index] != Voter::Up
            {
                continue;
            }
            hit += 1;
            if hang {
                run.detection.voters[index] = Voter::Hung;
                self.timer(run, 100 * MILLI, Timer::Detection);
            } else {
                self.actor_ends(run, index, Exit::Failed("a fault".into()));
            }
        }
        hit
    }

    /// Hung actors go on.
    pub(super) fn unhang(&mut self, run: &mut Running) {
        for index in 0..PATHS.len() {
            if run.detection.voters[index] == Voter::Hung {
                run.detection.voters[index] = Voter::Up;
            }
        }
        self.timer(run, 1, Timer::Detection);
    }

    pub(super) fn actor_ends(&mut self, run: &mut Running, index: usize, reason: Exit) {
        if run.detection.voters[index] != Voter::Down {
            self.note(run.me, What::ActorDown { path: PATHS[index] });
        }
        run.detection.voters[index] = Voter::Down;
        let mut ended = vec![index];
        let (now, mut out) = (self.monotonic(run), Vec::new());
        let input = flow::supervision::Input::ChildExited { child: index, reason };
        run.detection.supervision.step(now, input, &mut out);
        for action in out {
            match action {
                Action::Stop { .. } => {}
                Action::Restart { children, after } => {
                    for child in children {
                        self.restart_actor(run, child, after.as_micros() as Micros);
                    }
                }
                Action::Escalate { .. } => {
                    // Its own supervisor starts the branch anew.
                    self.note(run.me, What::Sometimes("supervisor-escalated"));
                    run.detection.seed = mix64(run.detection.seed);
                    run.detection.supervision = supervision(run.detection.seed);
                    for (child, path) in PATHS.into_iter().enumerate() {
                        if run.detection.voters[child] != Voter::Down {
                            self.note(run.me, What::ActorDown { path });
                            ended.push(child);
                        }
                        run.detection.voters[child] = Voter::Down;
                        self.restart_actor(run, child, 20 * MILLI);
                    }
                }
            }
        }
        // Whoever waits for their answers hears that none comes.
        run.detection.answers.retain(|(.., of)| !ended.contains(of));
        for index in ended {
            let voter = voters(EventClass::Flow)[index];
            self.gather(run, Input::Down { voter });
        }
    }

    fn restart_actor(&mut self, run: &mut Running, child: usize, after: Micros) {
        run.detection.restarts.retain(|(_, other)| *other != child);
        let at = self.now + after;
        run.detection.restarts.push((at, child));
        self.timer_at(run, at, Timer::Detection);
    }
}
