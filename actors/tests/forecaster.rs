//! The forecaster as an actor: seven days hour by hour, on a daily shape, on one that breaks, and
//! on the real attacks of nine honeypots.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use actors::mailbox::Inbox;
use actors::observe::Observed;
use actors::ports::{BoxFuture, Clock, Error, Threads};
use actors::response::forecaster::{Forecaster, ForecasterMessage, Hours, SETTLED, View, Wanted};
use forecast::forecasters::Kept;
use forecast::{History, Measure, Outlook, Settings, Subject};
use ractor::{Actor, ActorRef};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use threat::{Counted, EventClass, HourCounts, ThreatClass, Timestamp};
use tokio::sync::oneshot;

const HOUR: i64 = 3_600_000_000;
const WEEK: i64 = 168;

/// A wall clock that is set.
#[derive(Debug, Default)]
struct Wall(AtomicI64);

impl Clock for Wall {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(SeqCst) as u64)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(SeqCst))
    }
}

/// A history that is known from the beginning; what lies ahead is not to be looked at.
#[derive(Default)]
struct Known {
    history: History,
    kept: Mutex<Kept>,
}

impl Hours for Known {
    fn learn(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn read(&self, _: i64) -> BoxFuture<'_, Result<History, Error>> {
        Box::pin(std::future::ready(Ok(self.history.clone())))
    }

    fn keep(&self, kept: Kept) -> BoxFuture<'_, Result<(), Error>> {
        *self.kept.lock().unwrap() = kept;
        Box::pin(std::future::ready(Ok(())))
    }

    fn kept(&self) -> BoxFuture<'_, Result<Kept, Error>> {
        Box::pin(std::future::ready(Ok(self.kept.lock().unwrap().clone())))
    }
}

struct Bench {
    wall: Arc<Wall>,
    hours: Arc<Known>,
    observed: Observed<View>,
    inbox: Inbox<ForecasterMessage>,
    actor: ActorRef<actors::mailbox::Envelope<ForecasterMessage>>,
}

impl Bench {
    async fn start(hours: Arc<Known>, at: i64) -> Self {
        let wall = Arc::new(Wall(AtomicI64::new(at * HOUR + SETTLED.as_micros() as i64)));
        let clock: Arc<dyn Clock> = wall.clone();
        let observed = Observed::new(Arc::clone(&clock), View::default());
        let inbox = Inbox::new();
        let (settings, threads) = (Settings::default(), Threads::Caller);
        let hours_port: Arc<dyn Hours> = hours.clone();
        let observed_too = observed.clone();
        let actor =
            Forecaster { hours: hours_port, settings, clock, threads, observed: observed_too };
        let (actor, _) = Actor::spawn(None, actor, inbox.clone()).await.unwrap();
        Self { wall, hours, observed, inbox, actor }
    }

    /// As of this hour, which has just settled.
    async fn at(&self, hour: i64, wanted: Wanted) -> Vec<Outlook> {
        self.wall.0.store(hour * HOUR + SETTLED.as_micros() as i64, SeqCst);
        self.inbox.send(ForecasterMessage::Tick).unwrap();
        let (reply, told) = oneshot::channel();
        self.inbox.send(ForecasterMessage::Ask(wanted, reply)).unwrap();
        told.await.unwrap()
    }

    async fn stop(self) -> Arc<Known> {
        self.actor.stop_and_wait(None, None).await.unwrap();
        self.hours
    }
}

fn noise(hour: i64) -> f64 {
    (threat::entropy::mix64(hour as u64) % 1_000) as f64 / 1_000.0 - 0.5
}

fn load(hour: i64) -> u64 {
    let day = (hour.rem_euclid(24) as f64 / 24.0 * std::f64::consts::TAU).sin();
    (200.0 + 120.0 * day + 60.0 * noise(hour)).max(0.0) as u64
}

/// Hours of a node of a region.
fn known(hours: std::ops::Range<i64>, of: impl Fn(i64) -> u64) -> Arc<Known> {
    let mut history = History::default();
    for hour in hours {
        let mut counts = HourCounts { hour, node: 1, region: "eu".into(), ..HourCounts::default() };
        counts.add("log", Counted::Events(EventClass::Flow), of(hour));
        counts.add("log", Counted::Attacks(ThreatClass::Scan), of(hour) / 40);
        history.add(&counts);
    }
    Arc::new(Known { history, ..Known::default() })
}

const START: i64 = 400_000;

fn events(outlooks: &[Outlook]) -> &Outlook {
    let events = Subject::all(Measure::Events(None));
    outlooks.iter().find(|o| o.subject == events).expect("events")
}

#[tokio::test(flavor = "current_thread")]
async fn a_week_through_the_actor_keeps_its_promise_over_a_restart() {
    let from = START + 4 * WEEK;
    let hours = known(START..from + 2 * WEEK, load);
    let mut bench = Bench::start(hours, from).await;
    for hour in from..=from + WEEK {
        if hour == from + 50 {
            // What comes after goes on from what was kept.
            bench = Bench::start(bench.stop().await, hour - 1).await;
        }
        bench.at(hour, Wanted::default()).await;
    }
    let outlooks = bench.at(from + WEEK, Wanted::default()).await;
    let told = events(&outlooks);
    assert_eq!(told.forecast.as_ref().unwrap().start.hour(), from + WEEK);
    for judged in &told.judged {
        let expected = WEEK - 24 * (judged.day as i64 - 1);
        for coverage in judged.online.coverage() {
            assert_eq!(coverage.seen as i64, expected, "day {}", judged.day);
            let (share, level) = (coverage.share().unwrap(), coverage.level);
            let room = 3.0 * (level * (1.0 - level) / coverage.seen as f64).sqrt();
            assert!((share - level).abs() < room, "day {}: {share} of {level}", judged.day);
        }
        assert_eq!(judged.online.fallen_back(), None);
    }
    let (view, _) = bench.observed.read();
    assert_eq!(view.end, Some(from + WEEK));
    assert_eq!(view.coverage["events"][0][0], told.judged[0].online.coverage()[0].share());
    assert_eq!(view.series, outlooks.len() + 4 + 2, "all, of the region, of the source");
}

#[tokio::test(flavor = "current_thread")]
async fn a_floor_is_shown_once_it_does_better() {
    let from = START + 4 * WEEK;
    // The daily shape ends, and each day has a level of its own.
    let broken = |hour: i64| {
        if hour < from + 24 { load(hour) } else { 100 + 60 * ((hour - from) as u64 / 24 % 7) }
    };
    let bench = Bench::start(known(START..from + 2 * WEEK, broken), from).await;
    let mut shown = None;
    for hour in from..=from + WEEK {
        let outlooks = bench.at(hour, Wanted::default()).await;
        let told = events(&outlooks);
        if let Some(kind) = told.judged[0].online.fallen_back() {
            shown.get_or_insert(hour - from);
            let forecast = told.forecast.as_ref().unwrap();
            let floor = forecast.floors.iter().find(|(k, _)| *k == kind).unwrap();
            assert_eq!(forecast.mean[..24], floor.1[..24], "the floor is what is shown");
        }
    }
    assert!(shown.is_some_and(|hours| hours > 24), "{shown:?}");
    assert!(bench.observed.read().0.fell_back > 0);
}

#[tokio::test(flavor = "current_thread")]
async fn who_asks_for_the_past_gets_it_and_nothing_is_changed() {
    let from = START + 4 * WEEK;
    let bench = Bench::start(known(START..from + WEEK, load), from).await;
    let now = bench.at(from, Wanted::default()).await;
    let until = Some(from - 200);
    let then = bench.at(from, Wanted { until, ..Wanted::default() }).await;
    assert_eq!(events(&then).series.end().hour(), from - 200);
    assert_eq!(bench.at(from, Wanted::default()).await, now);
    let wanted = Wanted { region: Some("eu".into()), ..Wanted::default() };
    let of_region = bench.at(from, wanted).await;
    assert!(of_region.iter().all(|o| o.subject.region.as_deref() == Some("eu")));
    let class = Some("scan".into());
    let of_class = bench.at(from, Wanted { class, ..Wanted::default() }).await;
    assert_eq!(of_class.len(), 1, "{of_class:?}");
    let nobody = Wanted { region: Some("mars".into()), ..Wanted::default() };
    assert!(bench.at(from, nobody).await.is_empty());
}

/// The attacks of each hour on each of nine honeypots, as a history of as many sources.
fn honeypots() -> Option<(Arc<Known>, Vec<String>)> {
    let path = "../../shared/data/honeypot/attacks-per-hour.csv";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?;
    let mut lines = text.lines();
    let names: Vec<String> = lines.next()?.split(',').skip(1).map(str::to_owned).collect();
    let names = names[..names.len() - 1].to_vec();
    let mut history = History::default();
    for (hour, line) in (HONEYPOTS..).zip(lines) {
        let mut counts = HourCounts { hour, node: 1, ..HourCounts::default() };
        for (name, count) in names.iter().zip(line.split(',').skip(1)) {
            counts.add(name, Counted::Attacks(ThreatClass::BruteForce), count.parse().ok()?);
        }
        history.add(&counts);
    }
    Some((Arc::new(Known { history, ..Known::default() }), names))
}

/// 4 March 2013, in hours since the epoch.
const HONEYPOTS: i64 = 378_432;

#[tokio::test(flavor = "current_thread")]
async fn a_week_of_real_attacks_is_covered_as_promised() {
    let Some((hours, names)) = honeypots() else {
        println!("skipped: the data of the honeypots is not there");
        return;
    };
    let from = HONEYPOTS + 4 * WEEK;
    let bench = Bench::start(hours, from).await;
    for hour in from..=from + WEEK {
        bench.at(hour, Wanted::default()).await;
    }
    // By day ahead and level: values inside, and all.
    let mut held = [[(0, 0); 2]; 3];
    let mut errors = (0.0, 0.0);
    for name in &names {
        let wanted = Wanted { source: Some(name.clone()), ..Wanted::default() };
        let outlook = bench.at(from + WEEK, wanted).await.remove(0);
        for judged in &outlook.judged {
            for (at, coverage) in judged.online.coverage().iter().enumerate() {
                let (inside, seen) = &mut held[judged.day - 1][at];
                *inside += coverage.inside;
                *seen += coverage.seen;
            }
        }
        let online = &outlook.judged[0].online;
        let floors = online.floor_errors();
        let best = floors.iter().map(|(_, error)| *error).fold(f64::INFINITY, f64::min);
        println!(
            "{name}: error {:.2}, best floor {best:.2}, fallen back {:?}",
            online.error(),
            online.fallen_back()
        );
        errors = (errors.0 + online.error(), errors.1 + best);
    }
    println!("errors of all {:.2}, of each one's best floor {:.2}", errors.0, errors.1);
    for (day, levels) in held.iter().enumerate() {
        for ((inside, seen), level) in levels.iter().zip([0.8, 0.95]) {
            let share = *inside as f64 / *seen as f64;
            println!("{} d ahead, {level}: {share:.3} of {seen}", day + 1);
            assert!((share - level).abs() < 0.05, "{} d ahead: {share} of {level}", day + 1);
        }
    }
}
