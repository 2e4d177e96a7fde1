//! The attackers. Each campaign draws its actors, targets and times from the seed and its place,
//! acts through the same clients as everybody, and labels every record that it causes.

mod beacon;
mod brute_force;
mod dns_tunnel;
mod exfiltration;
mod insider;
mod lateral;
mod scan;

use super::Behaviour;
use super::campaign::{Campaign, CampaignKind};
use super::client::Client;
use super::label::Label;
use super::record::CampaignId;
use super::scenario::Scenario;
use super::world::{Machine, Role, World};
use std::net::IpAddr;
use threat::Timestamp;
use threat::entity::{Entity, Host};
use threat::entropy::Rng;

/// A campaign ready to run.
pub(super) struct Attack {
    pub label: Label,
    pub behaviours: Vec<(Timestamp, Box<dyn Behaviour + Send>)>,
}

/// What every attack is planned from.
struct Plan<'a> {
    world: &'a World,
    rng: Rng,
    id: CampaignId,
    start: Timestamp,
    end: Timestamp,
    intensity: f64,
}

impl Plan<'_> {
    /// An attacker's client; its own stream of randomness.
    fn client(&mut self, addr: IpAddr, linux: bool) -> Client {
        Client::new(Rng::new(self.rng.next_u64()), addr, linux).for_campaign(self.id)
    }

    /// A desk that has been taken over, with the place of the person who sits there.
    fn victim(&mut self) -> (Machine, usize) {
        let person = self.rng.below(self.world.people.len());
        (self.world.machines[self.world.people[person].desk].clone(), person)
    }

    /// A client on such a machine.
    fn on(&mut self, machine: &Machine) -> Client {
        self.client(machine.addr, machine.linux)
    }
}

fn host(addr: IpAddr) -> Entity {
    Entity::Host(Host::Ip(addr))
}

/// Plans the campaign at that place of the scenario.
pub(super) fn plan(
    scenario: &Scenario,
    place: usize,
    campaign: &Campaign,
    world: &World,
) -> Attack {
    let mut rng = Rng::fork(scenario.seed ^ ((place as u64) << 32), campaign.kind.name());
    let drawn = scenario.duration * rng.range(0.1, 0.55);
    let mut start = scenario.start.plus_secs(campaign.start.unwrap_or(drawn));
    if campaign.start.is_none() && campaign.kind == CampaignKind::Insider {
        start = insider::unusual_hour(scenario, start, &mut rng);
    }
    let end = campaign.duration.map_or(scenario.end(), |d| start.plus_secs(d).min(scenario.end()));
    let id = CampaignId(place as u16);
    let intensity = campaign.intensity;
    let mut plan = Plan { world, rng, id, start, end, intensity };
    let mut label = Label::new(place, campaign.kind);
    let behaviours = match campaign.kind {
        CampaignKind::Scan(shape) => scan::plan(&mut plan, shape, &mut label),
        CampaignKind::BruteForce { sources, success } => {
            brute_force::plan(&mut plan, sources, success, &mut label)
        }
        CampaignKind::Beacon { period, jitter } => {
            beacon::plan(&mut plan, period, jitter, &mut label)
        }
        CampaignKind::DnsTunnel(record) => dns_tunnel::plan(&mut plan, record, &mut label),
        CampaignKind::Exfiltration { slow } => exfiltration::plan(&mut plan, slow, &mut label),
        CampaignKind::LateralMovement => lateral::plan(&mut plan, &mut label),
        CampaignKind::Insider => insider::plan(&mut plan, &mut label),
    };
    Attack { label, behaviours }
}

type Planned = Vec<(Timestamp, Box<dyn Behaviour + Send>)>;

/// A domain that the attacker registered for this campaign.
fn own_domain(plan: &mut Plan<'_>) -> String {
    loop {
        let rank = 8 + plan.rng.below(1_000);
        let domain = super::names::domain(&mut plan.rng, rank);
        if !plan.world.sites.iter().any(|s| s.name.ends_with(domain.as_str())) {
            return domain;
        }
    }
}

/// Servers other than some roles that everybody uses.
fn unusual_server(machine: &Machine) -> bool {
    matches!(machine.role, Role::Database | Role::Backup | Role::App | Role::Build | Role::Monitor)
}
