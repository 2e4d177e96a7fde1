//! `watchfire bundle`: models from a file to all nodes of a cluster.

use crate::asking::{Common, Output, one, propose, say};
use crate::exit;
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use detection::bundle::Bundle as Model;
use node::membership::{Command, Links, Reply, operator};
use node::rollout::asking;
use node::rollout::limits::BUNDLE_BYTES;
use node::rollout::message::{BundleView, Standing};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the help ends with.
const AFTER: &str = "\
A bundle (`watchfire train` makes one) goes this way, each step agreed on by the cluster:
  register   a node tests it; all nodes pull it by its hash and test it, too
  shadow     nodes judge a sample of their events with it, without effect, and say they are ready
  canary     the nodes of one region use it; the leader compares it with what it replaced
  activate   all nodes use it from their next batch on
What clearly does worse (alarms that the other bundle does not raise, missing votes, late verdicts)
is rolled back without a person, at any step. Going forward is your word, or that of --auto.

Examples:
  watchfire train --output office.model last-month/
  watchfire bundle register office.model --auto   and then as far as its evidence carries it
  watchfire bundle list                           stages, evidence, and which node uses what
  watchfire bundle canary 3 --region eu
  watchfire bundle activate 3 --plan              what it would do
  watchfire bundle rollback 3";

#[derive(Subcommand)]
#[command(after_help = AFTER)]
pub enum Bundle {
    /// Hand a bundle to a node, which tests it and makes it known
    Register(Register),
    /// Let nodes judge a sample with it, without effect
    Shadow(Step),
    /// Let one region use it
    Canary(Canary),
    /// Let all regions use it
    Activate(Step),
    /// Take it back: the former one is used, or what nodes learnt themselves
    Rollback(Step),
    /// Show bundles with their evidence, and what each node uses
    List(Common),
}

#[derive(Args)]
pub struct Register {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go on to shadow, a canary region and all regions without a person, as evidence allows
    #[arg(long)]
    auto: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Step {
    /// Its version, as `list` shows it
    version: u64,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", default_value = "by an operator")]
    why: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Canary {
    /// The region
    #[arg(long)]
    region: String,
    #[command(flatten)]
    step: Step,
}

pub fn run(what: &Bundle) -> Result<ExitCode> {
    crate::runtime()?.block_on(async {
        match what {
            Bundle::Register(it) => register(it).await,
            Bundle::List(common) => list(common).await,
            Bundle::Canary(it) => step(&it.step, Kind::Canary(&it.region)).await,
            Bundle::Shadow(it) => step(it, Kind::Shadow).await,
            Bundle::Activate(it) => step(it, Kind::Activate).await,
            Bundle::Rollback(it) => step(it, Kind::Rollback).await,
        }
    })
}

async fn register(it: &Register) -> Result<ExitCode> {
    let bytes = std::fs::read(&it.file).with_context(|| it.file.display().to_string())?;
    if bytes.len() > BUNDLE_BYTES {
        bail!("{}: over {BUNDLE_BYTES} bytes, which no bundle has", it.file.display());
    }
    let (fabric, nodes) = operator(&it.common.cluster)?;
    if it.plan {
        return plan_to_register(it, &bytes, &standings(&fabric, &nodes).await?);
    }
    let mut why = Vec::new();
    for address in &nodes {
        match asking::register(&fabric, address, &bytes, it.auto).await {
            Ok(version) => {
                let next = if it.auto {
                    "watchfire bundle list".to_owned()
                } else {
                    format!("watchfire bundle shadow {version}")
                };
                say(it.common.output, &json!({ "version": version, "next": next }), || {
                    format!("bundle {version} is registered\nnext: {next}")
                })?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(asking::Error::Refused(reason)) => bail!("{}: {reason}", it.file.display()),
            Err(error) => why.push(format!("{address}: {error}")),
        }
    }
    bail!("no node takes it\n  {}", why.join("\n  "))
}

/// Says what registering would do; the file is tested here as a node would.
fn plan_to_register(it: &Register, bytes: &[u8], all: &Standings) -> Result<ExitCode> {
    let tested = Model::decode(bytes).and_then(|bundle| bundle.self_test());
    tested.with_context(|| format!("{}: a node would refuse it", it.file.display()))?;
    let hash = asking::hash_of(bytes);
    let known = newest(all)?.bundles.iter().find(|(_, bundle)| bundle.hash == hash);
    let plan = match known {
        Some((version, _)) => format!("nothing: it is bundle {version} already"),
        None if it.auto => format!(
            "{} nodes get the bundle and test it; then it goes on to shadow, a canary region and \
             all regions as its evidence allows",
            all.len()
        ),
        None => format!("{} nodes get the bundle and test it; none uses it yet", all.len()),
    };
    say(it.common.output, &json!({ "plan": plan }), || format!("plan: {plan}"))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Shadow,
    Canary(&'a str),
    Activate,
    Rollback,
}

async fn step(it: &Step, kind: Kind<'_>) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&it.common.cluster)?;
    let all = standings(&fabric, &nodes).await?;
    let known = newest(&all)?;
    let version = it.version;
    let Some(bundle) = known.bundles.get(&version) else {
        bail!("there is no bundle {version}; `watchfire bundle list` shows those there are")
    };
    let plan = plan(&all, known, bundle, version, kind);
    if it.plan {
        say(it.common.output, &json!({ "plan": plan }), || format!("plan: {plan}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let evidence = it.why.as_str().into();
    let expected_epoch = known.epoch;
    let command = match kind {
        Kind::Shadow => Command::ShadowBundle { version, evidence },
        Kind::Canary(region) => Command::CanaryBundle { version, region: region.into(), evidence },
        Kind::Activate => Command::ActivateBundle { version, expected_epoch, evidence },
        Kind::Rollback => Command::RollbackBundle { version, expected_epoch, evidence },
    };
    match propose(&fabric, &nodes, command).await? {
        Reply::Refused(refusal) => bail!("not done: {refusal}{}", hint(bundle)),
        Reply::Unchanged => say(it.common.output, &json!({ "unchanged": plan }), || {
            format!("it was so already: bundle {version} is {}", bundle.stage)
        })?,
        _ => say(it.common.output, &json!({ "done": plan }), || format!("done: {plan}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What can be done with a bundle where it is.
fn hint(bundle: &BundleView) -> &'static str {
    match &*bundle.stage {
        "registered" => "\nnext: `watchfire bundle shadow`",
        "shadow" => "\nnext: `watchfire bundle canary --region`, once a node of it is ready",
        "canary" => "\nnext: `watchfire bundle activate`, or `rollback`",
        "rolled back" => "\nit was taken back; `watchfire bundle shadow` begins anew",
        _ => "",
    }
}

/// What a step does, in words.
fn plan(
    all: &Standings,
    known: &Standing,
    bundle: &BundleView,
    version: u64,
    kind: Kind<'_>,
) -> String {
    let there = || all.values().flatten();
    let has = |s: &&Standing| s.held.get(&version).is_some_and(|h| h == "ready");
    match kind {
        Kind::Shadow => format!(
            "the {} nodes judge a sample of their events with bundle {version}, without effect",
            all.len()
        ),
        Kind::Canary(region) => {
            let nodes = there().filter(|s| s.region == region);
            let ready = nodes.clone().filter(has).count();
            format!(
                "the {} nodes of {region} use bundle {version}, of which {ready} have it ready; \
                 the others go on with {}",
                nodes.count(),
                named(known.active)
            )
        }
        Kind::Activate => format!(
            "all nodes use bundle {version} in the place of {}; {} of {} have it ready, the \
             others follow when they have",
            named(known.active),
            there().filter(has).count(),
            all.len()
        ),
        Kind::Rollback if bundle.stage == "active" => {
            format!(
                "bundle {version} is taken back; all nodes use the former one, or what they \
                 learnt themselves if there is none"
            )
        }
        Kind::Rollback => {
            format!("bundle {version} is taken back; its nodes use {}", named(known.active))
        }
    }
}

fn named(version: Option<u64>) -> String {
    version.map_or_else(|| "what they learnt themselves".into(), |v| format!("bundle {v}"))
}

/// What each member said, by name, or why nothing came.
pub type Standings = BTreeMap<String, Result<Standing, String>>;

/// Asks all members, of whom the first node that answers knows.
pub async fn standings(fabric: &Links, nodes: &[String]) -> Result<Standings> {
    let mut why = Vec::new();
    for address in nodes {
        match one(fabric, address).await {
            Ok(first) => {
                let ask = async |address: &str| {
                    asking::standing(fabric, address).await.map_err(|e| e.to_string())
                };
                let mut all = Standings::new();
                for member in first.members.values() {
                    // One that does not answer at once is not waited for long.
                    let there = one(fabric, &member.address).await;
                    let said = match there {
                        Ok(_) => ask(&member.address).await,
                        Err(reason) => Err(reason),
                    };
                    all.insert(member.name.clone(), said);
                }
                return Ok(all);
            }
            Err(reason) => why.push(format!("{address}: {reason}")),
        }
    }
    bail!("no node answers\n  {}", why.join("\n  "))
}

/// What the node knows that has applied most.
pub fn newest(all: &Standings) -> Result<&Standing> {
    let known = all.values().flatten().max_by_key(|s| s.applied);
    known.ok_or_else(|| {
        let why: Vec<String> = all.iter().map(|(n, s)| format!("{n}: {s:?}")).collect();
        anyhow!("no node says what it knows\n  {}", why.join("\n  "))
    })
}

/// How a node stands to what is meant for it.
fn state(said: &Standing) -> String {
    let uses = match said.uses {
        Some(version) => format!("uses bundle {version}"),
        None if said.bundle.is_empty() => "is learning".into(),
        None => format!("uses what it learnt ({})", said.bundle),
    };
    match said.meant {
        Some(meant) if said.uses != Some(meant) => {
            let has = said.held.get(&meant).map_or("nothing of it", String::as_str);
            format!("{uses}  LAGGING: bundle {meant} is meant for it, it has {has}")
        }
        _ => uses,
    }
}

async fn list(common: &Common) -> Result<ExitCode> {
    let (fabric, nodes) = operator(&common.cluster)?;
    let all = standings(&fabric, &nodes).await?;
    let known = newest(&all)?;
    let lagging = |s: &Standing| s.meant.is_some() && s.uses != s.meant;
    let late =
        all.values().any(|s| s.as_ref().is_err_and(|_| true) || s.as_ref().is_ok_and(lagging));
    if common.output == Output::Json {
        let nodes: BTreeMap<&String, Value> = all
            .iter()
            .map(|(name, said)| match said {
                Ok(s) => (
                    name,
                    json!({ "node": s.node, "region": s.region, "applied": s.applied,
                            "uses": s.uses, "meant": s.meant, "bundle": s.bundle,
                            "lagging": lagging(s), "held": s.held, "reports": s.reports }),
                ),
                Err(reason) => (name, json!({ "unreachable": reason })),
            })
            .collect();
        let value = json!({ "active": known.active, "epoch": known.epoch,
                            "bundles": known.bundles, "nodes": nodes });
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        print(known, &all);
    }
    Ok(if late { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

fn print(known: &Standing, all: &Standings) {
    if known.bundles.is_empty() {
        println!("no bundles; `watchfire bundle register FILE` makes one known");
    }
    for (version, bundle) in &known.bundles {
        let region = bundle.region.as_ref().map(|r| format!(" in {r}")).unwrap_or_default();
        let auto = if bundle.auto { ", goes on by itself" } else { "" };
        println!(
            "bundle {version}  {}{region}{auto}  {} of {} nodes ready",
            bundle.stage,
            bundle.ready.len(),
            all.len()
        );
        for (stage, evidence) in &bundle.steps {
            println!("  {stage:12} {evidence}");
        }
        for (node, evidence) in bundle.ready.iter().filter(|(_, e)| !e.is_empty()) {
            println!("  ready        node {node}: {evidence}");
        }
        println!("  blake3       {}", bundle.hash);
    }
    println!("{:12} {:8} bundle", "node", "region");
    for (name, said) in all {
        match said {
            Ok(s) => println!("{name:12} {:8} {}", s.region, state(s)),
            Err(reason) => println!("{name:12} unreachable: {reason}"),
        }
    }
}
