//! What the leader has to see to: workloads and their homes, failover, drains, the way home, and
//! the balance. All of it is worked out anew from the log and from what was heard; nothing of it is
//! remembered over a change of the leader.

use super::Coordinator;
use super::limits::{BALANCE_EVERY, QUIET};
use super::view::Moves;
use regions::agreement::Subject;
use regions::balancer::{self, Latency};
use regions::control_log::{Command, ControlLog};
use regions::failover::{self, Plan, Policy};
use regions::failure_detector::State;
use regions::orders::{self, Order};
use regions::placement::Situation;
use regions::spread;
use std::collections::BTreeMap;
use std::time::Duration;
use threat::Text;

impl Coordinator {
    /// What to ask of the log now, the most urgent alone: the rest is looked at after it. `sure`
    /// when the node is known to lead, and the log to have all that was answered.
    pub fn duties(&mut self, now: Duration, log: &ControlLog, sure: bool) -> Vec<Command> {
        let plan = self.plan(now, log, &orders::all(log.settings()));
        self.unplaced = plan.unplaced.iter().map(|(n, r)| (*n, r.to_string())).collect();
        if !plan.is_empty() {
            if sure {
                plan.steps.iter().for_each(|step| tracing::info!(leader = self.me, "{step}"));
            }
            return plan.commands().collect();
        }
        if now.saturating_sub(self.admitted.1) < QUIET {
            return Vec::new();
        }
        let spread = spread::commands(log);
        if !spread.is_empty() || now.saturating_sub(self.balanced) < BALANCE_EVERY {
            return spread;
        }
        let moved = self.moved.iter().map(|(number, (_, at))| (*number, *at)).collect();
        let situation = self.situation(now, log, &orders::all(log.settings()));
        let round = balancer::round(log, &situation, &Latency::default(), &moved, now);
        if sure || round.moves.is_empty() {
            self.balanced = now;
            round.moves.iter().for_each(|step| tracing::info!(leader = self.me, "{step}"));
        }
        round.moves.iter().map(balancer::Move::command).collect()
    }

    /// What would move if a region had this order, or none.
    pub(crate) fn would_move(
        &self,
        now: Duration,
        log: &ControlLog,
        region: &str,
        order: Option<Order>,
    ) -> Moves {
        let mut orders = orders::all(log.settings());
        match order {
            Some(order) => orders.insert(region.into(), order),
            None => orders.remove(region),
        };
        let plan = self.plan(now, log, &orders);
        Moves {
            steps: plan.steps.iter().map(Into::into).collect(),
            unplaced: plan.unplaced.iter().map(|(n, r)| (*n, r.to_string())).collect(),
        }
    }

    fn plan(&self, now: Duration, log: &ControlLog, orders: &BTreeMap<Text, Order>) -> Plan {
        failover::plan(log, &self.situation(now, log, orders), Policy::default())
    }

    /// What is known beside the log.
    pub(super) fn situation(
        &self,
        now: Duration,
        log: &ControlLog,
        orders: &BTreeMap<Text, Order>,
    ) -> Situation {
        let mut situation = Situation { failed: self.failed(now), ..Situation::default() };
        orders::apply(orders, &mut situation);
        situation.draining.extend(self.leaving.iter().map(|id| Subject::Node(*id)));
        let present = log.nodes().present();
        let others = self.heard.iter().map(|(id, h)| (*id, h.beat.ready, &h.beat.load));
        let all = others.chain([(self.me, self.ready, &self.load)]);
        for (id, ready, load) in all {
            let Some(node) = present.get(&id) else { continue };
            if ready {
                situation.capacity.insert(id, load.capacity);
            }
            if !self.is_alive(id) {
                // Agreed to be dead or not: nothing is given to whom this node does not hear.
                situation.suspect.insert(id);
            }
            let owns = |n: &u32| log.workloads().all().get(n).is_some_and(|w| w.owner == Some(id));
            let demand = load.demand.iter().filter(|(n, _)| owns(n));
            situation.demand.extend(demand.map(|(number, asked)| (*number, *asked)));
            for (number, position) in &load.checkpoints {
                let known =
                    situation.checkpoints.entry((*number, node.region.clone())).or_default();
                *known = (*known).max(*position);
            }
        }
        // Together all workloads ask as much as the smallest node can bear, at least: so what is
        // idle is shared out evenly, too, and the last node that is left still takes everything.
        let workloads = log.workloads().all();
        let least = situation.capacity.values().copied().filter(|c| *c > 0).min();
        let share = least.unwrap_or_default() / workloads.len().max(1) as u64;
        for number in workloads.keys() {
            let asked = situation.demand.entry(*number).or_default();
            *asked = (*asked).max(share);
        }
        situation
    }

    pub(super) fn balance(&self, now: Duration, log: &ControlLog) -> balancer::Score {
        let situation = self.situation(now, log, &orders::all(log.settings()));
        balancer::score(log, &situation, &Latency::default())
    }

    /// What this node takes the others for, and how old its news of them are.
    pub(super) fn links(&self, now: Duration) -> BTreeMap<u64, super::Link> {
        let link = |(id, view): (u64, regions::failure_detector::PeerView)| {
            let heard = self.heard.get(&id);
            let age = heard.map(|h| now.saturating_sub(h.at).as_millis() as u64);
            let ready = heard.is_some_and(|h| h.beat.ready) && view.state == State::Alive;
            (id, super::Link { state: view.state, heard_ms: age, phi: view.phi, ready })
        };
        self.detector.view(now).into_iter().map(link).collect()
    }
}
