//! People who work on servers: administrators from the admin box (SSH and remote desktop, sudo),
//! and developers from their desks. Here are the typing errors and expired passwords, too.

use crate::traffic::Behaviour;
use crate::traffic::client::Client;
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal, pareto};
use crate::traffic::login::{Login, software};
use crate::traffic::net::Net;
use crate::traffic::world::{Machine, Role};
use threat::Timestamp;
use threat::event::ConnState;

/// One administrator at the admin box.
pub(super) struct Administrator {
    client: Client,
    person: usize,
}

impl Administrator {
    pub(super) fn new(client: Client, person: usize) -> Self {
        Self { client, person }
    }

    fn desktop(&mut self, net: &mut Net, at: Timestamp, server: &Machine) {
        let c = &mut self.client;
        let minutes = lognormal(&mut c.rng, 12.0, 0.8).min(240.0);
        let seconds = minutes * 60.0;
        let (up, down) = ((seconds * 900.0) as u64, (seconds * 9_000.0) as u64);
        let turns = (seconds * 2.0) as u64;
        let shape = Shape { turns, idle: seconds, ..Shape::new(up, down, 0.0) };
        c.tcp(net, at, (server.addr, 3_389), Some("rdp,ssl"), ConnState::SF, shape);
    }
}

impl Behaviour for Administrator {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let rhythm = &net.world.people[self.person].rhythm;
        if !rhythm.active(now) {
            let back = rhythm.next_active(now);
            return Some(back.plus_secs(self.client.rng.exponential(900.0)));
        }
        let server = net.world.any(&mut self.client.rng, Machine::is_server).clone();
        if server.linux {
            let minutes = lognormal(&mut self.client.rng, 6.0, 1.1).min(300.0);
            let mut login = login(net, &mut self.client, self.person, minutes);
            login.sudo = self.client.rng.below(4);
            login.run(net, &mut self.client, now, &server);
        } else {
            self.desktop(net, now, &server);
        }
        Some(now.plus_secs(self.client.rng.exponential(700.0)))
    }
}

/// One developer at their desk: the build server, sometimes an application server.
pub(super) struct Developer {
    client: Client,
    person: usize,
}

impl Developer {
    pub(super) fn new(client: Client, person: usize) -> Self {
        Self { client, person }
    }
}

impl Behaviour for Developer {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let rhythm = &net.world.people[self.person].rhythm;
        if !rhythm.active(now) {
            let back = rhythm.next_active(now);
            return Some(back.plus_secs(self.client.rng.exponential(900.0)));
        }
        if self.client.rng.chance(0.7) {
            let server = net.world.the(Role::Build).clone();
            let rng = &mut self.client.rng;
            let bytes = pareto(rng, 3_000.0, 0.95, 3e8) as u64;
            let (up, down) = if rng.chance(0.3) { (bytes, 4_000) } else { (2_500, bytes) };
            let shape = Shape { turns: between(rng, 6, 20), ..Shape::new(up, down, 0.0) };
            let person = &net.world.people[self.person];
            let mut login = Login::keyed(&person.name, person.uid, person.key, shape);
            login.software = software(&self.client);
            login.run(net, &mut self.client, now, &server);
        } else {
            let server = net.world.any(&mut self.client.rng, |m| m.role == Role::App).clone();
            let minutes = lognormal(&mut self.client.rng, 4.0, 1.2).min(300.0);
            let login = login(net, &mut self.client, self.person, minutes);
            login.run(net, &mut self.client, now, &server);
        }
        Some(now.plus_secs(self.client.rng.exponential(1_100.0)))
    }
}

/// A person's terminal session: mostly by key, by password with the usual mistakes otherwise.
fn login(net: &Net, client: &mut Client, person: usize, minutes: f64) -> Login {
    let person = &net.world.people[person];
    let shape = Login::terminal(&mut client.rng, minutes);
    let mut login = Login::keyed(&person.name, person.uid, person.key, shape);
    login.software = software(client);
    if client.rng.chance(0.45) {
        login.key = None;
        login.wrong =
            if client.rng.chance(0.22) { between(&mut client.rng, 1, 3) as u32 } else { 0 };
        login.expired = client.rng.chance(0.02);
        // One in a hundred gives up and asks a colleague.
        login.succeeds = login.wrong < 3 || !client.rng.chance(0.3);
    }
    login
}
