//! Damage to good logs, for tests of bad input. Seeded, format-blind where it can be, and counted
//! by kind, so that a reader's own counts can be held against what was done.

use std::collections::BTreeMap;
use threat::entropy::Rng;

/// A giant line is this long: over the limit of a record, so that a reader must refuse it.
pub const GIANT: usize = threat::limits::RECORD_BYTES + 4_096;

/// Lines by which a line that goes back in time is late.
const LATE: usize = 5;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// The line becomes bytes that are no format at all.
    Garbage,
    /// The line ends in its middle.
    Truncated,
    /// A column too few (or a comma too few in JSON).
    ColumnMissing,
    /// A column too many (or a stray value in JSON).
    ColumnExtra,
    /// A byte that is no UTF-8.
    InvalidUtf8,
    /// A number becomes `nan` or `inf`.
    NotANumber,
    /// A number becomes negative.
    Negative,
    /// The line comes later than it should: time goes backwards. The record itself is good.
    Backwards,
    /// The line becomes [`GIANT`] bytes long.
    Giant,
    /// The line becomes a good line of another format.
    OtherFormat,
    /// An empty line is added; no record is lost.
    Blank,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Garbage,
        Self::Truncated,
        Self::ColumnMissing,
        Self::ColumnExtra,
        Self::InvalidUtf8,
        Self::NotANumber,
        Self::Negative,
        Self::Backwards,
        Self::Giant,
        Self::OtherFormat,
        Self::Blank,
    ];
}

/// Damaged bytes with what was done to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Damaged {
    /// The log.
    pub bytes: Vec<u8>,
    /// Records (for [`Damage::Blank`]: lines added) by kind.
    pub counts: BTreeMap<Damage, u64>,
    /// Records (lines that are no header) that the good log had.
    pub records: u64,
}

impl Damaged {
    /// Records that are still as they were, wherever they now stand.
    pub fn intact(&self) -> u64 {
        let harmless = |d: &Damage| matches!(d, Damage::Blank | Damage::Backwards);
        let lost: u64 = self.counts.iter().filter(|(d, _)| !harmless(d)).map(|(_, n)| n).sum();
        self.records - lost
    }
}

/// Damages each record of `log` with probability `rate` by one of `kinds`. Lines that begin with
/// `#`, and the first line of CSV, are left alone.
pub fn damage(seed: u64, log: &[u8], rate: f64, kinds: &[Damage]) -> Damaged {
    let mut rng = Rng::fork(seed, "vandal");
    let mut bytes = Vec::with_capacity(log.len() + log.len() / 8);
    let mut counts = BTreeMap::new();
    let mut records = 0;
    // Lines held back, with how many lines they still wait.
    let mut held: Vec<(usize, Vec<u8>)> = Vec::new();
    for (i, line) in log.split(|&b| b == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let csv_header = i == 0 && line.starts_with(b"ts,");
        if line[0] == b'#' || csv_header {
            push(&mut bytes, line);
            continue;
        }
        records += 1;
        let kind = kinds.get(rng.below(kinds.len())).copied().filter(|_| rng.chance(rate));
        if let Some(kind) = kind {
            *counts.entry(kind).or_default() += 1;
        }
        match kind {
            None => push(&mut bytes, line),
            Some(Damage::Blank) => {
                push(&mut bytes, b"");
                push(&mut bytes, line);
            }
            Some(Damage::Backwards) => held.push((LATE, line.to_vec())),
            Some(kind) => push(&mut bytes, &break_line(&mut rng, line, kind)),
        }
        for (wait, line) in &mut held {
            *wait -= 1;
            if *wait == 0 {
                push(&mut bytes, line);
            }
        }
        held.retain(|(wait, _)| *wait > 0);
    }
    held.iter().for_each(|(_, line)| push(&mut bytes, line));
    Damaged { bytes, counts, records }
}

fn push(bytes: &mut Vec<u8>, line: &[u8]) {
    bytes.extend_from_slice(line);
    bytes.push(b'\n');
}

fn break_line(rng: &mut Rng, line: &[u8], kind: Damage) -> Vec<u8> {
    let middle = 1 + rng.below(line.len().saturating_sub(2).max(1));
    match kind {
        Damage::Garbage => {
            let n = 20 + rng.below(120);
            // No line ends, no comment mark: it stays one record.
            (0..n).map(|_| 0x80 | rng.below(128) as u8).collect()
        }
        Damage::Truncated => line[..middle.min(line.len() / 2).max(1)].to_vec(),
        Damage::ColumnMissing => {
            let mut out = line.to_vec();
            if let Some(at) = random_position(rng, line, separator(line)) {
                out.remove(at);
            }
            out
        }
        Damage::ColumnExtra => {
            let separator = separator(line);
            let at = random_position(rng, line, separator).unwrap_or(line.len());
            let extra = [separator, b'x', b'y', b'z'];
            [&line[..at], &extra, &line[at..]].concat()
        }
        Damage::InvalidUtf8 => [&line[..middle], &[0xff, 0xfe, 0xc0], &line[middle..]].concat(),
        Damage::NotANumber => {
            let word: &[u8] = if rng.chance(0.5) { b"nan" } else { b"inf" };
            replace_number(rng, line, word)
        }
        Damage::Negative => replace_number(rng, line, b"-7"),
        Damage::Giant => {
            let fill = GIANT.saturating_sub(line.len());
            [&line[..middle], &vec![b'A'; fill][..], &line[middle..]].concat()
        }
        Damage::OtherFormat if line[0] == b'{' => {
            b"Mar  2 09:00:00 gate1 sshd[4242]: Connection closed by 192.0.2.7 port 4711".to_vec()
        }
        Damage::OtherFormat => br#"{"greeting":"a line of another format","n":1}"#.to_vec(),
        Damage::Blank | Damage::Backwards => line.to_vec(),
    }
}

/// What keeps this line's values apart.
fn separator(line: &[u8]) -> u8 {
    match line {
        [b'{', ..] => b',',
        _ if line.contains(&b'\t') => b'\t',
        _ if line.contains(&b',') => b',',
        _ => b' ',
    }
}

fn random_position(rng: &mut Rng, line: &[u8], separator: u8) -> Option<usize> {
    let found: Vec<usize> = (0..line.len()).filter(|&i| line[i] == separator).collect();
    rng.pick(&found).copied()
}

/// Replaces one value that is a plain number; a line without one keeps its text after the word.
fn replace_number(rng: &mut Rng, line: &[u8], word: &[u8]) -> Vec<u8> {
    let outside = |b: u8| !(b.is_ascii_digit() || b == b'.');
    let mut numbers: Vec<(usize, usize)> = Vec::new();
    let mut begin = 0usize;
    for i in 0..=line.len() {
        if i < line.len() && !outside(line[i]) {
            continue;
        }
        let before = begin.checked_sub(1).map_or(b'\t', |b| line[b]);
        let after = line.get(i).copied().unwrap_or(b'\t');
        let text = &line[begin..i];
        let bounded = matches!(before, b'\t' | b',' | b':' | b' ' | b'[')
            && matches!(after, b'\t' | b',' | b'}' | b']' | b' ');
        let number = std::str::from_utf8(text).is_ok_and(|t| t.parse::<f64>().is_ok());
        if bounded && number {
            numbers.push((begin, i));
        }
        begin = i + 1;
    }
    let (from, to) = rng.pick(&numbers).copied().unwrap_or((0, 0));
    [&line[..from], word, &line[to..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let mut log = b"#path\tconn\n#fields\tts\tuid\tbytes\n".to_vec();
        for i in 0..400 {
            log.extend_from_slice(format!("{i}.500000\tC{i}x\t{}\n", i * 7).as_bytes());
        }
        log
    }

    fn lines(bytes: &[u8]) -> Vec<&[u8]> {
        bytes.split(|&b| b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').collect()
    }

    #[test]
    fn nothing_is_changed_at_rate_zero_and_the_seed_decides() {
        let log = log();
        assert_eq!(damage(1, &log, 0.0, &Damage::ALL).bytes, log);
        let one = damage(1, &log, 0.3, &Damage::ALL);
        assert_eq!(one, damage(1, &log, 0.3, &Damage::ALL));
        assert_ne!(one.bytes, damage(2, &log, 0.3, &Damage::ALL).bytes);
        assert_eq!(one.counts.len(), Damage::ALL.len());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_damaged(log: Vec<u8>, seed: u64, lines: Vec<String>) {
            let out = damage(seed, &log, 0.9, &Damage::ALL);
            proptest::prop_assert!(out.counts.values().sum::<u64>() <= out.records);
            let text = lines.join("\n");
            damage(seed, text.as_bytes(), 1.0, &Damage::ALL);
        }
    }

    #[test]
    fn counts_say_what_was_done() {
        let log = log();
        let good: Vec<&[u8]> = lines(&log);
        for kind in Damage::ALL {
            let out = damage(7, &log, 0.1, &[kind]);
            let n = out.counts[&kind];
            assert!(n > 10 && out.records == 400, "{kind:?}");
            let now = lines(&out.bytes);
            let intact = now.iter().filter(|l| good.contains(l)).count() as u64;
            assert_eq!(intact, out.intact(), "{kind:?}");
            let blanks = out.bytes.windows(2).filter(|w| w == b"\n\n").count() as u64;
            assert_eq!(blanks, if kind == Damage::Blank { n } else { 0 });
            let giants = now.iter().filter(|l| l.len() >= GIANT).count() as u64;
            assert_eq!(giants, if kind == Damage::Giant { n } else { 0 });
            let invalid = now.iter().filter(|l| std::str::from_utf8(l).is_err()).count() as u64;
            let wild = matches!(kind, Damage::Garbage | Damage::InvalidUtf8);
            assert_eq!(invalid, if wild { n } else { 0 });
            let columns = |l: &&&[u8]| l.iter().filter(|&&b| b == b'\t').count();
            let fewer = now.iter().filter(|l| columns(l) == 1).count() as u64;
            let more = now.iter().filter(|l| columns(l) == 3).count() as u64;
            assert!(kind != Damage::ColumnMissing || fewer == n);
            assert_eq!(more, if kind == Damage::ColumnExtra { n } else { 0 }, "{kind:?}");
            let time = |l: &[u8]| String::from_utf8_lossy(l).split('.').next()?.parse::<i64>().ok();
            let back = now.windows(2).filter(|w| time(w[1]) < time(w[0])).count() as u64;
            assert!(kind != Damage::Backwards || back >= n / 2);
        }
    }
}
