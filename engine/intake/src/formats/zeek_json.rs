//! Zeek's JSON logs: one object a line, flat keys with dots; times as seconds, ISO 8601 or epoch
//! ms.
//!
//! `_path` names the log where it is written; otherwise the keys do. What the fields mean stands
//! in `zeek`. Objects inside (shippers expand `id`) are flattened to the dotted names.

use crate::error::Error;
use crate::json::{self, Fields, Json};
use crate::record::Parsed;
use crate::zeek::{self, Log};
use crate::zeek_places::place;
use threat::Text;

/// Keys that no other format has.
pub(crate) fn claims(fields: &Fields<'_>) -> bool {
    json::has(fields, "id.orig_h")
        || json::has(fields, "_path")
        || (json::has(fields, "ts") && matches!(json::get(fields, "id"), Some(Json::Map(_))))
        || (json::has(fields, "ts") && Log::guess(fields) != Log::Other)
}

/// Reads one record.
pub(crate) fn read(fields: Fields<'_>) -> Result<Parsed, Error> {
    if !claims(&fields) {
        return Err(Error::Foreign("a Zeek log"));
    }
    let fields = json::flatten(fields);
    let path = json::get(&fields, "_path").and_then(Json::as_str).unwrap_or_default();
    let (log, service) = if path.is_empty() {
        let log = Log::guess(&fields);
        (log, log.path().into())
    } else {
        (Log::of_path(path), Text::from(path))
    };
    let mut draft = log.draft();
    for (name, value) in fields {
        if name == "_path" || value == Json::Null {
            continue;
        }
        zeek::assign(&mut draft, place(log, &name), &name, value)?;
    }
    draft.finish("zeek", &service)
}
