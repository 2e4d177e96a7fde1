//! Lateral movement: from one taken-over desk into many machines within an hour, by SMB, remote
//! desktop, remote management and SSH, under an administrator's stolen name.

use super::{Plan, Planned, host};
use crate::traffic::Behaviour;
use crate::traffic::client::Client;
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal, pareto};
use crate::traffic::label::Label;
use crate::traffic::login::{Login, OPENSSH};
use crate::traffic::net::Net;
use crate::traffic::world::Machine;
use threat::entity::Entity;
use threat::event::ConnState;
use threat::{Text, Timestamp};

/// Machines reached at intensity 1.
const REACHED: f64 = 22.0;
/// Seconds in which it happens.
const SPAN: f64 = 3_000.0;

pub(super) fn plan(plan: &mut Plan<'_>, label: &mut Label) -> Planned {
    let (victim, _) = plan.victim();
    label.actors.push(host(victim.addr));
    let admins: Vec<usize> =
        (0..plan.world.people.len()).filter(|&i| plan.world.people[i].admin).collect();
    let stolen = &plan.world.people[admins[plan.rng.below(admins.len())]];
    label.actors.push(Entity::User(stolen.name.clone()));
    let mut targets: Vec<Machine> =
        plan.world.machines.iter().filter(|m| m.addr != victim.addr).cloned().collect();
    plan.rng.shuffle(&mut targets);
    targets.truncate(((REACHED * plan.intensity) as usize).max(5));
    let span = SPAN.min(plan.end.since(plan.start) * 0.95);
    let spread = Spread {
        client: plan.on(&victim),
        end: plan.end,
        gap: span / targets.len() as f64,
        targets,
        account: (stolen.name.clone(), stolen.uid),
    };
    vec![(plan.start, Box::new(spread))]
}

struct Spread {
    client: Client,
    end: Timestamp,
    gap: f64,
    /// Still to reach.
    targets: Vec<Machine>,
    account: (Text, u32),
}

impl Spread {
    fn ssh(&mut self, net: &mut Net, now: Timestamp, target: &Machine) {
        let rng = &mut self.client.rng;
        let minutes = lognormal(rng, 2.0, 0.6);
        let login = Login {
            user: self.account.0.clone(),
            uid: self.account.1,
            key: None,
            invalid: false,
            wrong: rng.below(2) as u32,
            succeeds: rng.chance(0.75),
            expired: false,
            pause: 1.0,
            shape: Login::terminal(rng, minutes),
            software: OPENSSH,
            sudo: rng.below(3),
        };
        login.run(net, &mut self.client, now, target);
    }

    /// The administrative share: a tool goes there and is started as a service.
    fn share(&mut self, net: &mut Net, now: Timestamp, target: &Machine) {
        let c = &mut self.client;
        let tool = pareto(&mut c.rng, 3e5, 1.3, 2e7) as u64;
        let shape = Shape { turns: 40, idle: 2.0, ..Shape::new(tool, 22_000, 0.0) };
        let to = (target.addr, 445);
        let (_, end) = c.tcp(net, now, to, Some("gssapi,ntlm,smb"), ConnState::SF, shape);
        let calls = Shape { turns: 14, idle: 1.5, ..Shape::new(5_200, 3_900, 0.0) };
        let to = (target.addr, 135);
        c.tcp(net, end.plus_secs(0.1), to, Some("dce_rpc,gssapi,ntlm"), ConnState::RSTO, calls);
    }

    fn desktop(&mut self, net: &mut Net, now: Timestamp, target: &Machine) {
        let c = &mut self.client;
        let seconds = lognormal(&mut c.rng, 240.0, 0.6);
        let turns = (seconds * 2.0) as u64;
        let (up, down) = ((seconds * 900.0) as u64, (seconds * 8_000.0) as u64);
        let shape = Shape { turns, idle: seconds, ..Shape::new(up, down, 0.0) };
        c.tcp(net, now, (target.addr, 3_389), Some("rdp,ssl"), ConnState::SF, shape);
    }
}

impl Behaviour for Spread {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end {
            return None;
        }
        let target = self.targets.pop()?;
        let open = target.open_ports();
        // Is anything there? The usual doors are tried first.
        for port in [445u16, 3_389, 5_985, 22] {
            if !open.contains(&port) && self.client.rng.chance(0.35) {
                let before = now.plus_secs(0.2 * self.client.rng.unit());
                self.client.attempt(net, before, (target.addr, port), ConnState::REJ);
            }
        }
        let begin = now.plus_secs(between(&mut self.client.rng, 1, 6) as f64);
        if open.contains(&22) {
            self.ssh(net, begin, &target);
        } else if open.contains(&3_389) && self.client.rng.chance(0.4) {
            self.desktop(net, begin, &target);
        } else if open.contains(&445) {
            self.share(net, begin, &target);
        } else {
            self.client.attempt(net, begin, (target.addr, 445), ConnState::S0);
        }
        let pause = lognormal(&mut self.client.rng, self.gap * 0.85, 0.5).min(self.gap * 3.0);
        Some(now.plus_secs(pause))
    }
}
