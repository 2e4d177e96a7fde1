//! The forecasters of all subjects of a history, hour by hour.

use crate::forecast::Forecast;
use crate::forecaster::{Effect, Forecaster, Judged};
use crate::history::{History, Subject};
use crate::model::{self, Settings};
use crate::series::Series;
use crate::shift::{self, Shift};
use crate::strength::Strength;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is told of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// What it is of.
    pub subject: Subject,
    /// What was seen, hour by hour: the latest four weeks of it.
    pub series: Series,
    /// What comes, as it should be shown; or why there is nothing to tell.
    pub forecast: Result<Forecast, String>,
    /// What was said before, the earliest first.
    pub said: Vec<Forecast>,
    /// How that has done, by days ahead.
    pub judged: Vec<Judged>,
    /// How strong trend and seasons are.
    pub strength: Option<Strength>,
    /// Changes of level in what was seen.
    pub shifts: Vec<Shift>,
}

/// Hours that are told: what is usual is told by four weeks.
const TOLD: usize = 4 * 168;

/// The forecaster of a subject, with what it has seen.
#[derive(Clone, Debug)]
struct One {
    forecaster: Forecaster,
    series: Series,
    /// Why there is no forecast, where there is none.
    error: Option<model::Error>,
}

/// The forecasters.
#[derive(Clone, Debug, Default)]
pub struct Forecasters {
    settings: Settings,
    all: BTreeMap<Subject, One>,
    /// What was kept of earlier ones that were not seen since.
    kept: BTreeMap<Subject, Forecaster>,
    end: Option<i64>,
}

/// A forecaster's state, to be stored: nothing that can be made anew from the history.
pub type Kept = Vec<(Subject, Forecaster)>;

impl Forecasters {
    /// Goes on with what was kept, where there is any.
    pub fn new(settings: Settings, kept: Kept) -> Self {
        Self { settings, kept: kept.into_iter().collect(), ..Self::default() }
    }

    /// Takes in what was seen before the hour `end`. Subjects that the history no longer has are
    /// forgotten. An `end` that was taken in already, or lies before one, changes nothing.
    pub fn step(&mut self, history: &History, end: i64, effects: &mut Vec<(Subject, Effect)>) {
        if self.end.is_some_and(|known| end <= known) {
            return;
        }
        self.end = Some(end);
        let subjects = history.subjects(end);
        self.all.retain(|subject, _| subjects.contains(subject));
        for subject in subjects {
            let Some(series) = history.series(&subject, end) else { continue };
            let known = self.all.remove(&subject).map(|one| one.forecaster);
            let known = known.or_else(|| self.kept.remove(&subject));
            let fresh = || Forecaster::new(self.settings.clone());
            // Settings that are no levels are refused by the first fit of whoever chose them.
            let Ok(mut forecaster) = known.map_or_else(fresh, Ok) else { continue };
            let mut own = Vec::new();
            let error = forecaster.step(&series, &mut own).err();
            effects.extend(own.into_iter().map(|effect| (subject.clone(), effect)));
            self.all.insert(subject, One { forecaster, series, error });
        }
        self.kept.clear();
    }

    /// The hour before which everything was taken in.
    pub const fn end(&self) -> Option<i64> {
        self.end
    }

    /// What is to be stored.
    pub fn keep(&self) -> Kept {
        self.all.iter().map(|(s, one)| (s.clone(), one.forecaster.clone())).collect()
    }

    /// The subjects with their forecasters.
    pub fn each(&self) -> impl Iterator<Item = (&Subject, &Forecaster, Option<&model::Error>)> {
        self.all.iter().map(|(s, one)| (s, &one.forecaster, one.error.as_ref()))
    }

    /// What is told of the subjects that are wanted, at most `most`.
    pub fn outlooks(&self, wanted: impl Fn(&Subject) -> bool, most: usize) -> Vec<Outlook> {
        let all = self.all.iter().filter(|(subject, _)| wanted(subject)).take(most);
        all.map(|(subject, one)| one.outlook(subject.clone())).collect()
    }
}

impl One {
    fn outlook(&self, subject: Subject) -> Outlook {
        let forecast = match (&self.error, self.forecaster.forecast(&self.series)) {
            (Some(error), _) => Err(error.to_string()),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(Some(forecast))) => Ok(forecast),
            (None, Ok(None)) => Err("nothing is fitted yet".into()),
        };
        Outlook {
            subject,
            series: self.series.since(self.series.len().saturating_sub(TOLD)),
            forecast,
            said: self.forecaster.said().map(|said| said.clone().shown()).collect(),
            judged: self.forecaster.judged(),
            strength: self.forecaster.model().map(|model| model.strength()),
            shifts: shift::all(&self.series),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Measure;
    use threat::{Counted, EventClass, HourCounts};

    const START: i64 = 400_000;

    /// Weeks of a daily shape.
    fn history(hours: i64) -> History {
        let mut history = History::default();
        for hour in START..START + hours {
            let mut counts =
                HourCounts { hour, node: 1, region: "eu".into(), ..HourCounts::default() };
            let day = hour.rem_euclid(24) as u64;
            counts.add("log", Counted::Events(EventClass::Flow), 40 + 20 * (day / 6) + day % 3);
            history.add(&counts);
        }
        history
    }

    #[test]
    fn they_go_on_from_what_was_kept_and_say_the_same() {
        let history = history(24 * 20);
        let from = START + 24 * 14;
        let mut effects = Vec::new();
        let mut whole = Forecasters::default();
        let mut kept = Kept::new();
        for end in from..from + 60 {
            whole.step(&history, end, &mut effects);
            if end == from + 30 {
                kept =
                    serde_json::from_str(&serde_json::to_string(&whole.keep()).unwrap()).unwrap();
            }
        }
        assert!(effects.iter().any(|(_, effect)| matches!(effect, Effect::Fitted(_))));
        let mut again = Forecasters::new(Settings::default(), kept);
        for end in from + 31..from + 60 {
            again.step(&history, end, &mut Vec::new());
        }
        let all = |f: &Forecasters| {
            let told = f.outlooks(|_| true, 100).into_iter();
            told.map(|o| (o.subject, o.judged, o.said)).collect::<Vec<_>>()
        };
        assert_eq!(all(&whole).len(), 5);
        assert_eq!(all(&whole), all(&again));
    }

    #[test]
    fn too_little_is_told_as_such() {
        let mut all = Forecasters::default();
        all.step(&history(30), START + 30, &mut Vec::new());
        let told = all.outlooks(|s| *s == Subject::all(Measure::Events(None)), 1).remove(0);
        assert!(told.forecast.unwrap_err().contains("30 steps are too few"));
        assert_eq!(told.series.len(), 30);
        // What is told of many subjects has to fit into a frame between nodes.
        let mut all = Forecasters::default();
        for end in START + 24 * 60..START + 24 * 60 + 240 {
            all.step(&history(24 * 70), end, &mut Vec::new());
        }
        let told = all.outlooks(|s| *s == Subject::all(Measure::Events(None)), 1).remove(0);
        assert_eq!((told.series.len(), told.said.len()), (TOLD, 10));
        let bytes = threat::codec::encode(1, &told).unwrap().len();
        assert!(bytes < 70_000, "{bytes} bytes");
    }
}
