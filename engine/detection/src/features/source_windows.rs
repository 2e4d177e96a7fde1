//! What a source did lately, as numbers: one function for each class of events that moves its
//! windows. What is remembered is in [`source_state`](super::source_state); pairs of entities and
//! what surrounds an event are elsewhere.

use super::rows;
use super::source_state::{HOUR, MINUTE, Source, TEN_MINUTES};
use crate::rules::window_fields::{WindowField as W, WindowValues};
use threat::Event;
use threat::entity::hash_bytes;
use threat::entropy::mix64;
use threat::event::{Dns, Flow};

/// Ports on which machines are administered from afar.
const ADMIN_PORTS: [u16; 7] = [22, 135, 139, 445, 3389, 5985, 5986];

/// Moves the windows that flows fill, unless the event is late, and tells them.
pub fn flow(s: &mut Source, event: &Event, flow: &Flow, moves: bool, w: &mut WindowValues) {
    let time = event.time;
    if moves {
        s.flows.turn(time, MINUTE);
        s.failed.turn(time, MINUTE);
        s.hosts.turn(time, MINUTE);
        s.ports.turn(time, MINUTE);
        s.hosts_long.turn(time, TEN_MINUTES);
        s.failed_long.turn(time, TEN_MINUTES);
        s.admin.turn(time, HOUR);
        s.flows.now = s.flows.now.saturating_add(1);
        if flow.state.failed() {
            s.failed.now = s.failed.now.saturating_add(1);
            s.failed_long.now = s.failed_long.now.saturating_add(1);
        }
        if let Some(dst) = &event.dst {
            let host = dst.host.hash64();
            s.hosts.now.add(host);
            s.hosts_long.now.add(host);
            s.ports.now.add(host ^ mix64(u64::from(dst.port.unwrap_or(0))));
            let inside = dst.host.is_internal();
            let from_inside = event.src.as_ref().is_some_and(|e| e.host.is_internal());
            let hour = time.hour();
            if !inside {
                s.compact.bytes_out.add(hour, flow.orig_bytes.unwrap_or(0) as f32);
            } else if from_inside && dst.port.is_some_and(|p| ADMIN_PORTS.contains(&p)) {
                let new = s.admin.now.add(host);
                s.compact.admin_hosts.add(hour, f32::from(u8::from(new)));
            }
        }
    }
    let flows = s.flows.total();
    w.set(W::SrcFlows1m, flows);
    w.set(W::SrcHosts1m, s.hosts.estimate());
    w.set(W::SrcPorts1m, s.ports.estimate());
    w.set(W::SrcFailed1m, s.failed.total());
    w.set(W::SrcFailedRatio1m, s.failed.total() / flows.max(1.0));
    w.set(W::SrcHosts10m, s.hosts_long.estimate());
    w.set(W::SrcFailed10m, s.failed_long.total());
    w.set(W::SrcBytesOut1h, s.compact.bytes_out.current());
    w.set(W::SrcBytesOutBaseline, s.compact.bytes_out.baseline());
    w.set(W::AdminHosts1h, s.admin.estimate());
    w.set(W::AdminBaseline, s.compact.admin_hosts.baseline());
}

/// Moves the windows that DNS queries fill, unless the event is late, and tells them.
pub fn dns(s: &mut Source, event: &Event, dns: &Dns, moves: bool, w: &mut WindowValues) {
    if moves {
        s.queries.turn(event.time, TEN_MINUTES);
        s.nxdomain.turn(event.time, TEN_MINUTES);
        s.domains_nx.turn(event.time, TEN_MINUTES);
        s.queries.now = s.queries.now.saturating_add(1);
        if dns.rcode.as_deref() == Some("NXDOMAIN") {
            s.nxdomain.now = s.nxdomain.now.saturating_add(1);
            let domain = rows::registered_domain(dns.query.as_deref().unwrap_or_default());
            s.domains_nx.now.add(hash_bytes(domain.as_bytes()));
        }
    }
    w.set(W::DnsQueries10m, s.queries.total());
    w.set(W::DnsNxdomain10m, s.nxdomain.total());
    w.set(W::DnsNxdomainRatio10m, s.nxdomain.total() / s.queries.total().max(1.0));
    w.set(W::DnsDomainsNx10m, s.domains_nx.estimate());
}
