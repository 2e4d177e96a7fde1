//! A detector actor: one detector of one shard, scoring on a thread of its own that can be left
//! behind.

use super::messages::{DetectorMessage, EnsembleMessage};
use crate::mailbox::{Envelope, Inbox};
use crate::observe::Observed;
use crate::ports::{Buggify, Clock, Threads};
use crate::worker::{Abandoned, Outcome, ScoringThread, Settings, WorkerView};
use detection::detector::RowScore;
use detection::features::FeatureBatch;
use detection::scorers::{BatchScores, Scorers};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use threat::DetectorKind;
use threat::limits::SHARD_CREDITS;
use threat::verdict::Absence;

/// A batch for the thread.
type Job = (u64, Arc<FeatureBatch>);
/// What the thread answers.
type Answer = (u64, Result<BatchScores, Absence>);

/// The actor.
#[derive(Clone)]
pub struct Detector {
    /// Which detector.
    pub kind: DetectorKind,
    /// Name of its threads: shard and detector.
    pub name: String,
    /// Who asks and is answered.
    pub ensemble: Inbox<EnsembleMessage>,
    /// For the thread's heartbeat.
    pub clock: Arc<dyn Clock>,
    /// The node's count of threads left behind.
    pub abandoned: Arc<Abandoned>,
    /// Planted faults.
    pub buggify: Arc<dyn Buggify>,
    /// Where it scores.
    pub threads: Threads,
    /// Where it publishes.
    pub observed: Observed<Option<WorkerView>>,
}

impl Detector {
    fn thread(
        &self,
        myself: &ActorRef<Envelope<DetectorMessage>>,
        inbox: Inbox<DetectorMessage>,
    ) -> ScoringThread<Job, Answer> {
        let (kind, buggify) = (self.kind, Arc::clone(&self.buggify));
        let ensemble = self.ensemble.clone();
        inbox.connect(myself.clone());
        let start = match self.threads {
            Threads::Own => ScoringThread::start,
            Threads::Caller => ScoringThread::inline,
        };
        start(Settings {
            name: self.name.clone(),
            // Every batch of the shard may wait here, and one more while the first is worked on.
            capacity: SHARD_CREDITS + 1,
            factory: Arc::new(move || {
                let mut scorers = Scorers::new(kind);
                let buggify = Arc::clone(&buggify);
                Box::new(move |(ticket, features): Job| {
                    (ticket, score(&mut scorers, &features, buggify.as_ref()))
                })
            }),
            deliver: Arc::new(move |outcome| {
                // An ensemble or detector that is gone asks again, or is started over by its
                // supervisor.
                let _gone = match outcome {
                    Outcome::Done((ticket, answer)) => ensemble
                        .send(EnsembleMessage::Answered { ticket, detector: kind, answer })
                        .is_err(),
                    Outcome::Panicked(why) => inbox.send(DetectorMessage::Panicked(why)).is_err(),
                };
            }),
            clock: Arc::clone(&self.clock),
            abandoned: Arc::clone(&self.abandoned),
        })
    }
}

impl Actor for Detector {
    type Msg = Envelope<DetectorMessage>;
    type State = ScoringThread<Job, Answer>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<Self::State, ActorProcessingErr> {
        // What an earlier incarnation was asked is lost. At the first start nobody listens yet.
        let _first = self.ensemble.send(EnsembleMessage::Lost(self.kind)).is_err();
        let thread = self.thread(&myself, Inbox::new());
        self.observed.publish(Some(thread.view()));
        Ok(thread)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        thread: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (message, _slip) = envelope.open();
        match message {
            DetectorMessage::Score { ticket, features } => {
                if thread.submit((ticket, features)).is_err() && !thread.revive() {
                    self.ensemble
                        .send(EnsembleMessage::Lost(self.kind))
                        .map_err(|e| e.to_string())?;
                }
            }
            DetectorMessage::Abandon => {
                tracing::warn!(thread = self.name, "stuck: leaving its thread behind");
                thread.abandon();
                self.observed.publish(Some(thread.view()));
            }
            // The thread would go on; the actor fails, so that its supervisor counts and decides.
            DetectorMessage::Panicked(why) => return Err(format!("scoring panicked: {why}").into()),
        }
        Ok(())
    }
}

/// Scores a batch, with whatever faults are planted.
fn score(
    scorers: &mut Scorers,
    features: &FeatureBatch,
    buggify: &dyn Buggify,
) -> Result<BatchScores, Absence> {
    let [panic, error, stuck, nan] = fault_points(scorers.kind());
    assert!(!buggify.fires(panic), "planted");
    if buggify.fires(error) {
        return Err(Absence::Failed);
    }
    while buggify.fires(stuck) {
        std::hint::spin_loop();
    }
    let mut scores = scorers.score(features).map_err(|error| {
        tracing::warn!(detector = scorers.kind().name(), %error, "cannot score");
        Absence::Failed
    })?;
    if buggify.fires(nan) {
        for row in scores.iter_mut().flatten().flatten() {
            *row = RowScore::Score(f32::NAN);
        }
    }
    Ok(scores)
}

/// The names of a detector's planted faults: panic, error, busy loop, not a number.
pub const fn fault_points(kind: DetectorKind) -> [&'static str; 4] {
    match kind {
        DetectorKind::Forest => ["forest.panic", "forest.error", "forest.stuck", "forest.nan"],
        DetectorKind::Sequence => {
            ["sequence.panic", "sequence.error", "sequence.stuck", "sequence.nan"]
        }
        DetectorKind::Bayes => ["bayes.panic", "bayes.error", "bayes.stuck", "bayes.nan"],
        DetectorKind::Neighbours => {
            ["neighbours.panic", "neighbours.error", "neighbours.stuck", "neighbours.nan"]
        }
        DetectorKind::Labelled => {
            ["labelled.panic", "labelled.error", "labelled.stuck", "labelled.nan"]
        }
        DetectorKind::Users => ["users.panic", "users.error", "users.stuck", "users.nan"],
    }
}
