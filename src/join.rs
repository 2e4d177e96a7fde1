//! `watchfire join`: makes a node of this machine with a token.

use crate::asking::{Printed, say};
use anyhow::Result;
use clap::Args;
use node::host::joining::{Join, join};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
Somebody with the cluster's authority runs `watchfire ca invite NAME --region REGION`, which prints
the token. This command makes a key, which stays here, gets a certificate for it, writes the folder
of the node (ca.pem, NAME.pem, NAME.key, node.toml) and runs the node. From then on it is run by
`watchfire node --config DIR/node.toml`; edit that file as you like.

If anything is wrong with the token or the other side, nothing is written.

Examples:
  watchfire join TOKEN                                          listens at port 7800
  watchfire join TOKEN --folder /var/lib/watchfire --prepare    a service runs it
  watchfire join TOKEN --advertise eu-4.example.net:7800

Exit codes: as `watchfire node`; 1 also when the token was of no use.";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The word that `watchfire ca invite` has printed
    token: String,
    /// Folder of the node
    #[arg(long, value_name = "DIR", default_value = "watchfire-node")]
    folder: PathBuf,
    /// Where the node listens
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7800")]
    listen: String,
    /// Where others reach it [default: where it listens, or if that is every address of this
    /// machine, the one on the way to who invites]
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<String>,
    /// Write the folder, and do not run the node
    #[arg(long)]
    prepare: bool,
    /// End when standard input does, as whoever started it ends
    #[arg(long, hide = true)]
    while_stdin: bool,
    #[command(flatten)]
    printed: Printed,
}

pub fn run(a: &Arguments) -> Result<ExitCode> {
    let to =
        Join { folder: a.folder.clone(), listen: a.listen.clone(), advertise: a.advertise.clone() };
    let joined = crate::runtime()?.block_on(join(&a.token, &to))?;
    let config = joined.config;
    let (file, identity) = (config.display().to_string(), joined.identity.to_string());
    let next = a.prepare.then(|| format!("watchfire node --config {file}"));
    let value = json!({
        "config": file, "identity": identity, "address": joined.address, "next": next,
    });
    say(a.printed.output, &value, || {
        let next = next.map(|next| format!("\nnext: {next}")).unwrap_or_default();
        format!("{file}: {identity}, reached at {}{next}", joined.address)
    })?;
    if a.prepare {
        return Ok(ExitCode::SUCCESS);
    }
    crate::node::run(&crate::node::Arguments::of(config, a.while_stdin))
}
