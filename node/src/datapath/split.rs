//! A batch of a source, cut into what each owner gets.

use super::limits::{PART_BYTES, PART_EVENTS};
use super::message::Batch;
use std::collections::BTreeMap;
use threat::EventBatch;

/// Where the events of a shard go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the node that owns it.
    To(u64),
    /// Nowhere: they are judged.
    Done,
    /// Nobody owns it.
    Nobody,
}

/// The events of a batch that begins at `start`, by the node that they go to; `routes` has one for
/// each shard.
///
/// # Errors
/// The first shard that nobody owns; nothing is handed out then.
pub fn split(
    batch: &EventBatch,
    start: u64,
    routes: &[Route],
) -> Result<BTreeMap<u64, Batch>, usize> {
    let mut portions: BTreeMap<u64, Batch> = BTreeMap::new();
    for event in &batch.events {
        let shard = event.entity().id().shard(routes.len());
        match routes[shard] {
            Route::To(node) => portions
                .entry(node)
                .or_insert_with(|| Batch::new(start, batch.end_offset))
                .push(event.clone(), batch.raw(event)),
            Route::Done => {}
            Route::Nobody => return Err(shard),
        }
    }
    Ok(portions)
}

/// Puts batches of one source and owner together to messages that fit into a frame, in order.
pub fn messages(batches: Vec<Batch>) -> Vec<Vec<Batch>> {
    let mut messages: Vec<Vec<Batch>> = Vec::new();
    let (mut bytes, mut events) = (0, 0);
    for batch in batches {
        bytes += batch.bytes.len();
        events += batch.events.len();
        match messages.last_mut() {
            Some(last) if bytes <= PART_BYTES && events <= PART_EVENTS => last.push(batch),
            _ => {
                (bytes, events) = (batch.bytes.len(), batch.events.len());
                messages.push(vec![batch]);
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use threat::event::{Body, Endpoint, Host, Origin};
    use threat::{Event, Timestamp};

    fn batch(hosts: &[u8]) -> EventBatch {
        let mut batch = EventBatch { end_offset: 1_000, ..EventBatch::default() };
        for (n, host) in hosts.iter().enumerate() {
            let origin = Origin::new("zeek", "conn");
            let mut event = Event::new(Timestamp::from_micros(n as i64), origin, Body::Generic);
            event.src = Some(Endpoint { host: Host::parse(&format!("10.0.0.{host}")), port: None });
            event.position.offset = n as u64;
            event.raw.start = batch.bytes.len() as u32;
            event.raw.len = 1;
            batch.bytes.push(*host);
            batch.events.push(event);
        }
        batch
    }

    proptest! {
        #[test]
        fn each_event_goes_to_its_owner_once_in_order(hosts: Vec<u8>) {
            let whole = batch(&hosts);
            let routes: Vec<Route> = (0..256).map(|shard| Route::To(shard % 3)).collect();
            let portions = split(&whole, 5, &routes).unwrap();
            let mut seen = Vec::new();
            for (node, portion) in portions {
                prop_assert_eq!((portion.start, portion.end), (5, 1_000));
                let portion = portion.into_batch();
                prop_assert!(portion.events.is_sorted_by_key(|e| e.position.offset));
                for event in &portion.events {
                    prop_assert_eq!(event.entity().id().shard(256) as u64 % 3, node);
                    seen.push((event.position.offset, portion.raw(event)[0]));
                }
            }
            seen.sort_unstable();
            let all: Vec<(u64, u8)> = (0..).zip(hosts).collect();
            prop_assert_eq!(seen, all);
        }

        #[test]
        fn messages_keep_order_and_limits(sizes in prop::collection::vec(0usize..400_000, 0..40)) {
            let of = |(n, size): (usize, &usize)| {
                let mut batch = Batch::new(n as u64, 0);
                batch.bytes = vec![0; *size];
                batch
            };
            let all = messages(sizes.iter().enumerate().map(of).collect());
            let starts: Vec<u64> = all.iter().flatten().map(|b| b.start).collect();
            prop_assert_eq!(starts, (0..sizes.len() as u64).collect::<Vec<_>>());
            for message in all {
                let bytes: usize = message.iter().map(|b| b.bytes.len()).sum();
                prop_assert!(bytes <= PART_BYTES || message.len() == 1);
            }
        }
    }

    #[test]
    fn a_shard_without_an_owner_holds_the_batch_back() {
        let whole = batch(&[1, 2, 3]);
        assert!(split(&whole, 0, &[Route::Nobody]).is_err());
        assert!(split(&whole, 0, &[Route::Done]).unwrap().is_empty());
    }
}
