//! What clients send to real data paths: each a log of logins, bytes that follow from the seed and
//! are acknowledged by class `region`; and what disks of nodes have of it at the end.
//!
//! Every line has the same length, so that an offset in the log says how many events lie before it.

use crate::journal::{Ask, Done, Truth, What};
use crate::operations::skewed;
use crate::plan::{Plan, unit};
use cluster::fabric::Fabric;
use node::datapath::message::Durability;
use node::sending::{Error, Sending, Sent};
use std::time::Duration;
use store::{LedgerEntry, Store};
use tokio::time::timeout;

/// Bytes of a line.
pub const LINE: u64 = 96;

/// How long a piece is sent for before its client gives it up for now.
const GIVES_UP: Duration = Duration::from_secs(15);

/// The year of the log, whose dates have none.
const YEAR: i16 = 2026;

/// Purposes of drawn numbers, as in the virtual world.
const EVENTS: u64 = 52;
const HOSTS: u64 = 54;

/// Before a client's number in the name of its source.
const SOURCE: &str = "chaos-";

/// Whose log it is, and where it goes.
pub struct Sender<'a> {
    /// What is to happen.
    pub plan: &'a Plan,
    /// The client, by its place among all, and its work.
    pub client: usize,
    pub workload: usize,
    /// The way to nodes, and their addresses, the first to be asked first.
    pub fabric: &'a Fabric,
    pub nodes: Vec<String>,
}

/// What a client has sent.
#[derive(Default)]
pub struct Log {
    sent: Sent,
    /// Lines that are to be acknowledged.
    lines: u64,
}

impl Log {
    fn acknowledged(&self) -> u64 {
        self.sent.at.as_ref().map_or(0, |at| at.offset) / LINE
    }

    /// A client's log has so many lines more.
    pub fn more(&mut self, client: usize, lines: u32) -> Ask {
        let start = self.acknowledged();
        self.lines += u64::from(lines);
        Ask::Judge { source: client as u32, start, end: self.lines }
    }

    /// Sends what is not acknowledged yet.
    pub async fn send(&mut self, sender: Sender<'_>) -> Done {
        let Sender { plan, client, workload, fabric, nodes } = sender;
        let sending = Sending {
            fabric,
            nodes,
            source: format!("{SOURCE}{client}"),
            durability: Durability::Region,
            options: intake::Options { reference_year: YEAR, ..intake::Options::default() },
            tries: usize::MAX,
        };
        let mut next = self.acknowledged();
        let end = self.lines;
        let read = |held: &mut Vec<u8>| {
            let before = held.len();
            for line in next..end {
                held.extend(text(plan, (client, workload), line).into_bytes());
            }
            next = end;
            Ok(held.len() - before)
        };
        let sent = sending.send(&mut self.sent, read, |_, _| {});
        match timeout(GIVES_UP, sent).await {
            Ok(Ok(())) => Done::Judged,
            Ok(Err(Error::Refused(_))) => Done::Refused,
            Ok(Err(_)) | Err(_) => Done::Unknown,
        }
    }
}

/// The host that a line of a client's log is about, and what it is.
pub fn about(plan: &Plan, (client, workload): (usize, usize), line: u64) -> (u32, Truth) {
    let work = &plan.workloads[workload];
    let drawn = plan.draw(EVENTS, client as u64, line);
    let benign = work.mix.benign / (work.mix.benign + work.mix.known_bad + work.mix.unusual);
    // Events that follow one another are of few hosts.
    let few = plan.draw(HOSTS, client as u64, line / u64::from(work.batch));
    let truth = if unit(drawn) < benign { Truth::Benign } else { Truth::Unusual };
    (skewed(unit(few), work), truth)
}

/// A line of a client's log: a login that worked, or one that did not.
fn text(plan: &Plan, whose: (usize, usize), line: u64) -> String {
    let (host, truth) = about(plan, whose, line);
    row(line, host, truth == Truth::Benign)
}

/// A line about a host.
fn row(line: u64, host: u32, works: bool) -> String {
    let (minute, second) = (line / 60 % 60, line % 60);
    let (hour, process) = (10 + line / 3_600 % 10, 100_000 + line % 900_000);
    let (a, b, c) = (100 + host / 10_000 % 100, 100 + host / 100 % 100, 100 + host % 100);
    let (word, user) = if works { ("Accepted", "jo") } else { ("Failed", "root") };
    let port = 10_000 + line % 50_000;
    format!(
        "Jan 10 {hour}:{minute:02}:{second:02} gate sshd[{process}]: {word} password for {user} \
         from 10.{a}.{b}.{c} port {port} ssh2\n"
    )
}

/// The client of a source.
pub fn client_of(source: &str) -> Option<u32> {
    source.strip_prefix(SOURCE)?.parse().ok()
}

/// What a node's disk has verdicts on.
///
/// # Errors
/// As the store's.
pub fn kept(store: &Store) -> store::Result<Vec<What>> {
    let (view, mut all) = (store.view()?, Vec::new());
    for name in view.ledger_sources()? {
        let of = name.split_once('/');
        let of = of.and_then(|(work, source)| Some((work.parse().ok()?, client_of(source)?)));
        let Some((workload, source)) = of else { continue };
        let ledger = view.ledger(&name)?;
        let entries: Vec<LedgerEntry> = ledger.folded.into_iter().chain(ledger.entries).collect();
        all.extend(entries.iter().map(|entry| {
            let (start, end, events) = (entry.start / LINE, entry.end / LINE, entry.events);
            What::Kept { workload, source, start, end, events }
        }));
        let end = entries.iter().map(|entry| entry.end / LINE).max();
        all.extend(end.map(|end| What::Ledger { workload, source, end }));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_as_long_as_any_other() {
        for (line, host) in [(0, 0), (7, 1), (65_535, 65_535), (9_999_999, 12_345)] {
            for works in [true, false] {
                let row = row(line, host, works);
                assert_eq!(row.len() as u64, LINE, "{row}");
            }
        }
    }
}
