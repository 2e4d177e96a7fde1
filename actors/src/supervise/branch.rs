//! A supervisor's state: its machine, its children, and the performing of the machine's actions.

use super::{Arguments, CHILDREN, Child, Context, Error, KILL_WAIT, Message, Place, START_TIMEOUT};
use crate::observe::{Directory, LastFailure, Observed};
use flow::supervision::{Action, Exit, Failure, Input, Policy, Standing, Supervision};
use flow::tree::Status;
use ractor::{ActorCell, ActorRef};
use serde::Serialize;
use std::time::Duration;
use threat::entity::hash_bytes;

/// A supervisor as it is published.
#[derive(Clone, Debug, Serialize)]
pub struct SupervisorView {
    /// What it does when a child ends.
    pub policy: Policy,
    /// Its children, in start order.
    pub children: Vec<ChildView>,
    /// Restarts within the policy's window when this was published.
    pub recent_restarts: usize,
    /// The last failures of its children, oldest first.
    pub failures: Vec<Failure>,
    /// It has given up.
    pub escalated: bool,
}

/// A child as its supervisor sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ChildView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// Times that it ended unasked under this incarnation of its supervisor.
    pub exits: u64,
}

/// The reason with which a supervisor gives up.
pub(super) struct Escalation(pub(super) String);

struct Slot {
    child: Child,
    path: String,
    cell: Option<ActorCell>,
    /// The restart that will start it.
    ticket: Option<u64>,
    /// It was added while the supervisor ran: forgotten once it has ended for good.
    dynamic: bool,
    /// Its place is free.
    gone: bool,
}

/// The state of a supervisor.
pub struct Branch {
    myself: ActorRef<Message>,
    path: String,
    context: Context,
    machine: Supervision,
    slots: Vec<Slot>,
    tickets: u64,
    observed: Observed<SupervisorView>,
}

impl Branch {
    pub(super) fn new(myself: ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { path, policy, children, context } = arguments;
        let named = children.iter().map(|c| (c.name.clone(), c.restart));
        let machine = Supervision::new(policy, named, context.seed ^ hash_bytes(path.as_bytes()));
        let slots = children.into_iter().map(|child| Slot::new(&path, child, false)).collect();
        let observed =
            Observed::new(context.clock.clone(), view(&machine, &[], context.clock.now()));
        let branch = Self { myself, path, context, machine, slots, tickets: 0, observed };
        branch.context.directory.attach(&branch.path, branch.observed.clone());
        branch
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) const fn directory(&self) -> &Directory {
        &self.context.directory
    }

    pub(super) fn now(&self) -> Duration {
        self.context.clock.now()
    }

    pub(super) fn is_root(&self) -> bool {
        !self.path.contains('/')
    }

    pub(super) fn publish(&self) {
        self.observed.publish(view(&self.machine, &self.slots, self.now()));
    }

    /// Starts all children for the first time.
    pub(super) async fn start_all(&mut self) -> Result<(), Escalation> {
        for (place, slot) in self.slots.iter().enumerate() {
            self.context.directory.declare(&slot.path, place, slot.child.supervisor);
        }
        self.start((0..self.slots.len()).collect()).await
    }

    /// Starts the children whose pause is over, unless a later restart took their place.
    pub(super) async fn due(&mut self, ticket: u64) -> Result<(), Escalation> {
        let due = |place: &usize| self.slots[*place].ticket == Some(ticket);
        let places: Vec<usize> = (0..self.slots.len()).filter(due).collect();
        places.iter().for_each(|&place| self.slots[place].ticket = None);
        self.start(places).await
    }

    async fn start(&mut self, places: Vec<usize>) -> Result<(), Escalation> {
        for place in places {
            let slot = &self.slots[place];
            // One that a failed start among its siblings put off, or stopped for good.
            let down = self.machine.standing(place) == Some(Standing::Down);
            if slot.ticket.is_some() || slot.cell.is_some() || down {
                continue;
            }
            match self.start_one(place).await {
                Ok(cell) => {
                    self.directory().up(&self.slots[place].path, cell.clone());
                    self.slots[place].cell = Some(cell);
                    self.machine.step(self.now(), Input::ChildStarted(place), &mut Vec::new());
                }
                Err(why) => self.exited(place, Exit::StartupFailed(why)).await?,
            }
        }
        Ok(())
    }

    async fn start_one(&self, place: usize) -> Result<ActorCell, String> {
        let slot = &self.slots[place];
        // What an earlier incarnation left behind was killed with it; two must never run at once.
        for cell in self.directory().alive(&slot.path) {
            cell.kill();
            if cell.wait(Some(KILL_WAIT)).await.is_err() {
                return Err(format!("its earlier incarnation {} has not ended", cell.get_id()));
            }
        }
        self.directory().declare(&slot.path, place, slot.child.supervisor);
        let start = (slot.child.start)(Place {
            supervisor: self.myself.get_cell(),
            path: slot.path.clone(),
            context: self.context.clone(),
        });
        match tokio::time::timeout(START_TIMEOUT, start).await {
            Ok(started) => started.map_err(|error| match error {
                ractor::SpawnErr::StartupFailed(why) => why.to_string(),
                other => other.to_string(),
            }),
            Err(_) => Err(format!("no start within {START_TIMEOUT:?}")),
        }
    }

    /// A linked actor has ended. One that this supervisor stopped itself is none of its children
    /// any more.
    pub(super) async fn ended(&mut self, cell: &ActorCell, why: Exit) -> Result<(), Escalation> {
        let of = |slot: &Slot| slot.cell.as_ref().is_some_and(|c| c.get_id() == cell.get_id());
        let Some(place) = self.slots.iter().position(of) else { return Ok(()) };
        self.slots[place].cell = None;
        self.exited(place, why).await
    }

    async fn exited(&mut self, place: usize, reason: Exit) -> Result<(), Escalation> {
        let now = self.now();
        let path = self.slots[place].path.clone();
        if reason != Exit::Normal {
            tracing::warn!(path, %reason, "child ended");
            self.directory().failed(&path, LastFailure { at: now, reason: reason.clone() });
        }
        let mut actions = Vec::new();
        self.machine.step(now, Input::ChildExited { child: place, reason }, &mut actions);
        self.settle(place);
        for action in actions {
            match action {
                Action::Stop { children } => {
                    for child in children {
                        self.stop(child).await;
                        self.settle(child);
                    }
                }
                Action::Restart { children, after } => self.schedule(&children, after),
                Action::Escalate { reason } => return Err(Escalation(reason)),
            }
        }
        Ok(())
    }

    /// Enters the status of a child that is not up, or forgets it.
    fn settle(&mut self, place: usize) {
        let down = self.machine.standing(place) == Some(Standing::Down);
        let slot = &mut self.slots[place];
        if down && slot.dynamic {
            slot.gone = true;
            self.context.directory.remove(&slot.path);
        } else {
            let status = if down { Status::Finished } else { Status::Restarting };
            self.context.directory.down(&slot.path, status);
        }
    }

    fn schedule(&mut self, places: &[usize], after: Duration) {
        self.tickets += 1;
        let ticket = self.tickets;
        places.iter().for_each(|&place| self.slots[place].ticket = Some(ticket));
        // Its handle is let go: a message to a supervisor that has ended since goes nowhere.
        drop(self.myself.send_after(after, move || Message::Due { ticket }));
    }

    /// Drains a child, and kills it when that takes too long.
    async fn stop(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        slot.ticket = None;
        let Some(cell) = slot.cell.take() else { return };
        if cell.drain_and_wait(Some(slot.child.drain)).await.is_err() {
            let ended = cell.kill_and_wait(Some(KILL_WAIT)).await.is_ok();
            tracing::warn!(path = slot.path, ended, "child did not drain and was killed");
        }
    }

    /// Stops all children, last declared first.
    pub(super) async fn stop_all(&mut self) {
        for place in (0..self.slots.len()).rev() {
            self.stop(place).await;
            if !self.slots[place].gone {
                self.directory().down(&self.slots[place].path, Status::Down);
            }
        }
    }

    /// Adds a child and starts it; a start that fails is an exit like any other.
    pub(super) async fn add(
        &mut self,
        child: Child,
    ) -> (Result<(), Error>, Result<(), Escalation>) {
        if self.find(&child.name).is_some() {
            return (Err(Error::NameTaken(child.name)), Ok(()));
        }
        let free = self.slots.iter().position(|s| s.gone).unwrap_or(self.slots.len());
        if free >= CHILDREN {
            return (Err(Error::TooMany), Ok(()));
        }
        self.machine.put(self.now(), free, child.name.clone(), child.restart);
        let slot = Slot::new(&self.path, child, true);
        if free == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[free] = slot;
        }
        (Ok(()), self.start(vec![free]).await)
    }

    /// Drains a child and forgets it.
    pub(super) async fn remove(&mut self, name: &str) -> Result<(), Error> {
        let place = self.find(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        self.machine.retire(place);
        self.stop(place).await;
        self.slots[place].gone = true;
        self.directory().remove(&self.slots[place].path);
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|s| !s.gone && s.child.name == name)
    }
}

impl Slot {
    fn new(parent: &str, child: Child, dynamic: bool) -> Self {
        let path = format!("{parent}/{}", child.name);
        Self { child, path, cell: None, ticket: None, dynamic, gone: false }
    }
}

fn view(machine: &Supervision, slots: &[Slot], now: Duration) -> SupervisorView {
    let present = slots.iter().enumerate().filter(|(_, slot)| !slot.gone);
    let children = present.map(|(place, slot)| ChildView {
        name: slot.child.name.clone(),
        standing: machine.standing(place).unwrap_or(Standing::Down),
        exits: machine.exits(place),
    });
    SupervisorView {
        policy: *machine.policy(),
        children: children.collect(),
        recent_restarts: machine.recent_restarts(now),
        failures: machine.failures().cloned().collect(),
        escalated: machine.escalated(),
    }
}
