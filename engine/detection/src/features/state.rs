//! State of entities as pieces that another process can go on with: what a shard and a node
//! remember, one piece for each entry of their tables.
//!
//! Whoever takes pieces at a batch boundary, all that changed since it took some before, and gives
//! the newest of each to empty tables, has tables that describe the next event to the very same
//! bits. What entries have to make room for is not told: a table that is full forgets on its own.
//! Which events are late is known by source, not by entity, and is no part of it.

use super::account::{Account, Novelty};
use super::packed::{pack, unpack};
use super::sketch::{Distinct, Halves};
use super::source_state::{Compact, Pair, Source};
use super::surroundings::{Destination, LogonSource};
use super::tokens;
use crate::block::{HISTORY_TOKENS, History, Token};
use serde::{Serialize, de::DeserializeOwned};
use threat::{EntityId, codec};

/// The format of a piece's bytes. To be raised whenever a table's state, or what a number in it
/// means, changes: pieces of another version are refused, and their entities begin anew.
pub const VERSION: u8 = 1;

/// Bytes of a piece before it is packed: the largest state has about 1,100.
const PIECE_BYTES: usize = 4_096;

/// Parts into which entities are put, for state that belongs to a node and not to a shard: by the
/// high bits of their ids, as shards are, so that a group lies within one shard, or has several
/// whole ones, wherever both are powers of two.
pub const GROUPS: usize = 64;

/// Why a piece cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its kind is none that this build knows.
    #[error("no state of kind {0} is known")]
    Kind(u8),
    /// It belongs to a node's surroundings, or to a shard, and was given to the other.
    #[error("{0:?} is state of another table")]
    Place(Kind),
    /// It does not unpack.
    #[error("{0} packed bytes are no state")]
    Packing(usize),
    /// It is of another version, or not such a state.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// Its numbers are none that events give.
    #[error("{0:?} with numbers that no events give")]
    Unsound(Kind),
}

/// Which table a piece belongs to. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A hot source.
    Source = 0,
    /// What outlives a source's windows.
    Compact = 1,
    /// A source with one destination and port.
    Pair = 2,
    /// The ports that a source tried on one host.
    PortsOnHost = 3,
    /// The names that a source asked of one domain.
    Subdomains = 4,
    /// The hosts that a source reached with one user agent.
    Agents = 5,
    /// How often a source did one kind of thing.
    Repeats = 6,
    /// Who reaches for a destination.
    Destination = 7,
    /// An account.
    Account = 8,
    /// A source of logons.
    LogonSource = 9,
    /// How often accounts do what they never did.
    Novelty = 10,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Self; 11] = [
        Self::Source,
        Self::Compact,
        Self::Pair,
        Self::PortsOnHost,
        Self::Subdomains,
        Self::Agents,
        Self::Repeats,
        Self::Destination,
        Self::Account,
        Self::LogonSource,
        Self::Novelty,
    ];

    /// The kind of a number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether it is state of a node's surroundings, else of a shard.
    pub fn is_around(self) -> bool {
        self >= Self::Destination
    }
}

/// The state of one entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The table's [`Kind`], by number.
    pub kind: u8,
    /// The entry's key.
    pub key: u64,
    /// Whose it is: the id of its entity; of a node's surroundings the [`groups`](group) of the
    /// entities that changed it since it was taken last.
    pub owner: u64,
    /// Its state, versioned and packed.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Its kind.
    ///
    /// # Errors
    /// [`Error::Kind`].
    pub fn kind(&self) -> Result<Kind, Error> {
        Kind::of(self.kind).ok_or(Error::Kind(self.kind))
    }
}

/// The bit of an entity's group.
pub fn group(entity: EntityId) -> u64 {
    1 << entity.shard(GROUPS)
}

/// State that can be carried.
pub(super) trait Carried: Serialize + DeserializeOwned {
    /// Its table.
    const KIND: Kind;

    /// Whether events can have given it. Scorers rely on it, and others sent it.
    fn sound(&self) -> bool;
}

/// A piece of a state: its length before it is packed, and then packed.
pub(super) fn piece<S: Carried>(key: u64, owner: u64, state: &S) -> Piece {
    // Only a value over the codec's limit has no bytes, and these are far below.
    let whole = codec::encode(VERSION, state).unwrap_or_default();
    let mut bytes = (whole.len() as u16).to_le_bytes().to_vec();
    pack(&whole, &mut bytes);
    Piece { kind: S::KIND as u8, key, owner, bytes }
}

/// The state of a piece.
pub(super) fn state<S: Carried>(piece: &Piece) -> Result<S, Error> {
    let packing = || Error::Packing(piece.bytes.len());
    let (length, packed) = piece.bytes.split_first_chunk().ok_or_else(packing)?;
    let length = usize::from(u16::from_le_bytes(*length));
    let mut whole = unpack(packed, PIECE_BYTES).ok_or_else(packing)?;
    let filling = whole.get(length..).ok_or_else(packing)?;
    if filling.iter().any(|b| *b != 0) {
        return Err(packing());
    }
    whole.truncate(length);
    let state: S = codec::decode(VERSION, &whole)?;
    if state.sound() { Ok(state) } else { Err(Error::Unsound(S::KIND)) }
}

/// Whether all tokens are of the alphabet of this place of [`Source::histories`].
fn spells(history: &History, place: usize) -> bool {
    const LETTERS: [Token; super::source_state::TOKEN_CLASSES] = [
        tokens::FLOW_TOKENS,
        tokens::DNS_TOKENS,
        tokens::HTTP_TOKENS,
        tokens::TLS_TOKENS,
        tokens::AUTHENTICATION_TOKENS,
    ];
    let known = |token: &Token| *token < LETTERS[place];
    usize::from(history.len) <= HISTORY_TOKENS && history.tokens.iter().all(known)
}

impl Carried for Source {
    const KIND: Kind = Kind::Source;

    fn sound(&self) -> bool {
        let spelt = self.histories.iter().enumerate().all(|(place, h)| spells(h, place));
        spelt && self.compact.sound()
    }
}

impl Carried for Compact {
    const KIND: Kind = Kind::Compact;

    fn sound(&self) -> bool {
        self.bytes_out.sound() && self.admin_hosts.sound()
    }
}

impl Carried for Pair {
    const KIND: Kind = Kind::Pair;

    fn sound(&self) -> bool {
        Self::sound(self)
    }
}

/// A window of sketches, in one of the tables that have such.
macro_rules! carried_sketches {
    ($($name:ident: $words:literal),*) => {$(
        #[doc = concat!("Of the kind ", stringify!($name), ".")]
        #[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
        pub(super) struct $name(pub(super) Halves<Distinct<$words>>);

        impl Carried for $name {
            const KIND: Kind = Kind::$name;

            fn sound(&self) -> bool {
                true
            }
        }
    )*};
}

carried_sketches!(PortsOnHost: 4, Subdomains: 4, Agents: 2);

/// Of the kind of that name.
#[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Repeats(pub(super) u32);

impl Carried for Repeats {
    const KIND: Kind = Kind::Repeats;

    fn sound(&self) -> bool {
        true
    }
}

impl Carried for Destination {
    const KIND: Kind = Kind::Destination;

    fn sound(&self) -> bool {
        true
    }
}

impl Carried for Account {
    const KIND: Kind = Kind::Account;

    fn sound(&self) -> bool {
        Self::sound(self)
    }
}

impl Carried for LogonSource {
    const KIND: Kind = Kind::LogonSource;

    fn sound(&self) -> bool {
        true
    }
}

impl Carried for Novelty {
    const KIND: Kind = Kind::Novelty;

    fn sound(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod law_tests;
