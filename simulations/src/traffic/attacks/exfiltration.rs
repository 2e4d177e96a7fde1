//! Uploads to a host that nobody in the house has talked to before: a few large ones, or many small
//! pieces over hours.

use super::{Plan, Planned, host, own_domain};
use crate::traffic::Behaviour;
use crate::traffic::client::{Client, Tls};
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, lognormal};
use crate::traffic::label::Label;
use crate::traffic::net::Net;
use crate::traffic::record::{QType, RCode};
use std::net::IpAddr;
use threat::{Text, Timestamp};

pub(super) fn plan(plan: &mut Plan<'_>, slow: bool, label: &mut Label) -> Planned {
    let (victim, _) = plan.victim();
    label.actors.push(host(victim.addr));
    // Pieces, median bytes of one, median seconds between.
    let (pieces, bytes, gap) = if slow {
        (between(&mut plan.rng, 60, 160), 4e6, 150.0)
    } else {
        (between(&mut plan.rng, 3, 8), 2.2e8, 45.0)
    };
    let client = plan.on(&victim);
    let upload = Upload::new(
        client,
        plan.end,
        (pieces as u32, bytes * plan.intensity, gap),
        plan.world.fresh(&mut plan.rng),
        Text::from(format!("files.{}", own_domain(plan))),
    );
    vec![(plan.start, Box::new(upload))]
}

/// Uploads piece by piece. The insider ends with one, too.
pub(super) struct Upload {
    client: Client,
    end: Timestamp,
    pieces: u32,
    bytes: f64,
    gap: f64,
    to: IpAddr,
    name: Text,
    known: bool,
}

impl Upload {
    pub(super) fn new(
        client: Client,
        end: Timestamp,
        (pieces, bytes, gap): (u32, f64, f64),
        to: IpAddr,
        name: Text,
    ) -> Self {
        Self { client, end, pieces, bytes, gap, to, name, known: false }
    }
}

impl Behaviour for Upload {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end || self.pieces == 0 {
            return None;
        }
        self.pieces -= 1;
        let c = &mut self.client;
        let mut begin = now;
        if !self.known {
            self.known = true;
            let server = net.world.resolver();
            let rtt = c.rtt(server) + lognormal(&mut c.rng, 0.03, 0.4);
            let answer = (RCode::NoError, vec![Text::from(self.to.to_string())], 300.0);
            begin = c.dns(net, now, server, (self.name.clone(), QType::A), answer, Some(rtt));
        }
        let up = lognormal(&mut c.rng, self.bytes, 0.5) as u64;
        let mut tls = Tls::of(&self.name, up, between(&mut c.rng, 900, 6_000));
        tls.software = 9;
        tls.shape = Shape { turns: between(&mut c.rng, 2, 9), ..tls.shape };
        let done = c.tls(net, begin, (self.to, 443), tls);
        Some(done.plus_secs(lognormal(&mut c.rng, self.gap, 0.6)))
    }
}
