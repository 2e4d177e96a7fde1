//! Reading one record: in the format of the records before it, else in whichever other takes it.

use crate::decoder::Options;
use crate::error::Error;
use crate::formats::{Format, Headers};
use crate::frame::{Frame, Framer};
use crate::record::Parsed;
use threat::event::Position;

/// Records that [`Format::sniff`] looks at before it gives up: banners and comments come first.
const SNIFFED_RECORDS: usize = 32;

/// A record without its carriage return, and the first of a source without its byte order mark.
pub(crate) fn content(record: &[u8], position: Position) -> &[u8] {
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    if position.offset == 0 {
        record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record)
    } else {
        record
    }
}

/// Lines without a record: blank ones, and the brackets of an array written one element a line.
fn is_blank(record: &[u8]) -> bool {
    matches!(record.trim_ascii(), b"" | b"[" | b"]" | b"],")
}

/// Reads a record in the current format; else in whichever other takes it, which then is the
/// current.
pub(crate) fn read(
    record: &[u8],
    format: &mut Option<Format>,
    headers: &mut Headers,
    options: &Options,
) -> Result<Parsed, Error> {
    // the usual record begins with none of these: no need to look further
    if record.first().is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'[' | b']'))
        && is_blank(record)
    {
        return Ok(Parsed::Comment);
    }
    let mut reason = Error::Unknown;
    if let Some(current) = *format {
        match current.read(record, headers, options) {
            Ok(parsed) => return Ok(parsed),
            Err(error) if options.format.is_some() => return comment_or(record, error),
            Err(error) => reason = error,
        }
    }
    let its_own = format.is_some_and(|f| f.sniffs(record, headers, options));
    let mut claimed = its_own;
    for other in Format::ALL {
        if Some(other) == *format || !other.sniffs(record, headers, options) {
            continue;
        }
        match other.read(record, headers, options) {
            Ok(parsed) => {
                *format = Some(other);
                return Ok(parsed);
            }
            // the reason of whoever takes it for its own says most
            Err(error) if !claimed => {
                claimed = true;
                reason = error;
            }
            Err(_) => {}
        }
    }
    // broken JSON among lines of another format is best called that
    if !claimed && (format.is_none() || record.starts_with(b"{")) {
        reason = unknown(record);
    }
    comment_or(record, reason)
}

/// Lines with `#` are comments wherever nothing reads them.
fn comment_or(record: &[u8], reason: Error) -> Result<Parsed, Error> {
    if record.starts_with(b"#") { Ok(Parsed::Comment) } else { Err(reason) }
}

/// Why nothing reads it.
fn unknown(record: &[u8]) -> Error {
    match std::str::from_utf8(record) {
        Err(e) => Error::Utf8(e.valid_up_to()),
        Ok(text) if text.trim_start().starts_with('{') => {
            crate::json::parse(text).err().unwrap_or(Error::Unknown)
        }
        Ok(_) => Error::Unknown,
    }
}

/// The format of the first record that one of them knows.
pub(crate) fn sniff(beginning: &[u8]) -> Option<Format> {
    let options = Options::default();
    let headers = Headers::default();
    let mut framer = Framer::new(0, 0, options.max_record_bytes);
    framer.push(beginning);
    framer.finish();
    for _ in 0..SNIFFED_RECORDS {
        let (position, Frame::Record { start, end }) = framer.next()? else { continue };
        let record = content(&framer.bytes()[start..end], position);
        if is_blank(record) {
            continue;
        }
        let found = Format::ALL.into_iter().find(|f| f.sniffs(record, &headers, &options));
        if found.is_some() {
            return found;
        }
    }
    None
}
