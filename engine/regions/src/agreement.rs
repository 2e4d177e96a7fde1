//! Who counts as failed: what a majority of the voters says, so that one sick node never removes
//! healthy ones, and a partition removes nobody from the side that has no majority.
//!
//! Voters are the regions, each by its coordinator; in a cluster of fewer than three regions, the
//! nodes that vote in consensus. Each tells whom it takes for dead, all of them at once, again and
//! again. What is not repeated expires: nobody is removed on old news.
//!
//! Two kinds of voters are told apart from the healthy. One that is *deaf* reports, but hears no
//! majority itself: its links in are broken, or all of it is. What it says of others is not
//! counted, and it counts as failed, since it can renew no lease. One that is *silent* does not
//! report; it is missing in every count, but only the others' reports make it failed.

use crate::control_log::Nodes;
use crate::control_log::limits::{NODES, REGIONS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use threat::Text;

/// Voters, at most: every region, or consensus of few regions.
pub const VOTERS: usize = REGIONS;

/// Whom one report can name: every node and every region.
pub const SUBJECTS: usize = NODES + REGIONS;

/// A report counts for so long: six that are sent every 500 ms, so that a few lost ones do not
/// change who is failed.
pub const REPORT_LIFE: Duration = Duration::from_secs(3);

/// What can fail, and who votes on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A region, all of it.
    Region(Text),
    /// A node.
    Node(u64),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Region(name) => write!(f, "region {name}"),
            Self::Node(id) => write!(f, "node {id}"),
        }
    }
}

/// Whom a voter takes for dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who says it.
    pub voter: Subject,
    /// Grows with each report of the voter, over restarts and changes of its coordinator, too: an
    /// epoch and a count. One that arrives late does not replace a newer one.
    pub number: (u64, u64),
    /// All that it takes for dead. Nobody says this of itself.
    pub dead: BTreeSet<Subject>,
}

/// Why a report was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has no vote.
    #[error("{0} has no vote")]
    Stranger(Subject),
    /// A newer one of the voter is there.
    #[error("report {given:?} of {voter} is not newer than {known:?}")]
    Old {
        /// Whose.
        voter: Subject,
        /// The report's number.
        given: (u64, u64),
        /// The number that is known.
        known: (u64, u64),
    },
    /// It names more than there can be.
    #[error("a report names {0} as dead; {SUBJECTS} is the limit")]
    TooMany(usize),
    /// There would be more voters than can be.
    #[error("there are {0} voters; {VOTERS} is the limit")]
    Voters(usize),
}

/// How the voters stand to each other, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Reports that are needed.
    pub majority: usize,
    /// Voters that are neither deaf nor silent.
    pub sound: usize,
    /// By how many voters each subject is said to be dead, deaf ones left out.
    pub said: BTreeMap<Subject, usize>,
    /// Voters that hear no majority.
    pub deaf: BTreeSet<Subject>,
    /// Voters without a report that counts.
    pub silent: BTreeSet<Subject>,
    /// Who counts as failed.
    pub failed: BTreeSet<Subject>,
}

/// The last reports of all voters; without any, nobody is failed.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    voters: BTreeSet<Subject>,
    /// The last report of each voter, and when it arrived.
    reports: BTreeMap<Subject, (Duration, Report)>,
    turned_away: u64,
}

impl Agreement {
    /// Without a report yet: nobody is failed.
    ///
    /// # Errors
    /// [`Error::Voters`] when there are too many.
    pub fn new(voters: BTreeSet<Subject>) -> Result<Self, Error> {
        check_voters(&voters)?;
        Ok(Self { voters, reports: BTreeMap::new(), turned_away: 0 })
    }

    /// The voters are others from now on. Reports of those that stay do.
    ///
    /// # Errors
    /// [`Error::Voters`] when there are too many; nothing is changed then.
    pub fn set_voters(&mut self, voters: BTreeSet<Subject>) -> Result<(), Error> {
        check_voters(&voters)?;
        self.reports.retain(|voter, _| voters.contains(voter));
        self.voters = voters;
        Ok(())
    }

    /// Who has a vote.
    pub const fn voters(&self) -> &BTreeSet<Subject> {
        &self.voters
    }

    /// Takes a report in the place of the voter's last one.
    ///
    /// # Errors
    /// When it is not taken; it is counted, and nothing is changed.
    pub fn hear(&mut self, now: Duration, report: Report) -> Result<(), Error> {
        let refused = self.refusal(&report);
        if let Some(error) = refused {
            self.turned_away += 1;
            return Err(error);
        }
        self.reports.insert(report.voter.clone(), (now, report));
        Ok(())
    }

    /// Reports that were not taken.
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Who counts as failed now: whom a majority of all voters says to be dead, and deaf voters as
    /// long as a majority is neither deaf nor silent. Without such a majority it is nobody.
    pub fn failed(&self, now: Duration) -> BTreeSet<Subject> {
        self.view(now).failed
    }

    /// The same with how it came to be.
    pub fn view(&self, now: Duration) -> View {
        let mut view = View { majority: self.majority(), ..View::default() };
        for voter in &self.voters {
            match self.fresh(now, voter) {
                None => drop(view.silent.insert(voter.clone())),
                Some(report) if self.is_deaf(report) => drop(view.deaf.insert(voter.clone())),
                Some(report) => {
                    view.sound += 1;
                    for subject in report.dead.iter().filter(|s| *s != voter) {
                        *view.said.entry(subject.clone()).or_default() += 1;
                    }
                }
            }
        }
        let agreed = view.said.iter().filter(|(_, n)| **n >= view.majority);
        view.failed = agreed.map(|(subject, _)| subject.clone()).collect();
        if view.sound >= view.majority {
            view.failed.extend(view.deaf.iter().cloned());
        }
        view
    }

    /// Whether a majority of the voters is neither deaf nor silent.
    pub fn is_sound(&self, now: Duration) -> bool {
        let heard = self.voters.iter().filter_map(|voter| self.fresh(now, voter));
        heard.filter(|report| !self.is_deaf(report)).count() >= self.majority()
    }

    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    fn refusal(&self, report: &Report) -> Option<Error> {
        if !self.voters.contains(&report.voter) {
            return Some(Error::Stranger(report.voter.clone()));
        }
        if report.dead.len() > SUBJECTS {
            return Some(Error::TooMany(report.dead.len()));
        }
        let known = self.reports.get(&report.voter).map(|(_, r)| r.number);
        let known = known.filter(|known| report.number <= *known)?;
        Some(Error::Old { voter: report.voter.clone(), given: report.number, known })
    }

    /// The report of a voter unless it has expired.
    fn fresh(&self, now: Duration, voter: &Subject) -> Option<&Report> {
        let (at, report) = self.reports.get(voter)?;
        (now.saturating_sub(*at) < REPORT_LIFE).then_some(report)
    }

    /// Whether the voter hears no majority, itself included.
    fn is_deaf(&self, report: &Report) -> bool {
        let hears = |v: &&Subject| **v == report.voter || !report.dead.contains(*v);
        self.voters.iter().filter(hears).count() < self.majority()
    }
}

fn check_voters(voters: &BTreeSet<Subject>) -> Result<(), Error> {
    if voters.len() > VOTERS { Err(Error::Voters(voters.len())) } else { Ok(()) }
}

/// What a report says of dead nodes: they, and the regions whose admitted nodes are all dead. A
/// region without such nodes is not dead, but empty.
pub fn dead_subjects(nodes: &Nodes, dead: &BTreeSet<u64>) -> BTreeSet<Subject> {
    let mut subjects = BTreeSet::new();
    if dead.is_empty() {
        return subjects;
    }
    for region in nodes.regions() {
        let mut here =
            nodes.present().iter().filter(|(_, n)| n.admitted && n.region == *region).peekable();
        if here.peek().is_some() && here.all(|(id, _)| dead.contains(id)) {
            subjects.insert(Subject::Region(region.clone()));
        }
    }
    let present = dead.iter().filter(|id| nodes.present().contains_key(id));
    subjects.extend(present.map(|id| Subject::Node(*id)));
    subjects
}

#[cfg(test)]
mod tests;
