//! Jobs of servers: monitoring at a steady beat, cron, nightly backups, mail between domains, and
//! on request the organisation's own search for holes.

use crate::traffic::Behaviour;
use crate::traffic::calendar::{at, day, daylight, hour_of_day};
use crate::traffic::client::{Client, Request};
use crate::traffic::conn::{Shape, half_open};
use crate::traffic::draw::{between, lognormal, pareto};
use crate::traffic::login::Login;
use crate::traffic::names;
use crate::traffic::net::Net;
use crate::traffic::record::{AuthEvent, QType, RCode};
use crate::traffic::world::{Machine, Role, outside};
use threat::event::{ConnState, Protocol};
use threat::{Text, Timestamp};

/// Seconds between rounds of the monitoring server.
const ROUND: f64 = 60.0;

/// Polls one server after the other, each once a round: benign beacons.
pub(super) struct Monitor {
    client: Client,
    turn: usize,
}

impl Monitor {
    pub(super) fn new(client: Client) -> Self {
        Self { client, turn: 0 }
    }
}

impl Behaviour for Monitor {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let own = self.client.addr;
        // In a large organisation one server watches the first sixty; the others have their own.
        let watched: Vec<Machine> = net
            .world
            .machines
            .iter()
            .filter(|m| m.is_server() && m.addr != own)
            .take(60)
            .cloned()
            .collect();
        let machine = &watched[self.turn % watched.len()];
        self.turn += 1;
        let c = &mut self.client;
        if machine.open_ports().contains(&9_100) {
            let host = Text::from(format!("{}.{}", machine.name, names::CORP));
            let down = between(&mut c.rng, 41_000, 44_500);
            let request = Request {
                host: &host,
                uri: "/metrics".into(),
                agent: "Prometheus/2.53.0",
                up: 0,
                down,
                status: 200,
                mime: "text/plain",
                repeats: 0,
            };
            c.http(net, now, (machine.addr, 9_100), request);
        } else if machine.linux {
            c.ping(net, now, machine.addr, 1, 1);
        } else {
            let rtt = c.rtt(machine.addr) * 3.0;
            let to = (machine.addr, 161);
            c.udp(net, now, (None, to), Some("snmp"), ((3, 129), (3, 141)), rtt);
        }
        let beat = ROUND / watched.len() as f64;
        Some(now.plus_secs(beat * self.client.rng.range(0.99, 1.01)))
    }
}

/// Jobs of one server that leave lines in its authentication log.
pub(super) struct Cron {
    client: Client,
    machine: Machine,
}

impl Cron {
    pub(super) fn new(client: Client, machine: Machine) -> Self {
        Self { client, machine }
    }
}

impl Behaviour for Cron {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let pid = between(&mut self.client.rng, 1_200, 65_000) as u32;
        let who = (&self.machine.name, pid);
        let root = Text::const_new("root");
        let opened = AuthEvent::Opened { program: "cron", uid: 0 };
        net.auth(now, None, who, &root, opened);
        let done = now.plus_secs(self.client.rng.range(0.02, 2.0));
        net.auth(done, None, who, &root, AuthEvent::Ended { program: "cron" });
        // Seventeen minutes past each hour, and every ten minutes.
        let tens = (now.micros().div_euclid(600_000_000) + 1) * 600_000_000;
        let next = Timestamp::from_micros(tens).plus_secs(1.0 + self.client.rng.range(0.0, 0.3));
        Some(next)
    }
}

/// One server's nightly copy to the backup server: large, internal, by SSH.
pub(super) struct Backup {
    client: Client,
    machine: Machine,
    /// Hours after midnight.
    slot: f64,
}

impl Backup {
    pub(super) fn new(mut client: Client, machine: Machine) -> Self {
        let slot = client.rng.range(1.0, 3.0);
        Self { client, machine, slot }
    }
}

impl Behaviour for Backup {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let backup = net.world.the(Role::Backup).clone();
        if backup.addr == self.machine.addr {
            return None;
        }
        if (hour_of_day(now) - self.slot).abs() < 0.02 {
            let rng = &mut self.client.rng;
            let bytes = pareto(rng, 4e8, 1.1, 6e10) as u64;
            let shape = Shape { turns: 40, ..Shape::new(bytes, bytes / 900, 0.0) };
            let key = u128::from(threat::Host::Ip(self.machine.addr).hash64()) << 33;
            let login = Login::keyed(&Text::const_new("backup"), 34, key, shape);
            login.run(net, &mut self.client, now, &backup);
        }
        let today = at(day(now), self.slot);
        let next = if today > now { today } else { at(day(now) + 1, self.slot) };
        Some(next.plus_secs(self.client.rng.range(0.0, 20.0)))
    }
}

/// Mail between domains: both ways, with the look-ups that go with it.
pub(super) struct MailRelay {
    client: Client,
}

impl MailRelay {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    fn check_sender(&mut self, net: &mut Net, now: Timestamp, domain: &Text) {
        let server = net.world.resolver();
        let c = &mut self.client;
        let rtt = Some(c.rtt(server) + lognormal(&mut c.rng, 0.04, 0.5));
        let spf: Text =
            format!("TXT 45 v=spf1 ip4:203.0.113.0/24 include:_spf.{domain} -all").into();
        let key: Text =
            format!("TXT 216 v=DKIM1; k=rsa; p={}", names::base32(&mut c.rng, 180)).into();
        let questions = [
            (domain.clone(), QType::Txt, (RCode::NoError, vec![spf], 3_600.0)),
            (
                format!("s1._domainkey.{domain}").into(),
                QType::Txt,
                (RCode::NoError, vec![key], 3_600.0),
            ),
            (
                format!("{}.dnsbl.mailguard.example", between(&mut c.rng, 1, 254)).into(),
                QType::A,
                (RCode::NxDomain, Vec::new(), 0.0),
            ),
        ];
        let mut t = now;
        for (name, qtype, answer) in questions {
            t = c.dns(net, t, server, (name, qtype), answer, rtt).plus_secs(0.002);
        }
    }
}

impl Behaviour for MailRelay {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let own = self.client.addr;
        let site = net.world.popularity.draw(&mut self.client.rng);
        let domain = net.world.sites[site].name.clone();
        let c = &mut self.client;
        let size = pareto(&mut c.rng, 4_000.0, 1.1, 2.5e7) as u64;
        let shape = Shape { turns: 9, greets: true, ..Shape::new(size, 620, 0.0) };
        if c.rng.chance(0.6) {
            let mut sender = c.clone();
            sender.addr = outside(&mut c.rng);
            sender.linux = true;
            sender.rng = threat::entropy::Rng::new(c.rng.next_u64());
            sender.tcp(net, now, (own, 25), Some("smtp"), ConnState::SF, shape);
            self.check_sender(net, now.plus_secs(0.15), &domain);
        } else {
            let to = net.world.sites[site].addrs[0];
            let server = net.world.resolver();
            let mx = (RCode::NoError, vec![Text::from(format!("mx1.{domain}"))], 300.0);
            let rtt = Some(c.rtt(server) + 0.02);
            let t = c.dns(net, now, server, (domain, QType::Mx), mx, rtt);
            c.tcp(net, t.plus_secs(0.01), (to, 25), Some("smtp"), ConnState::SF, shape);
        }
        let gap = self.client.rng.exponential(90.0 / daylight(now));
        Some(now.plus_secs(gap.min(3_600.0)))
    }
}

/// The organisation looks for its own holes: a benign scan, on request.
pub(super) struct HoleScanner {
    client: Client,
    probe: usize,
}

impl HoleScanner {
    pub(super) fn new(client: Client) -> Self {
        Self { client, probe: 0 }
    }
}

impl Behaviour for HoleScanner {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        const PORTS: [u16; 12] = [21, 22, 23, 25, 80, 135, 139, 443, 445, 3_306, 3_389, 8_080];
        let machines = net.world.machines.len();
        let machine = net.world.machines[self.probe / PORTS.len() % machines].clone();
        let port = PORTS[self.probe % PORTS.len()];
        self.probe += 1;
        if machine.open_ports().contains(&port) {
            let id = self.client.connect((machine.addr, port), Protocol::Tcp);
            let rtt = self.client.rtt(machine.addr);
            self.client.emit_conn(net, now, half_open(id, rtt));
        } else {
            self.client.attempt(net, now, (machine.addr, port), ConnState::REJ);
        }
        if self.probe.is_multiple_of(machines * PORTS.len()) {
            return Some(at(day(now) + 1, 4.0));
        }
        Some(now.plus_secs(self.client.rng.exponential(0.2)))
    }
}
