//! Why a record is set aside.
//!
//! The text of an error is the reason that a person reads in the quarantine, so it names what is
//! wrong with the record and nothing of the program. Positions are kept beside it, not in it.

/// Why a record became no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8 at byte {0} of the record")]
    Utf8(usize),
    /// Longer than `Options::max_record_bytes`.
    #[error("record of {0} bytes is over the limit")]
    TooLong(u64),
    /// No format takes this for its own.
    #[error("no known format reads this record")]
    Unknown,
    /// The JSON is broken.
    #[error("not JSON: {0}")]
    Json(String),
    /// Nested deeper than [`JSON_DEPTH`](crate::json::JSON_DEPTH).
    #[error("nested deeper than {} levels", crate::json::JSON_DEPTH)]
    Depth,
    /// More members than [`JSON_MEMBERS`](crate::json::JSON_MEMBERS).
    #[error("more than {} members", crate::json::JSON_MEMBERS)]
    Members,
    /// JSON of another kind than the format asked for.
    #[error("JSON record is not {0}")]
    Foreign(&'static str),
    /// There is no time in the record.
    #[error("no time in the record")]
    NoTime,
    /// A time that cannot be read.
    #[error("time `{0}` cannot be read")]
    Time(String),
    /// A typed number that is NaN, infinite or negative.
    #[error("not a finite amount")]
    NotFinite,
    /// A typed number that is none.
    #[error("`{0}` is not a number")]
    Number(String),
    /// A typed flag that is none.
    #[error("`{0}` is neither true nor false")]
    Flag(String),
    /// A port over 65535.
    #[error("port {0} is over 65535")]
    Port(String),
    /// A row with more or fewer columns than its header.
    #[error("{found} columns where the header names {expected}")]
    Columns {
        /// Columns of the row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// Zeek rows whose `#fields` line is gone.
    #[error(
        "Zeek row of {0} columns without a #fields line; only classic conn rows can do without"
    )]
    HeaderLost(usize),
    /// A header that cannot be used.
    #[error("unusable header: {0}")]
    Header(&'static str),
    /// A quoted cell that does not end on its line.
    #[error("quoted cell does not end on its line")]
    Quote,
    /// Not a syslog line.
    #[error("not a syslog line: {0}")]
    Syslog(&'static str),
    /// The source broke off.
    #[error("source broke off: {0}")]
    Aborted(String),
}

/// A short form of some text for a reason.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
