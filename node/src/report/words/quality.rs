//! What has changed about a source, in a sentence.

use super::{duration, number, percent, time, visible};
use detection::quality::{Change, Note};
use threat::Timestamp;

/// A share in per cent.
fn share(part: f64) -> String {
    percent((part * 1e6).round() as u64, 1_000_000)
}

/// A measured value, with at most four digits behind the point.
fn amount(v: f64) -> String {
    match v.abs() {
        a if a >= 1e12 => format!("{v:.1e}"),
        a if a >= 1e3 => format!("{}{}", if v < 0.0 { "-" } else { "" }, number(a.round() as u64)),
        a if a == 0.0 || a >= 1e-3 => {
            let text = format!("{v:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{v:.1e}"),
    }
}

/// A number of things to two digits: it is an estimate.
fn about(n: u64) -> String {
    match n {
        0..100 => number(n),
        _ => {
            let unit = 10u64.pow(n.ilog10() - 1);
            format!("about {}", number(n / unit * unit))
        }
    }
}

/// The sentence, without the name of the source.
pub fn quality(note: &Note) -> String {
    let class = note.class.map_or("", |c| c.name());
    let records = if class.is_empty() { "records".to_owned() } else { format!("{class} records") };
    let field = note.field.as_deref().map_or("a field".to_owned(), |f| format!("`{}`", visible(f)));
    let now = percent(note.cases, note.looked_at);
    let when = stretch(note.since, note.last, note.until);
    match &note.change {
        Change::Missing { before } => {
            let usual = share(*before);
            format!(
                "{field} missing in {now} of {records} that used to have it {when} (before: \
                 {usual})"
            )
        }
        Change::Vanished { before } => format!(
            "{field} missing in {now} of {records} that often had it {when} (before: {})",
            share(*before)
        ),
        Change::Outside { low, high, now_low, now_high } => {
            let found = match (now_low, now_high) {
                (Some(a), Some(b)) if a == b => amount(*a),
                (Some(a), Some(b)) => format!("{} to {}", amount(*a), amount(*b)),
                _ => "not finite".to_owned(),
            };
            format!(
                "{field} far outside of everything seen before in {now} of {records} that have it \
                 {when} (before: {} to {}; these: {found})",
                amount(*low),
                amount(*high)
            )
        }
        Change::Shifted { low, high } => format!(
            "{field} elsewhere than before in {now} of {records} that have it {when} (before: 98% \
             within {} to {})",
            amount(*low),
            amount(*high)
        ),
        Change::Constant { before } => {
            let before = number(*before);
            format!("{field} has 1 distinct value in {records} {when} (before: {before})")
        }
        Change::Varied { before, new } => format!(
            "{field} has {} new distinct values, in {now} of {records}, {when} (before: {} values)",
            about(*new),
            number(*before)
        ),
        Change::Replaced { before } => format!(
            "{field} has values never seen before in {now} of {records} that have it {when} \
             (before: {} values)",
            number(*before)
        ),
        change => of_time(note, change, &records, &when),
    }
}

/// What is told of event time and of whole records.
fn of_time(note: &Note, change: &Change, records: &str, when: &str) -> String {
    let now = percent(note.cases, note.looked_at);
    let kind = note.class.map_or("record".to_owned(), |c| format!("{} record", c.name()));
    match change {
        Change::Gap { seconds, usual } => {
            let more = match note.cases {
                0 | 1 => String::new(),
                n => format!(", the longest of {} such gaps", number(n)),
            };
            format!(
                "no {kind} for {} after {}{more} (usual longest gap: {})",
                duration(*seconds),
                time(note.since),
                duration(*usual)
            )
        }
        Change::Silent { seconds, usual } => format!(
            "no {kind} after {}, {} before the end (usual longest gap: {})",
            time(note.since),
            duration(*seconds),
            duration(*usual)
        ),
        Change::Backwards { seconds, usual } => format!(
            "event time of {now} of {records} lies behind by up to {} {when} (before: up to {})",
            duration(*seconds),
            duration(*usual)
        ),
        Change::Ahead { seconds } => {
            let by = duration(*seconds);
            format!(
                "event time of {now} of {records} lies ahead of all others by up to {by} {when}"
            )
        }
        Change::Stuck => format!("event time of {records} stands still {when}"),
        Change::Malformed { before } => {
            format!("{now} of records are malformed {when} (before: {})", share(*before))
        }
        _ => format!("{records} have changed {when}"),
    }
}

/// `since A`, or `from A to B` when it is over.
fn stretch(since: Timestamp, last: Timestamp, until: Option<Timestamp>) -> String {
    match until {
        Some(_) => format!("from {} to {}", time(since), time(last)),
        None => format!("since {}", time(since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::EventClass;

    fn note(field: Option<&str>, change: Change) -> Note {
        let at = |s: i64| Timestamp::from_micros((1_767_600_000 + s) * 1_000_000);
        Note {
            class: Some(EventClass::Flow),
            field: field.map(Into::into),
            change,
            since: at(180),
            last: at(600),
            until: None,
            looked_at: 1_000,
            cases: 410,
        }
    }

    #[test]
    fn changes_are_plain_sentences() {
        let cases = [
            (
                note(Some("orig_bytes"), Change::Missing { before: 0.002 }),
                "`orig_bytes` missing in 41.0% of flow records that used to have it since \
                 2026-01-05T08:03:00Z (before: 0.2%)",
            ),
            (
                note(
                    Some("duration"),
                    Change::Outside {
                        low: 0.0,
                        high: 3_600.0,
                        now_low: Some(5e4),
                        now_high: Some(4e12),
                    },
                ),
                "`duration` far outside of everything seen before in 41.0% of flow records that \
                 have it since 2026-01-05T08:03:00Z (before: 0 to 3,600; these: 50,000 to 4.0e12)",
            ),
            (
                note(Some("proto"), Change::Constant { before: 3 }),
                "`proto` has 1 distinct value in flow records since 2026-01-05T08:03:00Z \
                 (before: 3)",
            ),
            (
                Note { cases: 1, ..note(None, Change::Gap { seconds: 7_800.0, usual: 40.0 }) },
                "no flow record for 2 h 10 min after 2026-01-05T08:03:00Z (usual longest gap: \
                 40.0 s)",
            ),
        ];
        for (note, expected) in cases {
            assert_eq!(quality(&note), expected);
        }
        let mut over = note(Some("a\u{202e}b"), Change::Varied { before: 3, new: 912 });
        over.until = Some(over.last);
        let told = quality(&over);
        assert!(told.contains("about 910 new"), "{told}");
        assert!(told.contains("from 2026-01-05T08:03:00Z to 2026-01-05T08:10:00Z"), "{told}");
        assert!(!told.contains('\u{202e}'));
    }
}
