//! The forecaster of a node: every hour it takes in what the cluster has seen, judges what it said
//! before, and says what comes next.
//!
//! Each node has one and forecasts for its own region, the others and all together, from what it
//! knows: so any node answers, also one that is cut off, and none has to take over from another.

use crate::mailbox::{Envelope, Inbox};
use crate::observe::Observed;
use crate::ports::{BoxFuture, Clock, Error, Threads};
use forecast::forecaster::Effect;
use forecast::forecasters::Kept;
use forecast::{Forecasters, History, Outlook, Settings, Subject};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often it looks whether an hour is over, and asks another node what it counted.
pub const TICK: Duration = Duration::from_secs(60);

/// How long after its end an hour is taken in: by then the last events of it were judged, and what
/// other nodes counted has gone around.
pub const SETTLED: Duration = Duration::from_secs(15 * 60);

/// Outlooks that one answer holds, of some 60 KB each: it fits into a frame between nodes.
pub const OUTLOOKS: usize = 48;

/// What was seen, and where the forecaster keeps its state.
pub trait Hours: Send + Sync {
    /// Learns from another node what it counted.
    fn learn(&self) -> BoxFuture<'_, ()>;

    /// All hours from one on that are known.
    fn read(&self, from: i64) -> BoxFuture<'_, Result<History, Error>>;

    /// Keeps the state of forecasters, in the place of what was kept before.
    fn keep(&self, kept: Kept) -> BoxFuture<'_, Result<(), Error>>;

    /// What was kept last.
    fn kept(&self) -> BoxFuture<'_, Result<Kept, Error>>;
}

/// Which outlooks are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Of this region; without, of all regions together.
    pub region: Option<String>,
    /// Of this source; without, of all sources together.
    pub source: Option<String>,
    /// Of this class of threats or events; without, of each and of all together.
    pub class: Option<String>,
    /// As they would have been before this hour, counted from the Unix epoch; without, as they are.
    pub until: Option<i64>,
}

impl Wanted {
    /// Whether an outlook is wanted.
    pub fn has(&self, subject: &Subject) -> bool {
        subject.region == self.region
            && subject.source == self.source
            && (self.class.is_none() || self.class.as_deref() == subject.measure.class())
    }
}

/// To the forecaster.
#[derive(Debug)]
pub enum ForecasterMessage {
    /// A minute has passed.
    Tick,
    /// Tell what comes.
    Ask(Wanted, oneshot::Sender<Vec<Outlook>>),
}

/// What an operator sees of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    /// The hour, since the Unix epoch, before which everything was taken in.
    pub end: Option<i64>,
    /// Series that are forecast.
    pub series: usize,
    /// Series of which too little is known yet.
    pub short: usize,
    /// Models that were fitted since the start.
    pub fitted: u64,
    /// Times since the start that a floor took over.
    pub fell_back: u64,
    /// By subject: for each day ahead the share of values that each interval held.
    pub coverage: BTreeMap<String, Vec<Vec<Option<f64>>>>,
}

/// The actor.
#[derive(Clone)]
pub struct Forecaster {
    /// What was seen.
    pub hours: Arc<dyn Hours>,
    /// How far is forecast, with which intervals.
    pub settings: Settings,
    /// Wall time says which hour it is.
    pub clock: Arc<dyn Clock>,
    /// Where models are fitted.
    pub threads: Threads,
    /// Where it publishes.
    pub observed: Observed<View>,
}

/// Its state.
pub struct State {
    forecasters: Forecasters,
    view: View,
}

impl Forecaster {
    /// The hour before which all hours are over and settled.
    fn end(&self) -> i64 {
        self.clock.wall().plus_secs(-SETTLED.as_secs_f64()).hour()
    }

    async fn tick(&self, state: &mut State) -> Result<(), ActorProcessingErr> {
        self.hours.learn().await;
        let end = self.end();
        if state.forecasters.end().is_some_and(|known| end <= known) {
            return Ok(());
        }
        let effects = self.advance(&mut state.forecasters, end).await?;
        self.hours.keep(state.forecasters.keep()).await?;
        for (subject, effect) in &effects {
            match effect {
                Effect::Fitted(why) => {
                    state.view.fitted += 1;
                    tracing::debug!(%subject, ?why, "a model was fitted");
                }
                Effect::FellBack(day, kind) => {
                    state.view.fell_back += 1;
                    let floor = kind.name();
                    tracing::info!(%subject, day = day + 1, floor, "a floor does better");
                }
                Effect::CameBack(day) => {
                    tracing::info!(%subject, day = day + 1, "forecasts do better again");
                }
            }
        }
        self.publish(state);
        Ok(())
    }

    /// Takes in all hours before `end`, away from this thread: it fits many models.
    async fn advance(
        &self,
        forecasters: &mut Forecasters,
        end: i64,
    ) -> Result<Vec<(Subject, Effect)>, ActorProcessingErr> {
        let history = self.hours.read(end.saturating_sub(forecast::history::fitted())).await?;
        let mut moved = std::mem::take(forecasters);
        let work = move || {
            let mut effects = Vec::new();
            moved.step(&history, end, &mut effects);
            (moved, effects)
        };
        let (moved, effects) = self.threads.wait(work).await?;
        *forecasters = moved;
        Ok(effects)
    }

    fn publish(&self, state: &mut State) {
        let view = &mut state.view;
        view.end = state.forecasters.end();
        (view.series, view.short) = (0, 0);
        view.coverage.clear();
        for (subject, forecaster, error) in state.forecasters.each() {
            if error.is_some() {
                view.short += 1;
                continue;
            }
            view.series += 1;
            let days = forecaster.judged();
            let shares =
                days.iter().map(|d| d.online.coverage().iter().map(|c| c.share()).collect());
            view.coverage.insert(subject.to_string(), shares.collect());
        }
        self.observed.publish(view.clone());
    }

    async fn tell(
        &self,
        state: &State,
        wanted: &Wanted,
    ) -> Result<Vec<Outlook>, ActorProcessingErr> {
        let of = |forecasters: &Forecasters| forecasters.outlooks(|s| wanted.has(s), OUTLOOKS);
        let Some(until) = wanted.until else { return Ok(of(&state.forecasters)) };
        let mut then = Forecasters::new(self.settings.clone(), Kept::new());
        self.advance(&mut then, until).await?;
        Ok(of(&then))
    }
}

impl Actor for Forecaster {
    type Msg = Envelope<ForecasterMessage>;
    type State = State;
    type Arguments = Inbox<ForecasterMessage>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        inbox: Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        inbox.connect(myself);
        inbox.tick(TICK, || ForecasterMessage::Tick);
        let kept = self.hours.kept().await?;
        let forecasters = Forecasters::new(self.settings.clone(), kept);
        Ok(State { forecasters, view: View::default() })
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (message, _slip) = envelope.open();
        match message {
            ForecasterMessage::Tick => self.tick(state).await?,
            ForecasterMessage::Ask(wanted, reply) => {
                let told = self.tell(state, &wanted).await?;
                // Whoever asked may have gone.
                let _gone = reply.send(told).is_err();
            }
        }
        Ok(())
    }
}
