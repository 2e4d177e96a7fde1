//! Command and control: a taken-over desk calls its controller over TLS at regular times with
//! little to say, and now and then gets a task and answers with more.

use super::{Plan, Planned, host, own_domain};
use crate::traffic::Behaviour;
use crate::traffic::client::{Client, Tls};
use crate::traffic::draw::{between, lognormal};
use crate::traffic::label::Label;
use crate::traffic::net::Net;
use crate::traffic::record::{QType, RCode};
use std::net::IpAddr;
use threat::{Text, Timestamp};

/// Calls between tasks, on average.
const CALLS_PER_TASK: f64 = 45.0;
/// Seconds that the controller's address may be kept.
const TTL: f64 = 300.0;

pub(super) fn plan(plan: &mut Plan<'_>, period: f64, jitter: f64, label: &mut Label) -> Planned {
    let (victim, _) = plan.victim();
    label.actors.push(host(victim.addr));
    let controller = plan.world.fresh(&mut plan.rng);
    let name = Text::from(format!("cdn.{}", own_domain(plan)));
    let beacon = Beacon {
        client: plan.on(&victim),
        end: plan.end,
        period: period / plan.intensity,
        jitter,
        controller,
        name,
        known_until: plan.start,
        tasks: 0,
        software: plan.rng.next_u64(),
    };
    vec![(plan.start, Box::new(beacon))]
}

struct Beacon {
    client: Client,
    end: Timestamp,
    period: f64,
    jitter: f64,
    controller: IpAddr,
    name: Text,
    known_until: Timestamp,
    /// Exchanges left of the present task.
    tasks: u32,
    software: u64,
}

impl Beacon {
    fn resolve(&mut self, net: &mut Net, now: Timestamp) -> Timestamp {
        if now < self.known_until {
            return now;
        }
        self.known_until = now.plus_secs(TTL);
        let server = net.world.resolver();
        let c = &mut self.client;
        let rtt = c.rtt(server) + lognormal(&mut c.rng, 0.03, 0.4);
        let answer = (RCode::NoError, vec![Text::from(self.controller.to_string())], TTL);
        c.dns(net, now, server, (self.name.clone(), QType::A), answer, Some(rtt))
    }
}

impl Behaviour for Beacon {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end {
            return None;
        }
        let begin = self.resolve(net, now).plus_secs(0.002);
        let rng = &mut self.client.rng;
        if self.tasks == 0 && rng.chance(1.0 / CALLS_PER_TASK) {
            self.tasks = between(rng, 3, 12) as u32;
        }
        let (up, down) = if self.tasks > 0 {
            (lognormal(rng, 9_000.0, 1.0) as u64, lognormal(rng, 3_000.0, 1.0) as u64)
        } else {
            (between(rng, 180, 240), between(rng, 140, 190))
        };
        let mut tls = Tls::of(&self.name, up, down);
        tls.tls13 = false;
        tls.validation = "unable to get local issuer certificate";
        tls.software = self.software;
        self.client.tls(net, begin, (self.controller, 443), tls);
        let rng = &mut self.client.rng;
        if self.tasks > 0 {
            self.tasks -= 1;
            return Some(now.plus_secs(rng.range(1.0, 4.0).min(self.period)));
        }
        Some(now.plus_secs(self.period * (1.0 + self.jitter * rng.range(-1.0, 1.0))))
    }
}
