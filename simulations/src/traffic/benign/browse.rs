//! A person in front of a browser: sessions of pages with log-normal pauses, sites by popularity
//! and taste, what the pages pull in, videos and downloads with heavy tails.

use crate::traffic::Behaviour;
use crate::traffic::client::{Client, Request, Tls};
use crate::traffic::conn::Shape;
use crate::traffic::draw::{between, geometric, lognormal, pareto};
use crate::traffic::names;
use crate::traffic::net::Net;
use threat::Timestamp;

/// Seconds between sessions of one person at scale 1, on average.
const SESSION_GAP: f64 = 420.0;
/// Pages of a session, on average.
const PAGES: f64 = 6.0;
/// Seconds that an idle connection stays usable.
const KEEP_ALIVE: f64 = 65.0;

/// One person's browser.
pub(super) struct Browser {
    client: Client,
    person: usize,
    scale: f64,
    pages: usize,
    site: usize,
}

impl Browser {
    pub(super) fn new(mut client: Client, person: usize, scale: f64) -> Self {
        client.haste = scale.max(1.0);
        Self { client, person, scale, pages: 0, site: 0 }
    }

    /// A site by common popularity, or by the person's own taste.
    fn pick_site(&mut self, net: &Net) -> usize {
        let rank = net.world.popularity.draw(&mut self.client.rng);
        if self.client.rng.chance(0.6) {
            return rank;
        }
        (rank + net.world.people[self.person].taste) % (net.world.sites.len() * 3 / 4)
    }

    fn page(&mut self, net: &mut Net, at: Timestamp) {
        if self.pages == 0 || self.client.rng.chance(0.3) {
            self.site = self.pick_site(net);
        }
        let parts = net.world.sites[self.site].parts.clone();
        let loaded = self.fetch(net, at, self.site);
        let mut then = loaded.plus_secs(self.client.rng.range(0.02, 0.12));
        for part in parts {
            if self.client.rng.chance(0.75) {
                self.fetch(net, then, part);
                then = then.plus_secs(self.client.rng.exponential(0.05));
            }
        }
    }

    /// Fetches from a site; when its address was known.
    fn fetch(&mut self, net: &mut Net, at: Timestamp, site: usize) -> Timestamp {
        if self.client.reuses(at, site, KEEP_ALIVE) {
            return at;
        }
        let known = self.client.resolve(net, at, site);
        let rng = &mut self.client.rng;
        let begin = known.plus_secs(rng.range(0.001, 0.006));
        let s = &net.world.sites[site];
        let turns = geometric(rng, 4.0) as u64;
        // Most answers are small, a few are videos and downloads.
        let down = (turns as f64 * lognormal(rng, s.bytes, 0.8)) as u64
            + if rng.chance(0.03) { pareto(rng, 4e5, 1.15, 2e9) as u64 } else { 0 };
        let up = turns * between(rng, 90, 700)
            + if rng.chance(0.012) { pareto(rng, 5e4, 1.2, 3e7) as u64 } else { 0 };
        let addr = s.addrs[rng.below(s.addrs.len())];
        let idle = rng.exponential(KEEP_ALIVE * 0.4).min(KEEP_ALIVE);
        if !s.https {
            let agent = self.client.agent();
            let uri = names::path(&mut self.client.rng);
            let status = [200, 200, 200, 200, 200, 304, 301, 404][self.client.rng.below(8)];
            let body = match status {
                200 => down,
                304 => 0,
                _ => between(&mut self.client.rng, 150, 900),
            };
            let repeats = if status == 200 { self.client.rng.below(4) as u32 } else { 0 };
            let host = s.name.clone();
            let request = Request {
                host: &host,
                uri,
                agent,
                up: 0,
                down: body,
                status,
                mime: "text/html",
                repeats,
            };
            self.client.http(net, begin, (addr, 80), request);
        } else if s.quic && rng.chance(0.7) {
            let packets = |bytes: u64| (bytes.div_ceil(1_200) + 3, bytes + 2_600);
            let time = idle + down as f64 / lognormal(rng, 3e6, 0.6);
            let (sent, answered) = (packets(up), packets(down));
            self.client.udp(net, begin, (None, (addr, 443)), Some("quic"), (sent, answered), time);
        } else {
            let mut tls = Tls::of(&s.name, up, down);
            tls.tls13 = s.tls13;
            tls.resumed = rng.chance(0.3);
            tls.shape = Shape { turns, idle, ..tls.shape };
            self.client.tls(net, begin, (addr, 443), tls);
        }
        known
    }
}

impl Behaviour for Browser {
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp> {
        let rhythm = &net.world.people[self.person].rhythm;
        if self.pages == 0 && !rhythm.active(now) {
            let back = rhythm.next_active(now);
            return Some(back.plus_secs(self.client.rng.exponential(600.0)));
        }
        if self.pages == 0 {
            let pages = geometric(&mut self.client.rng, PAGES);
            self.page(net, now);
            self.pages = pages;
        } else {
            self.page(net, now);
        }
        self.pages -= 1;
        let rng = &mut self.client.rng;
        let pause = if self.pages > 0 {
            lognormal(rng, 14.0, 1.1).min(900.0)
        } else {
            rng.exponential(SESSION_GAP)
        };
        Some(now.plus_secs((pause / self.scale).max(0.02)))
    }
}
