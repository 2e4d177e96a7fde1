//! `watchfire ca`: a cluster's own certificate authority, in a folder.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use node::host::cluster_files::{now, read, write, write_made};
use node::membership::{Identity, authority};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

mod invite;

/// What the help ends with.
const AFTER: &str = "\
Whoever has ca.key can make nodes of the cluster: keep the folder on one machine that is none. Let
nodes in with `ca invite`, or copy to each node ca.pem, its own certificate and its own key.

Examples:
  watchfire ca init prod                         ca/ca.pem and ca/ca.key
  watchfire ca issue eu-1 --region eu            ca/eu-1.pem and ca/eu-1.key
  watchfire ca invite eu-4 --region eu           a token for `watchfire join`; no key travels
  watchfire ca issue me --operator               for `watchfire cluster`
  watchfire ca rotate                            a new authority takes over, first step of two";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Ca {
    /// Make the authority of a new cluster
    Init {
        /// The cluster's name: lower-case letters, digits and hyphens
        cluster: String,
        #[command(flatten)]
        folder: Folder,
    },
    /// Make a certificate and key for a node or an operator
    Issue(Issue),
    /// Let one new node in with a token, which `watchfire join` takes
    Invite(Box<invite::Arguments>),
    /// Replace the authority in two steps, without losing a member
    #[command(after_help = ROTATE)]
    Rotate {
        /// Second step: believe the new authority alone
        #[arg(long)]
        finish: bool,
        #[command(flatten)]
        folder: Folder,
    },
}

const ROTATE: &str = "\
1. `watchfire ca rotate`: a new ca.key; ca.pem has both authorities. Copy ca.pem to all nodes, and
   send each SIGHUP: it reads its certificates anew and keeps its connections.
2. Issue each node a new certificate, copy it there, SIGHUP.
3. `watchfire ca rotate --finish`: ca.pem has the new authority alone. Copy it, SIGHUP.";

#[derive(Args)]
pub struct Folder {
    /// Folder of the authority
    #[arg(long = "folder", value_name = "DIR", default_value = "ca")]
    path: PathBuf,
}

#[derive(Args)]
pub struct Issue {
    /// Name of the node or operator: lower-case letters, digits and hyphens
    name: String,
    /// Region of the node
    #[arg(long, required_unless_present = "operator", conflicts_with = "operator")]
    region: Option<String>,
    /// For a person who asks nodes, not for a node
    #[arg(long)]
    operator: bool,
    /// How long it is believed
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    #[command(flatten)]
    folder: Folder,
}

pub fn run(what: &Ca) -> Result<ExitCode> {
    match what {
        Ca::Init { cluster, folder } => {
            init(&folder.path, cluster)?;
            println!("{}: believe this", folder.path.join("ca.pem").display());
            println!("{}: keep this secret", folder.path.join("ca.key").display());
        }
        Ca::Issue(issue) => {
            let life = Duration::from_secs(issue.days * 24 * 3600);
            let (folder, region) = (&issue.folder.path, issue.region.as_deref());
            let identity = self::issue(folder, &issue.name, region, life)?;
            println!("{}: {identity}, for {} days", file(folder, &issue.name), issue.days);
        }
        Ca::Invite(arguments) => return invite::run(arguments),
        Ca::Rotate { finish, folder } => rotate(&folder.path, *finish)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).with_extension("pem").display().to_string()
}

/// Makes the authority of a cluster in a folder that has none.
pub fn init(folder: &Path, cluster: &str) -> Result<()> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    if key.exists() || certificate.exists() {
        bail!("{} has an authority already", folder.display());
    }
    let made = authority::found(cluster, now())?;
    write_made(&certificate, &key, &made)?;
    Ok(write(&folder.join("cluster"), cluster.as_bytes(), false)?)
}

/// Makes a certificate by the authority in a folder: of a node of this region, or of an operator.
pub fn issue(folder: &Path, name: &str, region: Option<&str>, life: Duration) -> Result<Identity> {
    let help = "is it the folder of an authority? `watchfire ca init` makes one";
    let cluster = read(&folder.join("cluster")).context(help)?;
    let key = read(&folder.join("ca.key")).context(help)?;
    if name == "ca" {
        bail!("the name \"ca\" is that of the authority's files");
    }
    let identity = match region {
        Some(region) => Identity::node(cluster.trim(), region, name)?,
        None => Identity::operator(cluster.trim(), name)?,
    };
    let made = authority::issue(&key, &identity, now(), life)?;
    let path = |extension| folder.join(format!("{name}.{extension}"));
    write_made(&path("pem"), &path("key"), &made)?;
    Ok(identity)
}

/// Ends a certificate in a PEM file.
const END: &str = "-----END CERTIFICATE-----";

fn rotate(folder: &Path, finish: bool) -> Result<()> {
    let path = folder.join("ca.pem");
    let believed = read(&path)?;
    let count = believed.matches(END).count();
    if finish {
        if count < 2 {
            bail!("{} has one authority: no rotation is under way", path.display());
        }
        // The newest is first.
        let end = believed.find(END).map_or(0, |at| at + END.len());
        write(&path, format!("{}\n", &believed[..end]).as_bytes(), false)?;
        println!("{} has the new authority alone: copy it to all nodes, SIGHUP", path.display());
        return Ok(());
    }
    if count > 1 {
        bail!("a rotation is under way: end it with --finish first");
    }
    let cluster = read(&folder.join("cluster"))?;
    let made = authority::found(cluster.trim(), now())?;
    // Believed first: after a crash in between the old key still signs.
    write(&path, format!("{}{believed}", made.certificate).as_bytes(), false)?;
    write(&folder.join("ca.key"), made.key.as_bytes(), true)?;
    println!("{ROTATE}");
    println!("Step 1 is done in {}.", folder.display());
    Ok(())
}
