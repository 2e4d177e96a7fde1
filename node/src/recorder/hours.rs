//! What a record saw, hour by hour, as the store keeps it.

use actors::ports::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{Counted, HourCounts, SourceId};

/// Who counts; by default nobody of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Hours {
    /// The node's id.
    pub node: u64,
    /// Its region.
    pub region: String,
    /// What is dated in the future, by more than an hour, is counted as of the next hour: wrong
    /// dates must not take the room of what comes. Without a clock it is counted as it is.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Hours {
    /// What is to be added to the hours of this node; `name` gives a source's name.
    pub fn of(
        &self,
        counts: &BTreeMap<(SourceId, i64, Counted), u64>,
        name: impl Fn(SourceId) -> String,
    ) -> Vec<HourCounts> {
        let mut hours: BTreeMap<i64, HourCounts> = BTreeMap::new();
        let most = self.clock.as_ref().map_or(i64::MAX, |clock| clock.wall().hour() + 1);
        for ((source, hour, counted), count) in counts {
            let hour = (*hour).min(most);
            let fresh = || HourCounts {
                hour,
                node: self.node,
                region: self.region.clone(),
                ..HourCounts::default()
            };
            let counts = hours.entry(hour).or_insert_with(fresh);
            counts.add(&name(*source), *counted, *count);
        }
        hours.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use threat::{EventClass, Timestamp};

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(4 * 3_600_000_000 + 1_800_000_000)
        }
    }

    #[test]
    fn counts_are_put_by_hour_and_source() {
        let flows = Counted::Events(EventClass::Flow);
        let counts = BTreeMap::from([
            ((SourceId(0), 5, flows), 3),
            ((SourceId(1), 5, flows), 4),
            ((SourceId(1), 6, flows), 1),
        ]);
        let mut hours = Hours { node: 9, region: "eu".into(), clock: None };
        let found = hours.of(&counts, |id| format!("log {}", id.0));
        let told: Vec<_> =
            found.iter().map(|h| (h.hour, h.node, h.sum(), h.counts.len())).collect();
        assert_eq!(told, [(5, 9, 7, 2), (6, 9, 1, 1)]);
        assert_eq!(found[0].counts[&("log 1".to_owned(), flows)], 4);
        assert_eq!(found[0].region, "eu");
        // It is half past four.
        hours.clock = Some(Arc::new(Still));
        let found = hours.of(&counts, |_| "log".into());
        assert_eq!(found.iter().map(|h| (h.hour, h.sum())).collect::<Vec<_>>(), [(5, 8)]);
    }
}
