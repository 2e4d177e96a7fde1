//! The hands of every behaviour: a client that opens connections, looks names up and speaks TLS and
//! HTTP.
//!
//! A client has its own randomness, ports and caches, so that no behaviour moves another: the same
//! seed with one campaign more yields the same benign records.

use super::conn::{self, Shape};
use super::draw::{between, lognormal};
use super::names;
use super::net::Net;
use super::record::{Body, CampaignId, Conn, ConnId, Dns, Http, QType, RCode, Ssl, Uid};
use super::world::{distance, is_local};
use std::collections::BTreeMap;
use std::net::IpAddr;
use threat::entropy::{Rng, mix64};
use threat::event::{ConnState, Protocol};
use threat::{Text, Timestamp};

/// Names and connections that one client remembers, as a browser's own caches are bounded.
const CACHE: usize = 256;

/// What a TLS client asks for.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub name: Option<Text>,
    pub tls13: bool,
    pub resumed: bool,
    /// How the server's chain validates where it can be seen.
    pub validation: &'static str,
    /// Marks the client software; mixed into JA3.
    pub software: u64,
    /// Application bytes and turns; round trip and speed are filled in.
    pub shape: Shape,
}

impl Tls {
    pub(super) fn of(name: &Text, up: u64, down: u64) -> Self {
        Self {
            name: Some(name.clone()),
            tls13: true,
            resumed: false,
            validation: "ok",
            software: 1,
            shape: Shape::new(up, down, 0.0),
        }
    }
}

/// One process of one machine that talks.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub rng: Rng,
    pub addr: IpAddr,
    pub linux: bool,
    pub campaign: Option<CampaignId>,
    /// How many times faster than a person it lives: what it remembers ages so much faster, too.
    pub haste: f64,
    port: u16,
    /// Until when a site's address is remembered, and until when a connection to it is open.
    names: BTreeMap<usize, Timestamp>,
    open: BTreeMap<usize, Timestamp>,
}

impl Client {
    pub(super) fn new(mut rng: Rng, addr: IpAddr, linux: bool) -> Self {
        let port = 49_152 + rng.below(16_000) as u16;
        let (names, open) = (BTreeMap::new(), BTreeMap::new());
        Self { rng, addr, linux, campaign: None, haste: 1.0, port, names, open }
    }

    pub(super) fn for_campaign(mut self, id: CampaignId) -> Self {
        self.campaign = Some(id);
        self
    }

    /// A new connection's id, from the next ephemeral port.
    pub(super) fn connect(&mut self, to: (IpAddr, u16), protocol: Protocol) -> ConnId {
        let port = if self.linux {
            between(&mut self.rng, 32_768, 60_999) as u16
        } else {
            self.port = if self.port >= 65_534 { 49_152 } else { self.port + 1 };
            self.port
        };
        self.connect_from(port, to, protocol)
    }

    pub(super) fn connect_from(
        &mut self,
        port: u16,
        (resp, resp_port): (IpAddr, u16),
        protocol: Protocol,
    ) -> ConnId {
        let (uid, orig) = (Uid::draw(&mut self.rng), self.addr);
        ConnId { uid, orig, orig_port: port, resp, resp_port, protocol }
    }

    /// Seconds of a round trip now.
    pub(super) fn rtt(&mut self, to: IpAddr) -> f64 {
        let far = if is_local(self.addr) { to } else { self.addr };
        distance(far) * lognormal(&mut self.rng, 1.0, 0.12)
    }

    pub(super) fn emit_conn(&self, net: &mut Net, at: Timestamp, conn: Conn) {
        net.emit(at, self.campaign, Body::Conn(conn));
    }

    /// A TCP conversation; its id and end.
    pub(super) fn tcp(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        to: (IpAddr, u16),
        service: Option<&'static str>,
        state: ConnState,
        mut shape: Shape,
    ) -> (ConnId, Timestamp) {
        let id = self.connect(to, Protocol::Tcp);
        let inside = is_local(self.addr) && is_local(to.0);
        shape.speed = conn::speed(&mut self.rng, inside);
        shape.rtt = self.rtt(to.0);
        shape.stamps = self.linux;
        let conn = conn::tcp(id, service, state, &shape, &mut self.rng);
        let end = at.plus_secs(conn.duration.unwrap_or(0.0));
        self.emit_conn(net, at, conn);
        (id, end)
    }

    /// A TCP attempt that led to nothing.
    pub(super) fn attempt(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        to: (IpAddr, u16),
        s: ConnState,
    ) {
        let id = self.connect(to, Protocol::Tcp);
        let rtt = self.rtt(to.0);
        let conn = conn::attempt(id, s, rtt, &mut self.rng);
        self.emit_conn(net, at, conn);
    }

    /// A UDP exchange: (packets, bytes) of each side.
    pub(super) fn udp(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        (from, to): (Option<u16>, (IpAddr, u16)),
        service: Option<&'static str>,
        (sent, answered): ((u64, u64), (u64, u64)),
        duration: f64,
    ) {
        let id = match from {
            Some(port) => self.connect_from(port, to, Protocol::Udp),
            None => self.connect(to, Protocol::Udp),
        };
        self.emit_conn(net, at, conn::udp(id, service, sent, answered, duration));
    }

    pub(super) fn ping(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        to: IpAddr,
        echoes: u64,
        answers: u64,
    ) {
        let id = self.connect_from(8, (to, 0), Protocol::Icmp);
        let rtt = self.rtt(to);
        self.emit_conn(net, at, conn::icmp(id, echoes, answers, rtt));
    }

    /// One DNS question to a server; when it was answered. `rtt` of `None`: nobody answers.
    pub(super) fn dns(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        server: IpAddr,
        question: (Text, QType),
        answer: (RCode, Vec<Text>, f64),
        rtt: Option<f64>,
    ) -> Timestamp {
        let id = self.connect((server, 53), Protocol::Udp);
        let (query, qtype) = question;
        let (rcode, answers, ttl) = answer;
        let asked = 18 + query.len() as u64 + 11 * u64::from(self.linux);
        let told: usize = answers.iter().map(|a| 14 + a.len().max(4)).sum();
        let answered = if rtt.is_some() { (1, asked + told as u64) } else { (0, 0) };
        let sent = if rtt.is_some() { 1 } else { 2 };
        let wait = rtt.unwrap_or(5.0);
        let conn = conn::udp(id, Some("dns"), (sent, asked * sent), answered, wait);
        self.emit_conn(net, at, conn);
        let dns = Dns {
            id,
            trans_id: self.rng.next_u64() as u16,
            query,
            qtype,
            rcode: rtt.map(|_| rcode),
            rtt,
            authoritative: false,
            answers,
            ttl,
        };
        net.emit(at, self.campaign, Body::Dns(Box::new(dns)));
        at.plus_secs(wait)
    }

    /// Looks a site up unless its address is still remembered; when the client can go on.
    pub(super) fn resolve(&mut self, net: &mut Net, at: Timestamp, site: usize) -> Timestamp {
        if self.names.get(&site).is_some_and(|&until| until > at) {
            return at;
        }
        let s = &net.world.sites[site];
        let (name, ttl, server) = (s.name.clone(), s.ttl, net.world.resolver());
        let addrs = s.addrs.iter().map(|a| Text::from(a.to_string()));
        let answers: Vec<Text> = s.alias.iter().cloned().chain(addrs).collect();
        let local = distance(server) * lognormal(&mut self.rng, 1.0, 0.2);
        let rtt = if net.resolved[site] > at {
            local
        } else {
            net.resolved[site] = at.plus_secs(ttl);
            local + lognormal(&mut self.rng, 0.03, 0.6)
        };
        self.stumble(net, at, &name, server);
        let done = self.dns(
            net,
            at,
            server,
            (name.clone(), QType::A),
            (RCode::NoError, answers, ttl),
            Some(rtt),
        );
        // Browsers ask for more than an address.
        let more = [QType::Aaaa, QType::Https][self.rng.below(2)];
        if self.rng.chance(0.45) {
            let alias: Vec<Text> = net.world.sites[site].alias.iter().cloned().collect();
            let after = at.plus_secs(2e-4);
            self.dns(
                net,
                after,
                server,
                (name, more),
                (RCode::NoError, alias, ttl),
                Some(rtt * 1.05),
            );
        }
        remember(&mut self.names, site, at, at.plus_secs(ttl / self.haste));
        done
    }

    /// What goes wrong in everyday look-ups: search suffixes and typing errors.
    fn stumble(&mut self, net: &mut Net, at: Timestamp, name: &str, server: IpAddr) {
        let wrong: Text = match self.rng.below(1_000) {
            0..25 => format!("{name}.{}", names::CORP).into(),
            25..32 => names::typo(&mut self.rng, name).into(),
            _ => return,
        };
        let before = at.plus_secs(-self.rng.range(0.01, 1.5));
        let missing = (RCode::NxDomain, Vec::new(), 0.0);
        let rtt = self.rtt(server) + 0.012;
        self.dns(net, before, server, (wrong, QType::A), missing, Some(rtt));
    }

    /// Whether a connection to the site is still open; if not, one is until `idle` after `at`.
    pub(super) fn reuses(&mut self, at: Timestamp, site: usize, idle: f64) -> bool {
        let open = self.open.get(&site).is_some_and(|&until| until > at);
        if !open {
            remember(&mut self.open, site, at, at.plus_secs(idle / self.haste));
        }
        open
    }

    /// A TLS session over TCP; its end.
    pub(super) fn tls(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        to: (IpAddr, u16),
        tls: Tls,
    ) -> Timestamp {
        let rng = &mut self.rng;
        let hello = between(rng, 500, 680);
        let flight = if tls.resumed { between(rng, 220, 340) } else { between(rng, 2_900, 5_200) };
        let mut shape = tls.shape;
        shape.up += hello + 80;
        shape.down += flight;
        shape.turns += 2;
        let state = conn::usual_end(rng);
        let (id, end) = self.tcp(net, at, to, Some("ssl"), state, shape);
        let ssl = self.session(id, &tls);
        let hello_at = at.plus_secs(distance(to.0) * 1.2);
        net.emit(hello_at, self.campaign, Body::Ssl(Box::new(ssl)));
        end
    }

    fn session(&mut self, id: ConnId, tls: &Tls) -> Ssl {
        let (version, ciphers) = if tls.tls13 {
            ("TLSv13", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
        } else {
            (
                "TLSv12",
                [
                    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                ],
            )
        };
        // A server always picks the same; clients of one kind always offer the same.
        let server = threat::Host::Ip(id.resp).hash64();
        let client = mix64(tls.software ^ u64::from(self.linux) << 40);
        let wide = |h: u64| (u128::from(mix64(h)) << 64) | u128::from(mix64(h ^ 0x5a5a));
        Ssl {
            id,
            version,
            cipher: ciphers[(server & 1) as usize],
            curve: if server & 6 == 0 { "secp256r1" } else { "x25519" },
            server_name: tls.name.clone(),
            resumed: tls.resumed,
            established: true,
            next_protocol: (!tls.tls13 && server & 8 == 0).then_some("h2"),
            validation: (!tls.tls13 && !tls.resumed).then_some(tls.validation),
            ja3: wide(client),
            ja3s: wide(client ^ (0x53 + (server & 7))),
        }
    }

    /// HTTP requests on a connection of their own; its end.
    pub(super) fn http(
        &mut self,
        net: &mut Net,
        at: Timestamp,
        to: (IpAddr, u16),
        request: Request<'_>,
    ) -> Timestamp {
        let n = u64::from(request.repeats) + 1;
        let heads = between(&mut self.rng, 180, 520);
        let mut shape = Shape::new(
            n * (heads + request.uri.len() as u64 + request.up),
            n * (between(&mut self.rng, 190, 420) + request.down),
            0.0,
        );
        shape.turns = n;
        let (id, end) = self.tcp(net, at, to, Some("http"), ConnState::SF, shape);
        let mut sent = at.plus_secs(distance(to.0) * 1.1);
        let step = end.since(sent).max(0.0) / n as f64;
        let page = (n > 1).then(|| format!("http://{}{}", request.host, request.uri));
        let mut uri = request.uri;
        for depth in 1..=request.repeats + 1 {
            let http = Http {
                id,
                depth,
                method: if request.up > 0 { "POST" } else { "GET" },
                host: request.host.clone(),
                uri,
                referrer: page.clone().filter(|_| depth > 1),
                user_agent: request.agent,
                request_bytes: request.up,
                response_bytes: request.down,
                status: request.status,
                mime: (request.down > 0).then_some(request.mime),
            };
            net.emit(sent, self.campaign, Body::Http(Box::new(http)));
            uri = names::path(&mut self.rng);
            sent = sent.plus_secs(step);
        }
        end
    }

    /// The browser of this machine, as it names itself.
    pub(super) fn agent(&mut self) -> &'static str {
        names::browser(&mut self.rng, self.linux)
    }
}

/// An HTTP request, perhaps followed by more of its kind.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub host: &'a Text,
    pub uri: String,
    pub agent: &'static str,
    pub up: u64,
    pub down: u64,
    pub status: u16,
    pub mime: &'static str,
    /// Further requests to other paths on the same connection.
    pub repeats: u32,
}

fn remember(cache: &mut BTreeMap<usize, Timestamp>, key: usize, now: Timestamp, until: Timestamp) {
    if cache.len() >= CACHE {
        cache.retain(|_, until| *until > now);
    }
    if cache.len() >= CACHE {
        cache.clear();
    }
    cache.insert(key, until);
}
