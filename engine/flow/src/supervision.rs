//! What a supervisor does when a child of it exits: restart it (and which siblings with it, after
//! what pause), leave it down, or give up and let its own supervisor decide.
//!
//! The strategies and the meaning of intensity follow the Erlang/OTP design principles
//! ("Supervisor Behaviour"); the pause before a restart, growing and with jitter, is an addition.
//! Starting and stopping actors is not here: see `actors::supervise`.

mod policy;

pub use policy::{Backoff, Intensity, Policy, Restart, Strategy};

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use threat::entropy::Rng;
use threat::mutants::{Mutant, is_live};

/// Failures that a supervisor keeps to show: enough to see a pattern, few enough for one screen.
pub const FAILURES_KEPT: usize = 16;

/// Characters of a failure's text that are kept: a panic message may hold a whole record.
pub const REASON_CHARS: usize = 400;

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It stopped or was drained.
    Normal,
    /// A handler returned an error or panicked.
    Failed(String),
    /// It was killed.
    Killed,
    /// Its task was aborted.
    Cancelled,
    /// It did not come up.
    StartupFailed(String),
}

impl Exit {
    /// The same with a text of at most [`REASON_CHARS`].
    fn shortened(self) -> Self {
        let cut = |s: String| match s.char_indices().nth(REASON_CHARS) {
            Some((at, _)) => format!("{}…", &s[..at]),
            None => s,
        };
        match self {
            Self::Failed(s) => Self::Failed(cut(s)),
            Self::StartupFailed(s) => Self::StartupFailed(cut(s)),
            other => other,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("stopped"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Killed => f.write_str("killed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::StartupFailed(why) => write!(f, "did not start: {why}"),
        }
    }
}

/// What a supervisor hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The child at this place is up.
    ChildStarted(usize),
    /// The child at this place ended, and not because the supervisor stopped it.
    ChildExited {
        /// Its place.
        child: usize,
        /// How.
        reason: Exit,
    },
}

/// What a supervisor is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop these, one after the other.
    Stop {
        /// Places, last declared first.
        children: Vec<usize>,
    },
    /// Start these, one after the other, once the pause is over. Replaces an earlier restart of
    /// the same children.
    Restart {
        /// Places, in declared order.
        children: Vec<usize>,
        /// The pause.
        after: Duration,
    },
    /// Stop everything and fail with this reason.
    Escalate {
        /// Why, for a person.
        reason: String,
    },
}

/// A kept failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, since the node's start.
    pub at: Duration,
    /// Which child.
    pub child: String,
    /// How it ended.
    pub reason: Exit,
}

/// Where a child stands in the eyes of its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Up since then.
    Up(Duration),
    /// To be started then, or being started.
    Pending(Duration),
    /// Done, and left so.
    Down,
}

#[derive(Clone, Debug)]
struct Child {
    name: String,
    restart: Restart,
    standing: Standing,
    exits_in_a_row: u32,
    exits: u64,
}

/// A supervisor's decisions. Give it every start and every exit that it did not ask for.
#[derive(Clone, Debug)]
pub struct Supervision {
    policy: Policy,
    children: Vec<Child>,
    restarts: VecDeque<Duration>,
    failures: VecDeque<Failure>,
    escalated: bool,
    rng: Rng,
}

impl Supervision {
    /// A supervisor of these children, all of which are about to be started. `seed` feeds the
    /// jitter.
    pub fn new(
        policy: Policy,
        children: impl IntoIterator<Item = (String, Restart)>,
        seed: u64,
    ) -> Self {
        let child = |(name, restart)| Child {
            name,
            restart,
            standing: Standing::Pending(Duration::ZERO),
            exits_in_a_row: 0,
            exits: 0,
        };
        Self {
            policy,
            children: children.into_iter().map(child).collect(),
            restarts: VecDeque::new(),
            failures: VecDeque::new(),
            escalated: false,
            rng: Rng::new(seed),
        }
    }

    /// Puts a child that is about to be started at a place: at the end, or where a child is down
    /// for good, which is forgotten. A place further on is ignored.
    pub fn put(&mut self, now: Duration, place: usize, name: String, restart: Restart) {
        let standing = Standing::Pending(now);
        let child = Child { name, restart, standing, exits_in_a_row: 0, exits: 0 };
        if let Some(old) = self.children.get_mut(place) {
            *old = child;
        } else if place == self.children.len() {
            self.children.push(child);
        }
    }

    /// Takes note that a child was stopped for good.
    pub fn retire(&mut self, child: usize) {
        if let Some(c) = self.children.get_mut(child) {
            c.standing = Standing::Down;
        }
    }

    /// Hears `input`; appends what to do to `out`. Says nothing more once it has escalated.
    pub fn step(&mut self, now: Duration, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::ChildStarted(child) => {
                if let Some(c) = self.children.get_mut(child) {
                    c.standing = Standing::Up(now);
                }
            }
            Input::ChildExited { child, reason } if child < self.children.len() => {
                self.exited(now, child, reason.shortened(), out);
            }
            Input::ChildExited { .. } => {}
        }
    }

    fn exited(&mut self, now: Duration, child: usize, reason: Exit, out: &mut Vec<Action>) {
        let c = &mut self.children[child];
        if self.escalated || c.standing == Standing::Down {
            return;
        }
        let healthy = matches!(c.standing, Standing::Up(since)
            if now.saturating_sub(since) >= self.policy.backoff.healthy);
        c.exits_in_a_row = if healthy { 1 } else { c.exits_in_a_row.saturating_add(1) };
        c.exits += 1;
        c.standing = Standing::Down;
        let mend = match c.restart {
            Restart::Permanent => true,
            Restart::Transient => reason != Exit::Normal,
            Restart::Temporary => false,
        };
        let (name, exits_in_a_row) = (c.name.clone(), c.exits_in_a_row);
        if reason != Exit::Normal {
            if self.failures.len() == FAILURES_KEPT {
                self.failures.pop_front();
            }
            self.failures.push_back(Failure {
                at: now,
                child: name.clone(),
                reason: reason.clone(),
            });
        }
        if !mend || (is_live(Mutant::SecondCrashForgotten) && self.children[child].exits == 2) {
            return;
        }
        if self.too_many(now) {
            self.escalated = true;
            let Intensity { restarts, window } = self.policy.intensity;
            out.push(Action::Escalate {
                reason: format!(
                    "more than {restarts} restarts in {window:?}; the last was of `{name}`, \
                     which {reason}"
                ),
            });
            return;
        }
        let after = self.policy.backoff.pause(exits_in_a_row, &mut self.rng);
        self.restart(now, child, after, out);
    }

    /// Counts a restart; true when that is one too many within the window.
    fn too_many(&mut self, now: Duration) -> bool {
        let Intensity { restarts, window } = self.policy.intensity;
        while self.restarts.front().is_some_and(|&at| now.saturating_sub(at) > window) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        self.restarts.len() > restarts as usize
    }

    fn restart(&mut self, now: Duration, child: usize, after: Duration, out: &mut Vec<Action>) {
        let with = match self.policy.strategy {
            Strategy::OneForOne => child..child + 1,
            Strategy::RestForOne => child..self.children.len(),
            Strategy::OneForAll => 0..self.children.len(),
        };
        let mut due = now + after;
        let (mut stop, mut start) = (Vec::new(), Vec::new());
        for place in with {
            let c = &mut self.children[place];
            match c.standing {
                Standing::Up(_) => stop.push(place),
                Standing::Pending(at) => due = due.max(at),
                Standing::Down if place != child => continue,
                Standing::Down => {}
            }
            if place == child || c.restart != Restart::Temporary {
                start.push(place);
            } else {
                c.standing = Standing::Down;
            }
        }
        for &place in &start {
            self.children[place].standing = Standing::Pending(due);
        }
        if !stop.is_empty() {
            stop.reverse();
            out.push(Action::Stop { children: stop });
        }
        out.push(Action::Restart { children: start, after: due.saturating_sub(now) });
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where a child stands.
    pub fn standing(&self, child: usize) -> Option<Standing> {
        self.children.get(child).map(|c| c.standing)
    }

    /// How often a child exited unasked.
    pub fn exits(&self, child: usize) -> u64 {
        self.children.get(child).map_or(0, |c| c.exits)
    }

    /// Restarts within the window that ends now.
    pub fn recent_restarts(&self, now: Duration) -> usize {
        let window = self.policy.intensity.window;
        self.restarts.iter().filter(|&&at| now.saturating_sub(at) <= window).count()
    }

    /// The last failures, oldest first.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = &Failure> {
        self.failures.iter()
    }

    /// It has given up.
    pub const fn escalated(&self) -> bool {
        self.escalated
    }
}
