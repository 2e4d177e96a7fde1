//! An insider: a real account at an hour when its owner never works, on servers that they never
//! use, copying much more than ever; then an upload.

use super::exfiltration::Upload;
use super::{Plan, Planned, host, own_domain, unusual_server};
use crate::traffic::Behaviour;
use crate::traffic::calendar::hour_of_day;
use crate::traffic::client::Client;
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal};
use crate::traffic::label::Label;
use crate::traffic::login::{Login, software};
use crate::traffic::net::Net;
use crate::traffic::scenario::Scenario;
use crate::traffic::world::{Machine, Role};
use threat::entity::Entity;
use threat::entropy::Rng;
use threat::event::ConnState;
use threat::{Text, Timestamp};

/// Between these hours nobody works: evening and morning.
const NIGHT: (f64, f64) = (21.5, 5.5);
/// Copies at intensity 1.
const COPIES: f64 = 14.0;

/// Some time at night in the first half of the scenario's nights, or `otherwise` when it has none.
pub(super) fn unusual_hour(scenario: &Scenario, otherwise: Timestamp, rng: &mut Rng) -> Timestamp {
    let steps = (scenario.duration / 1_800.0) as usize;
    let nights: Vec<Timestamp> = (0..steps)
        .map(|i| scenario.start.plus_secs(1_800.0 * i as f64))
        .filter(|&t| hour_of_day(t) >= NIGHT.0 || hour_of_day(t) < NIGHT.1)
        .collect();
    // Early enough that the rest of the night is in the scenario, too.
    let night = nights.get(rng.below((nights.len() / 2).max(1)));
    night.map_or(otherwise, |t| t.plus_secs(rng.range(0.0, 1_500.0)))
}

pub(super) fn plan(plan: &mut Plan<'_>, label: &mut Label) -> Planned {
    let world = plan.world;
    // Somebody who is off at that time and does not administer servers anyway, if there is one.
    let at = plan.start;
    let fits = |i: &usize| !world.people[*i].admin && !world.people[*i].rhythm.active(at);
    let off: Vec<usize> = (0..world.people.len()).filter(fits).collect();
    let person = off.get(plan.rng.below(off.len())).copied().unwrap_or(0);
    let who = &world.people[person];
    let desk = world.machines[who.desk].clone();
    label.actors.push(Entity::User(who.name.clone()));
    label.actors.push(host(desk.addr));
    let mut servers: Vec<Machine> =
        world.machines.iter().filter(|m| unusual_server(m)).cloned().collect();
    plan.rng.shuffle(&mut servers);
    servers.truncate(4);
    servers.extend(world.of_role(Role::Files).cloned());
    let client = plan.on(&desk);
    let to = plan.world.fresh(&mut plan.rng);
    let name = Text::from(format!("drop.{}", own_domain(plan)));
    let bytes = 1.5e8 * plan.intensity;
    let upload = Upload::new(client.clone(), plan.end, (4, bytes, 30.0), to, name);
    let room = plan.end.since(plan.start) / 220.0;
    let insider = Insider {
        client,
        end: plan.end,
        servers,
        copies: (COPIES * plan.intensity.min(4.0)).min(room).max(3.0) as u32,
        bytes: 6e7 * plan.intensity,
        account: (who.name.clone(), who.uid),
        upload,
    };
    vec![(plan.start, Box::new(insider))]
}

struct Insider {
    client: Client,
    end: Timestamp,
    servers: Vec<Machine>,
    /// Copies still to make.
    copies: u32,
    bytes: f64,
    account: (Text, u32),
    upload: Upload,
}

impl Behaviour for Insider {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end {
            return None;
        }
        if self.copies == 0 {
            return self.upload.wake(now, net);
        }
        self.copies -= 1;
        let server = self.servers[self.client.rng.below(self.servers.len())].clone();
        let rng = &mut self.client.rng;
        let bytes = lognormal(rng, self.bytes, 0.6) as u64;
        let shape = Shape { turns: between(rng, 30, 90), ..Shape::new(bytes / 400, bytes, 0.0) };
        let done = if server.linux {
            // Not a usual account there: sometimes the first password is another server's.
            let wrong = rng.below(3) as u32 / 2;
            let login = Login {
                user: self.account.0.clone(),
                uid: self.account.1,
                key: None,
                invalid: false,
                wrong,
                succeeds: true,
                expired: false,
                pause: 5.0,
                shape,
                software: software(&self.client),
                sudo: 0,
            };
            login.run(net, &mut self.client, now, &server)
        } else {
            let to = (server.addr, 445);
            let service = Some("gssapi,smb,krb");
            self.client.tcp(net, now, to, service, ConnState::SF, shape).1
        };
        Some(done.plus_secs(lognormal(&mut self.client.rng, 60.0, 0.7)))
    }
}
