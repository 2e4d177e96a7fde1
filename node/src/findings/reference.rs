//! The way back from a text to a finding: which one a person means, and what is stored in its JSON.

use super::Stored;
use serde_json::Value;
use threat::ThreatId;

/// Fewer digits of an id name too many findings.
const PREFIX_DIGITS: usize = 6;

/// Longest text taken for a finding's JSON: an unbounded line is not a finding.
const JSON_BYTES: usize = 1 << 20;

/// Why a text names no finding, or holds nothing to score again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither an id, nor a beginning of one, nor a JSON object.
    #[error(
        "{0:?} is no finding id: give at least {PREFIX_DIGITS} of its 32 hex digits, or its JSON"
    )]
    NotAnId(String),
    /// JSON, but no finding of ours.
    #[error("the JSON has no finding_info.uid of 32 hex digits")]
    NoUid,
    /// Not JSON.
    #[error("not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than any finding.
    #[error("{0} bytes are no finding")]
    TooLong(usize),
}

/// How a person named a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingRef {
    /// Its whole id.
    Id(ThreatId),
    /// The first hex digits of its id, lower case, at least six.
    Prefix(String),
}

impl FindingRef {
    /// Whether this names the finding of that id.
    pub fn matches(&self, id: ThreatId) -> bool {
        match self {
            Self::Id(own) => *own == id,
            Self::Prefix(p) => id.to_string().starts_with(p.as_str()),
        }
    }
}

/// Reads which finding `text` names: an id (32 hex digits), at least six digits that it begins
/// with, or a finding's JSON line. An id copied from the report may carry its `f-`.
pub fn parse_finding_id(text: &str) -> Result<FindingRef, Error> {
    let text = text.trim();
    if text.starts_with('{') {
        let value = parse(text)?;
        let uid = value.pointer("/finding_info/uid").and_then(Value::as_str).ok_or(Error::NoUid)?;
        return match by_digits(uid) {
            Some(id @ FindingRef::Id(_)) => Ok(id),
            _ => Err(Error::NoUid),
        };
    }
    let digits = text.strip_prefix("f-").unwrap_or(text);
    by_digits(digits).ok_or_else(|| Error::NotAnId(text.chars().take(80).collect()))
}

fn by_digits(digits: &str) -> Option<FindingRef> {
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    match digits.len() {
        32 if hex => digits.parse().ok().map(FindingRef::Id),
        PREFIX_DIGITS..32 if hex => Some(FindingRef::Prefix(digits.to_ascii_lowercase())),
        _ => None,
    }
}

fn parse(line: &str) -> Result<Value, Error> {
    if line.len() > JSON_BYTES {
        return Err(Error::TooLong(line.len()));
    }
    Ok(serde_json::from_str(line)?)
}

/// The verdicts in a finding's JSON line, ready to be scored again; empty when it holds none.
pub fn stored_examples(line: &str) -> Result<Vec<Stored>, Error> {
    let mut value = parse(line.trim())?;
    match value.pointer_mut("/unmapped/watchfire/examples") {
        Some(found) => Ok(serde_json::from_value(found.take())?),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_named_by_id_prefix_or_json() {
        let id = ThreatId(0x00ab_cdef_0123_4567_89ab_cdef_0123_4567);
        let whole = id.to_string();
        assert_eq!(parse_finding_id(&whole).unwrap(), FindingRef::Id(id));
        assert!(parse_finding_id("00ABCDEF").unwrap().matches(id));
        assert!(parse_finding_id("f-00abcdef0123").unwrap().matches(id));
        assert!(!parse_finding_id("10abcdef").unwrap().matches(id));
        let json = format!("{{\"finding_info\":{{\"uid\":\"{whole}\"}}}}\n");
        assert_eq!(parse_finding_id(&json).unwrap(), FindingRef::Id(id));
    }

    #[test]
    fn what_names_no_finding_is_refused() {
        for bad in ["", "12345", "xyzxyzxyz", "+12345", &"a".repeat(33), "00abcdeg"] {
            assert!(matches!(parse_finding_id(bad), Err(Error::NotAnId(_))), "{bad}");
        }
        assert!(matches!(parse_finding_id("{}"), Err(Error::NoUid)));
        assert!(matches!(
            parse_finding_id("{\"finding_info\":{\"uid\":\"abcdef\"}}"),
            Err(Error::NoUid)
        ));
        assert!(matches!(parse_finding_id("{oops"), Err(Error::Json(_))));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_BYTES));
        assert!(matches!(parse_finding_id(&long), Err(Error::TooLong(_))));
    }
}
