//! Forecasts every window of a table `series[,origin],t,value` and writes the table
//! `series,origin,t,mean,lo80,hi80,lo95,hi95`, to be scored against what came:
//! `cargo run --release -p forecast --example forecast -- train.csv 48 forecasts.csv`.
//!
//! `t` is a number of hours, or a UTC time such as 2013-04-01T00:00:00Z. The time that it took,
//! reading and writing left out, goes to standard error.
#![expect(clippy::disallowed_methods, reason = "an example reads files and measures time")]
#![expect(clippy::unwrap_used, reason = "an example ends at the first error")]

use forecast::{Grid, Model, Series, Settings};
use std::fmt::Write;
use std::time::Instant;
use threat::Timestamp;

/// A window: the name of its series, its origin, and its rows.
struct Window {
    name: String,
    origin: String,
    rows: Vec<(i64, f64)>,
}

/// Days since the epoch of a date of the Gregorian calendar (Hinnant: "chrono-compatible low-level
/// date algorithms", 2013).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The hour of a number or a time.
fn hour(text: &str) -> i64 {
    if let Ok(number) = text.parse() {
        return number;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    days(part(0..4), part(5..7), part(8..10)) * 24 + part(11..13)
}

/// An hour as it was written.
fn written(hour: i64, like_a_number: bool) -> String {
    if like_a_number {
        return hour.to_string();
    }
    // The day is searched for: simple, and fast enough for an example.
    let day = hour.div_euclid(24);
    let mut year = 1970 + day / 366;
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|m| days(year, *m, 1) <= day).unwrap();
    let date = day - days(year, month, 1) + 1;
    format!("{year:04}-{month:02}-{date:02}T{:02}:00:00Z", hour.rem_euclid(24))
}

fn read(text: &str) -> (Vec<Window>, bool) {
    let mut lines = text.lines();
    let with_origin = lines.next().unwrap().contains("origin");
    let mut windows: Vec<Window> = Vec::new();
    let mut numbers = true;
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let origin = if with_origin { cells[1] } else { "" };
        let (t, value) = (cells[cells.len() - 2], cells[cells.len() - 1]);
        numbers &= !t.contains('T');
        let row = (hour(t), value.parse().unwrap());
        match windows.last_mut() {
            Some(last) if last.name == cells[0] && last.origin == origin => last.rows.push(row),
            _ => windows.push(Window {
                name: cells[0].into(),
                origin: origin.into(),
                rows: vec![row],
            }),
        }
    }
    (windows, numbers)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, horizon, output] = arguments.as_slice() else {
        eprintln!("usage: forecast train.csv HORIZON forecasts.csv");
        return;
    };
    let (windows, numbers) = read(&std::fs::read_to_string(input).unwrap());
    let settings = Settings { horizon: horizon.parse().unwrap(), ..Settings::default() };
    let start = Instant::now();
    let mut done = Vec::new();
    for window in &windows {
        let first = Timestamp::from_micros(window.rows[0].0 * 3_600_000_000);
        let values = window.rows.iter().map(|r| r.1).collect();
        let series = Series::new(Grid::HOURLY, first, values).unwrap();
        let model = Model::fit(&series, &settings).unwrap();
        done.push((model.methods(), model.forecast(&series).unwrap()));
    }
    let took = start.elapsed().as_secs_f64();
    let mut table = String::from("series,origin,t,mean,lo80,hi80,lo95,hi95\n");
    let mut alone = std::collections::BTreeMap::new();
    for (window, (methods, forecast)) in windows.iter().zip(&done) {
        let name = if methods.len() == 1 { methods[0].kind.name() } else { "mixed" };
        *alone.entry(name).or_insert(0) += 1;
        for (step, mean) in forecast.mean.iter().enumerate() {
            let t = written(forecast.start.hour() + step as i64, numbers);
            write!(table, "{},{},{t},{mean}", window.name, window.origin).unwrap();
            for band in &forecast.bands {
                write!(table, ",{},{}", band.low[step], band.high[step]).unwrap();
            }
            table.push('\n');
        }
    }
    std::fs::write(output, table).unwrap();
    eprintln!("{} windows in {took:.2} s; {alone:?}", windows.len());
}
