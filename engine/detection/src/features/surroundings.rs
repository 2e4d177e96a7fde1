//! What one shard cannot see alone: who reaches for a destination, what an account does from many
//! sources. Kept once per node, updated before events are dealt out to shards, so that its values
//! do not depend on the number of shards.
//!
//! Also decides which events are late: those move no window anywhere.

mod carried;

use super::account::{Account, Novelty};
use super::sketch::{Distinct, Halves};
use super::source_state::{HOUR, TEN_MINUTES};
use super::state::group;
use super::table::StateTable;
use crate::rules::window_fields::{WindowField as W, WindowValues};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::entity::hash_bytes;
use threat::entropy::mix64;
use threat::event::{Authentication, Outcome};
use threat::limits::LATE_SECONDS;
use threat::{Body, Event, EventBatch, SourceId, Timestamp};

/// Destinations, accounts and sources of logons remembered: what a large site has in an hour; at
/// about 250 bytes each, 50 MB together.
const REMEMBERED: usize = 65_536;

/// After so many late events in a row the source's clock was set back, or another capture began.
const LATE_IN_A_ROW: u32 = 64;

/// Seconds within which failures from one source are one attempt: sshd and PAM both log it, and a
/// network sensor sees it too. Faster guessing counts once a second, still far over any threshold.
const ONE_ATTEMPT: f64 = 1.0;

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Destination {
    sources: Halves<Distinct<4>>,
    failed: Halves<Distinct<4>>,
    failed_logons: Halves<Distinct<4>>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct LogonSource {
    failures: Halves<u32>,
    failures_long: Halves<u32>,
    last_failure: Timestamp,
    users: Halves<Distinct<2>>,
}

#[derive(Clone, Copy, Default)]
struct Watermark {
    newest: Timestamp,
    late_run: u32,
}

/// An event's part of the surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Around {
    /// Moves no window: over a minute older than the newest event of its source.
    pub late: bool,
    /// `dst.*` and `auth.*` fields; the others are 0.
    pub window: WindowValues,
}

/// The node-wide state.
pub struct Surroundings {
    destinations: StateTable<Destination>,
    accounts: StateTable<Account>,
    /// How often accounts do what they never did.
    novelty: Novelty,
    /// Groups of the entities that changed it since it was taken last.
    novelty_groups: u64,
    logon_sources: StateTable<LogonSource>,
    watermarks: BTreeMap<SourceId, Watermark>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            destinations: StateTable::new(REMEMBERED),
            accounts: StateTable::new(REMEMBERED),
            novelty: Novelty::default(),
            novelty_groups: 0,
            logon_sources: StateTable::new(REMEMBERED),
            watermarks: BTreeMap::new(),
        }
    }
}

impl Surroundings {
    /// Looks at a batch in event order; one answer an event.
    pub fn observe(&mut self, batch: &EventBatch) -> Vec<Around> {
        batch.events.iter().map(|event| self.event(batch.source, event)).collect()
    }

    fn event(&mut self, source: SourceId, event: &Event) -> Around {
        let late = self.is_late(source, event.time);
        let mut window = WindowValues::default();
        let by = group(event.entity().id());
        self.destination(event, by, late, &mut window);
        if let Body::Authentication(auth) = &event.body {
            self.account(event, auth, by, late, &mut window);
            self.logon_source(event, auth, by, late, &mut window);
        }
        Around { late, window }
    }

    fn is_late(&mut self, source: SourceId, time: Timestamp) -> bool {
        let mark = self.watermarks.entry(source).or_default();
        if mark.newest.since(time) > LATE_SECONDS && mark.late_run < LATE_IN_A_ROW {
            mark.late_run += 1;
            return true;
        }
        mark.newest = if mark.late_run < LATE_IN_A_ROW { mark.newest.max(time) } else { time };
        mark.late_run = 0;
        false
    }

    fn destination(&mut self, event: &Event, by: u64, late: bool, window: &mut WindowValues) {
        let (Some(dst), Some(src)) = (&event.dst, &event.src) else { return };
        let state = self.destinations.touch_by(dst.host.hash64(), by);
        if !late {
            let source = src.host.hash64();
            state.sources.turn(event.time, TEN_MINUTES);
            state.sources.now.add(source);
            state.failed.turn(event.time, TEN_MINUTES);
            state.failed_logons.turn(event.time, TEN_MINUTES);
            match &event.body {
                Body::Flow(flow) if flow.state.failed() => {
                    state.failed.now.add(source);
                }
                Body::Authentication(auth) if auth.outcome == Outcome::Failure => {
                    state.failed_logons.now.add(source);
                }
                _ => {}
            }
        }
        window.set(W::DstSources10m, state.sources.estimate());
        window.set(W::DstFailedSources10m, state.failed.estimate());
        window.set(W::AuthFailedSourcesDst10m, state.failed_logons.estimate());
    }

    fn account(
        &mut self,
        event: &Event,
        auth: &Authentication,
        by: u64,
        late: bool,
        window: &mut WindowValues,
    ) {
        let Some(user) = &event.user else { return };
        let state = self.accounts.touch_by(hash_bytes(user.as_bytes()), by);
        state.observe(event, auth, late, &mut self.novelty, window);
        self.novelty_groups |= by;
    }

    fn logon_source(
        &mut self,
        event: &Event,
        auth: &Authentication,
        by: u64,
        late: bool,
        window: &mut WindowValues,
    ) {
        let Some(src) = &event.src else { return };
        let state = self.logon_sources.touch_by(mix64(src.host.hash64()), by);
        if !late {
            state.failures.turn(event.time, TEN_MINUTES);
            state.failures_long.turn(event.time, HOUR);
            state.users.turn(event.time, TEN_MINUTES);
            let again = event.time.since(state.last_failure).abs() < ONE_ATTEMPT;
            if auth.outcome == Outcome::Failure && !(again && auth.attempts <= 1) {
                state.last_failure = event.time;
                for failures in [&mut state.failures, &mut state.failures_long] {
                    failures.now = failures.now.saturating_add(auth.attempts.max(1));
                }
            }
            if let Some(user) = &event.user {
                state.users.now.add(hash_bytes(user.as_bytes()));
            }
        }
        window.set(W::AuthFailuresSrc10m, state.failures.total());
        window.set(W::AuthFailuresSrc1h, state.failures_long.total());
        window.set(W::AuthUsersSrc10m, state.users.estimate());
        if auth.outcome == Outcome::Success {
            // On a machine that many use, the failures of others are not this account's.
            let own = window.get(W::AuthFailuresUser10m);
            let source = state.failures.total();
            let counted = if event.user.is_some() { source.min(own) } else { source };
            window.set(W::AuthSuccessesAfterFailures, counted);
        }
    }
}
