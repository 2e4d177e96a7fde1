//! What is remembered of an account: how often it failed, where and when it logs on, and the risk
//! that its latest logons left.
//!
//! Risk grows by what a logon tells against the account, and halves with [`RISK_HALF_LIFE`]. It
//! counts only what is more surprising than a coin toss for this very account, so that accounts
//! which roam or never sleep gather none.

use super::places::{self, Place};
use super::sketch::{Distinct, Halves};
use super::source_state::{HOUR, TEN_MINUTES};
use crate::rules::window_fields::{WindowField as W, WindowValues};
use serde::{Deserialize, Serialize};
use threat::event::{AuthActivity, Authentication, Outcome};
use threat::{Event, Timestamp};

/// An account is watched this long before its hours mean anything: nearly a day.
const WATCHED_SECONDS: f64 = 20.0 * 3_600.0;

/// Logons after which an account has a past to compare with.
const PAST_LOGONS: u32 = 20;

/// Risk halves in a day: an odd night is half forgotten a day later, an odd week is not.
const RISK_HALF_LIFE: f64 = 86_400.0;

/// Rarity of an hour, in bits, up to which it adds no risk. An hour and its neighbours are an
/// eighth of a day (three bits), so that accounts which never sleep stay well below.
pub const HOUR_BITS: f32 = 4.0;

/// Kilometres an hour that no airliner reaches.
pub const TRAVEL_SPEED: f32 = 1_000.0;

/// What a journey that nobody makes adds: as much as an hour and two hosts that are new.
const TRAVEL_RISK: f32 = 6.0;

/// Nearer than this is one place: what databases of addresses are wrong by.
const SAME_PLACE_KM: f64 = 300.0;

/// A logon to the host of the one before, within so many seconds, is the same visit: sshd and PAM
/// both log it, and tools open several sessions at once.
const ONE_VISIT: f64 = 60.0;

/// Visits that the site's habits weigh in an account's own.
const SITE_PRIOR: f32 = 3.0;

/// The least time that a journey is held against: clocks of two logs differ by as much.
const JOURNEY_LEAST: f64 = 60.0;

/// Different things that an account used.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Known {
    seen: Distinct<4>,
    count: u32,
}

impl Known {
    /// Adds a thing on a visit after `visits` others. What a new one tells, in nats over a coin
    /// toss: `count` of those visits brought a new one (Witten, Bell 1991), drawn to how often
    /// visits of the whole site do. `None` when it is known.
    fn add(&mut self, thing: u64, visits: u32, site: &mut Novelty) -> Option<f32> {
        if !self.seen.add(thing) {
            return None;
        }
        let expected = self.count as f32 + SITE_PRIOR * site.share();
        let told = ((visits as f32 + SITE_PRIOR) / expected).ln() - std::f32::consts::LN_2;
        self.count = self.count.saturating_add(1);
        site.new = site.new.saturating_add(1);
        Some(told.max(0.0))
    }
}

/// How often accounts of the whole site do what they never did: much while it is first watched, and
/// little later, so that an account without a past is held against what is usual here.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Novelty {
    new: u32,
    visits: u32,
}

impl Novelty {
    /// How much it has seen: of two that began alike, the one that has seen more knows all that
    /// the other does.
    pub const fn seen(&self) -> (u32, u32) {
        (self.visits, self.new)
    }

    fn share(&self) -> f32 {
        (self.new as f32 + 0.5) / (self.visits as f32 + 1.0)
    }
}

/// One account's state.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Account {
    failures: Halves<u32>,
    hosts: Halves<Distinct<2>>,
    known_hosts: Known,
    known_sources: Known,
    visits: u32,
    /// Host and time of the last visit.
    last_visit: (u64, Timestamp),
    logons: u32,
    first: Timestamp,
    by_hour: [u16; 24],
    last_hour: i64,
    risk: f32,
    risk_at: Timestamp,
    place: Option<(Place, Timestamp)>,
}

/// The hour of the day, UTC.
pub fn hour_of_day(time: Timestamp) -> usize {
    time.secs().div_euclid(3_600).rem_euclid(24) as usize
}

impl Account {
    /// How much it has seen: of two that began alike, the one that has seen more knows all that
    /// the other does.
    pub const fn seen(&self) -> (u32, Timestamp, u32) {
        (self.logons, self.failures.start(), self.failures.now)
    }

    /// Whether these are numbers that events give: what comes from outside may be none.
    pub fn sound(&self) -> bool {
        self.risk.is_finite() && self.place.is_none_or(|(place, _)| place.sound())
    }

    /// −log2 of the share of this hour of day, with its neighbours, in the account's logons; 0
    /// until the account was watched through a whole day, since every hour is new on the first one.
    fn hour_rarity(&self, time: Timestamp) -> f32 {
        if self.logons < PAST_LOGONS || time.since(self.first) < WATCHED_SECONDS {
            return 0.0;
        }
        let hour = hour_of_day(time);
        let near = [hour, (hour + 1) % 24, (hour + 23) % 24];
        let seen: u32 = near.iter().map(|&h| u32::from(self.by_hour[h])).sum();
        -((seen as f32 + 0.5) / (self.logons as f32 + 4.0)).log2()
    }

    /// The risk at a time: what is left of it.
    fn risk(&self, time: Timestamp) -> f32 {
        let passed = time.since(self.risk_at).max(0.0);
        self.risk * (-passed / RISK_HALF_LIFE).exp2() as f32
    }

    /// Looks at an event of this account, and moves the state unless it is late.
    pub fn observe(
        &mut self,
        event: &Event,
        auth: &Authentication,
        late: bool,
        site: &mut Novelty,
        window: &mut WindowValues,
    ) {
        let success = auth.outcome == Outcome::Success;
        if success {
            window.set(W::AuthHourRarity, self.hour_rarity(event.time));
        }
        if self.logons == 0 {
            self.first = event.time;
        }
        if !late {
            self.failures.turn(event.time, TEN_MINUTES);
            self.hosts.turn(event.time, HOUR);
            if auth.outcome == Outcome::Failure {
                self.failures.now = self.failures.now.saturating_add(auth.attempts.max(1));
            }
            if success {
                self.success(event, auth, site, window);
            }
        }
        window.set(W::AuthFailuresUser10m, self.failures.total());
        window.set(W::AuthHostsUser1h, self.hosts.estimate());
    }

    /// A success: what it tells where it begins a session, and that the account was here.
    fn success(
        &mut self,
        event: &Event,
        auth: &Authentication,
        site: &mut Novelty,
        window: &mut WindowValues,
    ) {
        if let Some(host) = &event.dst {
            self.hosts.now.add(host.host.hash64());
        }
        if auth.activity == AuthActivity::Logon {
            let told = self.told(event, site, window);
            if told > 0.0 {
                self.risk = self.risk(event.time) + told;
                self.risk_at = event.time;
                window.set(W::AuthAccountRisk, self.risk);
            }
            self.visit(event, site);
        }
        self.logons = self.logons.saturating_add(1);
        let hour = hour_of_day(event.time);
        self.by_hour[hour] = self.by_hour[hour].saturating_add(1);
    }

    /// What a logon tells against the account, in nats over a coin toss.
    fn told(&mut self, event: &Event, site: &mut Novelty, window: &mut WindowValues) -> f32 {
        let mut told = 0.0;
        let past = self.logons >= PAST_LOGONS;
        if let Some(host) = &event.dst {
            let new = self.known_hosts.add(host.host.hash64(), self.visits, site);
            window.set(W::AuthNewHostForUser, f32::from(u8::from(new.is_some() && past)));
            told += new.unwrap_or(0.0);
        }
        if let Some(source) = &event.src {
            let new = self.known_sources.add(source.host.hash64(), self.visits, site);
            window.set(W::AuthNewSourceForUser, f32::from(u8::from(new.is_some() && past)));
            told += new.unwrap_or(0.0);
        }
        // A burst of sessions is one visit: its hour counts once.
        if event.time.hour() != self.last_hour {
            let hour = window.get(W::AuthHourRarity) - HOUR_BITS;
            told += hour.max(0.0) * std::f32::consts::LN_2;
            self.last_hour = event.time.hour();
        }
        let speed = self.journey(event);
        window.set(W::AuthTravelSpeed, speed);
        if speed > TRAVEL_SPEED { told + TRAVEL_RISK } else { told }
    }

    /// Counts a visit, unless this logon belongs to the last one.
    fn visit(&mut self, event: &Event, site: &mut Novelty) {
        let host = event.dst.as_ref().map_or(0, |d| d.host.hash64());
        let (last, at) = self.last_visit;
        if self.visits == 0 || last != host || event.time.since(at) >= ONE_VISIT {
            self.visits = self.visits.saturating_add(1);
            site.visits = site.visits.saturating_add(1);
            self.last_visit = (host, event.time);
        }
    }

    /// Kilometres an hour from the place of the last logon to this one's; 0 where the log says no
    /// places, or the same one.
    fn journey(&mut self, event: &Event) -> f32 {
        let Some(here) = places::of(event) else { return 0.0 };
        let before = self.place.replace((here, event.time));
        let Some((there, at)) = before else { return 0.0 };
        let far = here.distance(&there);
        if far < SAME_PLACE_KM {
            return 0.0;
        }
        let hours = event.time.since(at).abs().max(JOURNEY_LEAST) / HOUR;
        (far / hours) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::event::Origin;
    use threat::event::Value;
    use threat::{Body, Endpoint, Host};

    fn logon(secs: f64, src: &str, dst: &str) -> Event {
        let time = Timestamp::from_secs_f64(secs).unwrap();
        let auth = Authentication { outcome: Outcome::Success, attempts: 1, ..Default::default() };
        let body = Body::Authentication(Box::new(auth));
        let mut event = Event::new(time, Origin::new("linux", "sshd"), body);
        event.src = Some(Endpoint { host: Host::parse(src), port: None });
        event.dst = Some(Endpoint { host: Host::parse(dst), port: Some(22) });
        event
    }

    fn observe(account: &mut Account, event: &Event) -> WindowValues {
        observe_at(account, event, &mut Novelty::default())
    }

    fn observe_at(account: &mut Account, event: &Event, site: &mut Novelty) -> WindowValues {
        let mut window = WindowValues::default();
        let Body::Authentication(auth) = &event.body else { panic!("not a logon") };
        account.observe(event, auth, false, site, &mut window);
        window
    }

    #[test]
    fn new_servers_raise_the_risk_of_a_settled_account_and_of_no_roaming_one() {
        let (mut settled, mut roaming) = (Account::default(), Account::default());
        let mut site = Novelty::default();
        let mut risks = (0.0, 0.0);
        for i in 0..40 {
            let at = f64::from(i) * 600.0;
            observe_at(&mut settled, &logon(at, "10.0.0.5", "10.0.1.1"), &mut site);
            let there = logon(at, "10.0.0.6", &format!("10.0.1.{i}"));
            let window = observe_at(&mut roaming, &there, &mut site);
            risks.1 = window.get(W::AuthAccountRisk);
        }
        for i in 0..4 {
            let at = 24_000.0 + f64::from(i) * 60.0;
            let there = logon(at, "10.0.0.5", &format!("10.0.2.{i}"));
            let window = observe_at(&mut settled, &there, &mut site);
            risks.0 = window.get(W::AuthAccountRisk);
        }
        assert!(risks.0 > 6.0, "{risks:?}");
        assert!(risks.1 < 1.0, "{risks:?}");
        let usual = observe(&mut settled, &logon(24_240.0, "10.0.0.5", "10.0.1.1"));
        assert_eq!(usual.get(W::AuthAccountRisk), 0.0, "a usual logon is not held against it");
        let later = Timestamp::from_secs_f64(24_180.0 + 86_400.0).unwrap();
        assert!((settled.risk(later) - risks.0 / 2.0).abs() < 0.01, "half is left a day later");
    }

    #[test]
    fn a_stranger_on_many_servers_is_odd_only_where_the_site_is_known() {
        let visits = |mut site: Novelty| {
            let mut stranger = Account::default();
            let visits = (0..3).map(|i| logon(f64::from(i) * 90.0, "10.0.0.9", &format!("s{i}")));
            let windows = visits.map(|v| observe_at(&mut stranger, &v, &mut site));
            windows.map(|w| w.get(W::AuthAccountRisk)).fold(0.0, f32::max)
        };
        let (fresh, known) = (visits(Novelty::default()), Novelty { new: 60, visits: 3_000 });
        assert!(fresh < 1.5, "{fresh}");
        assert!(visits(known) > 6.0, "{}", visits(known));
    }

    #[test]
    fn sessions_of_one_visit_count_once() {
        let (mut account, mut site) = (Account::default(), Novelty::default());
        for i in 0..10 {
            observe_at(&mut account, &logon(f64::from(i), "10.0.0.5", "10.0.1.1"), &mut site);
        }
        observe_at(&mut account, &logon(100.0, "10.0.0.5", "10.0.1.1"), &mut site);
        assert_eq!((account.visits, account.logons, site.visits), (2, 11, 2));
    }

    #[test]
    fn a_journey_that_nobody_makes_is_told_where_the_log_says_places() {
        let at = |secs, lat, lon| {
            let mut event = logon(secs, "203.0.113.9", "10.0.1.1");
            event.extra.push(("remote_location.latitude".into(), Value::Float(lat)));
            event.extra.push(("remote_location.longitude".into(), Value::Float(lon)));
            event
        };
        let mut account = Account::default();
        let first = observe(&mut account, &at(0.0, 52.5, 13.4));
        assert_eq!(first.get(W::AuthTravelSpeed), 0.0);
        // Berlin to Tokyo, 8,900 km, in two hours; and back in twelve.
        let speed = observe(&mut account, &at(7_200.0, 35.7, 139.7)).get(W::AuthTravelSpeed);
        assert!((4_000.0..5_000.0).contains(&speed), "{speed}");
        let back = observe(&mut account, &at(50_400.0, 52.5, 13.4));
        assert!(back.get(W::AuthTravelSpeed) < TRAVEL_SPEED);
        assert!(account.risk(Timestamp::from_secs_f64(50_400.0).unwrap()) > 3.0);
        let nowhere = observe(&mut account, &logon(50_500.0, "203.0.113.9", "10.0.1.1"));
        assert_eq!(nowhere.get(W::AuthTravelSpeed), 0.0);
    }
}
