//! How far the log is on the disk.
//!
//! A leader sends its entries while they are being stored, so that a command waits for the slower
//! of its own disk and a follower's, not for one after the other (Ongaro, "Consensus: bridging
//! theory and practice", 2014, section 10.2.1). openraft 0.9 counts an entry as the leader's own
//! from the moment that it is sent then. So nothing that follows from that leaves before the disk
//! has the entry: the leader applies nothing that is not stored here, hence answers nobody, and
//! tells nobody that more is committed than is stored here. What is applied anywhere is on the
//! disks of a majority, the leader's among them.

use crate::consensus::types::LogId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

#[derive(Clone, Copy, Debug)]
enum Reach {
    /// Up to this entry.
    Upto(Option<LogId>),
    /// The disk has failed: nothing more is stored.
    Failed,
}

/// Clones share it.
#[derive(Clone, Debug)]
pub(in crate::consensus) struct Stored(Arc<watch::Sender<Reach>>);

impl Stored {
    pub fn new(upto: Option<LogId>) -> Self {
        Self(Arc::new(watch::Sender::new(Reach::Upto(upto))))
    }

    fn change(&self, to: impl FnOnce(Option<LogId>) -> Option<LogId>) {
        self.0.send_if_modified(|reach| {
            let Reach::Upto(old) = *reach else { return false };
            let new = to(old);
            *reach = Reach::Upto(new);
            new != old
        });
    }

    /// The log is stored up to this entry.
    pub fn grow(&self, upto: Option<LogId>) {
        self.change(|old| old.max(upto));
    }

    /// The log ends with this entry now.
    pub fn cut(&self, last: Option<LogId>) {
        self.change(|old| old.min(last));
    }

    /// Nothing more will be stored.
    pub fn fail(&self) {
        self.0.send_replace(Reach::Failed);
    }

    /// Whether the disk has failed.
    pub fn failed(&self) -> bool {
        matches!(*self.0.borrow(), Reach::Failed)
    }

    /// As much of `wanted` as is stored.
    pub fn least(&self, wanted: Option<LogId>) -> Option<LogId> {
        match *self.0.borrow() {
            Reach::Upto(upto) => wanted.min(upto),
            Reach::Failed => None,
        }
    }

    /// Waits until the log is stored up to this entry; false when that will never be.
    pub async fn wait(&self, entry: Option<LogId>) -> bool {
        let there = |reach: &Reach| match reach {
            Reach::Upto(upto) => *upto >= entry,
            Reach::Failed => true,
        };
        let mut changes = self.0.subscribe();
        let reach = changes.wait_for(there).await.map(|reach| *reach);
        matches!(reach, Ok(Reach::Upto(_)))
    }

    /// As [`Self::least`], but waits for a while until all of it is stored.
    pub async fn least_within(&self, wanted: Option<LogId>, while_: Duration) -> Option<LogId> {
        // What is stored then is told, whether or not it is all.
        let _ = timeout(while_, self.wait(wanted)).await;
        self.least(wanted)
    }
}
