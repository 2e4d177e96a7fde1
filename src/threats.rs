//! `watchfire threats`: what the nodes of a cluster know of threats, listed and handled.

mod told;

use crate::asking::{Asked, Output};
use anyhow::{Result, bail};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use node::findings::{FindingRef, parse_finding_id};
use node::membership::{Ask, Classification, Page, Query, Rank, Record, Said, Status, Told, ask};
use node::report::words::number;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use threat::{Severity, ThreatId};

/// How long a node may take to answer.
const NODE_TIME: Duration = Duration::from_secs(5);

/// Ids of an ambiguous beginning that are told.
const TOLD_IDS: u32 = 16;

/// What the help ends with.
const AFTER: &str = "\
Every node of a cluster keeps all threats, and tells the others what changed within a tenth of a
second. So any node answers, also one that is cut off: with what it knows. Without --node the first
one that answers is asked. A closed threat goes 30 days after the last word on it (`[threats]
retention_days` of node.toml); `cluster status --output json` counts what went.

Examples:
  watchfire threats list --severity high --open    what is to be looked at, the gravest first
  watchfire threats show 3f2a9c                    all that is known of one
  watchfire threats set 3f2a9c --status in-progress --assignee ann
  watchfire threats set 3f2a9c --status closed --classification fp

The file of --cluster is that of `watchfire cluster`.
Exit codes: 0 done, 1 not done, or no node answers.";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Threats {
    /// List threats, the gravest first, of those the latest
    List(List),
    /// Tell all that is known of a threat
    Show(Show),
    /// Say where the work on a threat stands, who does it, what it was, how grave it is
    #[command(after_help = SET)]
    Set(Set),
}

const SET: &str = "\
What is not given stays as it is. The word is on the disk of the node that is asked when the
command returns, and with the others soon after; of two words on one thing the later one stands, on
all nodes.
With --plan nothing is done, and what would be different is told.

Examples:
  watchfire threats set 3f2a9c --status closed --classification fp   it was nothing
  watchfire threats set 3f2a9c --unassign --severity none            take both words back";

#[derive(Args)]
pub struct Common {
    /// File with nodes to ask and the operator's certificate
    #[arg(long, value_name = "FILE", default_value = "watchfire-cluster/operator.toml")]
    cluster: PathBuf,
    /// Ask the node of this name
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Common {
    async fn find(&self) -> Result<Asked> {
        Asked::find(&self.cluster, self.node.as_deref()).await
    }
}

#[derive(Args)]
pub struct List {
    /// Only those at least so grave: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", value_parser = severity)]
    severity: Option<Severity>,
    /// Only those that are not closed
    #[arg(long)]
    open: bool,
    /// Only those whose host or account holds this text
    #[arg(long, value_name = "TEXT")]
    entity: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Show {
    /// Its id, or at least six digits that it begins with
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

/// Where the work stands.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stand {
    /// Nobody looked at it yet
    Open,
    /// Somebody works on it
    InProgress,
    /// Nothing more is to be done
    Closed,
}

/// What it turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    /// A true positive
    Tp,
    /// A false positive
    Fp,
    /// Nobody knows any more
    None,
}

#[derive(Args)]
#[command(group = ArgGroup::new("said").required(true).multiple(true)
    .args(["status", "assignee", "unassign", "classification", "severity"]))]
pub struct Set {
    /// Its id, or at least six digits that it begins with
    #[arg(value_name = "ID")]
    id: String,
    /// Where the work on it stands
    #[arg(long, value_enum)]
    status: Option<Stand>,
    /// Who works on it
    #[arg(long, value_name = "NAME", conflicts_with = "unassign")]
    assignee: Option<String>,
    /// Nobody works on it
    #[arg(long)]
    unassign: bool,
    /// Whether it was right
    #[arg(long, value_enum)]
    classification: Option<Word>,
    /// How grave it is, whatever the verdicts say: a level, or none to let theirs hold again
    #[arg(long, value_name = "LEVEL", value_parser = severity_or_none)]
    severity: Option<Level>,
    /// Say what would be different, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

/// A severity, or that there is none.
#[derive(Clone, Copy)]
struct Level(Option<Severity>);

fn severity(text: &str) -> Result<Severity, String> {
    let levels = Severity::ALL.map(|s| s.name().to_lowercase()).join(", ");
    Severity::parse(text).ok_or_else(|| format!("{text:?} is no level; there are {levels}"))
}

fn severity_or_none(text: &str) -> Result<Level, String> {
    if text == "none" { Ok(Level(None)) } else { severity(text).map(|s| Level(Some(s))) }
}

impl Set {
    fn said(&self) -> Said {
        let status = self.status.map(|s| match s {
            Stand::Open => Status::Open,
            Stand::InProgress => Status::InProgress,
            Stand::Closed => Status::Closed,
        });
        let classification = self.classification.map(|w| match w {
            Word::Tp => Some(Classification::TruePositive),
            Word::Fp => Some(Classification::FalsePositive),
            Word::None => None,
        });
        let given = self.assignee.as_deref().map(|name| Some(name.into()));
        let assignee = given.or(self.unassign.then_some(None));
        Said { status, assignee, classification, severity: self.severity.map(|level| level.0) }
    }
}

pub fn run(what: &Threats) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Threats::List(it) => list(it).await,
            Threats::Show(it) => show(it).await,
            Threats::Set(it) => set(it).await,
        }
    })
}

impl Asked {
    async fn page(&self, query: Query) -> Result<Page> {
        match ask(&self.fabric, &self.address, &Ask::Threats(Box::new(query)), NODE_TIME).await? {
            Told::Threats(page) => Ok(*page),
            other => bail!("{}: {other:?}", self.address),
        }
    }

    /// The threat that a person named.
    async fn threat(&self, text: &str) -> Result<(String, Record)> {
        let ids = match parse_finding_id(text)? {
            FindingRef::Id(id) => (id, id),
            FindingRef::Prefix(digits) => {
                let filled = |fill: &str| {
                    let rest = fill.repeat(32usize.saturating_sub(digits.len()));
                    format!("{digits}{rest}").parse::<ThreatId>()
                };
                (filled("0")?, filled("f")?)
            }
        };
        let page = self.page(Query { ids, most: TOLD_IDS, ..Query::default() }).await?;
        let ids: Vec<String> = page.records.iter().map(|r| r.id.to_string()).collect();
        match page.records.into_iter().next() {
            Some(record) if page.matching == 1 => Ok((page.node, record)),
            Some(_) => bail!(
                "{} threats begin with {text}, give more digits:\n  {}",
                number(page.matching),
                ids.join("\n  ")
            ),
            None => bail!(
                "{} knows no threat {text}; `watchfire threats list` shows the {} that it knows",
                page.node,
                number(page.known)
            ),
        }
    }
}

async fn list(it: &List) -> Result<ExitCode> {
    let asked = it.common.find().await?;
    let mut query = Query {
        severity: it.severity,
        open: it.open,
        entity: it.entity.clone(),
        most: it.limit,
        ..Query::default()
    };
    let first = asked.page(query.clone()).await?;
    let (node, known, matching) = (first.node, first.known, first.matching);
    let mut records = first.records;
    // Page by page, up to what was asked for.
    while (records.len() as u64) < matching.min(u64::from(it.limit)) {
        query.after = records.last().map(Rank::of);
        query.most = it.limit - records.len() as u32;
        let page = asked.page(query.clone()).await?;
        if page.records.is_empty() {
            break;
        }
        records.extend(page.records);
    }
    if it.common.output == Output::Json {
        let all: Vec<_> = records.iter().map(told::json).collect();
        let told = json!({ "node": node, "known": known, "matching": matching, "threats": all });
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(ExitCode::SUCCESS);
    }
    if !records.is_empty() {
        println!("{}", told::HEADING);
    }
    records.iter().for_each(|record| println!("{}", told::line(record)));
    let (shown, all) = (number(records.len() as u64), number(matching));
    println!("{shown} of {all}; {node} knows {} threats", number(known));
    Ok(ExitCode::SUCCESS)
}

async fn show(it: &Show) -> Result<ExitCode> {
    let (node, record) = it.common.find().await?.threat(&it.id).await?;
    if it.common.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&told::json(&record))?);
    } else {
        print!("{}", told::whole(&record));
        println!("as {node} has it");
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(it: &Set) -> Result<ExitCode> {
    let asked = it.common.find().await?;
    let (node, record) = asked.threat(&it.id).await?;
    let said = it.said();
    let changes = told::changes(&record, &said);
    if it.plan || changes.is_empty() {
        let what = if changes.is_empty() { "it is so already".into() } else { changes.join("; ") };
        say(it, "plan", &what, &record)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ask_for = Ask::Handle { id: record.id, said: Box::new(said) };
    match ask(&asked.fabric, &asked.address, &ask_for, NODE_TIME).await {
        Ok(Told::Threat(record)) => {
            say(it, "done", &format!("{} ({node} has it on disk)", changes.join("; ")), &record)?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Told::Refused(reason)) => bail!("not done: {reason}"),
        Ok(Told::Unknown(reason)) => bail!(
            "whether it was done is not known: {reason}; `watchfire threats show {}` tells, and \
             saying it again does no harm",
            record.id
        ),
        Ok(other) => bail!("{other:?}"),
        Err(error) => {
            bail!("whether it was done is not known: {error}; saying it again does no harm")
        }
    }
}

fn say(it: &Set, key: &str, text: &str, record: &Record) -> Result<()> {
    if it.common.output == Output::Json {
        let said = json!({ key: text, "threat": told::json(record) });
        println!("{}", serde_json::to_string_pretty(&said)?);
    } else {
        println!("{key}: {text}");
    }
    Ok(())
}
