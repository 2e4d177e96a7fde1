//! Accounts at risk, as a person reads them: what speaks against one, and what to do about it.

use crate::report::words::{list, plural};
use detection::tally::AccountRisk;

/// What its logons told against the account.
pub fn factors(a: &AccountRisk) -> String {
    let of = |n: u32, one: &str, many: &str| (n > 0).then(|| plural(u64::from(n), one, many));
    let told: Vec<String> = [
        of(a.new_hosts, "logon to a host it had never used", "logons to hosts it had never used"),
        of(
            a.new_sources,
            "logon from a source it had never used",
            "logons from sources it had never used",
        ),
        of(a.odd_hours, "logon at an hour it hardly uses", "logons at hours it hardly uses"),
        of(a.journeys, "journey that nobody makes", "journeys that nobody makes"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match told.as_slice() {
        // With fewer than twenty logons nothing counts as never done; it is rare here all the same.
        [] => {
            plural(u64::from(a.logons), "logon", "logons")
                + " to new hosts or from new sources, by an account with little past"
        }
        _ => list(&told),
    }
}

/// What to do about an account at risk: the gravest factor decides.
pub const fn advice(a: &AccountRisk) -> &'static str {
    if a.journeys > 0 {
        return "End its sessions, then ask its owner which of the two places was theirs.";
    }
    if a.new_hosts > 1 {
        return "Ask its owner about the hosts, and review what it did on them.";
    }
    "Ask its owner whether it was them."
}

#[cfg(test)]
mod tests {
    use super::*;
    use detection::tally::RiskLevel;
    use threat::Timestamp;

    #[test]
    fn factors_are_told_and_the_gravest_decides() {
        let mut a = AccountRisk {
            account: "ann".into(),
            risk: 6.5,
            level: RiskLevel::High,
            first: Timestamp::from_micros(0),
            at: Timestamp::from_micros(0),
            logons: 3,
            new_hosts: 0,
            new_sources: 0,
            odd_hours: 0,
            journeys: 0,
        };
        assert_eq!(
            factors(&a),
            "3 logons to new hosts or from new sources, by an account with little past"
        );
        assert!(advice(&a).starts_with("Ask its owner whether"));
        (a.new_hosts, a.odd_hours) = (2, 1);
        let told = "2 logons to hosts it had never used and 1 logon at an hour it hardly uses";
        assert_eq!(factors(&a), told);
        assert!(advice(&a).contains("hosts"));
        a.journeys = 1;
        assert!(advice(&a).starts_with("End its sessions"));
    }
}
