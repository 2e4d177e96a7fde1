//! References to an actor that outlive it: counted ones, and credited ones that hold senders back.
//!
//! ractor's mailboxes are unbounded and their depth is not shown. An [`Inbox`] counts what it
//! sends; a [`CreditedRef`] sends only with a credit, which comes back when the message was handled
//! or was lost with its actor. Both go on working when a supervisor starts the actor anew. The
//! account of the credits is `flow::credits`; choosing what to shed is the sender's.

mod credited;

pub use credited::{Credit, CreditedRef};

use ractor::ActorRef;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Why a message was not sent; it is handed back.
#[derive(Debug, thiserror::Error)]
pub enum Refused<M> {
    /// No credit is left.
    #[error("no credit is left")]
    NoCredit(M),
    /// The actor is down; it may come back.
    #[error("the actor is down")]
    Down(M),
}

impl<M> Refused<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::NoCredit(message) | Self::Down(message) => message,
        }
    }
}

/// Why a call brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The actor is down: the request was not sent.
    #[error("the actor is down")]
    Down,
    /// The actor ended, or dropped the request, before it answered.
    #[error("the request was dropped without an answer")]
    Dropped,
    /// No answer in time; whether it was done is unknown.
    #[error("no answer in time")]
    Timeout,
}

/// What an actor behind an [`Inbox`] receives: the message and the slip that accounts for it.
#[derive(Debug)]
pub struct Envelope<M> {
    message: M,
    slip: Slip,
}

impl<M> Envelope<M> {
    /// The message and its slip. Keep the slip until the message is handled: dropping it returns
    /// the sender's credit.
    pub fn open(mut self) -> (M, Slip) {
        self.slip.opened = true;
        (self.message, self.slip)
    }
}

/// Accounts for one message on its way.
#[derive(Debug)]
pub struct Slip {
    gauge: Arc<Gauge>,
    credit: Option<credited::Taken>,
    opened: bool,
}

impl Drop for Slip {
    fn drop(&mut self) {
        self.gauge.depth.fetch_sub(1, Relaxed);
        if !self.opened {
            self.gauge.lost.fetch_add(1, Relaxed);
        }
    }
}

#[derive(Debug, Default)]
struct Gauge {
    depth: AtomicUsize,
    high_water: AtomicUsize,
    sent: AtomicU64,
    lost: AtomicU64,
}

/// What an operator sees of a mailbox. `sent = handled + lost + depth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MailboxView {
    /// Messages sent and not yet handled.
    pub depth: usize,
    /// The most that it ever was.
    pub high_water: usize,
    /// Messages sent, ever.
    pub sent: u64,
    /// Messages that were lost with an incarnation of the actor before it took them up.
    pub lost: u64,
}

type Target<M> = Option<ActorRef<Envelope<M>>>;

/// A counted reference to an actor through all of its incarnations. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<M> {
    target: Arc<watch::Sender<Target<M>>>,
    gauge: Arc<Gauge>,
}

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        Self { target: Arc::clone(&self.target), gauge: Arc::clone(&self.gauge) }
    }
}

impl<M: Send + 'static> Default for Inbox<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Send + 'static> Inbox<M> {
    /// A reference to an actor that is yet to be started.
    pub fn new() -> Self {
        Self { target: Arc::new(watch::Sender::new(None)), gauge: Arc::default() }
    }

    /// Points every clone, and every credited reference made of them, to a new incarnation.
    pub fn connect(&self, actor: ActorRef<Envelope<M>>) {
        self.target.send_replace(Some(actor));
    }

    /// A reference that sends at most `limit` messages ahead of their handling.
    pub fn credited(&self, limit: usize) -> CreditedRef<M> {
        CreditedRef::new(self.clone(), limit)
    }

    /// Sends without a credit: for rare messages, such as a timer's or an operator's.
    pub fn send(&self, message: M) -> Result<(), Refused<M>> {
        self.send_with(message, None).map_err(|(message, _)| Refused::Down(message))
    }

    /// Sends what `make` gives at once and then in every period, until the actor is gone. What was
    /// missed is left out.
    pub fn tick(&self, period: Duration, make: impl Fn() -> M + Send + 'static) {
        let inbox = self.clone();
        tokio::spawn(async move {
            let mut timer = tokio::time::interval(period);
            timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                timer.tick().await;
                if inbox.send(make()).is_err() {
                    break;
                }
            }
        });
    }

    /// Sends a request made around its reply port and waits for the answer.
    pub async fn call<R>(
        &self,
        timeout: Duration,
        make: impl FnOnce(oneshot::Sender<R>) -> M,
    ) -> Result<R, CallError> {
        let (reply, answer) = oneshot::channel();
        self.send(make(reply)).map_err(|_| CallError::Down)?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Dropped),
            Err(_) => Err(CallError::Timeout),
        }
    }

    /// What an operator sees.
    pub fn view(&self) -> MailboxView {
        let gauge = &self.gauge;
        MailboxView {
            depth: gauge.depth.load(Relaxed),
            high_water: gauge.high_water.load(Relaxed),
            sent: gauge.sent.load(Relaxed),
            lost: gauge.lost.load(Relaxed),
        }
    }

    /// Sends to the present incarnation; hands message and credit back when there is none.
    fn send_with(
        &self,
        message: M,
        credit: Option<credited::Taken>,
    ) -> Result<(), (M, Option<credited::Taken>)> {
        let target = self.target.borrow();
        let Some(actor) = target.as_ref() else { return Err((message, credit)) };
        let depth = self.gauge.depth.fetch_add(1, Relaxed) + 1;
        self.gauge.high_water.fetch_max(depth, Relaxed);
        let credit = credit.map(credited::Taken::sent);
        let slip = Slip { gauge: Arc::clone(&self.gauge), credit, opened: false };
        match actor.send_message(Envelope { message, slip }) {
            Ok(()) => {
                self.gauge.sent.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(ractor::MessagingErr::SendErr(envelope)) => {
                let (message, mut slip) = envelope.open();
                Err((message, slip.credit.take().map(credited::Taken::unsent)))
            }
            // The type is right by construction, and a send never reports a closed channel
            // without its message.
            Err(other) => unreachable!("a typed send failed with {other:?}"),
        }
    }

    /// Follows the incarnations.
    fn incarnations(&self) -> watch::Receiver<Target<M>> {
        self.target.subscribe()
    }
}
