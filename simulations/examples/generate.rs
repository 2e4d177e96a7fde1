//! Writes a scenario's logs into a directory:
//! `generate --seed 1 --hours 2 --campaign scan --campaign beacon:period=30s --out DIR`.
//! Further options are the scenario's settings, `--format NAME` (all when absent) and `--labelled`.

use simulations::traffic::writers::{Format, Writer, labels};
use simulations::traffic::{Scenario, Traffic};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut scenario = Scenario::default();
    let (mut out, mut formats, mut labelled) = (None, Vec::new(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let name = arg.strip_prefix("--").ok_or("options begin with --")?;
        if name == "labelled" {
            labelled = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("--{name} needs a value"))?;
        match name {
            "out" => out = Some(PathBuf::from(value)),
            "format" => formats.push(Format::parse(&value).ok_or("no such format")?),
            _ => scenario.set(name, &value)?,
        }
    }
    if formats.is_empty() {
        formats = Format::ALL.into_iter().map(|(_, f)| f).collect();
    }
    let dir = out.ok_or("--out DIR is needed")?;
    std::fs::create_dir_all(&dir)?;
    let mut traffic = Traffic::new(&scenario)?;
    let mut streams: Vec<(BufWriter<File>, Box<dyn Writer>)> = Vec::new();
    for (name, mut writer) in formats.into_iter().flat_map(|f| f.streams(labelled)) {
        let mut file = BufWriter::new(File::create(dir.join(name))?);
        writer.begin(&mut file, scenario.start)?;
        streams.push((file, writer));
    }
    let (mut records, mut lines) = (0u64, 0u64);
    while let Some(record) = traffic.next() {
        records += 1;
        for (file, writer) in &mut streams {
            lines += writer.write(file, &record, traffic.labels())?;
        }
    }
    for (file, writer) in &mut streams {
        writer.end(file, scenario.end())?;
        file.flush()?;
    }
    labels::write(&mut File::create(dir.join("labels.csv"))?, traffic.labels())?;
    println!("{records} records, {lines} lines in {}", dir.display());
    Ok(())
}
