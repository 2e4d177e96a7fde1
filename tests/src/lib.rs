//! House tests live in `tests/it` and `tests/process`.
