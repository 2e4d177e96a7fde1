//! What a supervisor starts: a name, a rule for its exits, and a factory.

use super::{Arguments, Context, Supervisor};
use crate::mailbox::{Envelope, Inbox};
use crate::ports::BoxFuture;
use flow::supervision::{Policy, Restart};
use ractor::{Actor, ActorCell, SpawnErr};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long a child may take to empty its mailbox when it is stopped; then it is killed. Longer
/// than any handler may run, short beside the 30 s within which a node must be redeployed.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Where a child stands, for its factory.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its supervisor, to which it must be linked.
    pub supervisor: ActorCell,
    /// Its path in the directory.
    pub path: String,
    /// What it shares with all of the node.
    pub context: Context,
}

/// Starts an actor linked to the place's supervisor.
pub type Start =
    Box<dyn Fn(Place) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// A declared child with its factory.
pub struct Child {
    pub(super) name: String,
    pub(super) restart: Restart,
    pub(super) supervisor: bool,
    pub(super) drain: Duration,
    pub(super) start: Start,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Child {
    /// A permanent worker with a factory of its own. The name has no `/`.
    pub fn new(name: impl Into<String>, start: Start) -> Self {
        let name = name.into();
        debug_assert!(!name.contains('/'), "a name with a slash makes two of a path: {name}");
        Self { name, restart: Restart::Permanent, supervisor: false, drain: DRAIN, start }
    }

    /// A permanent worker behind an inbox, which follows its incarnations. `make` gives the actor
    /// and its arguments for each of them; what must survive stands behind its captures.
    pub fn worker<A, M>(
        name: impl Into<String>,
        inbox: &Inbox<M>,
        make: impl Fn(&Place) -> (A, A::Arguments) + Send + Sync + 'static,
    ) -> Self
    where
        A: Actor<Msg = Envelope<M>>,
        M: Send + 'static,
    {
        let inbox = inbox.clone();
        let start: Start = Box::new(move |place| {
            let made = catch_unwind(AssertUnwindSafe(|| make(&place)));
            let inbox = inbox.clone();
            Box::pin(async move {
                let (actor, arguments) = made.map_err(startup_panic)?;
                let (actor, _) = place.supervisor.spawn_linked(None, actor, arguments).await?;
                inbox.connect(actor.clone());
                Ok(actor.get_cell())
            })
        });
        Self::new(name, start)
    }

    /// A permanent supervisor; `children` declares its children for each incarnation.
    pub fn supervisor(
        name: impl Into<String>,
        policy: Policy,
        children: impl Fn() -> Vec<Self> + Send + Sync + 'static,
    ) -> Self {
        let start: Start = Box::new(move |place| {
            let children = catch_unwind(AssertUnwindSafe(&children));
            Box::pin(async move {
                let arguments = Arguments {
                    path: place.path,
                    policy,
                    children: children.map_err(startup_panic)?,
                    context: place.context,
                };
                let (actor, _) = place.supervisor.spawn_linked(None, Supervisor, arguments).await?;
                Ok(actor.get_cell())
            })
        });
        Self { supervisor: true, ..Self::new(name, start) }
    }

    /// With another rule for its exits.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// With another time to empty its mailbox than [`DRAIN`].
    #[must_use]
    pub const fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }
}

fn startup_panic(panic: Box<dyn std::any::Any + Send>) -> SpawnErr {
    SpawnErr::StartupFailed(crate::worker::panic_text(panic.as_ref()).into())
}
