//! Port scans as tools do them: many ports of one machine, one port of a subnet, or slowly both.

use super::{Plan, Planned, host};
use crate::traffic::Behaviour;
use crate::traffic::campaign::ScanShape;
use crate::traffic::client::Client;
use crate::traffic::conn::half_open;
use crate::traffic::draw::one_of;
use crate::traffic::label::Label;
use crate::traffic::net::Net;
use crate::traffic::world::Machine;
use std::net::IpAddr;
use threat::Timestamp;
use threat::event::{ConnState, Protocol};

/// Ports that a tool tries of one machine, most likely first.
const COMMON: [u16; 24] = [
    80, 23, 443, 21, 22, 25, 3389, 110, 445, 139, 143, 53, 135, 3306, 8080, 1723, 111, 995, 993,
    5900, 1025, 587, 8888, 5432,
];
/// Ports worth trying of a whole subnet.
const SWEPT: [u16; 6] = [445, 22, 3389, 80, 5985, 1433];

pub(super) fn plan(plan: &mut Plan<'_>, shape: ScanShape, label: &mut Label) -> Planned {
    let (victim, _) = plan.victim();
    // Scans of one server come from outside as often as from inside; sweeps come from inside.
    let outside = shape == ScanShape::Vertical && plan.rng.chance(0.4);
    let addr = if outside { plan.world.fresh(&mut plan.rng) } else { victim.addr };
    label.actors.push(host(addr));
    let (probes, gap) = match shape {
        ScanShape::Vertical => (vertical(plan), 0.06),
        ScanShape::Horizontal => (horizontal(plan, addr), 0.12),
        ScanShape::Slow => (slow(plan, addr), 25.0),
    };
    let client = plan.client(addr, true);
    let (end, gap) = (plan.end, gap / plan.intensity);
    let scan = Scan { client, end, gap, probes, at: 0, filtered: outside };
    vec![(plan.start, Box::new(scan))]
}

/// About a thousand ports of one server, the likely ones first, shuffled within reason.
fn vertical(plan: &mut Plan<'_>) -> Vec<(IpAddr, u16)> {
    let target = plan.world.any(&mut plan.rng, Machine::is_server).addr;
    let mut rest: Vec<u16> = (1..=1_024u16).filter(|p| !COMMON.contains(p)).collect();
    plan.rng.shuffle(&mut rest);
    let mut ports = COMMON;
    plan.rng.shuffle(&mut ports);
    ports.into_iter().chain(rest).map(|port| (target, port)).collect()
}

/// One or two ports of every address of some subnets, in order as tools sweep.
fn horizontal(plan: &mut Plan<'_>, own: IpAddr) -> Vec<(IpAddr, u16)> {
    let first = one_of(&mut plan.rng, &SWEPT);
    let mut probes = Vec::new();
    for subnet in [0u8, 32] {
        for i in 1..=254u8 {
            let addr = IpAddr::from([10, 20, subnet, i]);
            if addr != own {
                probes.push((addr, first));
            }
        }
    }
    probes
}

/// A few ports of the known machines, in random order, one probe now and then.
fn slow(plan: &mut Plan<'_>, own: IpAddr) -> Vec<(IpAddr, u16)> {
    let mut probes: Vec<(IpAddr, u16)> = Vec::new();
    for machine in plan.world.machines.iter().filter(|m| m.addr != own).take(1_000) {
        probes.extend(SWEPT.iter().map(|&port| (machine.addr, port)));
    }
    plan.rng.shuffle(&mut probes);
    probes
}

struct Scan {
    client: Client,
    end: Timestamp,
    gap: f64,
    probes: Vec<(IpAddr, u16)>,
    at: usize,
    /// A firewall drops what it does not know.
    filtered: bool,
}

impl Behaviour for Scan {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let &to = self.probes.get(self.at)?;
        if now >= self.end {
            return None;
        }
        self.at += 1;
        let c = &mut self.client;
        match net.world.by_addr(to.0).map(|m| m.open_ports().contains(&to.1)) {
            Some(true) => {
                let id = c.connect(to, Protocol::Tcp);
                let rtt = c.rtt(to.0);
                c.emit_conn(net, now, half_open(id, rtt));
            }
            Some(false) if !self.filtered || c.rng.chance(0.03) => {
                c.attempt(net, now, to, ConnState::REJ);
            }
            _ => c.attempt(net, now, to, ConnState::S0),
        }
        Some(now.plus_secs(self.client.rng.exponential(self.gap)))
    }
}
