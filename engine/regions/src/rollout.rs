//! How a bundle of models comes into use, and is taken back without a person when it does worse:
//! the machine that runs on the node that leads.
//!
//! Nodes measure a bundle on trial beside what it would replace, on the same rows, and report their
//! sums. A region in which it clearly does worse is enough to take it back. Whether it goes on by
//! itself is an operator's word, a flag ([`auto_flag`]); without it each step forward is a command.

mod evidence;
pub mod limits;

pub use evidence::{Live, Pairs, Report, Settings, Sums, regression};

use crate::control_log::{Bundle, Command, ControlLog, Stage};
use limits::{CANARY_ROWS, CANARY_TIME, SHADOW_ROWS, SHADOW_TIME, WATCH_TIME};
use std::collections::BTreeMap;
use std::time::Duration;
use threat::Text;

/// What nodes reported last, by node.
pub type Reports = BTreeMap<u64, Vec<Report>>;

/// The flag that lets a bundle go from stage to stage by itself.
pub fn auto_flag(version: u64) -> Text {
    Text::from(format!("bundle.auto.{version}"))
}

/// The machine. A new leader begins with an empty one: watching begins anew then.
#[derive(Clone, Debug)]
pub struct Controller {
    settings: Settings,
    /// When each stage of a bundle was seen first, by version and log index.
    seen: BTreeMap<(u64, u64), Duration>,
}

impl Controller {
    /// One that has seen nothing.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, seen: BTreeMap::new() }
    }

    /// What is to be proposed now. `now` never goes back.
    pub fn step(&mut self, now: Duration, log: &ControlLog, reports: &Reports) -> Vec<Command> {
        let all = log.bundles().all();
        self.seen
            .retain(|(version, since), _| all.get(version).is_some_and(|b| b.since() == *since));
        let mut commands = Vec::new();
        for (&version, bundle) in all {
            let first = *self.seen.entry((version, bundle.since())).or_insert(now);
            let trial = Trial { version, bundle, log, reports, age: now.saturating_sub(first) };
            let worse = trial.worse(&self.settings);
            commands.extend(worse.or_else(|| trial.forward()));
            commands.extend(trial.cleared());
        }
        // One step forward at a time: what follows from it is seen before the next.
        let mut forward = false;
        commands.retain(|c| match c {
            Command::CanaryBundle { .. } | Command::ActivateBundle { .. } => {
                !std::mem::replace(&mut forward, true)
            }
            _ => true,
        });
        commands
    }
}

/// A bundle with what is known of it now.
struct Trial<'a> {
    version: u64,
    bundle: &'a Bundle,
    log: &'a ControlLog,
    reports: &'a Reports,
    age: Duration,
}

impl Trial<'_> {
    /// Its reports of this stage, by region, of nodes that are present.
    fn sums(&self) -> BTreeMap<Text, Sums> {
        let mut sums: BTreeMap<Text, Sums> = BTreeMap::new();
        for (id, node) in self.log.nodes().present() {
            let mine = |r: &&Report| r.version == self.version && r.since == self.bundle.since();
            let report = self.reports.get(id).and_then(|all| all.iter().find(mine));
            sums.entry(node.region.clone()).or_default().add(report);
        }
        sums
    }

    /// Takes it back where it does worse.
    fn worse(&self, settings: &Settings) -> Option<Command> {
        let tried = match &self.bundle.stage {
            Stage::Shadow => None,
            Stage::Canary(region) => Some(region),
            // The log has nothing to go back to from the very first one.
            Stage::Active if self.age < WATCH_TIME => self.log.bundles().former().map(|_| None)?,
            _ => return None,
        };
        let sums = self.sums();
        let (region, why) = sums.iter().find_map(|(region, sum)| {
            let mut others = Live::default();
            sums.iter().filter(|(r, _)| *r != region).for_each(|(_, s)| others.add(&s.without));
            let live = tried.filter(|t| *t == region).map(|_| (&sum.with, &others));
            Some((region, regression(settings, &sum.pairs, live)?))
        })?;
        Some(Command::RollbackBundle {
            version: self.version,
            expected_epoch: self.log.bundles().epoch(),
            evidence: Text::from(format!("{{\"region\":\"{region}\",{why}}}")),
        })
    }

    fn forward(&self) -> Option<Command> {
        let version = self.version;
        if !self.log.settings().flags().contains_key(&auto_flag(version)) {
            return None;
        }
        match &self.bundle.stage {
            Stage::Registered => {
                let evidence = Text::from("{\"auto\":true}");
                Some(Command::ShadowBundle { version, evidence })
            }
            Stage::Shadow => {
                let rows = self.sums().values().map(|s| s.pairs.rows).sum::<u64>();
                if rows < SHADOW_ROWS && self.age < SHADOW_TIME {
                    return None;
                }
                let others = self.log.bundles().all().values();
                if others.into_iter().any(|b| matches!(b.stage, Stage::Canary(_))) {
                    return None;
                }
                let region = self.canary_region()?;
                let evidence = Text::from(format!("{{\"auto\":true,\"rows\":{rows}}}"));
                Some(Command::CanaryBundle { version, region, evidence })
            }
            Stage::Canary(region) => {
                let sums = self.sums();
                let sum = sums.get(region)?;
                let enough = sum.with.rows >= CANARY_ROWS && sum.pairs.rows >= SHADOW_ROWS;
                if self.age < CANARY_TIME || !enough || sum.using < sum.nodes {
                    return None;
                }
                let evidence = Text::from(format!("{{\"auto\":true,{}}}", sum.pairs.told()));
                let expected_epoch = self.log.bundles().epoch();
                Some(Command::ActivateBundle { version, expected_epoch, evidence })
            }
            _ => None,
        }
    }

    /// The smallest region all of whose nodes are ready, once most nodes of the cluster are.
    fn canary_region(&self) -> Option<Text> {
        let present = self.log.nodes().present();
        let ready = |id: &u64| self.bundle.ready.contains_key(id);
        if present.keys().filter(|id| ready(id)).count() * 2 <= present.len() {
            return None;
        }
        let mut regions: BTreeMap<&Text, (usize, usize)> = BTreeMap::new();
        for (id, node) in present {
            let (nodes, there) = regions.entry(&node.region).or_default();
            *nodes += 1;
            *there += usize::from(ready(id));
        }
        let whole = regions.into_iter().filter(|(_, (nodes, there))| nodes == there);
        whole.min_by_key(|(_, (nodes, _))| *nodes).map(|(region, _)| region.clone())
    }

    /// A flag whose bundle has come to the end of its way is taken away: a bundle that was taken
    /// back and is put into shadow again does not go on by itself.
    fn cleared(&self) -> Option<Command> {
        let over = matches!(self.bundle.stage, Stage::Active | Stage::Former | Stage::RolledBack);
        let name = auto_flag(self.version);
        let set = self.log.settings().flags().contains_key(&name);
        (over && set).then_some(Command::SetFlag { name, value: None })
    }
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
