//! Credits around an [`Inbox`]: taken by the sender, returned after handling.

use super::{Inbox, Refused};
use flow::credits::Credits;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug)]
struct Pool {
    credits: Mutex<Credits>,
    returned: Notify,
}

impl Pool {
    fn credits(&self) -> MutexGuard<'_, Credits> {
        self.credits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A credit that is out. Dropped, it comes back: as handled when its message was sent, else as
/// refused.
#[derive(Debug)]
pub(super) struct Taken {
    pool: Arc<Pool>,
    sent: bool,
}

impl Taken {
    pub(super) const fn sent(mut self) -> Self {
        self.sent = true;
        self
    }

    pub(super) const fn unsent(mut self) -> Self {
        self.sent = false;
        self
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut credits = self.pool.credits();
        if self.sent {
            credits.give_back();
        } else {
            credits.refuse_taken();
        }
        drop(credits);
        self.pool.returned.notify_one();
    }
}

/// A credit in the hands of a sender that has yet to make its message: a source takes one before
/// it reads. Dropped unused, it counts as refused.
#[derive(Debug)]
#[must_use = "a credit that is dropped goes back"]
pub struct Credit<M> {
    inbox: Inbox<M>,
    taken: Taken,
}

impl<M: Send + 'static> Credit<M> {
    /// Sends, or hands the message back when the actor is down.
    pub fn send(self, message: M) -> Result<(), Refused<M>> {
        let sent = self.inbox.send_with(message, Some(self.taken));
        sent.map_err(|(message, _)| Refused::Down(message))
    }

    /// Sends, waiting while the actor is down. Waits for ever if it never comes back.
    pub async fn send_when_up(self, mut message: M) {
        let mut incarnations = self.inbox.incarnations();
        let mut taken = Some(self.taken);
        loop {
            incarnations.mark_unchanged();
            match self.inbox.send_with(message, taken) {
                Ok(()) => return,
                Err(back) => (message, taken) = back,
            }
            // Cannot fail: the inbox that this holds keeps the sending half alive.
            if incarnations.changed().await.is_err() {
                return;
            }
        }
    }
}

/// A reference whose senders are held back: at most so many messages are ahead of their handling,
/// over all clones.
#[derive(Debug)]
pub struct CreditedRef<M> {
    inbox: Inbox<M>,
    pool: Arc<Pool>,
}

impl<M> Clone for CreditedRef<M> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), pool: Arc::clone(&self.pool) }
    }
}

impl<M: Send + 'static> CreditedRef<M> {
    pub(super) fn new(inbox: Inbox<M>, limit: usize) -> Self {
        let credits = Mutex::new(Credits::new(limit));
        Self { inbox, pool: Arc::new(Pool { credits, returned: Notify::new() }) }
    }

    fn credit(&self) -> Credit<M> {
        let taken = Taken { pool: Arc::clone(&self.pool), sent: false };
        Credit { inbox: self.inbox.clone(), taken }
    }

    /// Sends if a credit is free, else refuses and counts it.
    pub fn try_send(&self, message: M) -> Result<(), Refused<M>> {
        // Not in the `if`: its lock would be held while a refused credit comes back.
        let free = self.pool.credits().try_take();
        if free { self.credit().send(message) } else { Err(Refused::NoCredit(message)) }
    }

    /// Waits for a credit: for a sender that reads no more of its source until it has one. A
    /// caller that gives up waiting leaves no trace.
    pub async fn acquire(&self) -> Credit<M> {
        loop {
            let mut returned = pin!(self.pool.returned.notified());
            // Registered before the look, so that a credit which comes back after it wakes us.
            returned.as_mut().enable();
            let free = self.pool.credits().take_or_wait();
            if free {
                return self.credit();
            }
            returned.await;
        }
    }

    /// Waits for a credit and for the actor to be up, then sends.
    pub async fn send(&self, message: M) {
        self.acquire().await.send_when_up(message).await;
    }

    /// The account of the credits at this moment.
    pub fn credits(&self) -> Credits {
        *self.pool.credits()
    }

    /// The counted reference below.
    pub const fn inbox(&self) -> &Inbox<M> {
        &self.inbox
    }
}
