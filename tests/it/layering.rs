//! Dependencies point down only: which member may use which, and what the pure crates may use.

use crate::workspace::Graph;
use cargo_metadata::DependencyKind;
use std::collections::BTreeSet;

/// Members from the bottom to the top, each with those that it may use. An entry names earlier ones
/// only, so that the order holds at any depth.
const LAYERS: &[(&str, &[&str])] = &[
    ("threat", &[]),
    ("flow", &["threat"]),
    ("intake", &["threat", "flow"]),
    ("detection", &["threat", "flow"]),
    ("learning", &["threat", "flow", "detection"]),
    ("regions", &["threat"]),
    ("forecast", &["threat"]),
    ("store", &["threat", "flow", "intake", "detection", "learning"]),
    ("actors", &["threat", "flow", "intake", "detection", "learning", "forecast", "store"]),
    ("cluster", &["threat", "regions", "store"]),
    (
        "node",
        &[
            "threat",
            "flow",
            "intake",
            "detection",
            "learning",
            "regions",
            "forecast",
            "store",
            "actors",
            "cluster",
        ],
    ),
    (
        "simulations",
        &[
            "threat",
            "flow",
            "intake",
            "detection",
            "learning",
            "regions",
            "store",
            "actors",
            "cluster",
            "node",
        ],
    ),
    // The command knows the node, not its actors.
    (
        "watchfire",
        &["threat", "intake", "detection", "learning", "forecast", "store", "node", "simulations"],
    ),
];

/// The crates that decide, without I/O.
const ENGINE: [&str; 7] =
    ["threat", "flow", "intake", "detection", "learning", "regions", "forecast"];

/// What would let engine code wait, connect or write; absent at any depth.
const FOREIGN: &[&str] = &[
    "tokio",
    "ractor",
    "openraft",
    "redb",
    "mio",
    "async-std",
    "smol",
    "hyper",
    "reqwest",
    "socket2",
    "rayon",
    "rand",
];

/// What engine crates use from outside, by whom and why.
const ALLOWED: &[(&str, &[&str], &str)] = &[
    ("serde", &ENGINE, "nouns are stored and sent"),
    (
        "thiserror",
        &["threat", "intake", "detection", "learning", "regions", "forecast"],
        "error enums without boilerplate",
    ),
    ("bincode", &["threat"], "the codec of everything stored; used in one file"),
    (
        "blake3",
        &["threat", "detection", "regions"],
        "ids of threats and bundles are hashes, digests keyed ones",
    ),
    ("crdts", &["regions"], "last-writer registers; its maps and sets are not used"),
    ("compact_str", &["threat"], "short texts of events without an allocation each"),
    ("serde_json", &["threat", "intake", "detection"], "JSON records in, fields of rules"),
    ("memchr", &["intake"], "finds line ends at memory speed"),
    ("csv-core", &["intake"], "CSV quoting, without a reader of its own"),
    ("jiff", &["intake"], "calendar dates to timestamps; its clock and time zone files are off"),
    ("ndarray", &["detection", "learning"], "matrices of features"),
    ("rsigma-parser", &["detection"], "Sigma's YAML"),
    (
        "rsigma-eval",
        &["detection"],
        "Sigma's conditions and correlations; matching never calls the getrandom in its graph",
    ),
];

#[test]
fn members_use_only_what_is_below_them() {
    let graph = Graph::read();
    let members = graph.members();
    let known: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).chain(["house"]).collect();
    assert_eq!(
        known,
        members.keys().copied().collect(),
        "a member without a layer, or the reverse"
    );
    for (place, (name, allowed)) in LAYERS.iter().enumerate() {
        let below: BTreeSet<&str> = LAYERS[..place].iter().map(|(name, _)| *name).collect();
        assert!(
            allowed.iter().all(|a| below.contains(a)),
            "{name} is allowed what is not below it"
        );
        for dependency in &members[name].dependencies {
            let other = dependency.name.as_str();
            // Tests may use what is below, too; that keeps cycles out of them.
            let fits = match dependency.kind {
                DependencyKind::Development => below.contains(other),
                _ => allowed.contains(&other),
            };
            assert!(fits || !members.contains_key(other), "{name} must not use {other}");
        }
        let reached = graph.reach(name);
        let wrong = reached.iter().find(|r| members.contains_key(**r) && !below.contains(**r));
        assert_eq!(wrong, None, "{name} reaches what is not below it");
    }
}

#[test]
fn the_engine_has_no_runtime_and_no_storage() {
    let graph = Graph::read();
    for name in ENGINE {
        let reached = graph.reach(name);
        for foreign in FOREIGN {
            assert!(!reached.contains(foreign), "{name} has {foreign} in its graph");
        }
    }
    // The walk does see such crates where they are.
    assert!(graph.reach("node").contains("tokio") && graph.reach("store").contains("redb"));
}

#[test]
fn what_the_engine_uses_is_listed_with_its_reason() {
    let graph = Graph::read();
    let members = graph.members();
    let mut used = BTreeSet::new();
    for name in ENGINE {
        for dependency in &members[name].dependencies {
            let other = dependency.name.as_str();
            if dependency.kind == DependencyKind::Development || members.contains_key(other) {
                continue;
            }
            let listed = ALLOWED.iter().any(|(a, by, _)| *a == other && by.contains(&name));
            assert!(listed, "{name} uses {other}, which is not listed with a reason");
            used.insert((other, name));
        }
    }
    for (name, by, reason) in ALLOWED {
        assert!(!reason.is_empty());
        for member in *by {
            assert!(used.contains(&(*name, *member)), "{member} no longer uses {name}: unlist it");
        }
    }
}
