//! Approvals of people: how many of them, until when.
//!
//! Time is what the proposing node put into the command. Once a command has shown an approval to be
//! over, it stays so, whatever a slower clock says later; a clock that is ahead ends only what it
//! touches.

use super::limits::{APPROVALS, QUORUM, SUBJECT_BYTES};
use super::reply::{Answer, Noun, Refusal, Reply, check_name, check_size, short, unknown};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use threat::{Text, Timestamp};

/// Drawn at random by who asks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ApprovalId(pub u128);

impl std::fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalState {
    /// Waits for this many more.
    Open {
        /// Approvers that are missing.
        missing: u8,
    },
    /// Enough have approved in time.
    Granted,
    /// Somebody said no.
    Denied,
    /// Its time was over first.
    Expired,
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What it is for.
    pub subject: Text,
    /// Who asked.
    pub requester: Text,
    /// How many have to approve.
    pub quorum: u8,
    /// From when on it is too late.
    pub expires: Timestamp,
    /// Who approved.
    pub approvers: BTreeSet<Text>,
    /// Where it stands.
    pub state: ApprovalState,
    /// The log index at which it was asked for.
    pub asked: u64,
}

impl Approval {
    const fn is_open(&self) -> bool {
        matches!(self.state, ApprovalState::Open { .. })
    }

    /// Ends it if its time is over; whether that ended it.
    fn see(&mut self, now: Timestamp) -> bool {
        let over = self.is_open() && now >= self.expires;
        if over {
            self.state = ApprovalState::Expired;
        }
        over
    }
}

/// All approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals(BTreeMap<ApprovalId, Approval>);

impl Approvals {
    /// By id.
    pub const fn all(&self) -> &BTreeMap<ApprovalId, Approval> {
        &self.0
    }

    /// `new` is open and has no approvers.
    pub(super) fn request(&mut self, id: ApprovalId, new: Approval, now: Timestamp) -> Answer {
        check_name(Noun::Person, &new.requester)?;
        check_size(Noun::Subject, new.subject.len(), SUBJECT_BYTES)?;
        if new.quorum == 0 {
            return Err(Refusal::Empty(Noun::Quorum));
        }
        check_size(Noun::Quorum, new.quorum.into(), QUORUM.into())?;
        if now >= new.expires {
            return Err(Refusal::AlreadyExpired);
        }
        if self.0.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Approval, short(id)));
        }
        if self.0.len() >= APPROVALS {
            self.make_room(now)?;
        }
        let state = new.state;
        self.0.insert(id, new);
        Ok(Reply::Approval(state))
    }

    /// Forgets the oldest one that is closed; those whose time is over are.
    fn make_room(&mut self, now: Timestamp) -> Result<(), Refusal> {
        let closed = self.0.iter().filter(|(_, a)| !a.is_open() || now >= a.expires);
        let oldest = closed.min_by_key(|(id, a)| (a.asked, **id)).map(|(id, _)| *id);
        let oldest = oldest.ok_or(Refusal::Full(Noun::Approval, APPROVALS as u64))?;
        self.0.remove(&oldest);
        Ok(())
    }

    pub(super) fn decide(
        &mut self,
        id: ApprovalId,
        person: &Text,
        approve: bool,
        now: Timestamp,
    ) -> Answer {
        check_name(Noun::Person, person)?;
        let approval = self.0.get_mut(&id).ok_or_else(|| unknown(Noun::Approval, id))?;
        // Too late is an answer the first time, since it changes the state, and a refusal later.
        if approval.see(now) || (approve && approval.approvers.contains(person)) {
            return Ok(Reply::Approval(approval.state));
        }
        if !approval.is_open() {
            return Err(Refusal::Decided(approval.state));
        }
        if !approve {
            approval.state = ApprovalState::Denied;
            return Ok(Reply::Approval(approval.state));
        }
        if *person == approval.requester {
            return Err(Refusal::OwnRequest);
        }
        approval.approvers.insert(person.clone());
        let there = u8::try_from(approval.approvers.len()).unwrap_or(u8::MAX);
        approval.state = match approval.quorum.saturating_sub(there) {
            0 => ApprovalState::Granted,
            missing => ApprovalState::Open { missing },
        };
        Ok(Reply::Approval(approval.state))
    }

    pub(super) fn expire(&mut self, id: ApprovalId, now: Timestamp) -> Answer {
        let approval = self.0.get_mut(&id).ok_or_else(|| unknown(Noun::Approval, id))?;
        approval.see(now);
        Ok(Reply::Approval(approval.state))
    }
}
