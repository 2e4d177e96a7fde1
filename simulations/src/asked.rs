//! What clients ask for, drawn by lot: the same in every world.

use crate::plan::PlannedWorkload;
use regions::threats::{Classification, Said, Status};

/// A number below `keys`, the first ones more often by Zipf's law.
pub fn skewed(unit: f64, planned: &PlannedWorkload) -> u32 {
    let keys = f64::from(planned.keys);
    let s = planned.zipf;
    let at = if s <= 0.0 {
        unit * keys
    } else if (s - 1.0).abs() < 1e-9 {
        keys.powf(unit) - 1.0
    } else {
        ((keys.powf(1.0 - s) - 1.0) * unit + 1.0).powf(1.0 / (1.0 - s)) - 1.0
    };
    (at.max(0.0) as u32).min(planned.keys - 1)
}

/// What an analyst says of a threat.
pub fn said(drawn: u64) -> Said {
    let mut said = Said::default();
    match drawn >> 4 & 7 {
        0 | 1 => said.status = Some(Status::Closed),
        2 => said.status = Some(Status::Open),
        3 => said.status = Some(Status::InProgress),
        4 => said.assignee = Some(Some(format!("analyst {}", drawn >> 10 & 7).into())),
        5 => said.assignee = Some(None),
        6 => said.classification = Some(Some(Classification::FalsePositive)),
        _ => said.severity = Some(Some(threat::Severity::High)),
    }
    said
}
