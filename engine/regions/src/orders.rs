//! What people ordered for whole regions: flags of the control log, so that an order outlives the
//! leader that heard it and the command that gave it.

use crate::agreement::Subject;
use crate::control_log::{Command, Settings};
use crate::placement::Situation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use threat::Text;

/// What a flag's name begins with. It leaves 57 bytes for the region's; of a longer one the log
/// refuses the order and says so.
const FLAG: &str = "region:";

/// An order for a region, until it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It is to be emptied, as for maintenance: its nodes hand over what they have, and get none.
    Drain,
    /// It counts as failed, whatever is seen of it.
    Failover,
    /// It counts as cut off: as failed, and none of its nodes gets a lease.
    Isolate,
}

impl Order {
    /// The value of its flag.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Failover => "failover",
            Self::Isolate => "isolate",
        }
    }

    /// The order of a flag's value.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Drain, Self::Failover, Self::Isolate].into_iter().find(|o| o.word() == word)
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The orders that hold, by region. Values that are none are left out.
pub fn all(settings: &Settings) -> BTreeMap<Text, Order> {
    let flags = settings.flags().iter();
    let order = |(name, value): (&Text, &Text)| {
        Some((Text::from(name.strip_prefix(FLAG)?), Order::of(value)?))
    };
    flags.filter_map(order).collect()
}

/// What to ask of the log to give an order, or to take back any.
pub fn command(region: &str, order: Option<Order>) -> Command {
    let name = Text::from(format!("{FLAG}{region}"));
    Command::SetFlag { name, value: order.map(|o| o.word().into()) }
}

/// Notes the orders in the situation.
pub fn apply(orders: &BTreeMap<Text, Order>, situation: &mut Situation) {
    for (region, order) in orders {
        let subject = Subject::Region(region.clone());
        match order {
            Order::Drain => situation.draining.insert(subject),
            Order::Failover | Order::Isolate => situation.failed.insert(subject),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_bench::Bench;

    #[test]
    fn orders_are_flags_and_come_back() {
        let mut bench = Bench::of(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        bench.run(command("a", Some(Order::Drain)));
        bench.run(command("b", Some(Order::Failover)));
        bench.run(command("c", Some(Order::Isolate)));
        bench.run(Command::SetFlag { name: "region:d".into(), value: Some("what".into()) });
        bench.run(Command::SetFlag { name: "other".into(), value: Some("drain".into()) });
        let orders = all(bench.log.settings());
        assert_eq!(orders.len(), 3);
        let mut situation = Situation::default();
        apply(&orders, &mut situation);
        assert_eq!(situation.draining, [Subject::Region("a".into())].into());
        let failed = ["b", "c"].map(|r| Subject::Region(r.into()));
        assert_eq!(situation.failed, failed.into());
        bench.run(command("a", None));
        assert!(!all(bench.log.settings()).contains_key("a"));
    }
}
