//! Who acts benignly: people at desks, machines among themselves, administrators, jobs.
//! Rates of people are scaled so that the whole meets the scenario's; machines keep their own.

mod admin;
mod browse;
mod machines;
mod office;
mod servers;

use super::Behaviour;
use super::client::Client;
use super::scenario::Scenario;
use super::world::{Role, World};
use threat::Timestamp;
use threat::entropy::Rng;

/// Flows per second of one person at work, browsing and office together, at scale 1. Measured over
/// working hours of many seeds; a test holds the scaled whole to the asked rate.
const PERSON_FLOWS: f64 = 0.060;
/// Flows per second of one machine by itself.
const MACHINE_FLOWS: f64 = 0.014;
/// Flows per second of what there is once: monitoring and mail.
const SERVICE_FLOWS: f64 = 0.2;
/// How far people may be scaled: below they would fall silent, above they are no people any more.
const SCALE: (f64, f64) = (0.02, 2_000.0);

type Planned = (Timestamp, Box<dyn Behaviour + Send>);

/// All benign behaviours with their first waking.
pub(super) fn all(scenario: &Scenario, world: &World) -> Vec<Planned> {
    let machines = SERVICE_FLOWS + MACHINE_FLOWS * scenario.hosts as f64;
    let wanted = (scenario.rate - machines) / (PERSON_FLOWS * scenario.users as f64);
    let scale = wanted.clamp(SCALE.0, SCALE.1);
    let mut planned: Vec<Planned> = Vec::new();
    let seed = scenario.seed;
    let start = scenario.start;
    let mut add = |rng: &mut Rng, spread: f64, behaviour: Box<dyn Behaviour + Send>| {
        planned.push((start.plus_secs(rng.range(0.0, spread)), behaviour));
    };
    for (i, person) in world.people.iter().enumerate() {
        let desk = &world.machines[person.desk];
        let client = |name: &str| {
            let rng = Rng::fork(seed ^ ((i as u64) << 20), name);
            Client::new(rng, desk.addr, desk.linux)
        };
        let mut rng = Rng::fork(seed ^ ((i as u64) << 20), "first");
        add(&mut rng, 300.0 / scale, Box::new(browse::Browser::new(client("browse"), i, scale)));
        add(&mut rng, 200.0 / scale, Box::new(office::Office::new(client("office"), i, scale)));
        if person.developer {
            add(&mut rng, 900.0, Box::new(admin::Developer::new(client("develop"), i)));
        }
        if person.admin {
            let host = world.the(Role::Admin);
            let own = Client::new(Rng::fork(seed ^ ((i as u64) << 20), "admin"), host.addr, true);
            add(&mut rng, 600.0, Box::new(admin::Administrator::new(own, i)));
        }
    }
    for (i, machine) in world.machines.iter().enumerate() {
        let mut rng = Rng::fork(seed ^ ((i as u64) << 20), "machine");
        let client = |name: &str| {
            let rng = Rng::fork(seed ^ ((i as u64) << 20), name);
            Client::new(rng, machine.addr, machine.linux)
        };
        add(&mut rng, 1_024.0, Box::new(machines::TimeSync::new(client("ntp"))));
        add(&mut rng, 240.0, Box::new(machines::Chatter::new(client("chatter"), machine.role)));
        if machine.linux && machine.is_server() {
            add(&mut rng, 1.0, Box::new(servers::Cron::new(client("cron"), machine.clone())));
            add(&mut rng, 1.0, Box::new(servers::Backup::new(client("backup"), machine.clone())));
        }
    }
    let mut rng = Rng::fork(seed, "services");
    let of = |role: Role, name: &str| {
        let machine = world.the(role);
        Client::new(Rng::fork(seed, name), machine.addr, machine.linux)
    };
    add(&mut rng, 60.0, Box::new(servers::Monitor::new(of(Role::Monitor, "monitor"))));
    add(&mut rng, 120.0, Box::new(servers::MailRelay::new(of(Role::Mail, "relay"))));
    if scenario.scanner {
        let scanner = servers::HoleScanner::new(of(Role::Monitor, "holes"));
        add(&mut rng, 600.0, Box::new(scanner));
    }
    planned
}
