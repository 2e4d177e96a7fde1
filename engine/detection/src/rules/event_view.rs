//! An event as rules see it: typed fields under every common name, untyped ones under their own,
//! `window.*` numbers, and the raw record for keyword search.
//!
//! A lookup allocates nothing for scalars: text is borrowed, addresses are written once into a
//! buffer of the view. Lists (`answers`, untyped lists and maps) cost a vector when a rule asks for
//! them.

use super::field::{Field, Typed};
use super::typed_value::typed_value;
use super::window_fields::WindowValues;
use rsigma_eval::EventValue;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Write;
use threat::event::Value;
use threat::{Endpoint, Event, Host};

/// Bytes of the longest text of an IPv6 address (RFC 4291, with an embedded IPv4 address).
const ADDRESS_TEXT: usize = 45;

/// Deepest untyped nesting that keyword search walks; the parsers bound it lower.
const VALUE_DEPTH: usize = 32;

/// An address as text, without an allocation.
#[derive(Clone, Debug)]
struct AddressText {
    bytes: [u8; ADDRESS_TEXT],
    len: usize,
}

impl AddressText {
    fn of(address: std::net::IpAddr) -> Self {
        let mut text = Self { bytes: [0; ADDRESS_TEXT], len: 0 };
        // An address is never longer than the buffer, so that writing cannot fail.
        let _ = write!(text, "{address}");
        text
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.len + s.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// A view of one event for the rules.
#[derive(Debug)]
pub struct EventView<'a> {
    event: &'a Event,
    window: &'a WindowValues,
    raw: &'a [u8],
    src: OnceCell<AddressText>,
    dst: OnceCell<AddressText>,
}

impl<'a> EventView<'a> {
    /// A view of `event` with its window fields and its raw record (empty where it is not at hand).
    pub const fn new(event: &'a Event, window: &'a WindowValues, raw: &'a [u8]) -> Self {
        Self { event, window, raw, src: OnceCell::new(), dst: OnceCell::new() }
    }

    /// The event.
    pub const fn event(&self) -> &'a Event {
        self.event
    }

    /// The raw record as far as it is text: up to the first byte that is not UTF-8.
    pub fn raw_text(&self) -> &'a str {
        match std::str::from_utf8(self.raw) {
            Ok(text) => text,
            Err(e) => std::str::from_utf8(&self.raw[..e.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// The source's address or name.
    pub(super) fn src_text(&self) -> Option<EventValue<'_>> {
        host_text(self.event.src.as_ref(), &self.src)
    }

    /// The destination's address or name.
    pub(super) fn dst_text(&self) -> Option<EventValue<'_>> {
        host_text(self.event.dst.as_ref(), &self.dst)
    }

    /// The value of a window field.
    #[inline]
    pub fn window(&self, field: super::WindowField) -> f32 {
        self.window.get(field)
    }

    /// The value of a field that was parsed before; `path` is its name, for untyped ones.
    pub fn value(&self, field: Field, path: &str) -> Option<EventValue<'_>> {
        match field {
            Field::Window(w) => Some(EventValue::Float(f64::from(self.window.get(w)))),
            Field::Typed(t) => typed_value(self, t).or_else(|| self.fallback(t, path)),
            Field::Other => untyped(&self.event.extra, path)
                .or_else(|| untyped(&self.event.extra, other_name(path)?))
                .map(borrowed),
        }
    }

    fn fallback(&self, typed: Typed, path: &str) -> Option<EventValue<'_>> {
        let found = untyped(&self.event.extra, path).map(borrowed);
        match typed {
            Typed::Message if found.is_none() && !self.raw.is_empty() => {
                Some(EventValue::Str(Cow::Borrowed(self.raw_text())))
            }
            _ => found,
        }
    }
}

fn host_text<'v>(
    side: Option<&'v Endpoint>,
    cell: &'v OnceCell<AddressText>,
) -> Option<EventValue<'v>> {
    let text = match &side?.host {
        Host::Name(name) => name.as_str(),
        Host::Ip(address) => cell.get_or_init(|| AddressText::of(*address)).as_str(),
    };
    Some(EventValue::Str(Cow::Borrowed(text)))
}

/// An untyped field by exact name, else by descending into maps at the dots.
fn untyped<'v, K: AsRef<str>>(fields: &'v [(K, Value)], path: &str) -> Option<&'v Value> {
    if let Some((_, value)) = fields.iter().find(|(name, _)| name.as_ref() == path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (_, value) = fields.iter().find(|(name, _)| name.as_ref() == &path[..dot])?;
        if let Value::Map(inner) = value { untyped(inner, &path[dot + 1..]) } else { None }
    })
}

/// What Windows' own process audit (Security 4688) calls a field of Sysmon's process events, which
/// are the names that rules use.
fn other_name(path: &str) -> Option<&'static str> {
    match path {
        "Image" => Some("NewProcessName"),
        "ParentImage" => Some("ParentProcessName"),
        "User" => Some("SubjectUserName"),
        _ => None,
    }
}

/// Our value as the rule engine's, borrowing all text.
fn borrowed(value: &Value) -> EventValue<'_> {
    match value {
        Value::Null => EventValue::Null,
        Value::Bool(b) => EventValue::Bool(*b),
        Value::Int(n) => EventValue::Int(*n),
        Value::Float(f) => EventValue::Float(*f),
        Value::Text(t) => EventValue::Str(Cow::Borrowed(t.as_str())),
        Value::List(list) => EventValue::Array(list.iter().map(borrowed).collect()),
        Value::Map(map) => EventValue::Map(
            map.iter().map(|(k, v)| (Cow::Borrowed(k.as_str()), borrowed(v))).collect(),
        ),
    }
}

/// Whether any text in `value` satisfies `pred`; visits every text until one does.
fn any_text<'v>(value: &'v Value, depth: usize, pred: &mut dyn FnMut(&'v str) -> bool) -> bool {
    match value {
        Value::Text(t) => pred(t.as_str()),
        Value::List(list) if depth > 0 => list.iter().any(|v| any_text(v, depth - 1, pred)),
        Value::Map(map) if depth > 0 => map.iter().any(|(_, v)| any_text(v, depth - 1, pred)),
        _ => false,
    }
}

impl rsigma_eval::Event for EventView<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.value(Field::parse(path), path)
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        (!self.raw.is_empty() && pred(self.raw_text()))
            || Typed::CANONICAL.iter().any(|&(typed, _)| match typed_value(self, typed) {
                Some(EventValue::Str(s)) => pred(&s),
                Some(EventValue::Array(list)) => {
                    list.iter().any(|v| matches!(v, EventValue::Str(s) if pred(s)))
                }
                _ => false,
            })
            || self.event.extra.iter().any(|(_, v)| any_text(v, VALUE_DEPTH, &mut |s| pred(s)))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = vec![Cow::Borrowed(self.raw_text())];
        for &(typed, _) in Typed::CANONICAL {
            match typed_value(self, typed) {
                Some(EventValue::Str(s)) => all.push(s),
                Some(EventValue::Array(list)) => {
                    all.extend(list.into_iter().filter_map(|v| match v {
                        EventValue::Str(s) => Some(s),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
        for (_, value) in &self.event.extra {
            any_text(value, VALUE_DEPTH, &mut |s| {
                all.push(Cow::Borrowed(s));
                false
            });
        }
        all
    }

    fn to_json(&self) -> serde_json::Value {
        let typed = Typed::CANONICAL
            .iter()
            .filter_map(|&(t, name)| Some((name.to_owned(), typed_value(self, t)?.to_json())));
        let extra = self.event.extra.iter().map(|(n, v)| (n.to_string(), borrowed(v).to_json()));
        serde_json::Value::Object(typed.chain(extra).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsigma_eval::Event as _;
    use threat::event::{Authentication, Flow, Origin, Outcome, Protocol};
    use threat::{Body, Timestamp};

    fn zeek_conn() -> Event {
        let flow = Flow { protocol: Protocol::Udp, orig_bytes: Some(7), ..Flow::default() };
        let mut e = Event::new(Timestamp::default(), Origin::new("zeek", "conn"), Body::Flow(flow));
        e.src = Some(Endpoint { host: Host::parse("2001:db8::1"), port: Some(40_000) });
        e.dst = Some(Endpoint { host: Host::parse("LabSZ"), port: Some(53) });
        let inner = Value::Map(vec![("c.d".into(), Value::Int(3))]);
        e.extra = vec![
            ("tunnel".into(), Value::List(vec![Value::Text("deep".into())])),
            ("a".into(), Value::Map(vec![("b".into(), inner)])),
            ("x.y".into(), Value::Bool(true)),
        ];
        e
    }

    fn text(value: Option<EventValue<'_>>) -> String {
        value.and_then(|v| Some(v.as_str()?.into_owned())).unwrap_or_else(|| "absent".into())
    }

    #[test]
    fn every_dialect_reads_the_same_flow() {
        let (event, mut window) = (zeek_conn(), WindowValues::default());
        window.set(crate::rules::WindowField::PairCount, 12.0);
        let view = EventView::new(&event, &window, b"raw Zeek line");
        for (path, want) in [
            ("id.orig_h", "2001:db8::1"),
            ("src_endpoint.ip", "2001:db8::1"),
            ("dst_ip", "LabSZ"),
            ("dest_port", "53"),
            ("id.resp_p", "53"),
            ("proto", "udp"),
            ("orig_bytes", "7"),
            ("conn_state", "OTH"),
            ("dst_internal", "true"),
            ("class", "flow"),
            ("a.b.c.d", "3"),
            ("x.y", "true"),
            ("window.pair.count", "12"),
            ("message", "raw Zeek line"),
            ("status", "absent"),
            ("user", "absent"),
            ("a.b.c", "absent"),
        ] {
            assert_eq!(text(view.get_field(path)), want, "{path}");
        }
        assert!(view.any_string_value(&|s| s == "deep"));
        assert!(view.any_string_value(&|s| s.contains("Zeek line")));
        assert!(!view.any_string_value(&|s| s == "shallow"));
        assert!(view.all_string_values().iter().any(|s| s == "deep"));
        assert_eq!(view.to_json()["dst_port"], 53);
    }

    #[test]
    fn outcomes_and_process_audit_names() {
        let auth = Authentication { outcome: Outcome::Failure, ..Authentication::default() };
        let body = Body::Authentication(Box::new(auth));
        let mut event = Event::new(Timestamp::default(), Origin::new("linux", "sshd"), body);
        event.extra.push(("NewProcessName".into(), Value::Text("C:\\a.exe".into())));
        let window = WindowValues::default();
        // The record ends in a byte that is not text.
        let view = EventView::new(&event, &window, b"Failed password\xff");
        assert_eq!(text(view.get_field("status")), "failure");
        assert_eq!(text(view.get_field("auth_success")), "false");
        assert_eq!(text(view.get_field("Image")), "C:\\a.exe");
        assert!(view.any_string_value(&|s| s == "Failed password"));
    }
}
