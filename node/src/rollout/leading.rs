//! Leads rollouts while this node leads: hears what nodes measured, and proposes what follows.

use super::limits::{STALE, STEP_EVERY, TRIALS};
use super::{Core, Error, lock};
use regions::control_log::Reply;
use regions::rollout::{Controller, Report, Reports, Settings};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

/// What nodes reported last, and when it came.
pub type Heard = BTreeMap<u64, (Duration, Vec<Report>)>;

impl Core {
    /// Takes a report of the node with this name, which its certificate says.
    pub(super) fn hear(&self, name: &str, reports: Vec<Report>) -> Result<(), String> {
        if reports.len() > TRIALS {
            return Err(format!("at most {TRIALS} reports are taken"));
        }
        let id = self.needs.view.read(|log| {
            let mut present = log.nodes().present().iter();
            present.find(|(_, n)| n.name == *name).map(|(id, _)| *id)
        });
        let id = id.flatten().ok_or_else(|| format!("{name} is no member"))?;
        lock(&self.heard).insert(id, (self.needs.clock.now(), reports));
        Ok(())
    }

    /// Takes a report of this node.
    pub(super) fn hear_own(&self, reports: Vec<Report>) {
        lock(&self.heard).insert(self.needs.me.id, (self.needs.clock.now(), reports));
    }

    /// Leads for as long as it is polled.
    pub(super) async fn lead(&self) -> Result<Infallible, Error> {
        let settings = Settings { budget: self.needs.budget.probability(None) };
        let mut machine = Controller::new(settings);
        loop {
            sleep(STEP_EVERY).await;
            if !self.needs.view.leads() {
                machine = Controller::new(settings);
                lock(&self.heard).clear();
                continue;
            }
            let now = self.needs.clock.now();
            let reports: Reports = {
                let mut heard = lock(&self.heard);
                heard.retain(|_, (at, _)| now.saturating_sub(*at) < STALE);
                heard.iter().map(|(node, (_, reports))| (*node, reports.clone())).collect()
            };
            let step = self.needs.view.read(|log| machine.step(now, log, &reports));
            for command in step.ok_or(Error::Ended)? {
                let told = format!("{command:?}");
                match self.needs.view.propose(command).await {
                    // Somebody else was faster; the next step sees what it is now.
                    Ok(Reply::Refused(refusal)) => tracing::info!("not done: {refusal}: {told}"),
                    Ok(_) => tracing::info!("rollout: {told}"),
                    Err(error) => tracing::warn!("not known to be done: {error}: {told}"),
                }
            }
        }
    }
}
