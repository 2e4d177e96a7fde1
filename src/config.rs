//! `watchfire config`: configurations of nodes.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use node::host::cluster_files::{node_config, write};
use node::membership::config::Template;
use std::path::PathBuf;
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
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print a configuration with all defaults
    Print {
        /// The file
        file: PathBuf,
    },
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
    },
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
        Config::Check { file } => {
            let config = node_config(file)?;
            println!("{}: node {} of {}, good", file.display(), config.name, config.cluster);
        }
        Config::Print { file } => {
            let config = node_config(file)?;
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
            print!("{}", template.text());
        }
        Config::Template { regions, out, cluster } => template(*regions, out, cluster)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn template(regions: Regions, out: &std::path::Path, cluster: &str) -> Result<()> {
    let profile = if matches!(regions, Regions::One) { "lan" } else { "wan150" };
    let nodes = regions.nodes();
    let address = |name: &str| format!("{name}.example.net:7800");
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
        write(&path, template.text().as_bytes(), false)?;
        println!("{}", path.display());
    }
    let first = nodes[0].1;
    println!("Edit the addresses, then:");
    println!(
        "  watchfire ca init {cluster} && watchfire ca issue {first} --region {} …",
        nodes[0].0
    );
    println!("  watchfire node --config {first}.toml --found    once, on the first node");
    println!("  watchfire node --config NAME.toml               on the others");
    Ok(())
}
