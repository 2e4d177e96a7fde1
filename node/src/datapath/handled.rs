//! How long people work on a threat, from what they said of it.

use super::limits::{HANDLED, HANDLED_LEAST, HANDLED_MOST};
use cluster::replication::{Query, Rank, Replication};
use regions::threats::{Handling, Record, Status};
use std::time::Duration;

/// Minutes from when somebody took a threat to when it was closed: the median of those of the
/// gravest threats that were handled so. `None` where they are too few.
pub async fn minutes(threats: &Replication) -> Option<f64> {
    let mut all = Vec::new();
    let mut query = Query::default();
    let mut seen = 0;
    while seen < HANDLED {
        let page = threats.list(&query).await.records;
        let Some(last) = page.last() else { break };
        seen += page.len();
        query.after = Some(Rank::of(last));
        all.extend(page.iter().filter_map(Record::handling).filter_map(took));
    }
    median(all)
}

/// How long one was worked on. What took longer than a shift waited for somebody.
fn took(handling: &Handling) -> Option<Duration> {
    let closed = handling.status.get().filter(|status| **status == Status::Closed);
    let taken = handling.assignee.get().and_then(Option::as_ref);
    let (Some(_), Some(_)) = (closed, taken) else { return None };
    let took = handling.status.stamp()?.wall.since(handling.assignee.stamp()?.wall);
    (took > 0.0 && took <= HANDLED_MOST.as_secs_f64()).then(|| Duration::from_secs_f64(took))
}

fn median(mut all: Vec<Duration>) -> Option<f64> {
    all.sort_unstable();
    let middle = all.get(all.len() / 2).filter(|_| all.len() >= HANDLED_LEAST)?;
    Some(middle.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regions::clock::{Replica, Stamp};
    use regions::threats::Said;
    use threat::Timestamp;

    fn said(handling: &mut Handling, minute: i64, status: Option<Status>, who: Option<&str>) {
        let replica = Replica { node: 1, incarnation: 1 };
        let wall = Timestamp::from_micros(minute * 60_000_000);
        let assignee = who.map(|who| Some(who.into()));
        let said = Said { status, assignee, ..Said::default() };
        handling.say(&said, Stamp { wall, counter: 0, replica });
    }

    #[test]
    fn a_threat_takes_from_being_taken_to_being_closed() {
        let closed = Some(Status::Closed);
        let mut threat = Handling::default();
        assert_eq!(took(&threat), None);
        said(&mut threat, 10, Some(Status::InProgress), Some("ann"));
        assert_eq!(took(&threat), None, "it is not closed");
        said(&mut threat, 35, closed, None);
        assert_eq!(took(&threat), Some(Duration::from_secs(25 * 60)));
        let mut nobody = Handling::default();
        said(&mut nobody, 35, closed, None);
        assert_eq!(took(&nobody), None, "nobody took it");
        let mut late = Handling::default();
        said(&mut late, 10, None, Some("ann"));
        said(&mut late, 10 + 9 * 60, closed, None);
        assert_eq!(took(&late), None, "it lay over night");
    }

    #[test]
    fn few_say_nothing() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        assert_eq!(median((1..HANDLED_LEAST as u64).map(minutes).collect()), None);
        assert_eq!(median([9, 1, 5, 3, 7].map(minutes).to_vec()), Some(5.0));
    }
}
