//! redb: schemas, versions, checkpoints.
