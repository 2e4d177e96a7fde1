//! What the rule tests share: crafted events, and a small reader of Windows events in JSON.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses a part of this"
)]

use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use threat::event::{Flow, Origin, Value};
use threat::{Body, Endpoint, Event, Host, Timestamp};

/// A folder of the public data beside the project, if it is there.
pub fn data(name: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let path = Path::new(root).join(name);
    path.is_dir().then_some(path)
}

/// All files of that extension in a folder and below, sorted.
pub fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// An event at a second of event time.
pub fn event(product: &str, service: &str, secs: i64, body: Body) -> Event {
    Event::new(Timestamp::from_micros(secs * 1_000_000), Origin::new(product, service), body)
}

/// A side of a communication.
pub fn side(host: &str, port: u16) -> Option<Endpoint> {
    Some(Endpoint { host: Host::parse(host), port: Some(port) })
}

/// A Zeek flow between two sides.
pub fn flow(secs: i64, src: &str, dst: &str, port: u16, flow: Flow) -> Event {
    let mut e = event("zeek", "conn", secs, Body::Flow(flow));
    e.src = side(src, 40_000);
    e.dst = side(dst, port);
    e
}

/// The events of a text of one or several Windows event objects, flattened as Sigma names fields.
pub fn windows_events(text: &str) -> Vec<Event> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<Json>()
        .map(|json| windows_event(&json.expect("well-formed JSON")))
        .collect()
}

fn windows_event(json: &Json) -> Event {
    let root = json.get("Event").unwrap_or(json);
    let mut extra = Vec::new();
    if let Some(system) = root.get("System").and_then(Json::as_object) {
        for (name, value) in system {
            let attributes = value.get("#attributes").and_then(Json::as_object);
            for (attribute, value) in attributes.into_iter().flatten() {
                extra.push((format!("{name}_{attribute}").as_str().into(), value_of(value)));
            }
            let value = value.get("#text").unwrap_or(value);
            if !value.is_object() {
                extra.push((name.as_str().into(), value_of(value)));
            }
        }
    }
    for part in ["EventData", "UserData"] {
        for (name, value) in root.get(part).and_then(Json::as_object).into_iter().flatten() {
            match value.as_object() {
                Some(inner) if part == "UserData" => {
                    let inner = inner.iter().filter(|(n, _)| *n != "#attributes");
                    extra.extend(inner.map(|(n, v)| (n.as_str().into(), value_of(v))));
                }
                _ => extra.push((name.as_str().into(), value_of(value))),
            }
        }
    }
    let mut e = event("windows", "eventlog", 0, Body::Generic);
    e.extra = extra;
    e
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n.as_i64().map_or(Value::Float(n.as_f64().unwrap()), Value::Int),
        Json::String(s) => Value::Text(s.as_str().into()),
        Json::Array(list) => Value::List(list.iter().map(value_of).collect()),
        Json::Object(map) => {
            let text = map.get("#text").map(value_of);
            text.unwrap_or_else(|| {
                Value::Map(map.iter().map(|(k, v)| (k.as_str().into(), value_of(v))).collect())
            })
        }
    }
}
