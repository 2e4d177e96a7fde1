//! The supervisor actor: starts declared children, hears how they end, and does what
//! `flow::supervision` decides.
//!
//! ractor's own default stops a parent when any child ends and restarts nothing; here every exit
//! is handled. A supervisor that escalates stops its children, last first, and fails, so that its
//! own supervisor decides. The policy is not here, nor is what a child keeps over its restarts:
//! that is the child's to load when it starts.

mod branch;
mod child;

pub use branch::{ChildView, SupervisorView};
pub use child::{Child, DRAIN, Place, Start};

use crate::observe::{Directory, LastFailure};
use crate::ports::Clock;
use branch::Branch;
use flow::supervision::{Exit, Policy};
use flow::tree::Status;
use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a child may take to start; then its start has failed. Loading the largest checkpoint
/// takes under a second.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a killed actor is waited for: it ends at its next await, unless it is in a busy loop.
pub const KILL_WAIT: Duration = Duration::from_secs(1);

/// Children of one supervisor, those added while it runs included.
pub const CHILDREN: usize = 4_096;

/// What all actors of a node share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The node's clocks.
    pub clock: Arc<dyn Clock>,
    /// Where its actors are listed.
    pub directory: Directory,
    /// Feeds the jitter of every pause.
    pub seed: u64,
}

/// Why a child could not be added or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A child of that name is there.
    #[error("there is a child `{0}` already")]
    NameTaken(String),
    /// No child of that name is there.
    #[error("there is no child `{0}`")]
    Unknown(String),
    /// More than [`CHILDREN`].
    #[error("a supervisor has at most {CHILDREN} children")]
    TooMany,
}

/// What a running supervisor can be asked.
#[derive(Debug)]
pub enum Message {
    /// The pause before a restart is over (sent by the supervisor to itself).
    Due {
        /// Which restart.
        ticket: u64,
    },
    /// Adds a child and starts it. It is forgotten once it has ended for good.
    Add(Child, oneshot::Sender<Result<(), Error>>),
    /// Drains a child, the one of this name, and forgets it.
    Remove(String, oneshot::Sender<Result<(), Error>>),
}

/// How a supervisor is made.
#[derive(Debug)]
pub struct Arguments {
    /// Its path in the directory.
    pub path: String,
    /// What it does when a child ends.
    pub policy: Policy,
    /// Its children, in start order.
    pub children: Vec<Child>,
    /// What it shares with all of the node.
    pub context: Context,
}

/// The actor.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor;

/// Starts the root of a tree: nobody supervises it, and when it escalates the tree has ended. The
/// handle is done when it has; the reason stands in the directory.
pub async fn root(
    name: &str,
    policy: Policy,
    children: Vec<Child>,
    context: Context,
) -> Result<(ActorRef<Message>, JoinHandle<()>), SpawnErr> {
    context.directory.declare(name, 0, true);
    let directory = context.directory.clone();
    let arguments = Arguments { path: name.to_owned(), policy, children, context };
    let (actor, handle) = Actor::spawn(None, Supervisor, arguments).await?;
    directory.up(name, actor.get_cell());
    Ok((actor, handle))
}

impl Actor for Supervisor {
    type Msg = Message;
    type State = Branch;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<Branch, ActorProcessingErr> {
        let mut branch = Branch::new(myself, arguments);
        let started = branch.start_all().await;
        finish(&mut branch, started).await?;
        Ok(branch)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        branch: &mut Branch,
    ) -> Result<(), ActorProcessingErr> {
        let done = match message {
            Message::Due { ticket } => branch.due(ticket).await,
            Message::Add(child, reply) => {
                let (answer, done) = branch.add(child).await;
                drop(reply.send(answer));
                done
            }
            Message::Remove(name, reply) => {
                drop(reply.send(branch.remove(&name).await));
                Ok(())
            }
        };
        finish(branch, done).await
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Message>,
        event: SupervisionEvent,
        branch: &mut Branch,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, reason) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, Exit::Failed(error.to_string())),
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                let exit = match reason.as_deref() {
                    Some("killed") => Exit::Killed,
                    Some("actor_task_cancelled") => Exit::Cancelled,
                    _ => Exit::Normal,
                };
                (cell, exit)
            }
            _ => return Ok(()),
        };
        let done = branch.ended(&cell, reason).await;
        finish(branch, done).await
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Message>,
        branch: &mut Branch,
    ) -> Result<(), ActorProcessingErr> {
        branch.stop_all().await;
        branch.directory().down(branch.path(), Status::Finished);
        Ok(())
    }
}

/// Publishes; on an escalation stops everything and fails with its reason.
async fn finish(
    branch: &mut Branch,
    done: Result<(), branch::Escalation>,
) -> Result<(), ActorProcessingErr> {
    let Err(branch::Escalation(reason)) = done else {
        branch.publish();
        return Ok(());
    };
    tracing::error!(path = branch.path(), reason, "supervisor gives up");
    branch.stop_all().await;
    branch.publish();
    let directory = branch.directory();
    directory.down(branch.path(), Status::Down);
    if branch.is_root() {
        let failure = LastFailure { at: branch.now(), reason: Exit::Failed(reason.clone()) };
        directory.failed(branch.path(), failure);
    }
    Err(reason.into())
}
