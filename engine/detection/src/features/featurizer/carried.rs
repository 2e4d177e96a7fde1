//! A shard's state as pieces for another process.

use super::Featurizer;
use crate::features::source_state::Source;
use crate::features::state::{Error, Kind, Piece, piece, state};

impl Featurizer {
    /// What changed since this was last called, at a batch boundary; each piece with its entity as
    /// owner. The first call begins the noting of changes and gives nothing.
    pub fn take_changed(&mut self) -> Vec<Piece> {
        let mut all = Vec::new();
        self.hot.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        // What became hot again is told as such.
        let hot = &self.hot;
        self.compact.take_changed(|key, owner, s| {
            if !hot.holds(key) {
                all.push(piece(key, owner, s));
            }
        });
        self.pairs.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.ports_on_host.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.subdomains.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.agents.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        self.repeats.take_changed(|key, owner, s| all.push(piece(key, owner, s)));
        all
    }

    /// Goes on with a piece, in the place of what is known of it here. Pieces are given oldest
    /// first, so that what makes room when there are too many is the oldest.
    ///
    /// # Errors
    /// When it is no such state; nothing is changed then.
    pub fn restore(&mut self, piece: &Piece) -> Result<(), Error> {
        let key = piece.key;
        match piece.kind()? {
            Kind::Source => {
                let source: Source = state(piece)?;
                *self.compact.touch(key) = source.compact;
                *self.hot.touch(key) = source;
            }
            // It had to make room where it comes from: its windows are forgotten here, too.
            Kind::Compact => {
                let compact = state(piece)?;
                *self.compact.touch(key) = compact;
                if let Some(source) = self.hot.get(key) {
                    *source = Source { compact, ..Default::default() };
                }
            }
            Kind::Pair => *self.pairs.touch(key) = state(piece)?,
            Kind::PortsOnHost => *self.ports_on_host.touch(key) = state(piece)?,
            Kind::Subdomains => *self.subdomains.touch(key) = state(piece)?,
            Kind::Agents => *self.agents.touch(key) = state(piece)?,
            Kind::Repeats => *self.repeats.touch(key) = state(piece)?,
            kind => return Err(Error::Place(kind)),
        }
        Ok(())
    }
}
