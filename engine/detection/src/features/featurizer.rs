//! The per-shard state and the step that turns a shard's rows of a batch into blocks.

mod carried;

use super::rows::{self, Row};
use super::source_state::{Compact, Pair, Source, TEN_MINUTES};
use super::state::{Agents, PortsOnHost, Repeats, Subdomains};
use super::surroundings::Around;
use super::table::StateTable;
use super::{schemas, source_windows, tokens};
use crate::block::{Block, History, Token};
use crate::bundle::Bundle;
use crate::rules::window_fields::{WindowField as W, WindowValues};
use crate::schema::Schema;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::entity::hash_bytes;
use threat::entropy::mix64;
use threat::event::{Dns, Flow, Http};
use threat::limits::{ENTITIES_COMPACT, ENTITIES_HOT};
use threat::{Body, EntityId, Event, EventBatch, EventClass};

/// Pairs remembered for each hot entity: a workstation has a few dozen peers and ports in use.
const PAIRS_PER_HOT: usize = 4;

/// How much one shard remembers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entities with full windows.
    pub hot: usize,
    /// Entities with compact state.
    pub compact: usize,
}

impl Limits {
    /// The node's limits, divided among its shards.
    pub fn per_shard(shards: usize) -> Self {
        let shards = shards.max(1);
        Self { hot: ENTITIES_HOT.div_ceil(shards), compact: ENTITIES_COMPACT.div_ceil(shards) }
    }
}

/// A shard's rows of one batch, with everything that detectors, rules and the ensemble look at.
#[derive(Debug)]
pub struct FeatureBatch {
    /// The events.
    pub batch: Arc<EventBatch>,
    /// The events of this shard, by their place in the batch.
    pub rows: Vec<u32>,
    /// Window fields of each row.
    pub windows: Vec<WindowValues>,
    /// How often the row's source did this very kind of thing before (same peer service and state).
    pub repeats: Vec<u32>,
    /// Rows by class: the block, and for each of its rows its place in `rows`.
    pub blocks: Vec<(EventClass, Block, Vec<u32>)>,
    /// The models that score this batch; all voters of a verdict use this one.
    pub bundle: Option<Arc<Bundle>>,
}

#[derive(Default)]
struct Columns {
    numeric: Vec<f32>,
    categories: Vec<u64>,
    entity: Vec<EntityId>,
    token: Vec<Token>,
    history: Vec<History>,
    time: Vec<threat::Timestamp>,
    places: Vec<u32>,
}

/// A shard's entity state.
pub struct Featurizer {
    schemas: BTreeMap<EventClass, Arc<Schema>>,
    hot: StateTable<Source>,
    compact: StateTable<Compact>,
    pairs: StateTable<Pair>,
    ports_on_host: StateTable<PortsOnHost>,
    subdomains: StateTable<Subdomains>,
    agents: StateTable<Agents>,
    repeats: StateTable<Repeats>,
    row: Row,
}

impl Featurizer {
    /// Empty state within `limits`.
    pub fn new(limits: Limits) -> Self {
        let pairs = limits.hot * PAIRS_PER_HOT;
        Self {
            schemas: schemas::all(),
            hot: StateTable::new(limits.hot),
            compact: StateTable::new(limits.compact),
            pairs: StateTable::new(pairs),
            ports_on_host: StateTable::new(limits.hot),
            subdomains: StateTable::new(limits.hot),
            agents: StateTable::new(limits.hot),
            repeats: StateTable::new(pairs),
            row: Row::default(),
        }
    }

    /// Entities with (full, compact) state.
    pub fn entities(&self) -> (usize, usize) {
        (self.hot.len(), self.compact.len())
    }

    /// Moves the state by the given rows of a batch, in order, and describes them. `around` has one
    /// entry for each event of the batch.
    pub fn extract(
        &mut self,
        batch: &Arc<EventBatch>,
        rows: Vec<u32>,
        around: &[Around],
        bundle: Option<Arc<Bundle>>,
    ) -> FeatureBatch {
        let mut columns: BTreeMap<EventClass, Columns> = BTreeMap::new();
        let mut windows = Vec::with_capacity(rows.len());
        let mut repeats = Vec::with_capacity(rows.len());
        for (place, &at) in rows.iter().enumerate() {
            let event = &batch.events[at as usize];
            let near = &around[at as usize];
            let entity = event.entity().id();
            let (window, history, repeat, token) = self.remember(event, entity, near);
            rows::fill(event, event.raw.len as usize, &window, &mut self.row);
            let c = columns.entry(event.class()).or_default();
            c.numeric.extend_from_slice(&self.row.numeric);
            c.categories.extend_from_slice(&self.row.categories);
            c.entity.push(entity);
            c.token.push(token);
            c.history.push(history);
            c.time.push(event.time);
            c.places.push(place as u32);
            windows.push(window);
            repeats.push(repeat);
        }
        let blocks =
            columns.into_iter().map(|(class, c)| self.block(class, c, bundle.as_deref())).collect();
        FeatureBatch { batch: Arc::clone(batch), rows, windows, repeats, blocks, bundle }
    }

    fn block(
        &self,
        class: EventClass,
        c: Columns,
        bundle: Option<&Bundle>,
    ) -> (EventClass, Block, Vec<u32>) {
        let schema = Arc::clone(&self.schemas[&class]);
        let n = c.entity.len();
        let shaped = |width: usize| (n, width);
        // The lengths are n x width by construction of `fill`, checked by its test for every class.
        let raw = Array2::from_shape_vec(shaped(schema.numeric.len()), c.numeric)
            .unwrap_or_else(|_| Array2::zeros(shaped(schema.numeric.len())));
        let categories = Array2::from_shape_vec(shaped(schema.categories.len()), c.categories)
            .unwrap_or_else(|_| Array2::zeros(shaped(schema.categories.len())));
        let encoded = bundle.and_then(|b| b.classes.get(&class)).map_or_else(
            || Array2::zeros((n, 0)),
            |m| m.encoder.encode(raw.view(), categories.view()),
        );
        let block = Block {
            schema,
            raw,
            categories,
            encoded,
            entity: c.entity,
            token: c.token,
            history: c.history,
            time: c.time,
        };
        (class, block, c.places)
    }

    /// Updates all state by one event; returns its window, the entity's tokens before it, how often
    /// the same kind of thing was seen before, and its token.
    fn remember(
        &mut self,
        event: &Event,
        entity: EntityId,
        near: &Around,
    ) -> (WindowValues, History, u32, Token) {
        let mut w = near.window;
        let compact = &mut self.compact;
        let mut evicted = None;
        let source = self.hot.entry_by(
            entity.0,
            entity.0,
            || Source {
                compact: compact.get(entity.0).copied().unwrap_or_default(),
                ..Source::default()
            },
            |old, _| evicted = Some(old),
        );
        if let Some(old) = evicted {
            // What changed of it and was not taken yet has only its compact part left.
            compact.mark(old, old);
        }
        if source.compact.events == 0 {
            source.compact.first_seen = event.time;
            source.compact.last_seen = event.time;
        }
        let moves = !near.late;
        let c = &mut source.compact;
        c.events = c.events.saturating_add(1);
        c.first_seen = c.first_seen.min(event.time);
        c.last_seen = c.last_seen.max(event.time);
        w.set(W::SrcAge, event.time.since(c.first_seen).max(0.0) as f32);
        let port = event.dst.as_ref().and_then(|d| d.port);
        let token = token_of(event, port);
        let history = match token_class(&event.body) {
            None => History::default(),
            Some(class) => {
                let before = source.histories[class];
                source.histories[class].push(token);
                before
            }
        };
        match &event.body {
            Body::Flow(flow) => {
                source_windows::flow(source, event, flow, moves, &mut w);
                self.peers(event, flow, entity, moves, &mut w);
            }
            Body::Dns(dns) => {
                source_windows::dns(source, event, dns, moves, &mut w);
                self.names(event, dns, entity, moves, &mut w);
            }
            Body::Http(http) => self.requests(event, http, entity, moves, &mut w),
            Body::Tls(_) | Body::Authentication(_) => self.pair(event, entity, 0.0, moves, &mut w),
            _ => {}
        }
        let kind =
            mix64(entity.0 ^ mix64(u64::from(token) | u64::from(rows::port_kind(port)) << 16))
                ^ event.class() as u64;
        let repeat = self.repeats.touch_by(kind, entity.0);
        let seen = repeat.0;
        repeat.0 = seen.saturating_add(1);
        *self.compact.touch(entity.0) =
            self.hot.get(entity.0).map_or_else(Compact::default, |s| s.compact);
        (w, history, seen, token)
    }

    fn pair(
        &mut self,
        event: &Event,
        entity: EntityId,
        bytes: f32,
        moves: bool,
        w: &mut WindowValues,
    ) {
        let Some(dst) = &event.dst else { return };
        let class = event.class() as u64;
        let key = mix64(entity.0 ^ dst.host.hash64().rotate_left(17))
            ^ mix64(u64::from(dst.port.unwrap_or(0)) << 8 | class);
        let pair = self.pairs.touch_by(key, entity.0);
        if moves {
            pair.add(event.time, bytes);
        }
        w.set(W::PairCount, pair.count as f32);
        w.set(W::PairInterval, pair.gaps.mean());
        w.set(W::PairIntervalCv, pair.gaps.variation());
        w.set(W::PairBytesCv, pair.bytes.variation());
        w.set(W::PairRegularity, pair.regularity);
        w.set(W::PairAge, event.time.since(pair.first).max(0.0) as f32);
    }

    fn peers(
        &mut self,
        event: &Event,
        flow: &Flow,
        entity: EntityId,
        moves: bool,
        w: &mut WindowValues,
    ) {
        let bytes = flow.orig_bytes.unwrap_or(0) as f32 + flow.resp_bytes.unwrap_or(0) as f32;
        self.pair(event, entity, bytes, moves, w);
        let Some(dst) = &event.dst else { return };
        let key = mix64(entity.0 ^ dst.host.hash64().rotate_left(29));
        let ports = &mut self.ports_on_host.touch_by(key, entity.0).0;
        if moves && let Some(port) = dst.port {
            ports.turn(event.time, TEN_MINUTES);
            ports.now.add(u64::from(port));
        }
        w.set(W::SrcPortsOnHost10m, ports.estimate());
        let out = flow.orig_bytes.unwrap_or(0) as f32;
        w.set(W::UploadRatio, out / (flow.resp_bytes.unwrap_or(0) as f32 + 1.0));
    }

    fn names(
        &mut self,
        event: &Event,
        dns: &Dns,
        entity: EntityId,
        moves: bool,
        w: &mut WindowValues,
    ) {
        let Some(query) = &dns.query else { return };
        let domain = rows::registered_domain(query);
        let key = mix64(entity.0 ^ hash_bytes(domain.as_bytes()));
        let names = &mut self.subdomains.touch_by(key, entity.0).0;
        if moves {
            names.turn(event.time, TEN_MINUTES);
            names.now.add(hash_bytes(query.as_bytes()));
        }
        w.set(W::DnsSubdomains10m, names.estimate());
        let longest = query.split('.').max_by_key(|l| l.len()).unwrap_or_default();
        w.set(W::DnsQueryEntropy, rows::entropy(longest));
        w.set(W::DnsQueryLength, query.len() as f32);
    }

    fn requests(
        &mut self,
        event: &Event,
        http: &Http,
        entity: EntityId,
        moves: bool,
        w: &mut WindowValues,
    ) {
        let bytes =
            http.request_bytes.unwrap_or(0) as f32 + http.response_bytes.unwrap_or(0) as f32;
        self.pair(event, entity, bytes, moves, w);
        let (Some(agent), Some(host)) = (&http.user_agent, &http.host) else { return };
        let key = mix64(entity.0 ^ hash_bytes(agent.as_bytes()));
        let hosts = &mut self.agents.touch_by(key, entity.0).0;
        if moves {
            hosts.turn(event.time, TEN_MINUTES);
            hosts.now.add(hash_bytes(host.as_bytes()));
        }
        w.set(W::HttpHostsUa10m, hosts.estimate());
    }
}

/// Place of a class's history in [`Source::histories`].
const fn token_class(body: &Body) -> Option<usize> {
    Some(match body {
        Body::Flow(_) => 0,
        Body::Dns(_) => 1,
        Body::Http(_) => 2,
        Body::Tls(_) => 3,
        Body::Authentication(_) => 4,
        _ => return None,
    })
}

fn token_of(event: &Event, port: Option<u16>) -> Token {
    match &event.body {
        Body::Flow(f) => tokens::flow(f, port),
        Body::Dns(d) => tokens::dns(d),
        Body::Http(h) => tokens::http(h),
        Body::Tls(t) => tokens::tls(t, port),
        Body::Authentication(a) => tokens::authentication(a),
        _ => 0,
    }
}
