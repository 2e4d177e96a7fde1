//! Tables from files: cells, and flows where the columns are Zeek's.

use anyhow::{Context, Result, bail};
use intake::{Decoder, Options};
use learning::evaluation::Sheet;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use threat::{EventBatch, SourceId};

/// Columns by which a table is a flow log.
const FLOW_COLUMNS: [&str; 4] = ["ts", "id.orig_h", "id.resp_h", "proto"];

/// A file and its cells.
pub struct Table {
    bytes: Vec<u8>,
    pub sheet: Sheet,
}

/// The events of a flow log, one a row.
pub struct Events {
    pub batches: Vec<Arc<EventBatch>>,
}

/// Reads a table.
pub fn read(path: &Path) -> Result<Table> {
    let named = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(named)?;
    let text = std::str::from_utf8(&bytes);
    let text = text.with_context(|| format!("{}: not UTF-8 text", named()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next().with_context(|| format!("{}: the file is empty", named()))?;
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| header.as_bytes().contains(d));
    let Some(delimiter) = delimiter else {
        bail!("{}: line 1: a header of at least two columns was expected", named());
    };
    let split = |number: usize, line| {
        let place = || format!("{}: line {}", path.display(), number + 1);
        intake::cells(line, delimiter).with_context(place)
    };
    let header = split(0, header)?;
    let mut sheet = Sheet::new(header.iter().map(AsRef::as_ref)).with_context(named)?;
    for (number, line) in lines {
        let cells: Vec<Cow<'_, str>> = split(number, line)?;
        let added = sheet.push(number as u64 + 1, cells.iter().map(AsRef::as_ref));
        added.with_context(named)?;
    }
    Ok(Table { bytes, sheet })
}

/// Whether a table with these columns is a flow log.
pub fn is_flows(names: &[String]) -> bool {
    FLOW_COLUMNS.iter().all(|c| names.iter().any(|n| n == c))
}

/// Decodes a flow log as `detect` does. Every row must become a flow.
pub fn events(table: &Table, path: &Path) -> Result<Events> {
    let mut decoder = Decoder::new(SourceId(0), Options::default());
    decoder.push(&table.bytes);
    decoder.finish();
    let mut batches = Vec::new();
    while let Some(mut batch) = decoder.next_batch(true) {
        batch.sequence = batches.len() as u64;
        batches.push(Arc::new(batch));
    }
    if let Some(bad) = decoder.quarantine().kept.first() {
        bail!("{}: line {}: {}", path.display(), bad.position.line, bad.reason);
    }
    let lines = batches.iter().flat_map(|b| &b.events).map(|e| e.position.line);
    let rows = (0..table.sheet.len()).map(|r| table.sheet.line(r));
    if let Some((_, row)) = lines.clone().zip(rows).find(|(event, row)| event != row) {
        bail!("{}: line {row} is no flow", path.display());
    }
    if lines.count() != table.sheet.len() {
        bail!("{}: some rows are no flows", path.display());
    }
    Ok(Events { batches })
}

/// A cell as CSV.
pub fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains([',', '"', '\n']) {
        Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(cell)
    }
}
