//! `watchfire ca invite`: lets one node in with a token, from the machine with the authority.

use super::Folder;
use crate::asking::{Printed, say};
use anyhow::{Context, Result, bail};
use clap::Args;
use node::host::cluster_files::{operator_config, read};
use node::host::joining::Invite;
use node::membership::Identity;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// The longest that a token may be good.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub const AFTER: &str = "\
Prints a token, which is one word, and waits until the new node has used it. The token is good once
and for a time, and whoever has it becomes that node: hand it over as you would a password. It names
this machine's address and the hash of the authority's certificate, so that the new node believes
no other. The node's key is made on the node and stays there; it gets a certificate for the name and
region that are given here, whatever it asks for.

Examples:
  watchfire ca invite eu-4 --region eu --seeds eu-1.example.net:7800,us-1.example.net:7800
  watchfire ca invite eu-4 --region eu --folder watchfire-cluster    to one of `watchfire up`

Exit codes: 0 the node has its certificate, 1 not: nobody came in time, or wrong tokens came.";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Name of the new node: lower-case letters, digits and hyphens
    name: String,
    /// Its region
    #[arg(long)]
    region: String,
    /// Nodes that know the cluster, separated by commas [default: those of operator.toml in the
    /// authority's folder]
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    seeds: Vec<String>,
    /// The new node votes; three or five nodes do, in different regions
    #[arg(long)]
    votes: bool,
    /// Timeouts of consensus, as all nodes of the cluster have them: lan, wan80 or wan150
    #[arg(long, default_value = "lan")]
    profile: String,
    /// Where this machine takes the new node's connection
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7799")]
    listen: String,
    /// Where the new node reaches this machine [default: its address on the way to the first seed]
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<String>,
    /// How long the token is good, as 90s, 15m or 2h; a day at most
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = time)]
    within: Duration,
    /// How long the certificate is believed
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    printed: Printed,
}

fn time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no time: write 90s, 15m or 2h");
    let unit = text.chars().last().ok_or_else(bad)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
    let seconds = match unit {
        's' => Some(number),
        'm' => number.checked_mul(60),
        'h' => number.checked_mul(3_600),
        _ => return Err(bad()),
    };
    let time = seconds.map(Duration::from_secs).filter(|t| !t.is_zero() && *t <= LONGEST);
    time.ok_or_else(|| "more than nothing, and a day at most".to_owned())
}

pub fn run(a: &Arguments) -> Result<ExitCode> {
    let folder = &a.folder.path;
    let help = "is it the folder of an authority? `watchfire ca init` makes one";
    let cluster = read(&folder.join("cluster")).context(help)?;
    if a.name == "ca" {
        bail!("the name \"ca\" is that of the authority's files");
    }
    let seeds = if a.seeds.is_empty() {
        let known = operator_config(&folder.join("operator.toml"));
        known.context("name some nodes of the cluster with --seeds")?.nodes
    } else {
        a.seeds.clone()
    };
    let invite = Invite {
        authorities: read(&folder.join("ca.pem")).context(help)?,
        authority_key: read(&folder.join("ca.key")).context(help)?,
        identity: Identity::node(cluster.trim(), &a.region, &a.name)?,
        life: Duration::from_secs(a.days * 24 * 3_600),
        seeds,
        votes: a.votes,
        profile: a.profile.clone(),
        listen: a.listen.clone(),
        advertise: a.advertise.clone(),
        within: a.within,
    };
    crate::runtime()?.block_on(async {
        let open = invite.open().await?;
        let (seconds, address) = (a.within.as_secs(), open.token.address.to_string());
        let token = open.token.to_string();
        let value = json!({ "token": token, "address": address, "seconds": seconds });
        say(a.printed.output, &value, || {
            format!(
                "On the new machine, once, within {seconds} seconds:\n\n  \
                 watchfire join {token}\n\nIt has to reach {address}. Waiting for {}; Ctrl-C \
                 ends it.",
                a.name
            )
        })?;
        let used = tokio::select! {
            used = timeout(a.within, open.until_used()) => used,
            stopped = crate::detect::stop_signal() => {
                stopped?;
                bail!("interrupted; the token is of no use any more");
            }
        };
        used.with_context(|| format!("the token is over: {} did not come in time", a.name))??;
        say(
            a.printed.output,
            &json!({ "done": format!("{} has its certificate", a.name) }),
            || format!("{} has its certificate. It is a member once it runs.", a.name),
        )?;
        Ok(ExitCode::SUCCESS)
    })
}
