//! Names that many products give to the same thing: time, the two sides, the account.
//!
//! For records of unknown shape (`ndjson`, `csv`) alone; a format that knows its fields maps them
//! itself.

use crate::error::Error;
use crate::json::{Fields, Json};
use crate::record::Draft;

/// Names of the time, most telling first.
pub(crate) const TIMES: [&str; 14] = [
    "@timestamp",
    "timestamp",
    "ts",
    "time",
    "event_time",
    "eventTime",
    "EventTime",
    "Timestamp",
    "datetime",
    "date_time",
    "start_time",
    "StartTime",
    "date",
    "hour",
];

const SOURCES: [&str; 12] = [
    "src_ip",
    "source.ip",
    "id.orig_h",
    "source_ip",
    "srcip",
    "SrcIP",
    "client.ip",
    "client_ip",
    "remote_addr",
    "sourceIPAddress",
    "src",
    "saddr",
];
const SOURCE_PORTS: [&str; 7] =
    ["src_port", "source.port", "id.orig_p", "source_port", "srcport", "sport", "client.port"];
const TARGETS: [&str; 11] = [
    "dest_ip",
    "dst_ip",
    "destination.ip",
    "id.resp_h",
    "destination_ip",
    "dstip",
    "DstIP",
    "server.ip",
    "dest",
    "dst",
    "daddr",
];
const TARGET_PORTS: [&str; 9] = [
    "dest_port",
    "dst_port",
    "destination.port",
    "id.resp_p",
    "destination_port",
    "dstport",
    "dport",
    "dsport",
    "server.port",
];
const USERS: [&str; 7] =
    ["user", "user.name", "username", "user_name", "userName", "account", "userIdentity.userName"];

/// Takes the best of `names` out of the fields.
fn take<'a>(fields: &mut Fields<'a>, names: &[&str]) -> Option<Json<'a>> {
    let index = names.iter().find_map(|n| {
        fields.iter().position(|(name, v)| name == n && !matches!(v, Json::Null | Json::List(_)))
    })?;
    Some(fields.remove(index).1)
}

/// Takes a host by one of `names`; a value that is no text stays among the fields.
fn take_host(fields: &mut Fields<'_>, names: &[&str]) -> Option<threat::Host> {
    let index = names
        .iter()
        .find_map(|n| fields.iter().position(|(name, v)| name == n && v.host().is_some()))?;
    fields.remove(index).1.host()
}

/// Fills time, sides and account by their common names. Times without an offset are
/// `offset_seconds` east of UTC.
pub(crate) fn fill(
    draft: &mut Draft,
    fields: &mut Fields<'_>,
    offset_seconds: i32,
) -> Result<(), Error> {
    let before = fields.len();
    if let Some(time) = take(fields, &TIMES) {
        draft.time = Some(time.time(offset_seconds)?);
    }
    draft.src_host = take_host(fields, &SOURCES);
    draft.dst_host = take_host(fields, &TARGETS);
    if draft.src_host.is_some()
        && let Some(port) = take(fields, &SOURCE_PORTS)
    {
        draft.src_port = port.port()?;
    }
    if draft.dst_host.is_some()
        && let Some(port) = take(fields, &TARGET_PORTS)
    {
        draft.dst_port = port.port()?;
    }
    if let Some(user) = take(fields, &USERS) {
        draft.user = user.text();
    }
    draft.typed += (before - fields.len()) as u32;
    Ok(())
}
