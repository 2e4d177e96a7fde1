//! Any table with a header as feature rows: which columns are numbers, which are kinds, and which
//! only say when and about whom.
//!
//! A [`Sheet`] holds cells; a [`Layout`] is learnt from the training sheet alone and turns any
//! sheet with the same columns into a block. Reading and quoting of files is elsewhere.

use detection::block::{Block, History};
use detection::schema::{Category, Group, Numeric, Schema};
use ndarray::Array2;
use std::collections::BTreeSet;
use std::sync::Arc;
use threat::entity::hash_bytes;
use threat::{EntityId, Timestamp};

/// Cells that a sheet holds at most: ten million rows of forty columns, some four gigabytes.
pub const CELLS: usize = 400_000_000;

/// The column that names a row in its source. An identifier, never a feature.
pub const ROW: &str = "row";

/// Columns that say when.
const TIMES: [&str; 3] = ["ts", "time", "timestamp"];

/// Columns that say about whom, the best first.
const ENTITIES: [&str; 7] =
    ["id.orig_h", "src_ip", "srcip", "source_ip", "user", "username", "user_name"];

/// Further columns that name one thing each and so say nothing of its kind.
const IDENTIFIERS: [&str; 10] = [
    "uid",
    "id.resp_h",
    "id.orig_p",
    "id.resp_p",
    "dst_ip",
    "dstip",
    "flow_id",
    "detailed-label",
    "detailed_label",
    "detailedlabel",
];

/// A text column with another value in over this share of its rows is an identifier, too.
const IDENTIFIER_SHARE: f64 = 0.5;

/// What stands for nothing in a table.
const ABSENT: [&str; 8] = ["", "-", "?", "(empty)", "nan", "NaN", "NA", "null"];

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A row with more or fewer cells than the header.
    #[error("line {line}: {found} cells, the header names {expected}")]
    Cells {
        /// Line of the file.
        line: u64,
        /// Cells there.
        found: usize,
        /// Columns.
        expected: usize,
    },
    /// Two columns of one name, or one without.
    #[error("line 1: the header names the column {0:?} twice or not at all")]
    Header(String),
    /// A column that is needed is not there.
    #[error("no column {wanted:?}; the columns are {there}")]
    Column {
        /// Its name.
        wanted: String,
        /// The columns.
        there: String,
    },
    /// Nothing to learn from.
    #[error("no column is left that a model could read")]
    NoFeatures,
    /// Over [`CELLS`].
    #[error("line {0}: over {CELLS} cells")]
    TooLarge(u64),
}

/// The cells of a table, in one piece.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    names: Vec<String>,
    text: String,
    ends: Vec<usize>,
    lines: Vec<u64>,
}

impl Sheet {
    /// An empty table with a header.
    ///
    /// # Errors
    /// [`Error::Header`].
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let names: Vec<String> = names.into_iter().map(|n| n.trim().to_owned()).collect();
        let mut seen = BTreeSet::new();
        match names.iter().find(|n| n.is_empty() || !seen.insert(n.as_str())) {
            Some(bad) => Err(Error::Header(bad.clone())),
            None => Ok(Self { names, ..Self::default() }),
        }
    }

    /// Adds the row of a line.
    ///
    /// # Errors
    /// [`Error::Cells`], [`Error::TooLarge`].
    pub fn push<'a>(
        &mut self,
        line: u64,
        cells: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let (found, expected) = (cells.len(), self.names.len());
        if found != expected {
            return Err(Error::Cells { line, found, expected });
        }
        if self.ends.len() + found > CELLS {
            return Err(Error::TooLarge(line));
        }
        for cell in cells {
            self.text.push_str(cell.trim());
            self.ends.push(self.text.len());
        }
        self.lines.push(line);
        Ok(())
    }

    /// Column names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The line that a row stood on.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// A cell.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.names.len() + column;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    /// The place of a column.
    ///
    /// # Errors
    /// [`Error::Column`].
    pub fn column(&self, name: &str) -> Result<usize, Error> {
        let missing = || Error::Column { wanted: name.to_owned(), there: self.names.join(", ") };
        self.names.iter().position(|n| n == name).ok_or_else(missing)
    }

    /// The place of the first of several columns that is there.
    fn first_of(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|n| self.names.iter().position(|m| m.eq_ignore_ascii_case(n)))
    }
}

fn absent(cell: &str) -> bool {
    ABSENT.contains(&cell)
}

fn number(cell: &str) -> Option<f32> {
    cell.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x as f32)
}

/// What the columns of a table are.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Numeric columns, then kinds.
    pub schema: Arc<Schema>,
    /// The column that says when.
    pub time: Option<String>,
    /// The column that says about whom.
    pub entity: Option<String>,
    /// Columns that are no features, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

/// What a column is used for.
enum Role {
    Number,
    Kind,
    Out(&'static str),
}

impl Layout {
    /// Finds out what the columns of a training table are; `ignored` ones and the label are no
    /// features.
    ///
    /// # Errors
    /// [`Error::NoFeatures`], [`Error::Column`].
    pub fn of(sheet: &Sheet, label: &str, ignored: &[String]) -> Result<Self, Error> {
        sheet.column(label)?;
        ignored.iter().try_for_each(|name| sheet.column(name).map(|_| ()))?;
        let name = |place: usize| sheet.names[place].clone();
        let (time, entity) = (sheet.first_of(&TIMES), sheet.first_of(&ENTITIES));
        let (mut numeric, mut categories, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for column in 0..sheet.names.len() {
            let group = Group::Core;
            match role(sheet, column, label, ignored) {
                Role::Number => numeric.push(Numeric {
                    name: name(column),
                    group,
                    unit: String::new(),
                    volume: true,
                }),
                Role::Kind => categories.push(Category { name: name(column), group }),
                Role::Out(why) => left_out.push((name(column), why)),
            }
        }
        if numeric.is_empty() && categories.is_empty() {
            return Err(Error::NoFeatures);
        }
        let schema = Schema { name: "table".into(), version: 1, numeric, categories, tokens: 0 };
        let (time, entity) = (time.map(name), entity.map(name));
        Ok(Self { schema: Arc::new(schema), time, entity, left_out })
    }

    /// The rows of a table as a block without encoding, and the lines on which a number was
    /// expected and something else stood: it counts as absent, which is 0.
    ///
    /// # Errors
    /// [`Error::Column`].
    pub fn block(&self, sheet: &Sheet) -> Result<(Block, Vec<u64>), Error> {
        let places = |names: Vec<&String>| -> Result<Vec<usize>, Error> {
            names.into_iter().map(|n| sheet.column(n)).collect()
        };
        let numeric = places(self.schema.numeric.iter().map(|n| &n.name).collect())?;
        let kinds = places(self.schema.categories.iter().map(|c| &c.name).collect())?;
        let time = self.time.as_ref().map(|n| sheet.column(n)).transpose()?;
        let entity = self.entity.as_ref().map(|n| sheet.column(n)).transpose()?;
        let rows = sheet.len();
        let mut odd = Vec::new();
        let raw = Array2::from_shape_fn((rows, numeric.len()), |(row, c)| {
            let cell = sheet.cell(row, numeric[c]);
            number(cell).unwrap_or_else(|| {
                if !absent(cell) && odd.last() != Some(&sheet.line(row)) {
                    odd.push(sheet.line(row));
                }
                0.0
            })
        });
        let categories = Array2::from_shape_fn((rows, kinds.len()), |(row, c)| {
            let cell = sheet.cell(row, kinds[c]);
            if absent(cell) { 0 } else { hash_bytes(cell.as_bytes()) }
        });
        let moment = |row: usize| {
            let given = time.and_then(|c| sheet.cell(row, c).parse::<f64>().ok());
            given
                .and_then(Timestamp::from_secs_f64)
                .unwrap_or_else(|| Timestamp::from_micros(row as i64))
        };
        let about =
            |row: usize| EntityId(entity.map_or(0, |c| hash_bytes(sheet.cell(row, c).as_bytes())));
        let block = Block {
            schema: Arc::clone(&self.schema),
            raw,
            categories,
            encoded: Array2::zeros((rows, 0)),
            entity: (0..rows).map(about).collect(),
            token: vec![0; rows],
            history: vec![History::default(); rows],
            time: (0..rows).map(moment).collect(),
        };
        Ok((block, odd))
    }
}

fn role(sheet: &Sheet, column: usize, label: &str, ignored: &[String]) -> Role {
    let name = sheet.names[column].as_str();
    let among = |list: &[&str]| list.iter().any(|n| n.eq_ignore_ascii_case(name));
    if name == label {
        return Role::Out("the label");
    }
    if name.eq_ignore_ascii_case(ROW) || among(&IDENTIFIERS) {
        return Role::Out("an identifier");
    }
    if ignored.iter().any(|i| i == name) {
        return Role::Out("ignored as asked");
    }
    if among(&TIMES) {
        return Role::Out("the time");
    }
    if among(&ENTITIES) {
        return Role::Out("an entity");
    }
    let present = || (0..sheet.len()).map(|r| sheet.cell(r, column)).filter(|c| !absent(c));
    let Some(first) = present().next() else { return Role::Out("always empty") };
    if number(first).is_some() && present().all(|c| number(c).is_some()) {
        return Role::Number;
    }
    let distinct: BTreeSet<&str> = present().collect();
    let identifier = distinct.len() as f64 > IDENTIFIER_SHARE * sheet.len() as f64;
    if identifier && sheet.len() > 2 { Role::Out("an identifier") } else { Role::Kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(names: &[&str], rows: &[&[&str]]) -> Sheet {
        let mut sheet = Sheet::new(names.iter().copied()).unwrap();
        for (i, row) in rows.iter().enumerate() {
            sheet.push(i as u64 + 2, row.iter().copied()).unwrap();
        }
        sheet
    }

    #[test]
    fn columns_are_told_apart_by_their_content_and_names() {
        let s = sheet(
            &["row", "ts", "user", "bytes", "proto", "session", "empty", "attack", "label"],
            &[
                &["7", "1.5", "ann", "12", "tcp", "a1", "", "x", "benign"],
                &["8", "2.5", "bob", "-", "udp", "a2", "", "y", "scan"],
                &["9", "3.5", "ann", "3e2", "tcp", "a3", "", "x", "benign"],
                &["10", "4.5", "ann", "0", "tcp", "a4", "", "x", "benign"],
            ],
        );
        let layout = Layout::of(&s, "label", &["attack".into()]).unwrap();
        let columns: Vec<&str> = (0..2).map(|i| layout.schema.column(i)).collect();
        assert_eq!((layout.schema.width(), columns), (2, vec!["bytes", "proto"]));
        assert_eq!((layout.time.as_deref(), layout.entity.as_deref()), (Some("ts"), Some("user")));
        assert_eq!(layout.left_out.len(), 7);
        let (block, odd) = layout.block(&s).unwrap();
        assert_eq!(block.raw.column(0).to_vec(), [12.0, 0.0, 300.0, 0.0]);
        assert_eq!(block.categories[(0, 0)], block.categories[(2, 0)]);
        assert_eq!(
            (block.entity[0] == block.entity[2], block.entity[0] == block.entity[1]),
            (true, false)
        );
        assert_eq!(block.time[1], Timestamp::from_micros(2_500_000));
        assert!(odd.is_empty());
    }

    #[test]
    fn another_tables_columns_are_found_by_name() {
        let train = sheet(&["a", "b", "label"], &[&["1", "x", "n"], &["2", "x", "n"]]);
        let layout = Layout::of(&train, "label", &[]).unwrap();
        let test = sheet(&["b", "extra", "a", "label"], &[&["x", "?", "word", "n"]]);
        let (block, odd) = layout.block(&test).unwrap();
        assert_eq!((block.raw[(0, 0)], odd), (0.0, vec![2]));
        let error = layout.block(&sheet(&["a", "label"], &[])).unwrap_err();
        assert!(error.to_string().contains("no column \"b\"; the columns are a, label"), "{error}");
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_place() {
        assert_eq!(Sheet::new(["a", "a"]).unwrap_err(), Error::Header("a".into()));
        let mut s = Sheet::new(["a", "b"]).unwrap();
        let error = s.push(9, ["1"].into_iter()).unwrap_err();
        assert_eq!(error, Error::Cells { line: 9, found: 1, expected: 2 });
        let s = sheet(&["row", "label"], &[&["1", "n"]]);
        assert_eq!(Layout::of(&s, "label", &[]).unwrap_err(), Error::NoFeatures);
        assert!(Layout::of(&s, "class", &[]).is_err());
    }
}
