//! JSON lines of unknown shape: everything is kept by name; time, sides and account are found by
//! their common names. Records that a better-known JSON format claims are left to it.

use crate::Options;
use crate::common;
use crate::error::Error;
use crate::json::{self, Fields};
use crate::record::{Draft, Parsed};
use threat::event::Body;

/// Reads one record. Objects inside become dotted names.
pub(crate) fn read(fields: Fields<'_>, options: &Options) -> Result<Parsed, Error> {
    let mut fields = json::flatten(fields);
    let mut draft = Draft::new(Body::Generic);
    common::fill(&mut draft, &mut fields, options.utc_offset_seconds)?;
    draft.keep_all(fields);
    draft.finish("json", "generic")
}
