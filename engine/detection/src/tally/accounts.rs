//! The accounts whose logons told against them: how much, by what, since when.
//!
//! Risk and what adds to it come from `features`; here the greatest of each account is kept, so
//! that a report can name the accounts to look at first, those without a finding among them.

use crate::features::account::{HOUR_BITS, TRAVEL_SPEED};
use crate::rules::window_fields::{WindowField as W, WindowValues};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::{Text, Timestamp};

/// Accounts kept; the one with the least risk makes room.
pub const ACCOUNTS: usize = 4_096;

/// How much the logons of an account tell against it, by its risk in nats: each step is odds of
/// about twenty to one, then four hundred (the shipped rules' threshold), then a hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    /// Below 3 nats: everybody changes desk at times.
    Low,
    /// From 3.
    Medium,
    /// From 6.
    High,
    /// From 12.
    Critical,
}

impl RiskLevel {
    /// The level of a risk in nats.
    pub fn of(risk: f32) -> Self {
        match risk {
            r if r >= 12.0 => Self::Critical,
            r if r >= 6.0 => Self::High,
            r if r >= 3.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// In lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What was seen of an account at risk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountRisk {
    /// Its name.
    pub account: Text,
    /// Its greatest risk, in nats over a coin toss, and the level that is.
    pub risk: f32,
    /// See [`RiskLevel`].
    pub level: RiskLevel,
    /// Event time of the first logon that told against it.
    pub first: Timestamp,
    /// Event time of the logon that made the risk greatest.
    pub at: Timestamp,
    /// Logons that told against it.
    pub logons: u32,
    /// Of these, to a host that it had never used.
    pub new_hosts: u32,
    /// From a source that it had never used.
    pub new_sources: u32,
    /// At an hour of the day that it hardly uses.
    pub odd_hours: u32,
    /// After a journey from the place before that nobody makes.
    pub journeys: u32,
}

/// The accounts at risk.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    known: BTreeMap<Text, AccountRisk>,
}

impl Accounts {
    /// Takes what the windows tell of a logon; one that tells nothing against its account, or only
    /// what everybody's logons tell at times, is not kept.
    pub fn observe(&mut self, account: &Text, time: Timestamp, window: &WindowValues) {
        let risk = window.get(W::AuthAccountRisk);
        if risk <= 0.0 {
            return;
        }
        if !self.known.contains_key(account) && !self.room(risk) {
            return;
        }
        let known = self.known.entry(account.clone()).or_insert_with(|| AccountRisk {
            account: account.clone(),
            risk: 0.0,
            level: RiskLevel::Low,
            first: time,
            at: time,
            logons: 0,
            new_hosts: 0,
            new_sources: 0,
            odd_hours: 0,
            journeys: 0,
        });
        if risk > known.risk {
            (known.risk, known.level, known.at) = (risk, RiskLevel::of(risk), time);
        }
        let add = |count: &mut u32, holds: bool| *count = count.saturating_add(u32::from(holds));
        add(&mut known.logons, true);
        add(&mut known.new_hosts, window.get(W::AuthNewHostForUser) > 0.0);
        add(&mut known.new_sources, window.get(W::AuthNewSourceForUser) > 0.0);
        add(&mut known.odd_hours, window.get(W::AuthHourRarity) > HOUR_BITS);
        add(&mut known.journeys, window.get(W::AuthTravelSpeed) > TRAVEL_SPEED);
    }

    /// Whether there is room for one more with that risk; makes it at the cost of a lesser one.
    fn room(&mut self, risk: f32) -> bool {
        if self.known.len() < ACCOUNTS {
            return true;
        }
        let least = self.known.values().min_by(|a, b| a.risk.total_cmp(&b.risk));
        let Some(least) = least.filter(|l| l.risk < risk).map(|l| l.account.clone()) else {
            return false;
        };
        self.known.remove(&least);
        true
    }

    /// Those at [`RiskLevel::Medium`] and above, the greatest risk first; at most `n`.
    pub fn top(&self, n: usize) -> Vec<AccountRisk> {
        let mut all: Vec<&AccountRisk> =
            self.known.values().filter(|a| a.level > RiskLevel::Low).collect();
        all.sort_by(|a, b| b.risk.total_cmp(&a.risk).then(a.account.cmp(&b.account)));
        all.into_iter().take(n).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(risk: f32, new_host: f32) -> WindowValues {
        let mut window = WindowValues::default();
        window.set(W::AuthAccountRisk, risk);
        window.set(W::AuthNewHostForUser, new_host);
        window
    }

    #[test]
    fn the_greatest_risk_is_kept_with_what_made_it() {
        let mut accounts = Accounts::default();
        let at = Timestamp::from_micros;
        for (t, risk, host) in [(1, 2.5, 1.0), (2, 6.5, 1.0), (3, 4.0, 0.0), (4, 0.0, 0.0)] {
            accounts.observe(&"ann".into(), at(t), &window(risk, host));
        }
        accounts.observe(&"bob".into(), at(5), &window(2.9, 0.0));
        let top = accounts.top(10);
        assert_eq!(top.len(), 1, "{top:?}");
        let ann = &top[0];
        assert_eq!((ann.risk, ann.level, ann.first, ann.at), (6.5, RiskLevel::High, at(1), at(2)));
        assert_eq!((ann.logons, ann.new_hosts, ann.journeys), (3, 2, 0));
    }

    #[test]
    fn the_least_risk_makes_room() {
        let mut accounts = Accounts::default();
        for i in 0..ACCOUNTS {
            let risk = 3.0 + i as f32 / 1_000.0;
            accounts.observe(
                &format!("u{i}").as_str().into(),
                Timestamp::from_micros(0),
                &window(risk, 0.0),
            );
        }
        accounts.observe(&"low".into(), Timestamp::from_micros(0), &window(1.0, 0.0));
        accounts.observe(&"high".into(), Timestamp::from_micros(0), &window(20.0, 0.0));
        let all = accounts.top(usize::MAX);
        assert_eq!((all.len(), all[0].account.as_str()), (ACCOUNTS, "high"));
        assert!(all.iter().all(|a| a.account.as_str() != "low" && a.account.as_str() != "u0"));
    }
}
