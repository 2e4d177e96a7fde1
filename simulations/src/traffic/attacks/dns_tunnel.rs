//! Data in DNS: long names under one domain carry it out, answers carry commands in, all through
//! the organisation's own resolver; bursts while there is something to carry, polling otherwise.

use super::{Plan, Planned, host, own_domain};
use crate::traffic::Behaviour;
use crate::traffic::campaign::TunnelRecord;
use crate::traffic::client::Client;
use crate::traffic::draw::{between, geometric, lognormal, one_of};
use crate::traffic::label::Label;
use crate::traffic::names;
use crate::traffic::net::Net;
use crate::traffic::record::{QType, RCode};
use threat::{Text, Timestamp};

pub(super) fn plan(plan: &mut Plan<'_>, record: TunnelRecord, label: &mut Label) -> Planned {
    let (victim, _) = plan.victim();
    label.actors.push(host(victim.addr));
    let tunnel = Tunnel {
        client: plan.on(&victim),
        end: plan.end,
        intensity: plan.intensity,
        record,
        domain: own_domain(plan),
        burst: 40,
        sequence: plan.rng.below(4_096),
    };
    vec![(plan.start, Box::new(tunnel))]
}

struct Tunnel {
    client: Client,
    end: Timestamp,
    intensity: f64,
    record: TunnelRecord,
    domain: String,
    /// Questions left of the present burst.
    burst: usize,
    sequence: usize,
}

impl Tunnel {
    /// A counter and payload in one to three labels, under 253 characters in all.
    fn name(&mut self, loaded: bool) -> Text {
        let rng = &mut self.client.rng;
        self.sequence = (self.sequence + 1) % 65_536;
        let mut name = format!("{:04x}", self.sequence);
        let labels = if loaded { between(rng, 2, 3) } else { 1 };
        for i in 0..labels {
            let length = if loaded { between(rng, 48, 62) } else { between(rng, 18, 30) } as usize;
            name.push_str(&names::base32(rng, if i == 0 { length - 4 } else { length }));
            name.push('.');
        }
        name.push_str(&self.domain);
        name.into()
    }

    fn answer(&mut self, qtype: QType, loaded: bool) -> Text {
        let rng = &mut self.client.rng;
        let length = if loaded { between(rng, 60, 180) } else { between(rng, 12, 24) } as usize;
        let data = names::base32(rng, length.min(60));
        match qtype {
            QType::Cname => format!("{data}.{}", self.domain).into(),
            QType::Txt => format!("TXT {length} {}", names::base32(rng, length)).into(),
            _ => names::hex(rng, length).into(),
        }
    }
}

impl Behaviour for Tunnel {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        if now >= self.end {
            return None;
        }
        let loaded = self.burst > 0;
        let qtype = match self.record {
            TunnelRecord::Txt => QType::Txt,
            TunnelRecord::Null => QType::Null,
            TunnelRecord::Cname => QType::Cname,
            TunnelRecord::Mixed => {
                one_of(&mut self.client.rng, &[QType::Txt, QType::Null, QType::Cname])
            }
        };
        let (name, answer) = (self.name(loaded), self.answer(qtype, loaded));
        let server = net.world.resolver();
        let c = &mut self.client;
        let rtt = Some(c.rtt(server) + lognormal(&mut c.rng, 0.06, 0.3));
        c.dns(net, now, server, (name, qtype), (RCode::NoError, vec![answer], 1.0), rtt);
        let rng = &mut c.rng;
        let gap = if loaded {
            self.burst -= 1;
            lognormal(rng, 0.25, 0.5)
        } else {
            if rng.chance(0.04) {
                self.burst = geometric(rng, 80.0);
            }
            lognormal(rng, 8.0, 0.3)
        };
        Some(now.plus_secs(gap / self.intensity))
    }
}
