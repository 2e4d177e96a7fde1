//! What clients ask for, the same in every world: it follows from the seed. And what an operator
//! does about a node whose disk is lost.

use crate::agreed::KEY;
use crate::plan::{Plan, PlannedWorkload};
use cluster::control::{Ask, Told, ask_leader};
use cluster::fabric::Fabric;
use regions::control_log::{Client, Command, ControlLog, Request, Stage};
use regions::threats::{Classification, Said, Status};
use std::time::Duration;
use threat::Text;

/// How long the removal of a member may take: others have to take over what it owns.
const REMOVAL_TIME: Duration = Duration::from_secs(15);

/// How often it is asked for, half a second apart: another change of members may be under way for
/// as long as it takes to elect a leader and hear from a majority.
const REMOVALS: u32 = 30;

/// A client's request of a number, the same however often it is sent.
pub fn request(client: usize, number: u32, command: Command) -> Request {
    let name = Client { opened: 0, nonce: 1_000 + client as u64 };
    Request { client: name, sequence: number.into(), command }
}

/// The command that writes a value for a key.
pub fn write(key: u32, value: u64) -> Command {
    let name = format!("{KEY}{key}").into();
    Command::SetFlag { name, value: Some(value.to_string().into()) }
}

/// The next step of a bundle, as the log of a node has them.
pub fn bundle_step(plan: &Plan, log: &ControlLog, drawn: u64) -> Option<Command> {
    let bundles = log.bundles();
    let expected_epoch = bundles.epoch();
    let evidence = || Text::from("a trial");
    if drawn >> 8 & 3 == 0
        && let Some(version) = bundles.active()
    {
        return Some(Command::RollbackBundle { version, expected_epoch, evidence: evidence() });
    }
    let all = bundles.all();
    let tried = all.iter().find(|(_, b)| matches!(b.stage, Stage::Canary(_)));
    if let Some((&version, _)) = tried {
        return Some(Command::ActivateBundle { version, expected_epoch, evidence: evidence() });
    }
    let region = plan.regions[drawn as usize % plan.regions.len()].as_str().into();
    let shadow = all.iter().find(|(_, b)| b.stage == Stage::Shadow);
    if let Some((&version, _)) = shadow {
        return Some(Command::CanaryBundle { version, region, evidence: evidence() });
    }
    let old = all.iter().find(|(_, b)| matches!(b.stage, Stage::RolledBack | Stage::Registered));
    let (&version, _) = old?;
    Some(Command::ShadowBundle { version, evidence: evidence() })
}

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

/// Takes a member away that will never come back as who it was.
///
/// # Errors
/// Why it is still one.
pub async fn remove(fabric: &Fabric, addresses: &[String], name: &str) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..REMOVALS {
        match ask_leader(fabric, addresses, &Ask::Remove(name.into()), REMOVAL_TIME).await {
            Ok(Told::Done) => return Ok(()),
            // A try before this one did it.
            Ok(Told::Refused(reason)) if reason.contains("no member") => return Ok(()),
            Ok(other) => why = format!("{other:?}"),
            Err(error) => why = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(why)
}
