//! Uses what the control log says, from the next batch on; puts on trial what is on its way, says
//! when it is ready, and reports what was measured.

use super::limits::{AGAIN, REPORT_EVERY, REPORT_TIME, TOLD_AT, TRIALS};
use super::message::{Ask, encode};
use super::shadowing::Trial;
use super::{Core, Error, Held, lock};
use cluster::control;
use detection::bundle::Bundle;
use regions::control_log::{Command, ControlLog, Stage};
use regions::rollout::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use threat::Text;
use tokio::time::{sleep, timeout};

/// What the log says of this node's bundles.
#[derive(Debug, Default)]
struct Meant {
    /// What it is to use.
    used: Option<u64>,
    /// What may be used at all: not what was taken back.
    usable: BTreeSet<u64>,
    /// What is on its way, the most important first: version, log index, and whether it is in use
    /// here.
    trials: Vec<(u64, u64)>,
    active: Option<u64>,
    former: Option<u64>,
}

impl Meant {
    fn of(log: &ControlLog, region: &str) -> Self {
        let bundles = log.bundles();
        let usable = |stage: &Stage| !matches!(stage, Stage::RolledBack | Stage::Registered);
        let rank = |stage: &Stage| match stage {
            Stage::Canary(_) => Some(0),
            Stage::Active => Some(1),
            Stage::Shadow => Some(2),
            _ => None,
        };
        let ranked = bundles.all().iter().filter_map(|(version, b)| {
            // Of those in shadow the newest.
            Some((rank(&b.stage)?, u64::MAX - version, (*version, b.since())))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable();
        Self {
            used: bundles.used_in(region),
            usable: bundles.all().iter().filter(|(_, b)| usable(&b.stage)).map(|b| *b.0).collect(),
            trials: ranked.into_iter().take(TRIALS).map(|(.., trial)| trial).collect(),
            active: bundles.active(),
            former: bundles.former(),
        }
    }
}

impl Core {
    /// Follows for as long as it is polled.
    pub(super) async fn follow(&self) -> Result<Infallible, Error> {
        let mut changes = self.needs.view.changes().ok_or(Error::Ended)?;
        loop {
            changes.mark_unchanged();
            let region = &self.needs.me.region;
            let meant = self.needs.view.read(|log| Meant::of(log, region)).ok_or(Error::Ended)?;
            self.use_bundle(&meant);
            self.shadowing.set(self.trials(&meant));
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_| Error::Ended)?,
                () = self.fetched.notified() => {}
                // What this node learns meanwhile is what a bundle on trial is compared with.
                () = sleep(REPORT_EVERY) => {}
            }
        }
    }

    fn ready(&self, version: u64) -> Option<Arc<Bundle>> {
        match lock(&self.held).get(&version) {
            Some(Held::Ready(bundle)) => Some(Arc::clone(bundle)),
            _ => None,
        }
    }

    /// A node that does not have what it is to use stays with what it has, unless that was taken
    /// back.
    fn use_bundle(&self, meant: &Meant) {
        let mut using = lock(&self.using);
        let next = match meant.used {
            None => None,
            Some(version) => match self.ready(version) {
                Some(bundle) => Some((version, bundle)),
                None => using.clone().filter(|(version, _)| meant.usable.contains(version)),
            },
        };
        let versions = |u: &Option<(u64, Arc<Bundle>)>| u.as_ref().map(|(version, _)| *version);
        if versions(&next) != versions(&using) {
            match &next {
                Some((version, _)) => tracing::info!("bundle {version} is used from now on"),
                None => tracing::info!("what was learnt here is used from now on"),
            }
            self.needs.host.assign(next.as_ref().map(|(_, bundle)| Arc::clone(bundle)));
            *using = next;
        }
    }

    fn trials(&self, meant: &Meant) -> Vec<Trial> {
        let used = lock(&self.using).clone();
        let own = || self.needs.host.own();
        let trial = |&(version, since): &(u64, u64)| {
            let bundle = self.ready(version)?;
            let uses = used.as_ref().is_some_and(|(v, _)| *v == version);
            let replaces = if meant.active == Some(version) { meant.former } else { meant.active };
            let baseline = match replaces {
                Some(other) => Some(self.ready(other)?),
                None => own(),
            };
            // The same models cannot do better or worse.
            let differ = baseline.as_ref().is_none_or(|b| b.id() != bundle.id());
            differ.then_some(Trial { version, since, bundle, baseline, uses })
        };
        meant.trials.iter().filter_map(trial).collect()
    }

    /// Says which bundles are ready here, for as long as it is polled; again when much more was
    /// seen of them.
    pub(super) async fn say_ready(&self) -> Result<Infallible, Error> {
        let mut said: BTreeMap<u64, usize> = BTreeMap::new();
        loop {
            sleep(AGAIN / 2).await;
            for (version, level, evidence) in self.to_say(&said)? {
                let node = self.needs.me.id;
                let command = Command::ReadyBundle { version, node, evidence };
                // A refusal means that the bundle went on meanwhile; what got no answer is asked
                // again.
                if self.needs.view.propose(command).await.is_ok() {
                    said.insert(version, level);
                }
            }
        }
    }

    fn to_say(&self, said: &BTreeMap<u64, usize>) -> Result<Vec<(u64, usize, Text)>, Error> {
        let me = self.needs.me.id;
        let known = self.needs.view.read(|log| {
            let on_trial =
                |s: &Stage| matches!(s, Stage::Shadow | Stage::Canary(_) | Stage::Active);
            let bundles = log.bundles().all().iter().filter(|(_, b)| on_trial(&b.stage));
            bundles.map(|(v, b)| (*v, b.ready.contains_key(&me))).collect::<Vec<_>>()
        });
        let reports = self.shadowing.reports();
        let mut all = Vec::new();
        for (version, known) in known.ok_or(Error::Ended)? {
            let Some(bundle) = self.ready(version) else { continue };
            let report = reports.iter().find(|r| r.version == version).copied();
            let report = report.unwrap_or(Report { version, ..Report::default() });
            let level = TOLD_AT.iter().filter(|at| report.pairs.rows >= **at).count();
            // A node that was started again has said so before.
            let before = said.get(&version).copied().unwrap_or(usize::from(known));
            if level > before {
                let pairs = report.pairs.told();
                let id = bundle.id();
                let text = format!("{{\"self_test\":\"passed\",\"id\":\"{id:016x}\",{pairs}}}");
                all.push((version, level, Text::from(text)));
            }
        }
        Ok(all)
    }

    /// Reports to the leader for as long as it is polled.
    pub(super) async fn report(&self) -> Result<Infallible, Error> {
        loop {
            sleep(REPORT_EVERY).await;
            let reports = self.shadowing.reports();
            if reports.is_empty() {
                continue;
            }
            if self.needs.view.leads() {
                self.hear_own(reports);
                continue;
            }
            let Some(leader) = self.needs.view.leader() else { continue };
            let Ok(body) = encode(&Ask::Report(reports), &[]) else { continue };
            let ask = control::Ask::Models(body);
            let asked = control::ask(&self.needs.fabric, &leader, &ask, REPORT_TIME);
            // Sums grow: the next report has what this one had.
            let _ = timeout(REPORT_TIME, asked).await;
        }
    }
}
