//! A client's log of logins: bytes that follow from the seed, sent in pieces and acknowledged by
//! class `region`.
//!
//! Every line has the same length, so that an offset in the log says how many events lie before it.

use super::clients::{Client, GIVES_UP};
use crate::journal::{Ask, Done};
use crate::operations::skewed;
use crate::plan::unit;
use node::datapath::message::Durability;
use node::sending::{Error, Sending, Sent};
use tokio::time::timeout;

/// Bytes of a line.
pub const LINE: u64 = 96;

/// The year of the log, whose dates have none.
const YEAR: i16 = 2026;

/// Purposes of drawn numbers, as in the virtual world.
const EVENTS: u64 = 52;
const HOSTS: u64 = 54;

/// Before a client's number in the name of its source.
pub const SOURCE: &str = "chaos-";

/// What a client has sent.
pub struct Log {
    client: u64,
    sent: Sent,
    /// Lines that are to be acknowledged.
    lines: u64,
}

impl Log {
    /// Nothing of a client's log yet.
    pub fn new(client: &Client) -> Self {
        Self { client: client.number as u64, sent: Sent::default(), lines: 0 }
    }

    fn acknowledged(&self) -> u64 {
        self.sent.at.as_ref().map_or(0, |at| at.offset) / LINE
    }

    /// The log has so many lines more.
    pub fn more(&mut self, lines: u32) -> Ask {
        let start = self.acknowledged();
        self.lines += u64::from(lines);
        Ask::Judge { source: self.client as u32, start, end: self.lines }
    }

    /// Sends what is not acknowledged yet, to this node first.
    pub async fn send(&mut self, client: &Client, first: usize) -> Done {
        let mut nodes = client.addresses.to_vec();
        nodes.rotate_left(first);
        let sending = Sending {
            fabric: &client.fabric,
            nodes,
            source: format!("{SOURCE}{}", self.client),
            durability: Durability::Region,
            options: intake::Options { reference_year: YEAR, ..intake::Options::default() },
            tries: usize::MAX,
        };
        let mut next = self.acknowledged();
        let end = self.lines;
        let read = |held: &mut Vec<u8>| {
            let before = held.len();
            for line in next..end {
                held.extend(text(client, line).into_bytes());
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

/// A line of a client's log: a login that worked, or one that did not.
fn text(client: &Client, line: u64) -> String {
    let plan = &client.plan;
    let work = &plan.workloads[client.workload];
    let drawn = plan.draw(EVENTS, client.number as u64, line);
    let benign = work.mix.benign / (work.mix.benign + work.mix.known_bad + work.mix.unusual);
    // Events that follow one another are of few hosts.
    let few = plan.draw(HOSTS, client.number as u64, line / u64::from(work.batch));
    row(line, skewed(unit(few), work), unit(drawn) < benign)
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
