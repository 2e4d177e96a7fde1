//! Zeek's tab-separated logs: `#` headers name separators, columns and types; rows follow.
//!
//! Columns are always taken from the header, which may change within a file. A file whose header
//! is lost is read when its rows have the shape of the classic conn log, and set aside otherwise.
//! What the fields mean stands in `zeek`. Escapes (`\xHH`, `\\`) are undone where the result is
//! UTF-8.

use crate::error::Error;
use crate::json::Json;
use crate::record::Parsed;
use crate::zeek::{self, Log};
use crate::zeek_places::{CLASSIC_CONN, Place, place};
use memchr::{memchr, memchr_iter};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use threat::Text;
use threat::event::{ConnState, Protocol};

/// Columns that a header may name: Zeek's widest logs have under 100.
const COLUMNS: usize = 1_024;

/// What a `#` header said, as text; this is what a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Declared {
    separator: u8,
    set_separator: Text,
    empty: Text,
    unset: Text,
    path: Text,
    names: Vec<Text>,
    types: Vec<Text>,
    assumed: bool,
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            separator: b'\t',
            set_separator: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: Text::default(),
            names: Vec::new(),
            types: Vec::new(),
            assumed: false,
        }
    }
}

/// A header, ready for reading rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Declared", into = "Declared")]
pub(crate) struct Header {
    declared: Declared,
    log: Log,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: Text,
    place: Place,
    set: bool,
    kind: Kind,
}

/// How a value of a column without a typed place is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Number,
    Flag,
}

impl Kind {
    fn of(zeek_type: &str) -> Self {
        match zeek_type {
            "count" | "int" | "port" | "int64" => Self::Whole,
            "double" | "interval" | "time" => Self::Number,
            "bool" => Self::Flag,
            _ => Self::Text,
        }
    }
}

impl From<Declared> for Header {
    fn from(declared: Declared) -> Self {
        let log = Log::of_path(&declared.path);
        let column = |(i, name): (usize, &Text)| {
            let written = declared.types.get(i).map_or("string", Text::as_str);
            let inner = written.split_once('[').map(|(_, t)| t.trim_end_matches(']'));
            Column {
                name: name.clone(),
                place: place(log, name),
                set: inner.is_some(),
                kind: Kind::of(inner.unwrap_or(written)),
            }
        };
        let columns = declared.names.iter().enumerate().map(column).collect();
        Self { declared, log, columns }
    }
}

impl From<Header> for Declared {
    fn from(header: Header) -> Self {
        header.declared
    }
}

/// A directive line of Zeek, as against any other comment.
fn directive(line: &[u8]) -> Option<&[u8]> {
    const KNOWN: [&[u8]; 9] = [
        b"#separator",
        b"#set_separator",
        b"#empty_field",
        b"#unset_field",
        b"#path",
        b"#open",
        b"#close",
        b"#fields",
        b"#types",
    ];
    KNOWN.into_iter().find(|k| {
        line.starts_with(k)
            && line.get(k.len()).is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_')
    })
}

/// A directive, a row of the known width, or a row of times and tabs whose header is lost.
pub(crate) fn sniff(line: &[u8], header: Option<&Header>) -> bool {
    if line.first() == Some(&b'#') {
        return directive(line).is_some();
    }
    if let Some(header) = header {
        let row = line.strip_suffix(&[header.declared.separator]).unwrap_or(line);
        let cells = memchr_iter(header.declared.separator, row).count() + 1;
        let width = header.columns.len();
        if width > 1 && (cells == width || (row.len() < line.len() && cells + 1 == width)) {
            return true;
        }
    }
    let Some(tab) = memchr(b'\t', line) else { return false };
    let first = std::str::from_utf8(&line[..tab]).unwrap_or_default();
    first.contains('.') && crate::time::decimal(first).is_some()
}

/// Reads a header line or a row.
pub(crate) fn read(line: &[u8], state: &mut Option<Arc<Header>>) -> Result<Parsed, Error> {
    let text = std::str::from_utf8(line).map_err(|e| Error::Utf8(e.valid_up_to()))?;
    if let Some(word) = directive(line) {
        apply(word, text, state)?;
        return Ok(Parsed::Comment);
    }
    match state {
        Some(header) if !header.columns.is_empty() => row(text, header),
        _ => {
            let width = memchr_iter(b'\t', line).count() + 1;
            if !classic_conn(text) {
                return Err(Error::HeaderLost(width));
            }
            let header = Arc::new(Header::from(Declared {
                path: "conn".into(),
                names: CLASSIC_CONN.iter().map(|c| c.0.into()).collect(),
                types: CLASSIC_CONN.iter().map(|c| c.1.into()).collect(),
                assumed: true,
                ..Declared::default()
            }));
            row(text, state.insert(header))
        }
    }
}

/// The row has as many columns as the classic conn log, with its protocol and state in their
/// places.
fn classic_conn(text: &str) -> bool {
    let cells: Vec<&str> = text.split('\t').take(CLASSIC_CONN.len() + 1).collect();
    cells.len() == CLASSIC_CONN.len()
        && crate::time::decimal(cells[0]).is_some()
        && (Protocol::parse(cells[6]) != Protocol::Other || cells[6] == Protocol::Other.name())
        && ConnState::parse(cells[11]).is_some()
}

/// Applies a header line. `#separator` begins a new header, `#fields` replaces the columns.
fn apply(word: &[u8], text: &str, state: &mut Option<Arc<Header>>) -> Result<(), Error> {
    let old = || state.as_ref().map(|h| h.declared.clone()).filter(|d| !d.assumed);
    let rest = &text[word.len()..];
    if word == b"#separator" {
        let written = unescape(rest.strip_prefix(' ').unwrap_or(rest));
        let separator = match written.as_ref() {
            "\\t" => b'\t',
            one if one.len() == 1 => one.as_bytes()[0],
            _ => return Err(Error::Header("#separator is not one byte")),
        };
        *state = Some(Arc::new(Header::from(Declared { separator, ..Declared::default() })));
        return Ok(());
    }
    let mut declared = old().unwrap_or_default();
    let separator = char::from(declared.separator);
    let rest = rest.strip_prefix([separator, '\t', ' ']).unwrap_or(rest);
    match word {
        b"#set_separator" => declared.set_separator = rest.into(),
        b"#empty_field" => declared.empty = rest.into(),
        b"#unset_field" => declared.unset = rest.into(),
        b"#path" => declared.path = rest.into(),
        b"#fields" => {
            declared.names = rest.split(separator).take(COLUMNS + 1).map(Text::from).collect();
            declared.types.clear();
            if declared.names.len() > COLUMNS {
                return Err(Error::Header("too many columns"));
            }
        }
        b"#types" => declared.types = rest.split(separator).take(COLUMNS).map(Text::from).collect(),
        _ => return Ok(()),
    }
    *state = Some(Arc::new(Header::from(declared)));
    Ok(())
}

/// One pass over the row: each cell goes straight to its place.
fn row(text: &str, header: &Header) -> Result<Parsed, Error> {
    let line = text.as_bytes();
    let width = header.columns.len();
    let declared = &header.declared;
    let unset = declared.unset.as_str();
    let escaped = memchr(b'\\', line).is_some();
    let mut draft = header.log.draft();
    let mut start = 0;
    let mut found = 0;
    let ends = memchr_iter(declared.separator, line).chain(std::iter::once(line.len()));
    for end in ends {
        let Some(column) = header.columns.get(found) else {
            // some writers end each row with a separator: no cell follows it
            found += usize::from(start < line.len());
            break;
        };
        // separators are ASCII or one byte of a char; `get` keeps a hostile separator from
        // splitting one
        let cell = text.get(start..end).ok_or(Error::Utf8(start))?;
        start = end + 1;
        found += 1;
        if cell == unset {
            continue;
        }
        let value = value_of(cell, column, declared, escaped);
        if let Err(error) = zeek::assign(&mut draft, column.place, &column.name, value) {
            // a row of another width is no row of this table: that says more than one odd cell
            return Err(other_width(line, header).unwrap_or(error));
        }
    }
    if found != width {
        return Err(other_width(line, header).unwrap_or(Error::Columns { found, expected: width }));
    }
    let service = if declared.path.is_empty() { "unknown" } else { declared.path.as_str() };
    draft.finish("zeek", service)
}

/// The error of a row that is not as wide as its header.
fn other_width(line: &[u8], header: &Header) -> Option<Error> {
    let separator = header.declared.separator;
    let found = memchr_iter(separator, line).count() + 1;
    let expected = header.columns.len();
    let fits = found == expected || (found == expected + 1 && line.last() == Some(&separator));
    let lost = header.declared.assumed;
    (!fits).then_some(if lost {
        Error::HeaderLost(found)
    } else {
        Error::Columns { found, expected }
    })
}

/// A cell by its column: a list for sets and vectors, a number or flag where it is kept untyped.
fn value_of<'a>(cell: &'a str, column: &Column, declared: &Declared, escaped: bool) -> Json<'a> {
    if column.set {
        return set_of(cell, column, declared, escaped);
    }
    if cell == declared.empty {
        return Json::cell("");
    }
    // numbers that may be kept untyped after all keep their kind
    if matches!(
        column.place,
        Place::Extra | Place::Status | Place::AuthAttempts | Place::NoticePort
    ) {
        scalar(cell, column.kind, escaped)
    } else {
        Json::Text(if escaped { unescape(cell) } else { Cow::Borrowed(cell) })
    }
}

fn set_of<'a>(cell: &'a str, column: &Column, declared: &Declared, escaped: bool) -> Json<'a> {
    if cell == declared.empty || declared.set_separator.is_empty() {
        return Json::List(Vec::new());
    }
    let present = |item: &&str| *item != declared.unset;
    let items = cell.split(declared.set_separator.as_str()).filter(present);
    Json::List(items.map(|item| scalar(item, column.kind, escaped)).collect())
}

/// A value of the declared kind, or its text where it is not of it.
fn scalar(cell: &str, kind: Kind, escaped: bool) -> Json<'_> {
    let typed = match kind {
        Kind::Text => None,
        Kind::Whole => cell.parse().ok().map(Json::Int),
        Kind::Number => cell.parse().ok().filter(|n: &f64| n.is_finite()).map(Json::Float),
        Kind::Flag => match cell {
            "T" => Some(Json::Bool(true)),
            "F" => Some(Json::Bool(false)),
            _ => None,
        },
    };
    typed.unwrap_or_else(|| Json::Text(if escaped { unescape(cell) } else { Cow::Borrowed(cell) }))
}

/// Undoes Zeek's `\xHH` and `\\`. What would not be UTF-8 afterwards stays as written.
fn unescape(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\\') {
        return Cow::Borrowed(cell);
    }
    let bytes = cell.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match &bytes[i..] {
            [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex(*a) * 16 + hex(*b));
                i += 4;
            }
            [b'\\', b'\\', ..] => {
                out.push(b'\\');
                i += 2;
            }
            _ => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(cell), Cow::Owned)
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or(0) as u8
}
