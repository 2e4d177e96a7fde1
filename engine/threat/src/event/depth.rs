//! Keeps nested values from overflowing the stack of whoever reads them: a codec bounds lengths,
//! not recursion.

use crate::limits::VALUE_DEPTH;
use serde::de::{Deserialize, Deserializer, Error};
use std::cell::Cell;

thread_local! {
    /// How deep in values this thread is.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level, until it is dropped, whichever way its reading ends.
struct Level;

impl Level {
    fn enter() -> Option<Self> {
        let depth = DEPTH.get();
        (depth < VALUE_DEPTH).then(|| {
            DEPTH.set(depth + 1);
            Self
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Reads what lies inside of a value.
pub(super) fn bounded<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let level = Level::enter();
    if level.is_none() {
        return Err(D::Error::custom("values are nested too deep"));
    }
    T::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use crate::codec;
    use crate::event::Value;
    use crate::limits::VALUE_DEPTH;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
    }

    #[test]
    fn values_nest_up_to_the_limit_and_no_bytes_overflow_the_stack() {
        let deepest = nested(VALUE_DEPTH);
        let bytes = codec::encode(1, &deepest).unwrap();
        assert_eq!(codec::decode::<Value>(1, &bytes).unwrap(), deepest);
        let bytes = codec::encode(1, &nested(VALUE_DEPTH + 1)).unwrap();
        assert!(codec::decode::<Value>(1, &bytes).unwrap_err().to_string().contains("too deep"));
        // A list in a list and so on, a million times: its tag and its length, again and again.
        let list = codec::encode(1, &Value::List(vec![])).unwrap();
        let (tag, one) = (&list[1..5], 1u64.to_le_bytes());
        let hostile: Vec<u8> =
            [1].into_iter().chain([tag, &one].concat().repeat(1_000_000)).collect();
        assert!(codec::decode::<Value>(1, &hostile).is_err());
        // What failed left no trace.
        let bytes = codec::encode(1, &deepest).unwrap();
        assert!(codec::decode::<Value>(1, &bytes).is_ok());
    }
}
