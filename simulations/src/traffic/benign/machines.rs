//! What machines do by themselves: time, leases, announcing themselves, certificate checks,
//! telemetry, updates, antivirus look-ups that look like a tunnel and are none.

use crate::traffic::Behaviour;
use crate::traffic::client::{Client, Request, Tls};
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal, one_of, pareto};
use crate::traffic::names;
use crate::traffic::net::Net;
use crate::traffic::record::{QType, RCode};
use crate::traffic::world::Role;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use threat::event::{ConnState, Protocol};
use threat::{Text, Timestamp};

const MDNS: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);
const LLMNR: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 252)), 5355);
const SSDP: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 1900);
const BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 255, 255));
const ROUTERS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2));

/// NTP at a steady poll interval: the most regular benign traffic there is.
pub(super) struct TimeSync {
    client: Client,
    poll: f64,
}

impl TimeSync {
    pub(super) fn new(mut client: Client) -> Self {
        let poll = one_of(&mut client.rng, &[256.0, 512.0, 1_024.0]);
        Self { client, poll }
    }
}

impl Behaviour for TimeSync {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let server = net.world.resolver();
        let c = &mut self.client;
        let to = if server == c.addr { net.world.sites[0].addrs[0] } else { server };
        let rtt = c.rtt(to);
        // The reference implementation asks from port 123 itself.
        let from = c.linux.then_some(123);
        c.udp(net, now, (from, (to, 123)), Some("ntp"), ((1, 48), (1, 48)), rtt);
        let jitter = self.client.rng.range(-2.0, 2.0);
        Some(now.plus_secs(self.poll + jitter))
    }
}

/// Everything irregular that a machine does unasked.
pub(super) struct Chatter {
    client: Client,
    role: Role,
    gap: f64,
    /// The vendor whose telemetry and updates this machine talks to.
    vendor: usize,
}

impl Chatter {
    pub(super) fn new(mut client: Client, role: Role) -> Self {
        let gap = match role {
            Role::Desk => 110.0,
            Role::Printer | Role::Camera => 240.0,
            _ => 300.0,
        };
        let vendor = client.rng.below(24);
        Self { client, role, gap, vendor }
    }

    fn announce(&mut self, net: &mut Net, at: Timestamp) {
        let c = &mut self.client;
        let n = between(&mut c.rng, 1, 4);
        match c.rng.below(5) {
            0 => c.udp(
                net,
                at,
                (Some(5353), MDNS),
                Some("dns"),
                ((n, n * 93), (0, 0)),
                3.1 * n as f64,
            ),
            1 => c.udp(net, at, (None, SSDP), None, ((4, 700), (0, 0)), 3.03),
            2 => c.udp(net, at, (None, LLMNR), Some("dns"), ((2, 44), (0, 0)), 0.41),
            3 => {
                let to = (BROADCAST, 137);
                c.udp(net, at, (Some(137), to), Some("dns"), ((3, 150), (0, 0)), 1.53);
            }
            _ => {
                let IpAddr::V4(own) = c.addr else { return };
                let [_, _, b, d] = own.octets();
                let link =
                    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0250, 0x56ff, 0xfe00 | u16::from(b), d.into());
                let mut id = c.connect_from(133, (ROUTERS, 134), Protocol::Icmp);
                id.orig = link.into();
                c.emit_conn(net, at, crate::traffic::conn::icmp(id, 1, 0, 0.0));
            }
        }
    }

    fn lease(&mut self, net: &mut Net, at: Timestamp) {
        let server = net.world.resolver();
        let took = self.client.rng.range(0.001, 0.02);
        let ports = (Some(68), (server, 67));
        self.client.udp(net, at, ports, Some("dhcp"), ((1, 308), (1, 300)), took);
    }

    /// Certificate status over plain HTTP.
    fn certificate(&mut self, net: &mut Net, at: Timestamp) {
        let site = self.client.rng.below(12);
        let begin = self.client.resolve(net, at, site);
        let (addr, host) = (net.world.sites[site].addrs[0], net.world.sites[site].name.clone());
        let uri = format!("/{}", names::base32(&mut self.client.rng, 76));
        let agent = if self.client.linux { "curl/7.88.1" } else { "Microsoft-CryptoAPI/10.0" };
        let mime = "application/ocsp-response";
        let request =
            Request { host: &host, uri, agent, up: 0, down: 471, status: 200, mime, repeats: 0 };
        self.client.http(net, begin, (addr, 80), request);
    }

    fn telemetry(&mut self, net: &mut Net, at: Timestamp) {
        let begin = self.client.resolve(net, at, self.vendor);
        let site = &net.world.sites[self.vendor];
        let addr = site.addrs[0];
        let rng = &mut self.client.rng;
        let (up, down) = (lognormal(rng, 2_500.0, 0.7) as u64, between(rng, 300, 1_500));
        let mut tls = Tls::of(&site.name, up, down);
        tls.tls13 = false;
        tls.software = 3;
        tls.resumed = rng.chance(0.5);
        self.client.tls(net, begin, (addr, 443), tls);
    }

    fn update(&mut self, net: &mut Net, at: Timestamp) {
        let begin = self.client.resolve(net, at, self.vendor);
        let site = &net.world.sites[self.vendor];
        let (addr, host) = (site.addrs[0], site.name.clone());
        let down = pareto(&mut self.client.rng, 2e5, 0.9, 9e8) as u64;
        let uri = format!("/pool/main/{}.deb", names::hex(&mut self.client.rng, 10));
        let (agent, mime) = if self.client.linux {
            ("Debian APT-HTTP/1.3 (2.6.1)", "application/x-debian-package")
        } else {
            ("Microsoft-Delivery-Optimization/10.1", "application/vnd.ms-cab-compressed")
        };
        let request =
            Request { host: &host, uri, agent, up: 0, down, status: 200, mime, repeats: 0 };
        self.client.http(net, begin, (addr, 80), request);
    }

    /// The antivirus asks about a file by its hash, in DNS.
    fn reputation(&mut self, net: &mut Net, at: Timestamp) {
        let server = net.world.resolver();
        let c = &mut self.client;
        let name = Text::from(format!("{}.avqs.sentrysoft.example", names::hex(&mut c.rng, 40)));
        let rtt = Some(c.rtt(server) + lognormal(&mut c.rng, 0.03, 0.4));
        let answer = (RCode::NoError, vec![Text::const_new("TXT 4 v=0;")], 900.0);
        c.dns(net, at, server, (name, QType::Txt), answer, rtt);
    }

    /// What does not work: machines that are off, services that moved, captures that began late.
    fn miss(&mut self, net: &mut Net, at: Timestamp) {
        let c = &mut self.client;
        let to = net.world.any(&mut c.rng, |_| true).addr;
        let port = one_of(&mut c.rng, &[80, 443, 445, 631, 8_080, 9_100]);
        use ConnState::{OTH, REJ, RSTOS0, S0, SH};
        let state = one_of(&mut c.rng, &[S0, S0, S0, REJ, REJ, OTH, OTH, RSTOS0, SH]);
        c.attempt(net, at, (to, port), state);
    }

    /// A device that keeps a line to its maker's cloud open.
    fn cloud(&mut self, net: &mut Net, at: Timestamp) {
        let begin = self.client.resolve(net, at, self.vendor);
        let site = &net.world.sites[self.vendor];
        let addr = site.addrs[0];
        let rng = &mut self.client.rng;
        let idle = rng.range(300.0, 1_800.0);
        let beats = (idle / 30.0) as u64;
        let mut tls = Tls::of(&site.name, beats * 31, beats * 31);
        tls.software = 4;
        tls.shape = Shape { turns: beats, idle, ..tls.shape };
        self.client.tls(net, begin, (addr, 8_883), tls);
    }
}

impl Behaviour for Chatter {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let desk = self.role == Role::Desk;
        match self.client.rng.below(100) {
            0..46 => self.announce(net, now),
            46..53 if self.role != Role::Directory => self.lease(net, now),
            53..70 if matches!(self.role, Role::Camera | Role::Printer) => self.cloud(net, now),
            53..66 => self.certificate(net, now),
            66..84 => self.telemetry(net, now),
            84..90 => self.update(net, now),
            90..97 if desk => self.reputation(net, now),
            97..99 => self.miss(net, now),
            _ => {
                let gateway = net.world.resolver();
                self.client.ping(net, now, gateway, 4, 4);
            }
        }
        Some(now.plus_secs(self.client.rng.exponential(self.gap)))
    }
}
