//! Names whose certificates count for nothing.

use crate::asking::{CHANGE_TIME, Common, Output, print_json, propose};
use anyhow::{Result, bail};
use clap::Args;
use node::membership::{Ask, Command, Links, Reply, Told, ask_leader, operator};
use serde_json::json;
use std::process::ExitCode;

pub const AFTER: &str = "\
A certificate is good until its date. Of a name that is barred nothing is listened to all the same,
on no connection, by any node that has learnt of it; no node joins under it. A node that is a member
stays one: `watchfire cluster remove NAME --bar` bars it and removes it. To let it in again, give it
a new certificate and key, lift the bar, delete the folder of its state and start it: it joins anew.

Examples:
  watchfire cluster remove us-2 --bar    its machine was stolen
  watchfire cluster bar ann --operator   she has left; her certificate is good for 60 days more
  watchfire cluster bar                  who is barred
  watchfire cluster unbar us-2";

#[derive(Args)]
pub struct Bar {
    /// Name of a node, a member or not; without one the names that are barred are listed
    name: Option<String>,
    /// It is an operator's name
    #[arg(long, requires = "name")]
    operator: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Unbar {
    /// Its name
    name: String,
    /// It is an operator's name
    #[arg(long)]
    operator: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn bar(it: &Bar) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let Some(name) = &it.name else { return list(it, &fabric, &nodes).await };
    let words = propose_bar(&fabric, &nodes, name, it.operator, true).await?;
    println!("{words}");
    Ok(ExitCode::SUCCESS)
}

pub async fn unbar(it: &Unbar) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let words = propose_bar(&fabric, &nodes, &it.name, it.operator, false).await?;
    println!("{words}");
    Ok(ExitCode::SUCCESS)
}

/// Bars a name, or lifts it. What was done, in words.
pub async fn propose_bar(
    fabric: &Links,
    nodes: &[String],
    name: &str,
    operator: bool,
    bars: bool,
) -> Result<&'static str> {
    let name = name.into();
    let command =
        if bars { Command::Bar { name, operator } } else { Command::Unbar { name, operator } };
    match propose(fabric, nodes, command).await? {
        Reply::Refused(refusal) => bail!("not done: {refusal}"),
        Reply::Unchanged => Ok("it was so already"),
        _ => Ok("done"),
    }
}

async fn list(it: &Bar, fabric: &Links, nodes: &[String]) -> Result<ExitCode> {
    let (names, operators) = match ask_leader(fabric, nodes, &Ask::Barred, CHANGE_TIME).await? {
        Told::Barred(names, operators) => (names, operators),
        other => bail!("{other:?}"),
    };
    if it.common.output == Output::Json {
        print_json(&json!({ "nodes": names, "operators": operators }))?;
    } else {
        names.iter().for_each(|name| println!("{name}"));
        operators.iter().for_each(|name| println!("{name} (operator)"));
    }
    Ok(ExitCode::SUCCESS)
}
