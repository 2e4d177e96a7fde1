//! `watchfire playbook`: response playbooks that a cluster agrees on, as documents.

use crate::asking::{Common, Output, propose};
use crate::bundle::{newest, say, standings};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use node::membership::{Command, Reply, operator};
use node::rollout::asking;
use node::rollout::limits::PLAYBOOK_BYTES;
use serde_json::json;
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
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Activate {
    /// Its name
    name: String,
    /// One of its versions
    version: u64,
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
    if bytes.len() > PLAYBOOK_BYTES {
        bail!("{}: a playbook has at most {PLAYBOOK_BYTES} bytes", it.file.display());
    }
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let mut why = Vec::new();
    for address in &nodes {
        match asking::publish(&fabric, address, &bytes).await {
            Ok((name, version)) => {
                say(&it.common, json!({ "name": name, "version": version }), || {
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
    let (name, version) = (it.name.as_str().into(), it.version);
    match propose(&fabric, &nodes, Command::ActivatePlaybook { name, version }).await? {
        Reply::Refused(refusal) => {
            bail!("not done: {refusal}; `watchfire playbook list` shows what there is")
        }
        Reply::Unchanged => println!("it was so already"),
        _ => println!("done: version {version} of {} holds", it.name),
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
