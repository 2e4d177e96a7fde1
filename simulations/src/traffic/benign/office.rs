//! A person's office software: logging on in the morning, directory and file server, mail, the
//! intranet, printing.

use crate::traffic::Behaviour;
use crate::traffic::client::{Client, Request, Tls};
use crate::traffic::conn::{Shape, usual_end};
use crate::traffic::draw::{between, lognormal, pareto};
use crate::traffic::names::CORP;
use crate::traffic::net::Net;
use crate::traffic::record::{QType, RCode};
use crate::traffic::world::Role;
use threat::event::ConnState;
use threat::{Text, Timestamp};

/// Seconds between actions of one person at scale 1, on average.
const GAP: f64 = 75.0;

/// One person's office software.
pub(super) struct Office {
    client: Client,
    person: usize,
    scale: f64,
}

impl Office {
    pub(super) fn new(client: Client, person: usize, scale: f64) -> Self {
        Self { client, person, scale }
    }

    /// The morning's logon: where is the directory, a ticket, the policies, the home drive.
    fn log_on(&mut self, net: &mut Net, at: Timestamp) {
        let c = &mut self.client;
        let (dc, dc_name) = {
            let m = net.world.the(Role::Directory);
            (m.addr, Text::from(format!("{}.{CORP}", m.name)))
        };
        let find = Text::from(format!("_ldap._tcp.dc._msdcs.{CORP}"));
        let rtt = Some(c.rtt(dc));
        let found = (RCode::NoError, vec![dc_name], 600.0);
        let t = c.dns(net, at, dc, (find, QType::Srv), found, rtt);
        let ticket = |c: &mut Client, net: &mut Net, t: Timestamp| {
            let shape =
                Shape::new(between(&mut c.rng, 220, 1_700), between(&mut c.rng, 240, 1_800), 0.0);
            c.tcp(net, t, (dc, 88), Some("krb_tcp"), ConnState::SF, shape).1
        };
        let t = ticket(c, net, t.plus_secs(0.004));
        let t = ticket(c, net, t.plus_secs(0.002));
        let shape = Shape { turns: 5, ..Shape::new(2_100, 6_900, 0.0) };
        let (_, t) = c.tcp(net, t, (dc, 389), Some("ldap_tcp"), ConnState::SF, shape);
        let policies = Shape { turns: 24, idle: 11.0, ..Shape::new(9_800, 61_000, 0.0) };
        let t = t.plus_secs(0.01);
        c.tcp(net, t, (dc, 445), Some("gssapi,smb,krb"), ConnState::SF, policies);
    }

    fn files(&mut self, net: &mut Net, at: Timestamp) {
        let servers: Vec<_> = net.world.of_role(Role::Files).map(|m| m.addr).collect();
        let c = &mut self.client;
        // Everybody has a usual file server and sometimes needs the other.
        let usual = self.person % servers.len();
        let at_server = if c.rng.chance(0.9) { usual } else { c.rng.below(servers.len()) };
        let read = pareto(&mut c.rng, 8_000.0, 1.05, 8e8) as u64;
        let written = if c.rng.chance(0.35) {
            pareto(&mut c.rng, 6_000.0, 1.1, 2e8) as u64
        } else {
            between(&mut c.rng, 1_500, 4_000)
        };
        let turns = between(&mut c.rng, 8, 60);
        let idle = lognormal(&mut c.rng, 25.0, 1.0).min(900.0);
        let shape = Shape { turns, idle, ..Shape::new(written, read, 0.0) };
        let state = usual_end(&mut c.rng);
        c.tcp(net, at, (servers[at_server], 445), Some("gssapi,smb,krb"), state, shape);
    }

    fn mail(&mut self, net: &mut Net, at: Timestamp) {
        let mail = net.world.the(Role::Mail);
        let (addr, name) = (mail.addr, Text::from(format!("{}.{CORP}", mail.name)));
        let c = &mut self.client;
        let sends = c.rng.chance(0.12);
        let size = pareto(&mut c.rng, 3_000.0, 1.15, 2.4e7) as u64;
        let (up, down) =
            if sends { (size, 700) } else { (450, if c.rng.chance(0.4) { size } else { 900 }) };
        let mut tls = Tls::of(&name, up, down);
        tls.software = 2;
        tls.resumed = c.rng.chance(0.7);
        tls.shape.turns = between(&mut c.rng, 4, 12);
        c.tls(net, at, (addr, if sends { 465 } else { 993 }), tls);
    }

    fn intranet(&mut self, net: &mut Net, at: Timestamp) {
        let web = net.world.the(Role::Web).addr;
        let c = &mut self.client;
        let host = Text::from(format!("intranet.{CORP}"));
        let uri = format!("/wiki/page/{}", between(&mut c.rng, 1, 800));
        let down = lognormal(&mut c.rng, 14_000.0, 0.9) as u64;
        let agent = c.agent();
        let request = Request {
            host: &host,
            uri,
            agent,
            up: 0,
            down,
            status: 200,
            mime: "text/html",
            repeats: 0,
        };
        c.http(net, at, (web, 80), request);
    }

    fn print(&mut self, net: &mut Net, at: Timestamp) {
        let c = &mut self.client;
        let printers: Vec<_> = net.world.of_role(Role::Printer).map(|m| m.addr).collect();
        let Some(&printer) = printers.get(self.person % printers.len().max(1)) else { return };
        let job = pareto(&mut c.rng, 60_000.0, 1.1, 6e7) as u64;
        let shape = Shape { idle: 3.0, ..Shape::new(job, between(&mut c.rng, 0, 200), 0.0) };
        c.tcp(net, at, (printer, 9_100), None, ConnState::SF, shape);
    }
}

impl Behaviour for Office {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let rhythm = &net.world.people[self.person].rhythm;
        if !rhythm.active(now) {
            let back = rhythm.next_active(now);
            return Some(back.plus_secs(self.client.rng.exponential(120.0)));
        }
        if rhythm.just_started(now, 400.0) && self.client.rng.chance(0.6) {
            self.log_on(net, now);
        } else {
            match self.client.rng.below(100) {
                0..38 => self.files(net, now),
                38..66 => self.mail(net, now),
                66..90 => self.intranet(net, now),
                90..94 => self.log_on(net, now),
                _ => self.print(net, now),
            }
        }
        let gap = self.client.rng.exponential(GAP / self.scale);
        Some(now.plus_secs(gap.max(0.02)))
    }
}
