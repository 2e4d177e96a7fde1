//! The supervision tree as data: what is declared, what is live, and how the two differ.
//!
//! A declaration reads top to bottom: every node lists its children in start order. Nothing here
//! starts an actor.

use crate::supervision::{Policy, Restart, Strategy};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a node of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Starts, watches and restarts its children.
    Supervisor(Policy),
    /// Works.
    Worker,
}

/// A declared node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Unique among its siblings; of a dynamic node the part before the bracket.
    pub name: String,
    /// Supervisor or worker.
    pub kind: Kind,
    /// Which of its exits are mended.
    pub restart: Restart,
    /// Any number of live nodes `name[..]` stand for this one.
    pub many: bool,
    /// In start order.
    pub children: Vec<Self>,
}

impl Spec {
    /// A supervisor with its children.
    pub fn supervisor(
        name: impl Into<String>,
        policy: Policy,
        children: impl IntoIterator<Item = Self>,
    ) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Supervisor(policy),
            restart: Restart::Permanent,
            many: false,
            children: children.into_iter().collect(),
        }
    }

    /// A worker.
    pub fn worker(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Worker,
            restart: Restart::Permanent,
            many: false,
            children: Vec::new(),
        }
    }

    /// With another rule for its exits.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Standing for any number of nodes `name[..]`, none included.
    #[must_use]
    pub const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    fn describes(&self, name: &str) -> bool {
        match name.strip_prefix(self.name.as_str()) {
            Some("") => !self.many,
            Some(rest) => self.many && rest.starts_with('[') && rest.ends_with(']'),
            None => false,
        }
    }
}

/// Whether a live node is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being started for the first time.
    Starting,
    /// Running.
    Up,
    /// To be started again.
    Restarting,
    /// Ended as it should.
    Finished,
    /// Down, and nobody will start it: its supervisor gave up, or is itself down.
    Down,
}

impl Status {
    /// Lower-case name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Restarting => "restarting",
            Self::Finished => "finished",
            Self::Down => "down",
        }
    }
}

/// A live node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Unique among its siblings.
    pub name: String,
    /// It supervises.
    pub supervisor: bool,
    /// Whether it is up.
    pub status: Status,
    /// Times that it was started again.
    pub restarts: u64,
    /// In start order.
    pub children: Vec<Self>,
}

/// One way in which the live tree is not the declared one. Paths are joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Declared, but not there.
    Missing(String),
    /// There, but not declared.
    Undeclared(String),
    /// A worker where a supervisor is declared, or the reverse.
    OtherKind(String),
    /// There, but not up.
    NotUp {
        /// Where.
        path: String,
        /// What it is instead.
        status: Status,
    },
    /// Its children are there, but not in the declared order.
    OtherOrder(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path} is declared and missing"),
            Self::Undeclared(path) => write!(f, "{path} is live and not declared"),
            Self::OtherKind(path) => write!(f, "{path} is of another kind than declared"),
            Self::NotUp { path, status } => write!(f, "{path} is {}", status.name()),
            Self::OtherOrder(path) => write!(f, "{path} has its children in another order"),
        }
    }
}

/// How `live` differs from `declared`; empty when it is as it should be. A temporary child, and a
/// transient one that finished, may be absent.
pub fn diff(declared: &Spec, live: &Live) -> Vec<Difference> {
    let mut out = Vec::new();
    if declared.describes(&live.name) {
        compare(declared, live, &live.name, &mut out);
    } else {
        out.push(Difference::Missing(declared.name.clone()));
        out.push(Difference::Undeclared(live.name.clone()));
    }
    out
}

fn compare(declared: &Spec, live: &Live, path: &str, out: &mut Vec<Difference>) {
    if matches!(declared.kind, Kind::Supervisor(_)) != live.supervisor {
        out.push(Difference::OtherKind(path.to_owned()));
    }
    let may_end = declared.restart != Restart::Permanent && live.status == Status::Finished;
    if live.status != Status::Up && !may_end {
        out.push(Difference::NotUp { path: path.to_owned(), status: live.status.clone() });
    }
    let mut order = Vec::new();
    for child in &live.children {
        let path = format!("{path}/{}", child.name);
        match declared.children.iter().position(|spec| spec.describes(&child.name)) {
            Some(place) => {
                order.push(place);
                compare(&declared.children[place], child, &path, out);
            }
            None => out.push(Difference::Undeclared(path)),
        }
    }
    for (place, spec) in declared.children.iter().enumerate() {
        if !spec.many && spec.restart == Restart::Permanent && !order.contains(&place) {
            out.push(Difference::Missing(format!("{path}/{}", spec.name)));
        }
    }
    if !order.is_sorted() {
        out.push(Difference::OtherOrder(path.to_owned()));
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn line(f: &mut fmt::Formatter<'_>, spec: &Spec, depth: usize) -> fmt::Result {
            let many = if spec.many { "[..]" } else { "" };
            write!(f, "{:indent$}{}{many}", "", spec.name, indent = 2 * depth)?;
            if let Kind::Supervisor(policy) = spec.kind {
                let strategy = match policy.strategy {
                    Strategy::OneForOne => "one for one",
                    Strategy::RestForOne => "rest for one",
                    Strategy::OneForAll => "one for all",
                };
                let limit = policy.intensity;
                write!(f, " ({strategy}, {} in {:?})", limit.restarts, limit.window)?;
            }
            match spec.restart {
                Restart::Permanent => {}
                Restart::Transient => f.write_str(" transient")?,
                Restart::Temporary => f.write_str(" temporary")?,
            }
            writeln!(f)?;
            spec.children.iter().try_for_each(|child| line(f, child, depth + 1))
        }
        line(f, self, 0)
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn line(f: &mut fmt::Formatter<'_>, live: &Live, depth: usize) -> fmt::Result {
            write!(f, "{:indent$}{}", "", live.name, indent = 2 * depth)?;
            write!(f, " {}", live.status.name())?;
            if live.restarts > 0 {
                write!(f, ", restarted {} times", live.restarts)?;
            }
            writeln!(f)?;
            live.children.iter().try_for_each(|child| line(f, child, depth + 1))
        }
        line(f, self, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Spec {
        Spec::supervisor(
            "node",
            Policy::new(Strategy::RestForOne),
            [
                Spec::worker("store"),
                Spec::supervisor(
                    "detection",
                    Policy::new(Strategy::OneForOne),
                    [
                        Spec::worker("shard").many(),
                        Spec::worker("tuner").restart(Restart::Transient),
                    ],
                ),
            ],
        )
    }

    fn up(name: &str, children: Vec<Live>) -> Live {
        let supervisor = !children.is_empty();
        Live { name: name.to_owned(), supervisor, status: Status::Up, restarts: 0, children }
    }

    fn live() -> Live {
        let shards = vec![up("shard[0]", vec![]), up("shard[1]", vec![])];
        up("node", vec![up("store", vec![]), up("detection", shards)])
    }

    #[test]
    fn a_tree_as_declared_does_not_differ() {
        assert_eq!(diff(&declared(), &live()), []);
    }

    #[test]
    fn every_difference_is_named() {
        let mut tree = live();
        tree.children[1].children[0].name = "shard".to_owned();
        tree.children[1].children[1].status = Status::Restarting;
        tree.children[0].supervisor = true;
        let got: Vec<String> = diff(&declared(), &tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            got,
            [
                "node/store is of another kind than declared",
                "node/detection/shard is live and not declared",
                "node/detection/shard[1] is restarting",
            ]
        );
        let mut tree = live();
        tree.children.reverse();
        assert_eq!(diff(&declared(), &tree), [Difference::OtherOrder("node".to_owned())]);
        tree.children.pop();
        assert_eq!(diff(&declared(), &tree), [Difference::Missing("node/store".to_owned())]);
    }

    #[test]
    fn a_finished_child_is_a_difference_only_when_permanent() {
        let mut tree = live();
        let mut tuner = up("tuner", vec![]);
        tuner.status = Status::Finished;
        tree.children[1].children.push(tuner);
        assert_eq!(diff(&declared(), &tree), []);
        tree.children[0].status = Status::Finished;
        assert_eq!(diff(&declared(), &tree).len(), 1);
    }

    #[test]
    fn a_declaration_prints_as_an_indented_tree() {
        assert_eq!(
            declared().to_string(),
            "node (rest for one, 5 in 10s)\n  store\n  detection (one for one, 5 in 10s)\n    \
             shard[..]\n    tuner transient\n"
        );
    }
}
