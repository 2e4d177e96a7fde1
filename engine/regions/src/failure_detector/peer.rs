//! One peer as the observer sees it, in the observer's own time.

use super::window::Window;
use super::{CALM, DEAD_OWES, DOUBLINGS, PeerView, SETTLE, SUSPECT_OWES, Settings, State};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) state: State,
    window: Window,
    /// From when on silence counts: its last heartbeat, or later when it was excused.
    silent_from: Duration,
    /// Whether that was a heartbeat, so that the next one ends an interval.
    beating: bool,
    /// Heartbeats in a row since it fell.
    steady: u32,
    /// When the last one of them came.
    counted: Duration,
    /// Falls from alive that are not forgotten.
    falls: u32,
    /// When it last came back.
    back: Duration,
}

impl Peer {
    pub(super) fn new(awake: Duration) -> Self {
        Self {
            state: State::Alive,
            window: Window::default(),
            silent_from: awake + SETTLE,
            beating: false,
            steady: 0,
            counted: awake,
            falls: 0,
            back: awake,
        }
    }

    pub(super) fn phi(&self, awake: Duration, settings: &Settings) -> f64 {
        self.window.phi(awake.saturating_sub(self.silent_from), settings)
    }

    /// Whether it is silent for no longer than a peer may be that beats as it should: its phi is
    /// at most log10 2 then, whatever its past, and need not be worked out.
    pub(super) fn is_in_time(&self, awake: Duration, settings: &Settings) -> bool {
        let silence = awake.saturating_sub(self.silent_from);
        settings.suspect >= 1.0
            && silence <= settings.pause + settings.period
            && silence < settings.silence
    }

    pub(super) fn heartbeat(&mut self, awake: Duration, settings: &Settings) {
        let late =
            !self.is_in_time(awake, settings) && self.phi(awake, settings) >= settings.suspect;
        // A silence that was suspected is not what is usual: learnt, it would hide the next one.
        if self.beating && !late {
            self.window.push(awake.saturating_sub(self.silent_from));
        }
        (self.silent_from, self.beating) = (awake, true);
        if self.state == State::Alive {
            return;
        }
        // Heartbeats that waited somewhere and come all at once prove one moment, not many.
        if late {
            self.steady = 1;
        } else if awake.saturating_sub(self.counted) >= settings.period / 2 {
            self.steady += 1;
        } else {
            return;
        }
        self.counted = awake;
        if self.steady >= self.owed() {
            (self.state, self.back) = (State::Alive, awake);
        }
    }

    pub(super) fn tick(&mut self, awake: Duration, phi: f64, settings: &Settings) {
        if phi < settings.suspect {
            return;
        }
        self.steady = 0;
        if self.state == State::Alive {
            if awake.saturating_sub(self.back) > CALM {
                self.falls = 0;
            }
            self.falls += 1;
        }
        let now = if phi < settings.dead { State::Suspect } else { State::Dead };
        self.state = self.state.max(now);
    }

    /// The observer was stopped: what it did not hear says nothing.
    pub(super) fn excuse(&mut self, awake: Duration) {
        (self.silent_from, self.beating) = (awake + SETTLE, false);
    }

    pub(super) fn view(&self, awake: Duration, settings: &Settings) -> PeerView {
        let alive = self.state == State::Alive;
        PeerView {
            state: self.state,
            phi: self.phi(awake, settings),
            mean: Duration::from_secs_f64(self.window.mean(settings)),
            deviation: Duration::from_secs_f64(self.window.deviation(settings)),
            falls: self.falls,
            owes: if alive { 0 } else { self.owed().saturating_sub(self.steady) },
        }
    }

    /// How many heartbeats in a row bring it back.
    fn owed(&self) -> u32 {
        let base = if self.state == State::Dead { DEAD_OWES } else { SUSPECT_OWES };
        base << self.falls.saturating_sub(1).min(DOUBLINGS)
    }
}
