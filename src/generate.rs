//! `watchfire generate`: seeded traffic with labelled campaigns.

use anyhow::{Context, Result, anyhow};
use clap::Args;
use simulations::traffic::writers::{Format, Writer, labels};
use simulations::traffic::{Campaign, Label, Scenario, Traffic};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use threat::Timestamp;

/// Monday 5 January 2026, midnight UTC: a day with office hours in it.
const START: i64 = 1_767_571_200;

/// What the help ends with.
const AFTER: &str = "\
Examples:
  watchfire generate --out sample --campaign scan --campaign beacon
  watchfire generate --out night --hours 4 --labelled --format zeek-json \\
      --campaign dns-tunnel --campaign 'beacon:period=30s,jitter=0.2,start=2h'
  watchfire detect sample";

#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Folder to write into; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Same seed, same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hours of traffic
    #[arg(long, default_value_t = 10.0)]
    hours: f64,
    /// Start, in seconds since 1970 (UTC)
    #[arg(long, default_value_t = START + 8 * 3_600)]
    start: i64,
    /// Machines in the made-up organisation
    #[arg(long, default_value_t = 60)]
    hosts: usize,
    /// Accounts in it
    #[arg(long, default_value_t = 40)]
    users: usize,
    /// Mean benign flows a second in working hours
    #[arg(long)]
    rate: Option<f64>,
    /// An attack: scan, brute-force, beacon, dns-tunnel, exfiltration, lateral-movement, insider;
    /// with settings as in `beacon:period=30s,jitter=0.2,start=2h`
    #[arg(long, value_name = "KIND[:SETTINGS]")]
    campaign: Vec<String>,
    /// Formats to write: zeek-tsv, zeek-json, eve, auth, auth-5424, csv
    #[arg(long, value_name = "FORMAT", default_values = ["zeek-tsv", "auth"])]
    format: Vec<String>,
    /// Add ground-truth columns to the formats that have room for them
    #[arg(long)]
    labelled: bool,
    /// Let an authorised vulnerability scanner run, too
    #[arg(long)]
    scanner: bool,
}

impl Arguments {
    /// A day with attacks of three kinds, into a folder.
    pub fn day(out: PathBuf) -> Self {
        Self {
            out,
            seed: 1,
            hours: 10.0,
            start: START + 8 * 3_600,
            hosts: 60,
            users: 40,
            rate: None,
            campaign: ["scan", "beacon", "brute-force"].map(String::from).to_vec(),
            format: ["zeek-tsv", "auth"].map(String::from).to_vec(),
            labelled: false,
            scanner: false,
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let dir = &arguments.out;
    let (lines, campaigns) = write(arguments)?;
    let truth = truth(dir);
    println!("{lines} records in {}, campaigns in {}", dir.display(), truth.display());
    campaigns.iter().for_each(|campaign| println!("  {campaign}"));
    println!("next: watchfire detect {}", dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the traffic. How many records there are, and the attacks among them, in words.
pub fn write(arguments: &Arguments) -> Result<(u64, Vec<String>)> {
    let mut scenario = Scenario {
        seed: arguments.seed,
        start: Timestamp::from_micros(arguments.start * 1_000_000),
        duration: arguments.hours * 3_600.0,
        hosts: arguments.hosts,
        users: arguments.users,
        scanner: arguments.scanner,
        ..Scenario::default()
    };
    if let Some(rate) = arguments.rate {
        scenario.rate = rate;
    }
    for text in &arguments.campaign {
        let campaign: Campaign = text.parse().with_context(|| format!("campaign `{text}`"))?;
        scenario.campaigns.push(campaign);
    }
    let mut traffic = Traffic::new(&scenario)?;
    let dir = &arguments.out;
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut streams: Vec<(BufWriter<File>, Box<dyn Writer>)> = Vec::new();
    for name in &arguments.format {
        let format = Format::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|(n, _)| *n).collect();
            anyhow!("no format `{name}`; there are {}", known.join(", "))
        })?;
        for (file, mut writer) in format.streams(arguments.labelled) {
            let mut file = BufWriter::new(File::create(dir.join(file))?);
            writer.begin(&mut file, scenario.start)?;
            streams.push((file, writer));
        }
    }
    let mut lines = 0;
    while let Some(record) = traffic.next() {
        for (file, writer) in &mut streams {
            lines += writer.write(file, &record, traffic.labels())?;
        }
    }
    for (file, writer) in &mut streams {
        writer.end(file, scenario.end())?;
        file.flush()?;
    }
    labels::write(&mut File::create(truth(dir))?, traffic.labels())?;
    let told = |label: &Label| {
        let actors: Vec<String> = label.actors.iter().map(ToString::to_string).collect();
        format!("{}: {} records by {}", label.kind.name(), label.records, actors.join(", "))
    };
    Ok((lines, traffic.labels().iter().map(told).collect()))
}

/// Where the truth is: beside the folder, so that `detect` on the folder does not read the answers.
fn truth(dir: &Path) -> PathBuf {
    dir.with_extension("labels.csv")
}
