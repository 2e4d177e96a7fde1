//! What the host can do, as far as a run needs it, and which faults it therefore cannot have.

use super::probe;
use crate::experiment::Moment;
use crate::plan::{Action, Plan, When};
use std::path::{Path, PathBuf};

/// What a run may use.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// Nodes get file systems of their own.
    pub disks: bool,
    /// The library that shifts clocks, if one is shifted.
    pub clock: Option<PathBuf>,
    /// Faults that cannot be applied, by place, with the reason.
    pub missing: Vec<(usize, String)>,
}

const fn needs_disk(action: &Action) -> bool {
    matches!(action, Action::PowerCut(..) | Action::DiskError(..))
}

impl Means {
    /// Looks at what a plan needs, and tries what of that the host can do.
    pub fn of(plan: &Plan) -> Self {
        let any = |needs: fn(&Action) -> bool| plan.faults.iter().any(|f| needs(&f.action));
        let mut means = Self::default();
        let disks = if any(needs_disk) { probe::disks() } else { Ok(()) };
        means.disks = any(needs_disk) && disks.is_ok();
        if any(|action| matches!(action, Action::ClockStep(..))) {
            means.clock = probe::clock_library();
        }
        for (at, fault) in plan.faults.iter().enumerate() {
            let reason = match &fault.action {
                action if needs_disk(action) => disks.as_ref().err().cloned(),
                Action::ClockStep(..) if means.clock.is_none() => {
                    Some("libfaketime is not installed (`apt-get install libfaketime`)".into())
                }
                Action::DiskSlow(..) => Some("disks of processes cannot be slowed down".into()),
                Action::ClockDrift(..) => Some("clocks of processes cannot drift".into()),
                Action::ActorKill(..) | Action::ActorHang(..) => {
                    Some("actors in processes cannot be reached".into())
                }
                Action::Strangers(_) | Action::NewCertificates(_) => {
                    Some("doors and certificates are tried with `--world in-process`".into())
                }
                _ => match fault.when {
                    When::On(Moment::Vote | Moment::Snapshot, ..) => {
                        Some("what it waits for cannot be seen from outside".into())
                    }
                    _ => None,
                },
            };
            means.missing.extend(reason.map(|reason| (at, reason)));
        }
        means
    }

    /// What a node's process is told by its environment: where its clock is read from.
    pub fn environment(&self, folder: &Path, name: &str) -> Vec<(String, PathBuf)> {
        let Some(library) = &self.clock else { return Vec::new() };
        vec![
            ("LD_PRELOAD".into(), library.clone()),
            ("FAKETIME_TIMESTAMP_FILE".into(), clock_file(folder, name)),
            // It is read anew each time, and timers go on as they are.
            ("FAKETIME_NO_CACHE".into(), "1".into()),
            ("DONT_FAKE_MONOTONIC".into(), "1".into()),
        ]
    }
}

/// Where it is written how far a node's clock is off.
pub fn clock_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.clock"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Experiment;
    use crate::plan::expand;

    #[test]
    fn what_no_host_can_do_is_missing_with_its_reason() {
        let text = r#"
            format = 1
            name = "means"
            world = "processes"
            duration = "10s"
            [topology]
            regions = { eu = 3 }
            [[fault]]
            kind = "kill"
            at = "1s"
            target = "any:1"
            [[fault]]
            kind = "clock-drift"
            at = "1s"
            for = "1s"
            target = "any:1"
            ppm = 100
            [[fault]]
            kind = "pause"
            on = "vote"
            for = "1s"
            target = "subject"
        "#;
        let means = Means::of(&expand(&Experiment::parse(text).unwrap(), 1));
        let missing: Vec<usize> = means.missing.iter().map(|(at, _)| *at).collect();
        assert_eq!(missing, [1, 2], "{means:?}");
        assert!(means.missing[1].1.contains("cannot be seen"));
        assert!(!means.disks && means.environment(Path::new("."), "eu-1").is_empty());
    }
}
