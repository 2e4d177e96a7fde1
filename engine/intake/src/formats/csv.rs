//! Comma-, semicolon- or tab-separated tables with a header line (RFC 4180 quoting, one row a
//! line).
//!
//! Tables with Zeek's conn columns become flows, with `label` and `detailed-label` as ground
//! truth; any other table becomes generic events. An empty cell is an unset field. A quoted cell
//! may not hold a line break: one stray quote would else swallow the rows after it.

use crate::Options;
use crate::common;
use crate::error::Error;
use crate::json::{Fields, Json};
use crate::record::{Draft, Parsed};
use crate::zeek::{self, Log};
use crate::zeek_places::{Place, place};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use threat::Text;
use threat::event::Body;

/// Columns that a header may name.
const COLUMNS: usize = 4_096;

/// The header of the table being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u8, Vec<Text>)", into = "(u8, Vec<Text>)")]
pub(crate) struct Header {
    delimiter: u8,
    names: Vec<Text>,
    /// Of Zeek's conn columns; empty for other tables.
    places: Vec<Place>,
}

impl From<(u8, Vec<Text>)> for Header {
    fn from((delimiter, names): (u8, Vec<Text>)) -> Self {
        let zeek_name = |n: &Text| -> Text {
            // a converter of the IoT-23 captures writes `id_orig.h`
            n.strip_prefix("id_").map_or_else(
                || n.clone(),
                |rest| Text::from(format!("id.{}", rest.replace('.', "_"))),
            )
        };
        let renamed: Vec<Text> = names.iter().map(zeek_name).collect();
        let has = |name: &str| renamed.iter().any(|n| n == name);
        let flows = has("ts") && has("id.orig_h") && has("id.resp_h") && has("proto");
        let places =
            if flows { renamed.iter().map(|n| place(Log::Conn, n)).collect() } else { Vec::new() };
        Self { delimiter, names, places }
    }
}

impl From<Header> for (u8, Vec<Text>) {
    fn from(header: Header) -> Self {
        (header.delimiter, header.names)
    }
}

/// The header that this line is, if it is one: at least two distinct names without a number among
/// them, one of which names a time.
fn header_of(line: &str) -> Option<Header> {
    if line.starts_with(['{', '[', '<', '#']) {
        return None;
    }
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| line.as_bytes().contains(d))?;
    let cells = cells(line, delimiter).ok()?;
    let named = |c: &Cow<'_, str>| {
        !c.is_empty()
            && c.len() <= 64
            && c.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'@')
    };
    if cells.len() < 2 || cells.len() > COLUMNS || !cells.iter().all(named) {
        return None;
    }
    let mut distinct: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let timed = distinct.iter().any(|c| common::TIMES.contains(c));
    let header = || Header::from((delimiter, cells.iter().map(|c| Text::from(c.trim())).collect()));
    (timed && distinct.len() == cells.len()).then(header)
}

/// A header line, or a row as wide as the header that we hold.
pub(crate) fn sniff(line: &[u8], header: Option<&Header>) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    let width = |h: &Header| cells(text, h.delimiter).is_ok_and(|c| c.len() == h.names.len());
    (!text.starts_with('{') && header.is_some_and(width)) || header_of(text).is_some()
}

/// Reads a header line or a row.
pub(crate) fn read(
    line: &[u8],
    state: &mut Option<Arc<Header>>,
    options: &Options,
) -> Result<Parsed, Error> {
    let text = std::str::from_utf8(line).map_err(|e| Error::Utf8(e.valid_up_to()))?;
    let Some(header) = state else {
        *state = Some(Arc::new(header_of(text).ok_or(Error::Header("no column names a time"))?));
        return Ok(Parsed::Comment);
    };
    match row(text, header, options) {
        Ok(parsed) => Ok(parsed),
        // a header in the middle begins another table
        Err(error) => match header_of(text) {
            Some(other) => {
                *state = Some(Arc::new(other));
                Ok(Parsed::Comment)
            }
            None => Err(error),
        },
    }
}

fn row(text: &str, header: &Header, options: &Options) -> Result<Parsed, Error> {
    if text.starts_with('{') {
        return Err(Error::Columns { found: 1, expected: header.names.len() });
    }
    let cells = cells(text, header.delimiter)?;
    if cells.len() != header.names.len() {
        return Err(Error::Columns { found: cells.len(), expected: header.names.len() });
    }
    if header.places.is_empty() {
        return generic(cells, header, options);
    }
    let mut draft = Log::Conn.draft();
    for ((cell, name), place) in cells.into_iter().zip(&header.names).zip(&header.places) {
        if matches!(cell.as_ref(), "" | "-" | "(empty)") {
            continue;
        }
        let value = if *place == Place::Extra { typed(cell) } else { Json::Text(cell) };
        zeek::assign(&mut draft, *place, name, value)?;
    }
    draft.finish("csv", "flow")
}

fn generic(cells: Vec<Cow<'_, str>>, header: &Header, options: &Options) -> Result<Parsed, Error> {
    let present = cells.into_iter().zip(&header.names).filter(|(c, _)| !c.is_empty());
    let mut fields: Fields<'_> =
        present.map(|(c, n)| (Cow::Borrowed(n.as_str()), typed(c))).collect();
    let mut draft = Draft::new(Body::Generic);
    for name in ["label", "detailed-label", "detailedlabel", "detailed_label"] {
        if let Some(i) = fields.iter().position(|(n, _)| n == name) {
            let text = fields.remove(i).1.text();
            if name == "label" {
                draft.label = text
            } else {
                draft.detailed_label = text
            }
            draft.typed += 1;
        }
    }
    common::fill(&mut draft, &mut fields, options.utc_offset_seconds)?;
    draft.keep_all(fields);
    draft.finish("csv", "generic")
}

/// A number where the cell is one.
fn typed(cell: Cow<'_, str>) -> Json<'_> {
    if !cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') {
        return Json::Text(cell);
    }
    // leading zeros are part of a name (an id, a postal code), not of a number
    let padded = cell.len() > 1 && cell.starts_with('0') && !cell.starts_with("0.");
    match cell.parse::<i64>() {
        Ok(n) if !padded => Json::Int(n),
        _ => match cell.parse::<f64>() {
            Ok(n) if n.is_finite() && !padded => Json::Float(n),
            _ => Json::Text(cell),
        },
    }
}

/// The cells of a line.
///
/// # Errors
/// [`Error::Quote`] when a quoted cell does not end on the line.
pub fn cells(line: &str, delimiter: u8) -> Result<Vec<Cow<'_, str>>, Error> {
    if !line.contains('"') {
        return Ok(line.split(char::from(delimiter)).map(Cow::Borrowed).collect());
    }
    // the reader would end inside of quotes exactly when their number is odd
    if line.bytes().filter(|b| *b == b'"').count() % 2 == 1 {
        return Err(Error::Quote);
    }
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let mut output = vec![0u8; line.len() + 1];
    let mut ends = vec![0usize; line.len() + 2];
    let (_, _, used, columns) = reader.read_record(line.as_bytes(), &mut output, &mut ends);
    // an empty input ends the record
    let (_, _, _, last) = reader.read_record(&[], &mut output[used..], &mut ends[columns..]);
    let columns = columns + last;
    let mut start = 0;
    let cell = |end: &usize| {
        let text = String::from_utf8_lossy(&output[start..*end]).into_owned();
        start = *end;
        Cow::Owned(text)
    };
    Ok(ends[..columns].iter().map(cell).collect())
}
