//! `watchfire ca`: a cluster's own certificate authority, in a folder.

use crate::asking::Local;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use node::host::cluster_files::{now, read, write, write_made};
use node::membership::{Identity, authority};
use serde_json::json;
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
        #[command(flatten)]
        local: Local,
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
        #[command(flatten)]
        local: Local,
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
    #[command(flatten)]
    local: Local,
}

pub fn run(what: &Ca) -> Result<ExitCode> {
    match what {
        Ca::Init { cluster, folder, local } => run_init(&folder.path, cluster, local)?,
        Ca::Issue(it) => run_issue(it)?,
        Ca::Invite(arguments) => return invite::run(arguments),
        Ca::Rotate { finish, folder, local } => rotate(&folder.path, *finish, local)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

fn run_init(folder: &Path, cluster: &str, local: &Local) -> Result<()> {
    free(folder)?;
    // A name that cannot be is told by a plan, too.
    Identity::operator(cluster, "operator")?;
    if !local.plan {
        init(folder, cluster)?;
    }
    let (certificate, key) = (shown(folder, "ca.pem"), shown(folder, "ca.key"));
    let plan = format!("an authority for {cluster} is made, as {certificate} and {key}");
    local.say(&plan, json!({ "authorities": certificate, "key": key }), || {
        format!("{certificate}: believe this\n{key}: keep this secret")
    })
}

fn run_issue(it: &Issue) -> Result<()> {
    let life = Duration::from_secs(it.days * 24 * 3600);
    let (folder, region) = (&it.folder.path, it.region.as_deref());
    let (identity, key) = identity(folder, &it.name, region)?;
    if !it.local.plan {
        sign(folder, &it.name, &identity, &key, life)?;
    }
    let path = |extension| shown(folder, &format!("{}.{extension}", it.name));
    let (certificate, key) = (path("pem"), path("key"));
    let said = format!("{certificate}: {identity}, for {} days", it.days);
    let plan = format!("{identity} gets a certificate for {} days, as {certificate}", it.days);
    let identity = identity.to_string();
    let value = json!({ "certificate": certificate, "key": key, "identity": identity });
    it.local.say(&plan, value, || said)
}

/// Refuses a folder that has an authority.
fn free(folder: &Path) -> Result<()> {
    if folder.join("ca.key").exists() || folder.join("ca.pem").exists() {
        bail!("{} has an authority already", folder.display());
    }
    Ok(())
}

/// Makes the authority of a cluster in a folder that has none.
pub fn init(folder: &Path, cluster: &str) -> Result<()> {
    free(folder)?;
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let made = authority::found(cluster, now())?;
    write_made(&certificate, &key, &made)?;
    Ok(write(&folder.join("cluster"), cluster.as_bytes(), false)?)
}

/// Makes a certificate by the authority in a folder: of a node of this region, or of an operator.
pub fn issue(folder: &Path, name: &str, region: Option<&str>, life: Duration) -> Result<Identity> {
    let (identity, key) = identity(folder, name, region)?;
    sign(folder, name, &identity, &key, life)?;
    Ok(identity)
}

/// Whom a certificate of this name is for, and the authority's key.
fn identity(folder: &Path, name: &str, region: Option<&str>) -> Result<(Identity, String)> {
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
    Ok((identity, key))
}

fn sign(folder: &Path, name: &str, to: &Identity, key: &str, life: Duration) -> Result<()> {
    let made = authority::issue(key, to, now(), life)?;
    let path = |extension| folder.join(format!("{name}.{extension}"));
    Ok(write_made(&path("pem"), &path("key"), &made)?)
}

/// Ends a certificate in a PEM file.
const END: &str = "-----END CERTIFICATE-----";

fn rotate(folder: &Path, finish: bool, local: &Local) -> Result<()> {
    let path = folder.join("ca.pem");
    let believed = read(&path)?;
    let count = believed.matches(END).count();
    let file = path.display().to_string();
    if finish {
        if count < 2 {
            bail!("{file} has one authority: no rotation is under way");
        }
        // The newest is first.
        let end = believed.find(END).map_or(0, |at| at + END.len());
        if !local.plan {
            write(&path, format!("{}\n", &believed[..end]).as_bytes(), false)?;
        }
        let plan = format!("{file} has the new authority alone; the old one is no longer believed");
        let next = "copy it to all nodes, SIGHUP";
        return local.say(&plan, json!({ "authorities": file, "next": next }), || {
            format!("{file} has the new authority alone: {next}")
        });
    }
    if count > 1 {
        bail!("a rotation is under way: end it with --finish first");
    }
    let cluster = read(&folder.join("cluster"))?;
    if !local.plan {
        let made = authority::found(cluster.trim(), now())?;
        // Believed first: after a crash in between the old key still signs.
        write(&path, format!("{}{believed}", made.certificate).as_bytes(), false)?;
        write(&folder.join("ca.key"), made.key.as_bytes(), true)?;
    }
    let plan =
        format!("{file} has a new authority beside the old one, and ca.key is the new one's");
    local.say(&plan, json!({ "authorities": file, "next": ROTATE }), || {
        format!("{ROTATE}\nStep 1 is done in {}.", folder.display())
    })
}
