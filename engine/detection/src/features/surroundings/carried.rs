//! A node's surroundings as pieces for another process.
//!
//! Entities of several workloads move what is kept here, and workloads go to different nodes. So a
//! piece may meet state that the node has of its own: sketches of who was seen are united, and of
//! two profiles the one that has seen more stays. Either way nothing is counted twice.

use super::{Destination, Surroundings};
use crate::features::account::{Account, Novelty};
use crate::features::source_state::TEN_MINUTES;
use crate::features::state::{Error, Kind, Piece, piece, state};

impl Surroundings {
    /// What changed since this was last called, at a batch boundary; each piece with the groups of
    /// the entities that changed it. The first call begins the noting of changes and gives nothing.
    pub fn take_changed(&mut self) -> Vec<Piece> {
        let mut all = Vec::new();
        self.destinations.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.accounts.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.logon_sources.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        let groups = std::mem::take(&mut self.novelty_groups);
        if groups != 0 {
            all.push(piece(0, groups, &self.novelty));
        }
        all
    }

    /// Goes on with a piece, beside what is known here.
    ///
    /// # Errors
    /// When it is no such state; nothing is changed then.
    pub fn restore(&mut self, piece: &Piece) -> Result<(), Error> {
        let key = piece.key;
        match piece.kind()? {
            Kind::Destination => {
                let there: Destination = state(piece)?;
                let here = self.destinations.touch(key);
                *here = here.joined(&there);
            }
            Kind::Account => {
                let there: Account = state(piece)?;
                let here = self.accounts.touch(key);
                if there.seen() >= here.seen() {
                    *here = there;
                }
            }
            // Of one entity, which is judged in one place at a time.
            Kind::LogonSource => *self.logon_sources.touch(key) = state(piece)?,
            Kind::Novelty => {
                let there: Novelty = state(piece)?;
                if there.seen() >= self.novelty.seen() {
                    self.novelty = there;
                }
            }
            kind => return Err(Error::Place(kind)),
        }
        Ok(())
    }
}

impl Destination {
    fn joined(&self, other: &Self) -> Self {
        Self {
            sources: self.sources.joined(other.sources, TEN_MINUTES),
            failed: self.failed.joined(other.failed, TEN_MINUTES),
            failed_logons: self.failed_logons.joined(other.failed_logons, TEN_MINUTES),
        }
    }
}
