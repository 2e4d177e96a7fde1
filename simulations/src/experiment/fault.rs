//! The catalogue of faults. A new one is a variant of [`Kind`], its options as fields of
//! [`FaultOptions`], and what it does in each world that can do it.

use super::target::Target;
use super::topology::Topology;
use super::units::Span;
use super::{Error, Family};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing passes between sides.
    Partition,
    /// Links go down and up again, over and over.
    Flap,
    /// Messages take longer.
    Delay,
    /// Messages get lost.
    Loss,
    /// Messages arrive twice.
    Duplicate,
    /// Messages are held back and arrive all at once when it ends.
    Clog,
    /// Processes end without notice; what they wrote stays.
    Kill,
    /// Processes stop and go on.
    Pause,
    /// Machines lose power: what was not made durable is gone.
    PowerCut,
    /// The disk takes longer.
    DiskSlow,
    /// The disk fails when data is to be made durable; the node must end.
    DiskError,
    /// The disk is gone for good; the node comes back as a new one.
    DiskLost,
    /// The wall clock jumps.
    ClockStep,
    /// The clocks run fast or slow.
    ClockDrift,
    /// Actors fail.
    ActorKill,
    /// Actors stop answering.
    ActorHang,
    /// Clients send more.
    Burst,
    /// A region is to be emptied, as for maintenance, and is open again when it ends.
    Drain,
    /// Strangers knock at nodes' doors: without a certificate, with one of another authority or
    /// another cluster, with one that has expired.
    Strangers,
    /// Nodes show new certificates.
    NewCertificates,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 20] = [
        Self::Partition,
        Self::Flap,
        Self::Delay,
        Self::Loss,
        Self::Duplicate,
        Self::Clog,
        Self::Kill,
        Self::Pause,
        Self::PowerCut,
        Self::DiskSlow,
        Self::DiskError,
        Self::DiskLost,
        Self::ClockStep,
        Self::ClockDrift,
        Self::ActorKill,
        Self::ActorHang,
        Self::Burst,
        Self::Drain,
        Self::Strangers,
        Self::NewCertificates,
    ];

    /// Its family.
    pub const fn family(self) -> Family {
        match self {
            Self::Partition
            | Self::Flap
            | Self::Delay
            | Self::Loss
            | Self::Duplicate
            | Self::Clog => Family::Net,
            Self::Kill | Self::Pause => Family::Process,
            Self::PowerCut | Self::DiskSlow | Self::DiskError | Self::DiskLost => Family::Storage,
            Self::ClockStep | Self::ClockDrift => Family::Clock,
            Self::ActorKill | Self::ActorHang => Family::Actor,
            Self::Burst => Family::Load,
            Self::Drain => Family::Membership,
            Self::Strangers | Self::NewCertificates => Family::Access,
        }
    }

    /// Whether it ends by itself at once, so that it has no `for`.
    pub const fn is_instant(self) -> bool {
        matches!(
            self,
            Self::Kill
                | Self::PowerCut
                | Self::DiskError
                | Self::DiskLost
                | Self::ClockStep
                | Self::ActorKill
                | Self::NewCertificates
        )
    }

    /// Its name in files.
    pub fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// Which way is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// From the first side to the others.
    Out,
    /// From the others to the first side.
    In,
}

impl Direction {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    const fn is_both(&self) -> bool {
        matches!(self, Self::Both)
    }
}

/// Sides that follow from who is what when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The target against all others.
    Isolate,
    /// Two halves, drawn by seed.
    Halves,
    /// Less than half of the voters against the others, drawn by seed.
    MajorityMinority,
    /// Two halves that reach each other through one node alone.
    Bridge,
    /// Every node reaches only its neighbours on a ring.
    Ring,
}

/// An event that a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// A node began to lead consensus.
    Leader,
    /// A node gave its vote.
    Vote,
    /// A node began to act for a workload.
    Owner,
    /// A node installed a snapshot.
    Snapshot,
}

/// A fault as a file says it. What is drawn at random is drawn by seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOptions {
    /// Names it, for reports and for `after`.
    pub id: Option<String>,
    /// What.
    pub kind: Kind,
    /// When, from the start of the run.
    pub at: Option<Span>,
    /// Or when the fault of this id has begun.
    pub after: Option<String>,
    /// So long after that.
    pub plus: Option<Span>,
    /// Or whenever this happens, with `target = "subject"`.
    pub on: Option<Moment>,
    /// How many times, with `on`.
    #[serde(default)]
    pub times: Option<u32>,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: Option<Span>,
    /// Whom.
    pub target: Option<Target>,
    /// Of a partition: regions or nodes, joined by `+`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<String>,
    /// Of a partition: sides by who is what.
    pub shape: Option<Shape>,
    /// Of a partition: which way.
    #[serde(default, skip_serializing_if = "Direction::is_both")]
    pub direction: Direction,
    /// Of what ends a process: when it starts again; never without it.
    pub restart: Option<Span>,
    /// Share of messages or actors that are hit.
    pub percent: Option<f64>,
    /// Time that is added: to a message, to a disk's answer.
    pub delay: Option<Span>,
    /// How far a clock jumps: `-30s`, `2m`.
    pub by: Option<String>,
    /// How fast a clock runs beside the true one, in parts of a million more or less.
    pub ppm: Option<f64>,
    /// How many times more clients send.
    pub factor: Option<f64>,
    /// Of a flapping link: time of one turn.
    pub period: Option<Span>,
}

impl FaultOptions {
    /// A fault of a kind, with nothing said about it yet.
    pub const fn new(kind: Kind) -> Self {
        Self {
            id: None,
            kind,
            at: None,
            after: None,
            plus: None,
            on: None,
            times: None,
            lasts: None,
            target: None,
            sides: Vec::new(),
            shape: None,
            direction: Direction::Both,
            restart: None,
            percent: None,
            delay: None,
            by: None,
            ppm: None,
            factor: None,
            period: None,
        }
    }

    /// `known` are the ids before it.
    pub(super) fn check(
        &self,
        field: &str,
        topology: &Topology,
        known: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::of(field, what));
        let whens = [self.at.is_some(), self.after.is_some(), self.on.is_some()];
        if whens.iter().filter(|w| **w).count() != 1 {
            return wrong("one of `at`, `after` and `on` says when".into());
        }
        if let Some(after) = self.after.as_ref().filter(|id| !known.contains(*id)) {
            return wrong(format!("no fault `{after}` is before it in the file"));
        }
        if self.on.is_some() != (self.target == Some(Target::Subject)) {
            return wrong("`on` and `target = \"subject\"` go together".into());
        }
        if self.kind.is_instant() == self.lasts.is_some() {
            let needs = if self.lasts.is_some() { "has no" } else { "needs" };
            return wrong(format!("{} {needs} `for`", self.kind.name()));
        }
        self.check_options().or_else(&wrong)?;
        self.check_names(topology).or_else(wrong)
    }

    /// What the kind needs.
    fn check_options(&self) -> Result<(), String> {
        let need = |there: bool, what: &str| {
            if there { Ok(()) } else { Err(format!("{} needs {what}", self.kind.name())) }
        };
        let share = self.percent.is_some_and(|p| p > 0.0 && p <= 100.0);
        let actors = matches!(self.target, Some(Target::Actor(_)));
        match self.kind {
            Kind::Partition => {
                let (sides, shape) = (self.sides.len() > 1, self.shape.is_some());
                let one = sides != shape || (!sides && self.target.is_some());
                need(one, "two `sides` or more, or a `shape`, or a `target`")?;
                let isolate = self.shape == Some(Shape::Isolate);
                need(!isolate || self.target.is_some(), "a `target` to isolate")
            }
            Kind::Flap => need(self.period.is_some(), "a `period`"),
            Kind::Delay | Kind::DiskSlow => need(self.delay.is_some(), "a `delay`"),
            Kind::Loss | Kind::Duplicate => need(share, "`percent` over 0 and up to 100"),
            Kind::ActorKill | Kind::ActorHang => {
                need(actors, "a `target` such as \"actor:detection/**/sequence\"")
            }
            Kind::ClockStep => {
                let by = self.by.as_deref().ok_or("clock-step needs `by`")?;
                super::units::micros(by).map(drop)
            }
            Kind::ClockDrift => need(
                self.ppm.is_some_and(|p| p.abs() <= 50_000.0),
                "`ppm` from -50000 to 50000: clocks that are further off do not tick at all",
            ),
            Kind::Burst => need(self.factor.is_some_and(|f| f > 1.0), "a `factor` over 1"),
            Kind::Drain => {
                need(matches!(self.target, Some(Target::Region(_))), "`target = \"region:..\"`")
            }
            Kind::Clog
            | Kind::Kill
            | Kind::Pause
            | Kind::PowerCut
            | Kind::DiskError
            | Kind::DiskLost
            | Kind::Strangers
            | Kind::NewCertificates => {
                need(self.target.is_some() && !actors, "a `target` of nodes")
            }
        }
    }

    fn check_names(&self, topology: &Topology) -> Result<(), String> {
        let region = |name: &str| topology.regions.contains_key(name);
        let node = |name: &str| {
            name.rsplit_once('-').is_some_and(|(of, n)| {
                let there = topology.regions.get(of).copied().unwrap_or_default();
                n.parse::<u32>().is_ok_and(|n| n >= 1 && n <= there)
            })
        };
        // A side may be empty: of a region against all others where there is no other.
        let sides = self.sides.iter().filter(|side| !side.is_empty());
        for name in sides.flat_map(|side| side.split('+')) {
            if !region(name) && !node(name) {
                return Err(format!("there is no region or node `{name}`"));
            }
        }
        match &self.target {
            Some(Target::Region(name)) if !region(name) => Err(format!("no region `{name}`")),
            Some(Target::Node(name)) if !node(name) => Err(format!("no node `{name}`")),
            _ => Ok(()),
        }
    }
}
