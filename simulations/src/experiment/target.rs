//! What a fault hits: `node:eu-1`, `region:us`, `role:raft-leader`, `any:2`, `percent:50`,
//! `actor:detection/**/sequence`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// What a node does when the fault happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It leads consensus.
    Leader,
    /// It owns this workload.
    Owner(u32),
    /// It votes in consensus.
    Voter,
    /// It follows consensus without a vote.
    Learner,
}

/// What a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A node by name.
    Node(String),
    /// All nodes of a region.
    Region(String),
    /// Nodes by what they do at that time.
    Role(Role),
    /// So many nodes, drawn by seed.
    Any(u32),
    /// So many percent of the nodes, drawn by seed.
    Percent(u32),
    /// The node of which the fault waits: it has just begun to lead, to own, or to vote.
    Subject,
    /// Every node.
    All,
    /// Actors by their place in the tree of supervision; `*` stands for one part of it, `**` for
    /// any number. On all nodes.
    Actor(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |n: &str| n.parse::<u32>().map_err(|_| format!("`{n}` is not a number"));
        let wrong = || {
            format!(
                "`{text}` is no target: node:NAME, region:NAME, role:raft-leader|voter|learner|\
                 owner:WORKLOAD, any:N, percent:P, actor:PATH, subject or all"
            )
        };
        if text == "all" {
            return Ok(Self::All);
        }
        if text == "subject" {
            return Ok(Self::Subject);
        }
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        Ok(match (kind, name) {
            ("node", name) => Self::Node(name.into()),
            ("region", name) => Self::Region(name.into()),
            ("role", "raft-leader") => Self::Role(Role::Leader),
            ("role", "voter") => Self::Role(Role::Voter),
            ("role", "learner") => Self::Role(Role::Learner),
            ("role", name) => {
                let workload = name.strip_prefix("owner:").ok_or_else(wrong)?;
                Self::Role(Role::Owner(number(workload)?))
            }
            ("any", n) => Self::Any(number(n)?),
            ("percent", p) => match number(p)? {
                p @ 0..=100 => Self::Percent(p),
                p => return Err(format!("{p} percent is more than all")),
            },
            ("actor", path) => Self::Actor(path.into()),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node:{name}"),
            Self::Region(name) => write!(f, "region:{name}"),
            Self::Role(Role::Leader) => f.write_str("role:raft-leader"),
            Self::Role(Role::Owner(workload)) => write!(f, "role:owner:{workload}"),
            Self::Role(Role::Voter) => f.write_str("role:voter"),
            Self::Role(Role::Learner) => f.write_str("role:learner"),
            Self::Any(n) => write!(f, "any:{n}"),
            Self::Percent(p) => write!(f, "percent:{p}"),
            Self::Subject => f.write_str("subject"),
            Self::All => f.write_str("all"),
            Self::Actor(path) => write!(f, "actor:{path}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Whether a path in the tree is one of a pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                parts(rest, path) || path.split_first().is_some_and(|(_, p)| parts(pattern, p))
            }
            (Some((want, rest)), Some((have, more))) => {
                (*want == "*" || want == have) && parts(rest, more)
            }
            _ => false,
        }
    }
    let (pattern, path): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    parts(&pattern, &path)
}
