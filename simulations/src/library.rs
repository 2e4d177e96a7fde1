//! Experiments that come with the program: to run as they are, or to start one's own from.

/// Name and text of each, as in `simulations/experiments/`.
pub const EXPERIMENTS: &[(&str, &str)] = &[
    ("clock-step", include_str!("../experiments/clock-step.toml")),
    ("explore", include_str!("../experiments/explore.toml")),
    ("explore-in-process", include_str!("../experiments/explore-in-process.toml")),
    ("failing-disk", include_str!("../experiments/failing-disk.toml")),
    ("flapping-link", include_str!("../experiments/flapping-link.toml")),
    ("leader-loss", include_str!("../experiments/leader-loss.toml")),
    ("learned-detectors-down", include_str!("../experiments/learned-detectors-down.toml")),
    ("lossy-ocean", include_str!("../experiments/lossy-ocean.toml")),
    ("lost-disk", include_str!("../experiments/lost-disk.toml")),
    ("maintenance", include_str!("../experiments/maintenance.toml")),
    ("one-way-cut", include_str!("../experiments/one-way-cut.toml")),
    ("overload", include_str!("../experiments/overload.toml")),
    ("paused-leader", include_str!("../experiments/paused-leader.toml")),
    ("power-cut-of-every-node", include_str!("../experiments/power-cut-of-every-node.toml")),
    ("power-cuts", include_str!("../experiments/power-cuts.toml")),
    ("reference-load", include_str!("../experiments/reference-load.toml")),
    ("region-loss-during-rollout", include_str!("../experiments/region-loss-during-rollout.toml")),
    ("slow-disk", include_str!("../experiments/slow-disk.toml")),
    ("split-region", include_str!("../experiments/split-region.toml")),
    ("strangers", include_str!("../experiments/strangers.toml")),
];

/// The text of the experiment of a name.
pub fn named(name: &str) -> Option<&'static str> {
    EXPERIMENTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
