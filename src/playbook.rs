//! `watchfire playbook`: response playbooks that a cluster agrees on, as documents.

use crate::asking::{Common, Output, propose, say};
use crate::bundle::{newest, standings};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use node::membership::{Command, Reply, operator};
use node::rollout::asking;
use node::rollout::playbook_name;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
A playbook is a CACAO 2.0 document (JSON with \"type\": \"playbook\" and \"spec_version\":
\"cacao-2.0\"). Each version is named by its hash, lies on every node, and stays as it is; which one
holds is agreed on. Nothing runs playbooks yet: this keeps and names them.

Examples:
  watchfire playbook publish isolate-host.json   a new version of the name in the document
  watchfire playbook activate \"isolate host\" 2
  watchfire playbook list";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Playbook {
    /// Make a version of a playbook known to all nodes
    Publish(Publish),
    /// Let one of its versions hold
    Activate(Activate),
    /// Show the playbooks with their versions
    List(Common),
}

#[derive(Args)]
pub struct Publish {
    /// The document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Activate {
    /// Its name
    name: String,
    /// One of its versions
    version: u64,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

pub fn run(what: &Playbook) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Playbook::Publish(it) => publish(it).await,
            Playbook::Activate(it) => activate(it).await,
            Playbook::List(common) => list(common).await,
        }
    })
}

async fn publish(it: &Publish) -> Result<ExitCode> {
    let bytes = std::fs::read(&it.file).with_context(|| it.file.display().to_string())?;
    let name = playbook_name(&bytes).map_err(|e| anyhow!("{}: {e}", it.file.display()))?;
    let (fabric, nodes) = operator(&it.common.cluster)?;
    if it.plan {
        let all = standings(&fabric, &nodes).await?;
        let versions = newest(&all)?.playbooks.get(&name).map(|p| &p.versions);
        let hash = asking::hash_of(&bytes);
        let plan = match versions.and_then(|v| v.iter().find(|(_, known)| **known == hash)) {
            Some((version, _)) => format!("nothing: it is version {version} of {name} already"),
            None => format!(
                "a version of {name} lies on {} nodes beside the {} there are; which one holds \
                 stays",
                all.len(),
                versions.map_or(0, BTreeMap::len)
            ),
        };
        say(it.common.output, &json!({ "plan": plan }), || format!("plan: {plan}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut why = Vec::new();
    for address in &nodes {
        match asking::publish(&fabric, address, &bytes).await {
            Ok((name, version)) => {
                say(it.common.output, &json!({ "name": name, "version": version }), || {
                    format!(
                        "{name}, version {version}, is published\nnext: watchfire playbook \
                         activate {name:?} {version}"
                    )
                })?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(asking::Error::Refused(reason)) => bail!("{}: {reason}", it.file.display()),
            Err(error) => why.push(format!("{address}: {error}")),
        }
    }
    bail!("no node takes it\n  {}", why.join("\n  "))
}

async fn activate(it: &Activate) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let version = it.version;
    let all = standings(&fabric, &nodes).await?;
    let help = "`watchfire playbook list` shows what there is";
    let Some(playbook) = newest(&all)?.playbooks.get(&it.name) else {
        bail!("there is no playbook {:?}; {help}", it.name)
    };
    let before = match playbook.active {
        Some(active) => format!("version {active}"),
        None => "none".to_owned(),
    };
    let plan = format!("version {version} of {} holds in the place of {before}", it.name);
    if it.plan {
        if !playbook.versions.contains_key(&version) {
            bail!("{} has no version {version}; {help}", it.name);
        }
        say(it.common.output, &json!({ "plan": plan }), || format!("plan: {plan}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = it.name.as_str().into();
    match propose(&fabric, &nodes, Command::ActivatePlaybook { name, version }).await? {
        Reply::Refused(refusal) => bail!("not done: {refusal}; {help}"),
        Reply::Unchanged => {
            say(it.common.output, &json!({ "unchanged": plan }), || "it was so already".to_owned())?
        }
        _ => say(it.common.output, &json!({ "done": plan }), || format!("done: {plan}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let all = standings(&fabric, &nodes).await?;
    let known = newest(&all)?;
    if common.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&known.playbooks)?);
        return Ok(ExitCode::SUCCESS);
    }
    if known.playbooks.is_empty() {
        println!("no playbooks; `watchfire playbook publish FILE` makes one known");
    }
    for (name, playbook) in &known.playbooks {
        println!("{name}");
        for (version, hash) in &playbook.versions {
            let holds = if playbook.active == Some(*version) { "  holds" } else { "" };
            println!("  version {version:4} {hash}{holds}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
