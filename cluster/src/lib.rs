//! What several nodes do together. So far: they agree on the control log.

pub mod consensus;
