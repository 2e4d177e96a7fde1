//! An event in the making: typed places are filled one by one, the rest goes to `extra`.
//!
//! Shared by all formats. What a field means is decided by the format (or by `zeek`), not here.

use crate::error::Error;
use crate::json::{Fields, Json};
use std::collections::{BTreeMap, BTreeSet};
use threat::event::{Body, Endpoint, Event, Origin, Value};
use threat::{Host, Text, Timestamp};

/// What a format made of a record.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// An event, and how many of its fields found a typed place.
    Event(Box<Event>, u32),
    /// A header, comment or blank line.
    Comment,
}

/// An event in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) time: Option<Timestamp>,
    pub(crate) src_host: Option<Host>,
    pub(crate) src_port: Option<u16>,
    pub(crate) dst_host: Option<Host>,
    pub(crate) dst_port: Option<u16>,
    pub(crate) user: Option<Text>,
    pub(crate) uid: Option<Text>,
    pub(crate) label: Option<Text>,
    pub(crate) detailed_label: Option<Text>,
    pub(crate) body: Body,
    pub(crate) extra: Vec<(Text, Value)>,
    /// Fields that found a typed place.
    pub(crate) typed: u32,
}

impl Draft {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            time: None,
            src_host: None,
            src_port: None,
            dst_host: None,
            dst_port: None,
            user: None,
            uid: None,
            label: None,
            detailed_label: None,
            body,
            extra: Vec::new(),
            typed: 0,
        }
    }

    /// Keeps a field that has no typed place.
    pub(crate) fn keep(&mut self, name: &str, value: Json<'_>) {
        self.extra.push((Text::from(name), value.value()));
    }

    /// Keeps all of them.
    pub(crate) fn keep_all(&mut self, fields: Fields<'_>) {
        self.extra.reserve(fields.len());
        for (name, value) in fields {
            self.extra.push((Text::from(name), value.value()));
        }
    }

    /// The event. Of equal names in `extra` the last value stays; a port without its host goes
    /// there.
    pub(crate) fn finish(mut self, product: &str, service: &str) -> Result<Parsed, Error> {
        let time = self.time.ok_or(Error::NoTime)?;
        let src = endpoint(&mut self.extra, self.src_host, self.src_port, "src_port");
        let dst = endpoint(&mut self.extra, self.dst_host, self.dst_port, "dst_port");
        drop_repeated(&mut self.extra);
        let event = Event {
            src,
            dst,
            user: self.user,
            uid: self.uid,
            label: label(self.label, self.detailed_label),
            extra: self.extra,
            ..Event::new(time, Origin::new(product, service), self.body)
        };
        Ok(Parsed::Event(Box::new(event), self.typed))
    }
}

fn endpoint(
    extra: &mut Vec<(Text, Value)>,
    host: Option<Host>,
    port: Option<u16>,
    port_name: &str,
) -> Option<Endpoint> {
    match host {
        Some(host) => Some(Endpoint { host, port }),
        None => {
            extra.extend(port.map(|p| (Text::from(port_name), Value::Int(i64::from(p)))));
            None
        }
    }
}

/// Ground truth as `label/detail`, or whichever of the two says something.
fn label(label: Option<Text>, detailed: Option<Text>) -> Option<Text> {
    let says = |t: &Text| !matches!(t.as_str(), "" | "-" | "(empty)");
    match (label.filter(says), detailed.filter(says)) {
        (Some(l), Some(d)) => Some(Text::from(format!("{l}/{d}"))),
        (one, other) => one.or(other),
    }
}

/// Leaves the last of equal names, at the place of the first. Few names are compared with each
/// other; many are looked up, so that a hostile record costs no more than its length.
fn drop_repeated(extra: &mut Vec<(Text, Value)>) {
    const FEW: usize = 24;
    let distinct = if extra.len() <= FEW {
        (1..extra.len()).all(|i| extra[..i].iter().all(|(n, _)| *n != extra[i].0))
    } else {
        let names: BTreeSet<&str> = extra.iter().map(|(n, _)| n.as_str()).collect();
        names.len() == extra.len()
    };
    if distinct {
        return;
    }
    let mut places: BTreeMap<Text, usize> = BTreeMap::new();
    let mut kept: Vec<(Text, Value)> = Vec::with_capacity(extra.len());
    for (name, value) in extra.drain(..) {
        match places.get(&name) {
            Some(&first) => kept[first].1 = value,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    *extra = kept;
}
