//! `watchfire models`: the bundles of a state folder, or one in a file.

use crate::paths;
use anyhow::Result;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use store::Store;

#[derive(Args)]
pub struct Arguments {
    /// Bundle files to inspect; without any, the bundles of the state folder are listed
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of state that `detect` wrote [default: $XDG_STATE_HOME/watchfire
    /// or ~/.local/state/watchfire]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut all: Vec<Value> = Vec::new();
    for file in &arguments.files {
        all.push(node::recorder::describe(&paths::bundle(file)?));
    }
    if arguments.files.is_empty() {
        let path = paths::state(arguments.state);
        if path.exists() {
            for entry in Store::open(&path)?.view()?.bundles()? {
                all.push(serde_json::from_str(&entry.metadata)?);
            }
        }
        if all.is_empty() && !arguments.json {
            println!("no bundles in {}; `watchfire train` makes one", path.display());
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        all.iter().for_each(show);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a bundle says of itself.
pub fn show(bundle: &Value) {
    let text = |key: &str| bundle[key].as_str().unwrap_or("?").to_owned();
    println!("bundle {} version {} seed {}", text("id"), bundle["version"], bundle["seed"]);
    let labels = if bundle["labelled"] == true { ", and the labels of analysts" } else { "" };
    println!("  from {}{labels}", text("origin"));
    for (class, models) in bundle["classes"].as_object().into_iter().flatten() {
        let kinds: Vec<&str> =
            models["models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        println!("  {class:15} {:>7} rows: {}", models["rows"], kinds.join(", "));
    }
}
