//! What a member knows of the others and decides with it: who is silent, who has failed by
//! agreement, who may act for a workload, and, on the leader, what has to move.
//!
//! Here is no task and no connection; [`crate::member`] performs what is decided. Decisions are
//! made by the machines of `regions`: this puts them together for one process.

mod beat;
mod carried;
mod clock;
mod duties;
pub mod limits;
mod ownership;
mod table;
mod view;

pub use beat::{Beat, Load};
pub use carried::CheckpointAges;
pub use clock::{Clock, TokioClock};
pub use ownership::{Fences, Ownership};
pub use table::Owned;
pub use view::{Held, Link, Move, Moves, View, WorkloadView};

use regions::agreement::{Agreement, Report, Subject, dead_subjects};
use regions::control_log::ControlLog;
use regions::failure_detector::{FailureDetector, Settings, State};
use regions::lease::{Answer, Grantor, Renewal, Terms};
use regions::orders::{self, Order};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The last beat of another node.
#[derive(Clone, Debug)]
struct Heard {
    at: Duration,
    beat: Beat,
}

/// One member's view of the others, and its part in what they decide.
#[derive(Debug)]
pub struct Coordinator {
    me: u64,
    incarnation: u64,
    terms: Terms,
    detector: FailureDetector,
    agreement: Agreement,
    heard: BTreeMap<u64, Heard>,
    /// Beats that were made.
    beats: u64,
    ready: bool,
    load: Load,
    /// The epoch of each workload, and when it was first seen.
    moved: BTreeMap<u32, (u64, Duration)>,
    /// Nodes that may own something, and since when they are those.
    admitted: (BTreeSet<u64>, Duration),
    /// The term that this node leads, with what it granted in it.
    grantor: Option<(u64, Grantor)>,
    /// Nodes that this leader is asked to let go.
    leaving: BTreeSet<u64>,
    /// Since when a majority of the voters hears a majority.
    sound: Option<Duration>,
    /// When the balance was last looked at.
    balanced: Duration,
    /// Workloads that should move and have nowhere to go, with the reason.
    unplaced: BTreeMap<u32, String>,
}

impl Coordinator {
    /// Of a node in one of its lives; it has heard of nobody yet.
    pub fn new(me: u64, incarnation: u64) -> Self {
        Self {
            me,
            incarnation,
            terms: Terms::default(),
            detector: FailureDetector::new(Settings::default()),
            agreement: Agreement::default(),
            heard: BTreeMap::new(),
            beats: 0,
            ready: true,
            load: Load::default(),
            moved: BTreeMap::new(),
            admitted: (BTreeSet::new(), Duration::ZERO),
            grantor: None,
            leaving: BTreeSet::new(),
            sound: None,
            balanced: Duration::ZERO,
            unplaced: BTreeMap::new(),
        }
    }

    /// Whether the node wants workloads.
    pub fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    /// What it can bear and bears.
    pub fn set_load(&mut self, load: Load) {
        self.load = load.bounded();
    }

    /// Whether a node is about to be let go: it is emptied then.
    pub fn set_leaving(&mut self, node: u64, leaving: bool) {
        if leaving {
            self.leaving.insert(node)
        } else {
            self.leaving.remove(&node)
        };
    }

    /// Takes note of what is applied, and of who votes in consensus: they have the votes on
    /// failures, too.
    pub fn learn(&mut self, now: Duration, log: &ControlLog, voters: &BTreeSet<u64>) {
        let present = log.nodes().present();
        for id in present.keys().filter(|id| **id != self.me) {
            // The log has no more nodes than can be watched, and those that left are forgotten.
            let _ = self.detector.watch(now, *id);
        }
        let gone: Vec<u64> = self.detector.peers().filter(|id| !present.contains_key(id)).collect();
        for id in gone {
            self.detector.forget(id);
            self.heard.remove(&id);
        }
        let subjects = voters.iter().map(|id| Subject::Node(*id));
        if !subjects.clone().eq(self.agreement.voters().iter().cloned()) {
            // Consensus has far fewer voters than can report; else the former ones stay.
            let _ = self.agreement.set_voters(subjects.collect());
        }
        let epochs = log.workloads().all().iter().map(|(number, w)| (*number, w.epoch));
        // Most of the time nothing moved, and looking for each workload is dear.
        if !epochs.clone().eq(self.moved.iter().map(|(number, (epoch, _))| (*number, *epoch))) {
            self.note_moved(now, epochs);
        }
        let admitted = present.iter().filter(|(_, n)| n.admitted).map(|(id, _)| id);
        if !admitted.clone().eq(&self.admitted.0) {
            self.admitted = (admitted.copied().collect(), now);
        }
    }

    /// Since when workloads are where they are.
    fn note_moved(&mut self, now: Duration, epochs: impl Iterator<Item = (u32, u64)>) {
        let before = std::mem::take(&mut self.moved);
        let since = |(number, epoch): (u32, u64)| {
            let known = before.get(&number).filter(|(known, _)| *known == epoch);
            (number, known.copied().unwrap_or((epoch, now)))
        };
        self.moved = epochs.map(since).collect();
    }

    /// Time passes. Says whether somebody is taken for something else now.
    pub fn tick(&mut self, now: Duration) -> bool {
        let mut changes = Vec::new();
        self.detector.tick(now, &mut changes);
        self.tell(&changes);
        let sound = self.agreement.is_sound(now);
        self.sound = sound.then(|| self.sound.unwrap_or(now));
        !changes.is_empty()
    }

    /// What to tell all others now.
    pub fn beat(&mut self, now: Duration, log: &ControlLog) -> Beat {
        self.beats += 1;
        let dead: BTreeSet<u64> = self.detector.dead().collect();
        let beat = Beat {
            incarnation: self.incarnation,
            number: self.beats,
            ready: self.ready,
            load: self.load.clone(),
            dead: dead_subjects(log.nodes(), &dead),
        };
        self.report(now, self.me, &beat);
        beat
    }

    /// Another node's beat arrived. Says whether it takes others for dead than before.
    pub fn hear(&mut self, now: Duration, from: u64, beat: Beat) -> bool {
        let mut changes = Vec::new();
        self.detector.heartbeat(now, from, &mut changes);
        self.tell(&changes);
        if self.detector.state(from).is_none() {
            return false;
        }
        self.report(now, from, &beat);
        let known = self.heard.get(&from).map(|h| &h.beat);
        let before = known.map(|b| (b.incarnation, b.number));
        if before.is_some_and(|before| before >= (beat.incarnation, beat.number)) {
            return false;
        }
        let news = known.is_none_or(|known| known.dead != beat.dead || known.ready != beat.ready);
        self.heard.insert(from, Heard { at: now, beat: beat.bounded() });
        news || !changes.is_empty()
    }

    fn tell(&self, changes: &[regions::failure_detector::Change]) {
        for change in changes {
            let (peer, from, to) = (change.peer, change.from, change.to);
            tracing::info!(node = self.me, peer, phi = change.phi, "{from:?} -> {to:?}");
        }
    }

    /// Hands what a node takes for dead to the machine that counts it. It knows who has a vote.
    fn report(&mut self, now: Duration, from: u64, beat: &Beat) {
        let (voter, number) = (Subject::Node(from), (beat.incarnation, beat.number));
        let _ = self.agreement.hear(now, Report { voter, number, dead: beat.dead.clone() });
    }

    /// Answers renewals of a node for the term that was confirmed to be led; see
    /// [`Grantor`] for what has to be done before.
    pub fn grant(
        &mut self,
        now: Duration,
        term: u64,
        node: u64,
        renewals: &[Renewal],
        log: &ControlLog,
    ) -> Vec<(Renewal, Answer)> {
        let region = log.nodes().present().get(&node).map(|n| &n.region);
        let orders = orders::all(log.settings());
        let cut = region.is_none_or(|region| orders.get(region) == Some(&Order::Isolate));
        let grantor = self.grantor(now, term);
        grantor.forget_removed(log.workloads());
        let answer = |renewal: &Renewal| {
            let answer = match cut {
                true => Answer::NotTheOwner,
                false => grantor.renewal(now, node, *renewal, log.workloads()),
            };
            (*renewal, answer)
        };
        renewals.iter().map(answer).collect()
    }

    /// Owners have stopped; of use only to who leads.
    pub fn release(&mut self, given_up: &[(u32, u64)], log: &ControlLog) {
        if let Some((_, grantor)) = &mut self.grantor {
            given_up.iter().for_each(|lease| grantor.release(*lease, log.workloads()));
        }
    }

    /// This term is led from now on, if it was not before.
    pub fn leads(&mut self, now: Duration, term: u64) {
        self.grantor(now, term);
    }

    /// What was granted in a term; nothing of an earlier one counts.
    fn grantor(&mut self, now: Duration, term: u64) -> &mut Grantor {
        if self.grantor.as_ref().is_none_or(|(known, _)| *known != term) {
            self.grantor = None;
        }
        &mut self.grantor.get_or_insert_with(|| (term, Grantor::new(now, self.terms))).1
    }

    /// Who counts as failed. When all were apart, some meet before the others do: until a majority
    /// has heard one another for [`QUIET`](limits::QUIET), who is not there yet may just be late.
    fn failed(&self, now: Duration) -> BTreeSet<Subject> {
        let settled = self.sound.is_some_and(|since| now.saturating_sub(since) >= limits::QUIET);
        if settled { self.agreement.failed(now) } else { BTreeSet::new() }
    }

    fn is_alive(&self, node: u64) -> bool {
        node == self.me || self.detector.state(node) == Some(State::Alive)
    }
}
