//! Tables of series: `series,[origin],t,value` with a header, columns in any order, rows in any
//! order. Every row of one series and origin belongs to one window; what comes after its last row
//! is forecast.

use csv_core::{ReadRecordResult, Reader};
use forecast::{Grid, Series, Treatment, series};
use jiff::civil;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::io::BufRead;
use threat::Timestamp;

/// Rows of a table, at most: with 24 bytes each they take 1.2 GB. A table with more is split by
/// series, which are forecast one by one anyway.
pub const ROWS: usize = 50_000_000;

/// Bytes of one row, at most: names and numbers are short; a file without line ends is no table.
pub const ROW_BYTES: usize = 64 << 10;

/// Fields of one row, at most.
const FIELDS: usize = 1_024;

/// Why a table is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A column is missing.
    #[error("the header is `{header}`: there is no column `{column}`; series, t and value must be")]
    Column {
        /// Which.
        column: &'static str,
        /// What is there.
        header: String,
    },
    /// A line cannot be used.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A window is no series.
    #[error("series {name}{}: {what}", line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Series {
        /// Its name, with its origin.
        name: String,
        /// The line, where it is one.
        line: Option<u64>,
        /// What is wrong with it.
        what: String,
    },
    /// No rows.
    #[error("there is no row below the header")]
    Empty,
}

/// How times are written in a table, and so in what is written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// As numbers of steps.
    Numbers,
    /// As UTC times.
    Utc,
}

/// One series as it was known at one origin.
#[derive(Clone, Debug)]
pub struct Window {
    /// The name of its series.
    pub series: String,
    /// Its origin as it stands in the table; empty where there is no such column.
    pub origin: String,
    /// How its times are written.
    pub times: Times,
    rows: Vec<(Timestamp, f64)>,
    lines: Vec<u32>,
}

impl Window {
    /// Of a series that came from no table.
    pub const fn of(series: String) -> Self {
        let origin = String::new();
        Self { series, origin, times: Times::Utc, rows: Vec::new(), lines: Vec::new() }
    }

    /// Its name and origin, for people.
    pub fn name(&self) -> String {
        match &*self.origin {
            "" => self.series.clone(),
            origin => format!("{} at {origin}", self.series),
        }
    }

    /// The series of its rows.
    ///
    /// # Errors
    /// [`Error::Series`] names the line.
    pub fn series(
        &self,
        grid: Grid,
        treatment: Treatment,
    ) -> Result<(Series, series::Treated), Error> {
        Series::from_rows(grid, &self.rows, treatment).map_err(|error| match error {
            series::Error::Row { row, value, problem } => Error::Series {
                name: self.name(),
                line: self.lines.get(row).map(|line| u64::from(*line)),
                what: format!("{value} {problem}"),
            },
            other => Error::Series { name: self.name(), line: None, what: other.to_string() },
        })
    }

    /// A time of its grid, as its table writes times.
    pub fn written(&self, grid: Grid, time: Timestamp) -> String {
        match self.times {
            Times::Numbers => grid.step_of(time).to_string(),
            Times::Utc => jiff::Timestamp::from_microsecond(time.micros())
                .map_or_else(|_| time.micros().to_string(), |time| time.to_string()),
        }
    }
}

/// Where the columns are.
struct Columns {
    series: usize,
    origin: Option<usize>,
    time: usize,
    value: usize,
}

impl Columns {
    fn of(header: &[&str]) -> Result<Self, Error> {
        // Spreadsheets put a mark before the first name.
        let is = |found: &str, name: &str| found.trim_start_matches('\u{feff}').trim() == name;
        let place = |name: &str| header.iter().position(|found| is(found, name));
        let must = |column: &'static str| {
            place(column).ok_or_else(|| Error::Column { column, header: header.join(",") })
        };
        Ok(Self {
            series: must("series")?,
            origin: place("origin"),
            time: must("t")?,
            value: must("value")?,
        })
    }
}

/// Rows one after the other.
struct Rows<R> {
    input: R,
    reader: Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: BufRead> Rows<R> {
    fn new(input: R) -> Self {
        Self { input, reader: Reader::new(), bytes: vec![0; ROW_BYTES], ends: vec![0; FIELDS] }
    }

    /// The next row with the line on which it begins; none at the end.
    fn next(&mut self) -> Result<Option<(u64, Vec<&str>)>, Error> {
        let (mut written, mut fields) = (0, 0);
        let line = self.reader.line();
        let too_much = |what: String| Error::Line { line, what };
        loop {
            let buffer = self.input.fill_buf()?;
            let (result, read, wrote, ended) = self.reader.read_record(
                buffer,
                &mut self.bytes[written..],
                &mut self.ends[fields..],
            );
            self.input.consume(read);
            (written, fields) = (written + wrote, fields + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    return Err(too_much(format!("a row has at most {ROW_BYTES} bytes")));
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(too_much(format!("a row has at most {FIELDS} fields")));
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        let mut from = 0;
        let mut texts = Vec::with_capacity(fields);
        for end in &self.ends[..fields] {
            let field = self.bytes.get(from..*end).unwrap_or_default();
            let text = std::str::from_utf8(field);
            texts.push(text.map_err(|_| too_much("it is not UTF-8".into()))?);
            from = *end;
        }
        Ok(Some((line, texts)))
    }
}

/// Reads a table. `told` hears of the rows so far, now and then.
///
/// # Errors
/// Any [`Error`] but [`Error::Series`].
pub fn read(
    input: impl BufRead,
    grid: Grid,
    mut told: impl FnMut(usize),
) -> Result<Vec<Window>, Error> {
    let mut rows = Rows::new(input);
    let Some((_, header)) = rows.next()? else { return Err(Error::Empty) };
    let columns = Columns::of(&header)?;
    let width = header.len();
    let (mut windows, mut places) = (Vec::<Window>::new(), HashMap::new());
    let (mut count, mut last) = (0usize, 0usize);
    while let Some((line, row)) = rows.next()? {
        let wrong = |what: String| Error::Line { line, what };
        if row.len() != width {
            return Err(wrong(format!("{} fields, the header has {width}", row.len())));
        }
        count += 1;
        if count > ROWS {
            return Err(wrong(format!("a table has at most {ROWS} rows; split it by series")));
        }
        if count.is_multiple_of(100_000) {
            told(count);
        }
        let (name, origin) = (row[columns.series], columns.origin.map_or("", |at| row[at]));
        let (time, times) = time(row[columns.time], grid).map_err(wrong)?;
        let value = number(row[columns.value]).map_err(wrong)?;
        let same = windows.get(last).is_some_and(|w| w.series == name && w.origin == origin);
        if !same {
            // Most tables have one series after the other.
            last = *places.entry((name.to_owned(), origin.to_owned())).or_insert_with(|| {
                let (series, origin) = (name.to_owned(), origin.to_owned());
                windows.push(Window { series, origin, times, rows: Vec::new(), lines: Vec::new() });
                windows.len() - 1
            });
        }
        let window = &mut windows[last];
        if window.times != times {
            let what = "a time among numbers, or the other way round: one table has one of both";
            return Err(wrong(what.into()));
        }
        window.rows.push((time, value));
        window.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
    }
    if windows.is_empty() { Err(Error::Empty) } else { Ok(windows) }
}

/// A number of steps, or a time: with an offset, or in UTC.
fn time(text: &str, grid: Grid) -> Result<(Timestamp, Times), String> {
    let text = text.trim();
    if let Ok(step) = text.parse::<i32>() {
        return Ok((grid.time_of(i64::from(step)), Times::Numbers));
    }
    let time = instant(text).ok_or_else(|| {
        format!("t is `{text}`: a number of steps, or a time such as 2026-03-01T14:00:00Z")
    })?;
    Ok((time, Times::Utc))
}

/// A time such as 2026-03-01T14:00:00Z; UTC where it says no zone.
pub fn instant(text: &str) -> Option<Timestamp> {
    let utc = || {
        let local = text.parse::<civil::DateTime>().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(utc)?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

/// A value; an empty one was not observed.
fn number(text: &str) -> Result<f64, String> {
    match text.trim() {
        "" => Ok(f64::NAN),
        text => text.parse().map_err(|_| format!("value is `{text}`, which is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(text: &str) -> Result<Vec<Window>, String> {
        read(text.as_bytes(), Grid::HOURLY, |_| {}).map_err(|e| e.to_string())
    }

    #[test]
    fn columns_come_in_any_order_and_rows_belong_to_their_series_and_origin() {
        let text = concat!(
            "value,t,origin,series\n1,2026-03-01T00:00:00Z,o,\"a, b\"\n",
            "3,2026-03-01 01:00,p,\"a, b\"\n2,2026-03-01T03:00:00+02:00,o,\"a, b\"\n"
        );
        let all = windows(text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].name(), all[0].rows.len()), ("a, b at o".to_owned(), 2));
        let (series, _) = all[0].series(Grid::HOURLY, Treatment::default()).unwrap();
        assert_eq!(series.values(), [1.0, 2.0]);
        assert_eq!(all[0].written(Grid::HOURLY, series.end()), "2026-03-01T02:00:00Z");
    }

    #[test]
    fn numbers_are_steps_and_are_written_as_such() {
        let all = windows("series,t,value\nH1,1,605.0\nH1,2,586\n").unwrap();
        let (series, _) = all[0].series(Grid::HOURLY, Treatment::default()).unwrap();
        assert_eq!(all[0].written(Grid::HOURLY, series.end()), "3");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let told = |text: &str| windows(text).unwrap_err();
        assert!(told("series,time,value\n").contains("no column `t`"));
        assert_eq!(told("series,t,value\n"), "there is no row below the header");
        assert_eq!(told(""), "there is no row below the header");
        assert!(told("series,t,value\na,1,2\na,x,2\n").starts_with("line 3: t is `x`"));
        assert!(told("series,t,value\na,1,two\n").starts_with("line 2: value is `two`"));
        assert!(told("series,t,value\na,1\n").starts_with("line 2: 2 fields"));
        assert!(told("series,t,value\na,1,2\na,2026-03-01T00:00:00Z,2\n").starts_with("line 3"));
        let long = format!("series,t,value\n{},1,2\n", "a".repeat(ROW_BYTES));
        assert!(told(&long).contains("bytes"));
        let all = windows("series,t,value\nb,1,1\na,1,2\na,2,-3\n").unwrap();
        let error = all[1].series(Grid::HOURLY, Treatment::default()).unwrap_err();
        assert_eq!(error.to_string(), "series a, line 4: -3 is negative");
    }
}
