//! The organisation and the internet that it sees: machines with roles, people with desks and
//! hours, sites with names, addresses and popularity. Made once from the seed; behaviours only read
//! it.
//!
//! Inside is 10.20.0.0/16. Outside are the documentation blocks (RFC 5737) and the benchmarking
//! block 198.18.0.0/15 (RFC 2544), so that no address belongs to anybody.

use super::calendar::Rhythm;
use super::draw::{Zipf, between};
use super::names;
use super::scenario::Scenario;
use std::net::{IpAddr, Ipv4Addr};
use threat::Text;
use threat::entropy::{Rng, mix64};

/// Sites by rank: more are never distinguished, since their popularity is under one in 10,000.
const SITES: usize = 900;
/// Content-network and third-party hosts that pages pull in.
const PARTS: usize = 300;

/// What a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Directory, DNS and time.
    Directory,
    Files,
    Mail,
    Web,
    Database,
    Backup,
    Monitor,
    Build,
    /// SSH from outside ends here.
    Jump,
    /// More application servers.
    App,
    Printer,
    Camera,
    Admin,
    Desk,
}

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub addr: IpAddr,
    pub name: Text,
    pub role: Role,
    pub linux: bool,
}

impl Machine {
    /// Ports that answer.
    pub(super) const fn open_ports(&self) -> &'static [u16] {
        match self.role {
            Role::Directory => &[53, 88, 135, 139, 389, 445, 464, 636, 3268, 3389],
            Role::Files => &[135, 139, 445, 3389, 5985],
            Role::Mail => &[22, 25, 143, 443, 587, 993],
            Role::Web | Role::App => &[22, 80, 443, 8080, 9100],
            Role::Database => &[22, 5432, 9100],
            Role::Backup | Role::Monitor => &[22, 443, 9100],
            Role::Build => &[22, 80, 443, 9100, 9418],
            Role::Jump => &[22],
            Role::Printer => &[80, 443, 515, 631, 9100],
            Role::Camera => &[80, 554],
            Role::Admin => &[22],
            Role::Desk => &[135, 139, 445],
        }
    }

    pub(super) const fn is_server(&self) -> bool {
        !matches!(self.role, Role::Printer | Role::Camera | Role::Admin | Role::Desk)
    }
}

/// A person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub name: Text,
    /// The account's number on Linux servers.
    pub uid: u32,
    /// Their machine.
    pub desk: usize,
    pub rhythm: Rhythm,
    /// Uses SSH and the build server.
    pub developer: bool,
    /// Administers servers from the admin box.
    pub admin: bool,
    /// Fingerprint of their SSH key.
    pub key: u128,
    /// Moves the popularity ranks, so that tastes differ.
    pub taste: usize,
}

/// A host name outside.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub name: Text,
    pub addrs: Vec<IpAddr>,
    /// The name that it is an alias of, if any.
    pub alias: Option<Text>,
    /// Seconds that an answer may be kept.
    pub ttl: f64,
    pub https: bool,
    pub quic: bool,
    pub tls13: bool,
    /// Other sites (by place) that its pages pull in.
    pub parts: Vec<usize>,
    /// Median bytes of an answer.
    pub bytes: f64,
}

/// The whole.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub machines: Vec<Machine>,
    pub people: Vec<Person>,
    /// By popularity; the last [`PARTS`] are pulled in by pages, never visited.
    pub sites: Vec<Site>,
    pub popularity: Zipf,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let machines = machines(scenario);
        let people = people(scenario, &machines);
        let sites = sites(&mut Rng::fork(scenario.seed, "sites"));
        Self { machines, people, sites, popularity: Zipf::new(SITES, 0.95) }
    }

    pub(super) fn of_role(&self, role: Role) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(move |m| m.role == role)
    }

    /// The first machine of a role that every organisation has.
    pub(super) fn the(&self, role: Role) -> &Machine {
        self.of_role(role).next().unwrap_or(&self.machines[0])
    }

    /// One of them, or the first machine of all if there is none.
    pub(super) fn any(&self, rng: &mut Rng, keep: impl Fn(&Machine) -> bool) -> &Machine {
        let n = self.machines.iter().filter(|m| keep(m)).count();
        let at = rng.below(n);
        self.machines.iter().filter(|m| keep(m)).nth(at).unwrap_or(&self.machines[0])
    }

    /// The resolver of a machine: one of the directory servers.
    pub(super) fn resolver(&self) -> IpAddr {
        self.the(Role::Directory).addr
    }

    pub(super) fn by_addr(&self, addr: IpAddr) -> Option<&Machine> {
        self.machines.iter().find(|m| m.addr == addr)
    }

    /// An outside address that no site has.
    pub(super) fn fresh(&self, rng: &mut Rng) -> IpAddr {
        loop {
            let addr = outside(rng);
            if !self.sites.iter().any(|s| s.addrs.contains(&addr)) {
                return addr;
            }
        }
    }
}

/// Inside of the organisation, as the sensor's `Site::local_nets` says.
pub(super) fn is_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.octets()[0] == 10,
        IpAddr::V6(a) => a.segments()[0] == 0xfe80,
    }
}

/// An address of the outside world.
pub(super) fn outside(rng: &mut Rng) -> IpAddr {
    let host = between(rng, 1, 254) as u8;
    let octets = match rng.below(6) {
        0 => [192, 0, 2, host],
        1 => [198, 51, 100, host],
        2 => [203, 0, 113, host],
        _ => [198, 18 + rng.below(2) as u8, rng.below(256) as u8, host],
    };
    Ipv4Addr::from(octets).into()
}

/// Median seconds to an address and back: stable per address.
pub(super) fn distance(addr: IpAddr) -> f64 {
    let h = threat::Host::Ip(addr).hash64();
    if is_local(addr) {
        2e-4 + (h % 64) as f64 * 1e-5
    } else {
        let spread = (mix64(h) % 1_000) as f64 / 1_000.0;
        0.006 + 0.14 * spread * spread
    }
}

/// Address of a client-side machine: consecutive, ten to a rack of 250.
fn client_addr(subnet: u8, i: usize) -> IpAddr {
    Ipv4Addr::new(10, 20, subnet + (i / 240) as u8, (i % 240) as u8 + 11).into()
}

fn machines(scenario: &Scenario) -> Vec<Machine> {
    const SERVERS: [(Role, &str, u8, bool); 12] = [
        (Role::Directory, "dc1", 10, false),
        (Role::Directory, "dc2", 11, false),
        (Role::Files, "files1", 20, false),
        (Role::Files, "files2", 21, false),
        (Role::Mail, "mail1", 25, true),
        (Role::Web, "intranet", 30, true),
        (Role::Database, "db1", 40, true),
        (Role::Backup, "backup1", 50, true),
        (Role::Monitor, "monitor1", 60, true),
        (Role::Build, "git1", 80, true),
        (Role::Jump, "gate1", 90, true),
        (Role::App, "app1", 100, true),
    ];
    let machine =
        |role, name: String, addr, linux| Machine { addr, name: name.into(), role, linux };
    let mut all: Vec<Machine> = SERVERS
        .iter()
        .map(|&(role, name, host, linux)| {
            machine(role, name.into(), Ipv4Addr::new(10, 20, 0, host).into(), linux)
        })
        .collect();
    all.push(machine(Role::Admin, "admin1".into(), [10, 20, 9, 5].into(), true));
    let left = scenario.hosts.saturating_sub(all.len());
    let (things, apps) = (left / 7, left / 40);
    for i in 0..apps {
        let addr = Ipv4Addr::new(10, 20, 2 + (i / 240) as u8, (i % 240) as u8 + 11).into();
        all.push(machine(Role::App, format!("app{}", i + 2), addr, true));
    }
    for i in 0..things {
        let (role, name) =
            if i % 3 == 2 { (Role::Camera, "cam") } else { (Role::Printer, "print") };
        all.push(machine(role, format!("{name}{}", i + 1), client_addr(12, i), true));
    }
    for i in 0..left - things - apps {
        let linux = mix64(scenario.seed ^ i as u64).is_multiple_of(7);
        all.push(machine(Role::Desk, format!("ws{:03}", i + 1), client_addr(32, i), linux));
    }
    all
}

fn people(scenario: &Scenario, machines: &[Machine]) -> Vec<Person> {
    let mut rng = Rng::fork(scenario.seed, "people");
    let desks: Vec<usize> =
        (0..machines.len()).filter(|&i| machines[i].role == Role::Desk).collect();
    (0..scenario.users)
        .map(|i| Person {
            name: names::user(i),
            uid: 1_000 + i as u32,
            desk: desks[i % desks.len()],
            rhythm: Rhythm::draw(&mut rng),
            developer: rng.chance(0.25),
            // One in fifteen keeps the servers running, at least the first.
            admin: i % 15 == 0,
            key: (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64()),
            taste: rng.below(SITES),
        })
        .collect()
}

fn sites(rng: &mut Rng) -> Vec<Site> {
    (0..SITES + PARTS)
        .map(|i| {
            let part = i >= SITES;
            let domain = names::domain(rng, i);
            let name = match rng.below(4) {
                _ if part && rng.chance(0.6) => names::cdn(rng),
                0 => format!("api.{domain}"),
                1 => domain,
                _ => format!("www.{domain}"),
            };
            let many = if rng.chance(0.4) { between(rng, 2, 4) } else { 1 };
            let pulled = if part { 0 } else { rng.below(7) };
            Site {
                name: name.into(),
                addrs: (0..many).map(|_| outside(rng)).collect(),
                alias: rng.chance(0.35).then(|| names::cdn(rng).into()),
                ttl: [30.0, 60.0, 300.0, 300.0, 3_600.0][rng.below(5)],
                https: rng.chance(0.93),
                quic: rng.chance(0.2),
                tls13: rng.chance(0.8),
                parts: (0..pulled).map(|_| SITES + rng.below(PARTS)).collect(),
                bytes: super::draw::lognormal(rng, 9_000.0, 0.9),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn machines_have_their_own_addresses_and_are_as_many_as_asked() {
        for hosts in [20, 60, 1_000, 20_000] {
            let world = World::new(&Scenario { hosts, ..Scenario::default() });
            let addrs: BTreeSet<_> = world.machines.iter().map(|m| m.addr).collect();
            assert_eq!((world.machines.len(), addrs.len()), (hosts, hosts));
            assert!(addrs.iter().all(|&a| is_local(a)));
            assert!(world.people.iter().all(|p| world.machines[p.desk].role == Role::Desk));
        }
    }

    #[test]
    fn the_outside_is_nobodys() {
        let mut rng = Rng::new(1);
        for _ in 0..2_000 {
            let IpAddr::V4(a) = outside(&mut rng) else { panic!("only IPv4") };
            let [x, y, ..] = a.octets();
            assert!(a.is_documentation() || (x == 198 && (y == 18 || y == 19)), "{a}");
        }
    }
}
