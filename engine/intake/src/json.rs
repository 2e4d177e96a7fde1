//! One JSON record as a tree that borrows its keys and texts from the line.
//!
//! A streaming serde visitor builds it; there is no `serde_json::Value` and, for usual records, no
//! allocation besides the field list. The tree is also how the other formats hand a single value
//! to the field mappers: text from a table is `Json::Text`, and the readers below take numbers
//! from both.

use crate::error::{Error, shown};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use threat::event::Value;
use threat::{Host, Text, Timestamp};

/// Nesting that a record may have: real ones stay under ten, and each level costs stack.
pub const JSON_DEPTH: usize = 32;

/// Members that a record may have, all levels together: the widest real ones (process events,
/// dumps of settings) have a few hundred, and looking members up costs time by their number.
pub const JSON_MEMBERS: usize = 4_096;

/// Fields that a typical record has: sized so that the list is allocated once.
const USUAL_FIELDS: usize = 28;

/// The members of an object, in their order.
pub(crate) type Fields<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// A JSON value, or the text of a table's cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Whole numbers over `i64::MAX`.
    Big(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Map(Fields<'a>),
}

/// The members of the one object that the line must be. A trailing comma (of an array written one
/// element a line) is allowed.
pub(crate) fn parse(line: &str) -> Result<Fields<'_>, Error> {
    let line = line.trim();
    let line = line.strip_suffix(',').unwrap_or(line);
    if !line.starts_with('{') {
        return Err(Error::Json("not an object".into()));
    }
    let mut reader = serde_json::Deserializer::from_str(line);
    let members = Cell::new(0);
    let node = Node { depth: 0, members: &members };
    let parsed = node.deserialize(&mut reader).and_then(|v| reader.end().map(|()| v));
    match parsed {
        Ok(Json::Map(fields)) => Ok(fields),
        Ok(_) => Err(Error::Json("not an object".into())),
        Err(e) => {
            let text = e.to_string();
            Err(if text.starts_with(DEPTH_MESSAGE) {
                Error::Depth
            } else if text.starts_with(WIDTH_MESSAGE) {
                Error::Members
            } else if text.starts_with("number out of range") {
                Error::NotFinite
            } else {
                Error::Json(text)
            })
        }
    }
}

/// How the visitor says that it went too deep; serde errors carry nothing but text.
const DEPTH_MESSAGE: &str = "too deep";
/// How it says that there were too many members.
const WIDTH_MESSAGE: &str = "too wide";

/// Reads one value at a depth, counting the record's members.
struct Node<'c> {
    depth: usize,
    members: &'c Cell<usize>,
}

impl Node<'_> {
    fn inner<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth + 1 > JSON_DEPTH {
            return Err(E::custom(DEPTH_MESSAGE));
        }
        Ok(Self { depth: self.depth + 1, members: self.members })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Json<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Json<'de>, E> {
        Ok(Json::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(v).map_or(Json::Big(v), Json::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(v))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(v) = seq.next_element_seed(self.inner()?)? {
            list.push(v);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::with_capacity(if self.depth == 0 { USUAL_FIELDS } else { 0 });
        while let Some(key) = map.next_key_seed(Key)? {
            self.members.set(self.members.get() + 1);
            if self.members.get() > JSON_MEMBERS {
                return Err(de::Error::custom(WIDTH_MESSAGE));
            }
            fields.push((key, map.next_value_seed(self.inner()?)?));
        }
        Ok(Json::Map(fields))
    }
}

/// Reads one member name.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
}

/// The member of that name.
pub(crate) fn get<'f, 'a>(fields: &'f Fields<'a>, name: &str) -> Option<&'f Json<'a>> {
    fields.iter().find(|(n, _)| n == name).map(|(_, v)| v)
}

/// Whether there is a member of that name.
pub(crate) fn has(fields: &Fields<'_>, name: &str) -> bool {
    get(fields, name).is_some()
}

/// Objects inside become members with dotted names; lists stay.
pub(crate) fn flatten<'a>(fields: Fields<'a>) -> Fields<'a> {
    if !fields.iter().any(|(_, v)| matches!(v, Json::Map(_))) {
        return fields;
    }
    let mut flat = Vec::with_capacity(fields.len() * 2);
    for (name, value) in fields {
        flatten_into(name, value, &mut flat);
    }
    flat
}

/// Depth is bounded by the reader's [`JSON_DEPTH`].
fn flatten_into<'a>(name: Cow<'a, str>, value: Json<'a>, flat: &mut Fields<'a>) {
    match value {
        Json::Map(members) if !members.is_empty() => {
            for (inner, value) in members {
                flatten_into(Cow::Owned(format!("{name}.{inner}")), value, flat);
            }
        }
        value => flat.push((name, value)),
    }
}

impl<'a> Json<'a> {
    /// Text of a table's cell.
    pub(crate) fn cell(text: &'a str) -> Self {
        Json::Text(Cow::Borrowed(text))
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Json::Text(t) = self { Some(t) } else { None }
    }

    /// Text for a typed place: numbers as written, what is empty as nothing.
    pub(crate) fn text(&self) -> Option<Text> {
        match self {
            Json::Text(t) if t.is_empty() => None,
            Json::Text(t) => Some(Text::from(t.as_ref())),
            Json::Int(n) => Some(Text::from(n.to_string())),
            Json::Big(n) => Some(Text::from(n.to_string())),
            Json::Float(n) => Some(Text::from(n.to_string())),
            Json::Bool(b) => Some(Text::from(if *b { "true" } else { "false" })),
            Json::Null | Json::List(_) | Json::Map(_) => None,
        }
    }

    /// Each element's text, or the one text.
    pub(crate) fn texts(&self) -> Vec<Text> {
        match self {
            Json::List(items) => items.iter().filter_map(Json::text).collect(),
            one => one.text().into_iter().collect(),
        }
    }

    /// A whole number of at least 0.
    pub(crate) fn count(&self) -> Result<Option<u64>, Error> {
        match self {
            Json::Null => Ok(None),
            Json::Int(n) => u64::try_from(*n).map(Some).map_err(|_| Error::NotFinite),
            Json::Big(n) => Ok(Some(*n)),
            Json::Float(n) => whole(*n).map(Some),
            Json::Text(t) if t.is_empty() => Ok(None),
            Json::Text(t) => match t.parse::<u64>() {
                Ok(n) => Ok(Some(n)),
                Err(_) => match t.parse::<f64>() {
                    Ok(n) => whole(n).map(Some),
                    Err(_) => Err(Error::Number(shown(t))),
                },
            },
            other => Err(Error::Number(other.kind().into())),
        }
    }

    /// A finite number of at least 0.
    pub(crate) fn amount(&self) -> Result<Option<f64>, Error> {
        let n = match self {
            Json::Null => return Ok(None),
            Json::Int(n) => *n as f64,
            Json::Big(n) => *n as f64,
            Json::Float(n) => *n,
            Json::Text(t) if t.is_empty() => return Ok(None),
            Json::Text(t) => t.parse::<f64>().map_err(|_| Error::Number(shown(t)))?,
            other => return Err(Error::Number(other.kind().into())),
        };
        if n.is_finite() && n >= 0.0 { Ok(Some(n)) } else { Err(Error::NotFinite) }
    }

    /// True or false.
    pub(crate) fn flag(&self) -> Result<Option<bool>, Error> {
        match self {
            Json::Null => Ok(None),
            Json::Bool(b) => Ok(Some(*b)),
            Json::Int(0) => Ok(Some(false)),
            Json::Int(1) => Ok(Some(true)),
            Json::Text(t) => match t.as_ref() {
                "" => Ok(None),
                "T" | "true" | "True" | "1" => Ok(Some(true)),
                "F" | "false" | "False" | "0" => Ok(Some(false)),
                other => Err(Error::Flag(shown(other))),
            },
            other => Err(Error::Flag(other.kind().into())),
        }
    }

    /// A port.
    pub(crate) fn port(&self) -> Result<Option<u16>, Error> {
        let Some(n) = self.count()? else { return Ok(None) };
        u16::try_from(n).map(Some).map_err(|_| Error::Port(n.to_string()))
    }

    /// A machine.
    pub(crate) fn host(&self) -> Option<Host> {
        self.as_str().map(str::trim).filter(|t| !t.is_empty() && *t != "-").map(Host::parse)
    }

    /// A point of time; text without an offset is `offset_seconds` east of UTC.
    pub(crate) fn time(&self, offset_seconds: i32) -> Result<Timestamp, Error> {
        let time = match self {
            Json::Int(n) => crate::time::epoch_int(*n),
            Json::Float(n) => crate::time::epoch(*n),
            Json::Text(t) => crate::time::any(t.trim(), offset_seconds),
            _ => None,
        };
        time.ok_or_else(|| Error::Time(self.text().map_or_else(String::new, |t| shown(&t))))
    }

    /// The untyped form. Members are sorted by name and the last of equal names stays, so that
    /// equal records give equal values; not-finite numbers become text.
    pub(crate) fn value(self) -> Value {
        match self {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(b),
            Json::Int(n) => Value::Int(n),
            Json::Big(n) => Value::Text(Text::from(n.to_string())),
            Json::Float(n) if n.is_finite() => Value::Float(n),
            Json::Float(n) => Value::Text(Text::from(n.to_string())),
            Json::Text(t) => Value::Text(Text::from(t)),
            Json::List(items) => Value::List(items.into_iter().map(Json::value).collect()),
            Json::Map(members) => {
                let mut named: Vec<(Text, Value)> =
                    members.into_iter().rev().map(|(n, v)| (Text::from(n), v.value())).collect();
                named.sort_by(|a, b| a.0.cmp(&b.0));
                named.dedup_by(|later, kept| later.0 == kept.0);
                Value::Map(named)
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a flag",
            Json::Int(_) | Json::Big(_) | Json::Float(_) => "a number",
            Json::Text(_) => "a text",
            Json::List(_) => "a list",
            Json::Map(_) => "an object",
        }
    }
}

/// A whole number from a float that is one.
fn whole(n: f64) -> Result<u64, Error> {
    if !n.is_finite() || n < 0.0 {
        return Err(Error::NotFinite);
    }
    if n.fract() != 0.0 || n >= u64::MAX as f64 {
        return Err(Error::Number(shown(&n.to_string())));
    }
    Ok(n as u64)
}
