//! Numbers, times and hostile text as a person reads them; shared by the page and the terminal.

mod quality;
pub use quality::quality;

use detection::drift::{Change, Drift};
use jiff::Timestamp as Instant;
use threat::verdict::{Absence, Abstention};
use threat::{Severity, Timestamp};

/// Event times before 1971 come from captures whose clock starts at zero.
const RELATIVE_BEFORE_SECS: i64 = 31_536_000;

/// A point of time: RFC 3339 UTC to the second, or `+123.4 s` on a relative clock.
pub fn time(t: Timestamp) -> String {
    if t.secs() < RELATIVE_BEFORE_SECS {
        return format!("{:+.1} s", t.secs_f64());
    }
    Instant::from_second(t.secs())
        .map_or_else(|_| format!("{:+.1} s", t.secs_f64()), |i| i.to_string())
}

/// A span of time; the day is said once when both ends share it.
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let (a, b) = (time(from), time(to));
    if a == b {
        return a;
    }
    match (a.split_once('T'), b.split_once('T')) {
        (Some((day, _)), Some((same, clock))) if day == same => format!("{a} to {clock}"),
        _ => format!("{a} to {b}"),
    }
}

/// A length of time with its two greatest units.
pub fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "unknown".to_owned();
    }
    if secs < 1.0 {
        return format!("{:.0} ms", secs * 1_000.0);
    }
    if secs < 60.0 {
        return format!("{secs:.1} s");
    }
    let s = secs.round() as u64;
    let (d, h, m) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    match (d, h) {
        (0, 0) => format!("{m} min {} s", s % 60),
        (0, _) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h"),
    }
}

/// A whole number with thousands set apart.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count with its noun.
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Bytes in binary units.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_024.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

/// A share of a whole in per cent; small ones keep their meaning.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let p = part as f64 * 100.0 / whole as f64;
    match p {
        p if p == 0.0 || p == 100.0 => format!("{p:.0}%"),
        p if p < 0.1 => "<0.1%".to_owned(),
        p if p > 99.9 => ">99.9%".to_owned(),
        p => format!("{p:.1}%"),
    }
}

/// A measured value with about four digits.
pub fn value(v: f32) -> String {
    let a = v.abs();
    match v {
        _ if !v.is_finite() => "not a number".to_owned(),
        _ if a >= 1e15 => format!("{v:.3e}"),
        _ if a >= 1_000.0 => {
            format!("{}{}", if v < 0.0 { "−" } else { "" }, number(a.round() as u64))
        }
        _ if v.fract() == 0.0 => format!("{v:.0}"),
        _ if a >= 1.0 => format!("{v:.2}"),
        _ if a >= 0.001 => format!("{v:.3}"),
        _ => format!("{v:.1e}"),
    }
}

/// `a, b and c`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// Text from outside made visible: control characters as their pictures, characters that hide or
/// turn text (bidirectional controls, zero-width) as their code points. Spaces and text stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{0}'..='\u{1f}' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{61c}'
            | '\u{feff}' => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            _ => out.push(c),
        }
    }
    out
}

/// A raw record made visible; its tabs stay, since they set its fields apart.
pub fn visible_record(text: &str) -> String {
    text.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// At most `max` characters, with an ellipsis for what is cut.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Why a voter did not answer.
pub const fn absence(a: Absence) -> &'static str {
    match a {
        Absence::Learning => "still learning",
        Absence::Down => "down",
        Absence::Late => "too late",
        Absence::Failed => "failed",
        Absence::NotANumber => "not a number",
        Absence::BreakerOpen => "circuit breaker open",
    }
}

/// How a voter's scores have changed since training.
const fn change(d: &Drift) -> &'static str {
    match d.change {
        Change::Higher => "higher",
        Change::Lower => "lower",
        Change::Wider => "more spread out",
        Change::Narrower => "closer together",
        Change::HeavierTail => "more often extreme",
    }
}

/// A voter's drift in a sentence.
pub fn drift(d: &Drift) -> String {
    format!(
        "{} scores of {} events are {} than in training, first told at {} ({} in {})",
        d.detector.name(),
        d.class.name(),
        change(d),
        time(d.first),
        plural(u64::from(d.alarms), "alarm", "alarms"),
        plural(d.observations, "observation", "observations"),
    )
}

/// Why a voter had nothing to say.
pub const fn abstention(a: Abstention) -> &'static str {
    match a {
        Abstention::NothingToSay => "nothing to say on this event",
        Abstention::NoModel => "no model for this class",
    }
}

/// A severity's name for a class attribute or a key.
pub const fn severity_key(s: Severity) -> &'static str {
    match s {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_or_relative() {
        assert_eq!(time(Timestamp::from_micros(1_664_462_456_755_299)), "2022-09-29T14:40:56Z");
        assert_eq!(time(Timestamp::from_micros(123_400_000)), "+123.4 s");
        assert_eq!(time(Timestamp::from_micros(i64::MAX)), "+9223372036854.8 s");
        let t = |s: i64| Timestamp::from_micros(s * 1_000_000);
        assert_eq!(span(t(1_664_462_456), t(1_664_462_500)), "2022-09-29T14:40:56Z to 14:41:40Z");
        assert_eq!(span(t(10), t(70)), "+10.0 s to +70.0 s");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(123), "123");
        assert_eq!(duration(0.25), "250 ms");
        assert_eq!(duration(3_725.0), "1 h 2 min");
        assert_eq!(duration(90_000.0), "1 d 1 h");
        assert_eq!(duration(f64::NAN), "unknown");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(percent(1, 100_000), "<0.1%");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(value(-12_345.6), "−12,346");
        assert_eq!(value(0.5), "0.500");
        assert_eq!(value(f32::NAN), "not a number");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn what_would_hide_or_act_is_made_visible() {
        assert_eq!(visible("a\0b\x1b[31m\n"), "a␀b␛[31m␊");
        assert_eq!(visible("x\u{202e}gpj\u{feff}"), "x\\u{202e}gpj\\u{feff}");
        assert_eq!(visible_record("a\tb\r"), "a\tb␍");
        assert_eq!(visible("Zürich 東京"), "Zürich 東京");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
