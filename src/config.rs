//! `watchfire config`: configurations of nodes.

use crate::asking::{Local, Output, Printed, print, print_json, say};
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use node::host::cluster_files::{node_config, write};
use node::membership::config::Template;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
Examples:
  watchfire config template 3-region --out etc    three nodes in three regions, to be edited
  watchfire config check etc/eu-1.toml            is it right? errors with line and column
  watchfire config print etc/eu-1.toml            what the node would do, with all defaults";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Config {
    /// Check a configuration
    Check(File),
    /// Print a configuration with all defaults
    Print(File),
    /// Write configurations of a new cluster, to be edited
    Template {
        /// How many regions
        regions: Regions,
        /// Folder to write to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// The cluster's name
        #[arg(long, default_value = "watchfire")]
        cluster: String,
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Args)]
pub struct File {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    printed: Printed,
}

/// How many regions a template has.
#[derive(Clone, Copy, ValueEnum)]
pub enum Regions {
    /// Three nodes in one datacenter: survives a node
    #[value(name = "1-region")]
    One,
    /// A node in each of three datacenters: survives a region
    #[value(name = "3-region")]
    Three,
    /// A node in each of five datacenters: survives two regions
    #[value(name = "5-region")]
    Five,
}

impl Regions {
    /// Region and name of each node; all of them vote.
    const fn nodes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::One => &[("eu", "eu-1"), ("eu", "eu-2"), ("eu", "eu-3")],
            Self::Three => &[("eu", "eu-1"), ("us", "us-1"), ("ap", "ap-1")],
            Self::Five => {
                &[("eu", "eu-1"), ("us", "us-1"), ("ap", "ap-1"), ("sa", "sa-1"), ("af", "af-1")]
            }
        }
    }
}

pub fn run(what: &Config) -> Result<ExitCode> {
    match what {
        Config::Check(File { file, printed }) => {
            let config = node_config(file)?;
            let file = file.display().to_string();
            let value = json!({ "file": file, "node": config.name, "cluster": config.cluster });
            say(printed.output, &value, || {
                format!("{file}: node {} of {}, good", config.name, config.cluster)
            })?;
        }
        Config::Print(File { file, printed }) => {
            let config = node_config(file)?;
            if printed.output == Output::Json {
                print_json(&serde_json::to_value(&config)?)?;
                return Ok(ExitCode::SUCCESS);
            }
            let template = Template {
                advertise: config.advertise,
                cluster: config.cluster,
                region: config.region,
                name: config.name,
                listen: config.listen,
                seeds: config.seeds,
                votes: config.votes,
                profile: config.profile,
                wan_ms: config.wan_ms,
            };
            print(&template.text())?;
        }
        Config::Template { regions, out, cluster, local } => {
            template(*regions, out, cluster, local)?
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn template(regions: Regions, out: &Path, cluster: &str, local: &Local) -> Result<()> {
    let profile = if matches!(regions, Regions::One) { "lan" } else { "wan150" };
    let nodes = regions.nodes();
    let address = |name: &str| format!("{name}.example.net:7800");
    let mut files = Vec::new();
    for (at, (region, name)) in nodes.iter().enumerate() {
        let path = out.join(format!("{name}.toml"));
        if path.exists() {
            bail!("{} is there already; nothing was written over it", path.display());
        }
        let template = Template {
            cluster: cluster.into(),
            region: (*region).into(),
            name: (*name).into(),
            listen: "0.0.0.0:7800".into(),
            advertise: Some(address(name)),
            // The first founds the cluster, and others know it.
            seeds: nodes[..at].iter().map(|(_, n)| address(n)).collect(),
            votes: true,
            profile: profile.into(),
            wan_ms: 0,
        };
        if !local.plan {
            write(&path, template.text().as_bytes(), false)?;
        }
        files.push(path.display().to_string());
    }
    let (region, first) = nodes[0];
    let plan = format!("written: {}", files.join(", "));
    local.say(&plan, json!({ "files": files }), || {
        let mut lines = files;
        lines.push("Edit the addresses, then:".into());
        lines.push(format!(
            "  watchfire ca init {cluster} && watchfire ca issue {first} --region {region} …"
        ));
        lines.push(format!(
            "  watchfire node --config {first}.toml --found    once, on the first node"
        ));
        lines.push("  watchfire node --config NAME.toml               on the others".into());
        lines.join("\n")
    })
}
