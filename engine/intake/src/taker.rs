//! A record's members, taken out one by one by dotted name; what is left is kept untyped.

use crate::error::Error;
use crate::json::{self, Fields, Json};
use threat::{Host, Text};

/// Members of a record, with objects inside as dotted names.
#[derive(Debug, Default)]
pub(crate) struct Taker<'a> {
    pub(crate) fields: Fields<'a>,
    /// Members taken so far.
    pub(crate) taken: u32,
}

impl<'a> Taker<'a> {
    pub(crate) fn new(fields: Fields<'a>) -> Self {
        Self { fields: json::flatten(fields), taken: 0 }
    }

    /// Takes a member; of equal names the last.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.fields.iter().rposition(|(n, _)| n == name)?;
        self.taken += 1;
        Some(self.fields.remove(index).1)
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<Text> {
        self.take(name).and_then(|v| v.text())
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, Error> {
        self.take(name).map_or(Ok(None), |v| v.count())
    }

    pub(crate) fn amount(&mut self, name: &str) -> Result<Option<f64>, Error> {
        self.take(name).map_or(Ok(None), |v| v.amount())
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        self.take(name).map_or(Ok(None), |v| v.flag())
    }

    pub(crate) fn port(&mut self, name: &str) -> Result<Option<u16>, Error> {
        self.take(name).map_or(Ok(None), |v| v.port())
    }

    pub(crate) fn host(&mut self, name: &str) -> Option<Host> {
        self.text(name).map(|t| Host::parse(&t))
    }

    /// A look without taking: for values that are mapped but say more than the mapping keeps.
    pub(crate) fn peek(&self, name: &str) -> Option<&Json<'a>> {
        json::get(&self.fields, name)
    }

    pub(crate) fn peek_str(&self, name: &str) -> &str {
        self.peek(name).and_then(Json::as_str).unwrap_or_default()
    }
}
