//! How commands of an operator ask the nodes of a cluster.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use node::host::cluster_files::random;
use node::membership::{Ask, Client, Command, Links, NodeStatus, Reply, Request, Told};
use node::membership::{ask, operator};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a node may take to answer before it is called unreachable.
pub const NODE_TIME: Duration = Duration::from_secs(2);

/// How long a change may take: an election, and a new voter that has to catch up.
pub const CHANGE_TIME: Duration = Duration::from_secs(15);

/// How often a command is repeated whose answer did not come.
const TRIES: usize = 3;

#[derive(Args)]
pub struct Common {
    /// File with nodes to ask and the operator's certificate
    #[arg(long, value_name = "FILE", default_value = "watchfire-cluster/operator.toml")]
    pub cluster: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How a command prints that works on files alone.
#[derive(Args)]
pub struct Printed {
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How a command prints that changes files here.
#[derive(Args)]
pub struct Local {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub printed: Printed,
}

impl Local {
    /// Prints what was done, or would be: a value for programs, with the plan, or words for people.
    pub fn say(&self, plan: &str, mut value: Value, words: impl FnOnce() -> String) -> Result<()> {
        if self.plan {
            return say(self.printed.output, &json!({ "plan": plan }), || format!("plan: {plan}"));
        }
        value["done"] = plan.into();
        say(self.printed.output, &value, words)
    }
}

/// What each member said, by name: how it is, or why nothing came.
pub type Answers = BTreeMap<String, Result<NodeStatus, String>>;

/// Asks all members, of whom the first node that answers knows; with the digests of their logs.
pub async fn ask_all(fabric: &Links, nodes: &[String]) -> Result<Answers> {
    let mut why = Vec::new();
    for address in nodes {
        match one(fabric, address).await {
            Ok(first) => {
                let mut answers = Answers::new();
                for member in first.members.values() {
                    let said = status(fabric, &member.address, true).await;
                    answers.insert(member.name.clone(), said);
                }
                answers.entry(first.name.clone()).or_insert(Ok(first));
                return Ok(answers);
            }
            Err(reason) => why.push(format!("{address}: {reason}")),
        }
    }
    bail!("no node answers\n  {}", why.join("\n  "))
}

/// The node that is asked, and its address.
pub struct Asked {
    /// The way to it.
    pub fabric: Links,
    /// Where it listens.
    pub address: String,
}

impl Asked {
    /// The node of this name, or the first of the operator's file that answers.
    pub async fn find(cluster: &Path, node: Option<&str>) -> Result<Self> {
        let (fabric, nodes) = operator(cluster)?;
        let mut why = Vec::new();
        for address in nodes {
            match one(&fabric, &address).await {
                Ok(status) => {
                    let Some(name) = node else { return Ok(Self { fabric, address }) };
                    if let Some(member) = status.members.values().find(|m| m.name == *name) {
                        let address = member.address.clone();
                        return Ok(Self { fabric, address });
                    }
                    let names: Vec<&str> = status.members.values().map(|m| &*m.name).collect();
                    bail!("no member is named {name}; there are {}", names.join(", "))
                }
                Err(reason) => why.push(format!("{address}: {reason}")),
            }
        }
        bail!("no node answers\n  {}", why.join("\n  "))
    }
}

/// Asks one node how it is.
pub async fn one(fabric: &Links, address: &str) -> Result<NodeStatus, String> {
    status(fabric, address, false).await
}

async fn status(fabric: &Links, address: &str, digest: bool) -> Result<NodeStatus, String> {
    match ask(fabric, address, &Ask::Status { digest }, NODE_TIME).await {
        Ok(Told::Status(status)) => Ok(*status),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Proposes a command to whichever node answers; a repetition after a lost answer is folded.
pub async fn propose(fabric: &Links, nodes: &[String], command: Command) -> Result<Reply> {
    let mut why = Vec::new();
    for address in nodes {
        let opened = match one(fabric, address).await {
            Ok(status) => status.applied,
            Err(reason) => {
                why.push(format!("{address}: {reason}"));
                continue;
            }
        };
        let client = Client { opened, nonce: random() };
        let request = Box::new(Request { client, sequence: 1, command });
        for _ in 0..TRIES {
            match ask(fabric, address, &Ask::Propose(request.clone()), CHANGE_TIME).await {
                Ok(Told::Reply(reply)) => return Ok(reply),
                Ok(Told::Refused(reason)) => bail!("not done: {reason}"),
                Ok(Told::Unknown(reason)) => why.push(format!("{address}: {reason}")),
                Ok(other) => why.push(format!("{address}: {other:?}")),
                Err(error) => why.push(format!("{address}: {error}")),
            }
        }
        bail!("whether it was done is not known:\n  {}", why.join("\n  "));
    }
    bail!("not done, no node answers:\n  {}", why.join("\n  "))
}

/// Prints all of it at once; a reader that went away is an error that `main` knows.
pub fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Prints a value for programs, or words for people.
pub fn say(output: Output, value: &Value, words: impl FnOnce() -> String) -> Result<()> {
    match output {
        Output::Json => print_json(value),
        Output::Text => print(&(words() + "\n")),
    }
}

/// Prints it as JSON.
pub fn print_json(value: &Value) -> Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}
