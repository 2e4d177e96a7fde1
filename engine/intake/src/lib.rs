//! Bytes to events and back: one file per format.
