//! A batch of a source, cut into what each owner gets.

use super::limits::{PART_BYTES, PART_EVENTS};
use super::message::Batch;
use std::collections::BTreeMap;
use threat::{Event, EventBatch};

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

/// Events of a batch that go to one node, in its order.
pub struct Portion<'a> {
    batch: &'a EventBatch,
    start: u64,
    /// Their places in the batch.
    events: Vec<usize>,
    /// Bytes of their raw records.
    bytes: usize,
}

impl<'a> Portion<'a> {
    /// The source's offset before the batch.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The source's offset after the batch.
    pub const fn end(&self) -> u64 {
        self.batch.end_offset
    }

    /// How many there are: never none.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Bytes of all raw records.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = &'a Event> {
        self.events.iter().map(|place| &self.batch.events[*place])
    }

    /// The raw record of one of them.
    pub fn raw(&self, event: &Event) -> &'a [u8] {
        self.batch.raw(event)
    }

    /// Copies of them, for this node's own detection.
    pub fn to_batch(&self) -> Batch {
        let mut events: Vec<Event> = self.events().cloned().collect();
        let mut bytes = Vec::with_capacity(self.bytes);
        for event in &mut events {
            let raw = self.batch.raw(event);
            // Bounded by what a batch holds, far below this.
            event.raw.start = bytes.len() as u32;
            bytes.extend_from_slice(raw);
        }
        Batch { start: self.start, end: self.end(), events, bytes }
    }
}

/// The events of a batch that begins at `start`, by the node that they go to; `routes` has one for
/// each shard.
///
/// # Errors
/// The first shard that nobody owns; nothing is handed out then.
pub fn split<'a>(
    batch: &'a EventBatch,
    start: u64,
    routes: &[Route],
) -> Result<BTreeMap<u64, Portion<'a>>, usize> {
    let mut portions: BTreeMap<u64, Portion<'a>> = BTreeMap::new();
    for (place, event) in batch.events.iter().enumerate() {
        let shard = event.entity().id().shard(routes.len());
        match routes[shard] {
            Route::To(node) => {
                let none = || Portion { batch, start, events: Vec::new(), bytes: 0 };
                let portion = portions.entry(node).or_insert_with(none);
                portion.events.push(place);
                portion.bytes += batch.raw(event).len();
            }
            Route::Done => {}
            Route::Nobody => return Err(shard),
        }
    }
    Ok(portions)
}

/// Puts portions of one source and owner together to messages that fit into a frame, in order.
pub fn messages(portions: Vec<Portion<'_>>) -> Vec<Vec<Portion<'_>>> {
    let mut messages: Vec<Vec<Portion<'_>>> = Vec::new();
    let (mut bytes, mut events) = (0, 0);
    for portion in portions {
        bytes += portion.bytes;
        events += portion.len();
        match messages.last_mut() {
            Some(last) if bytes <= PART_BYTES && events <= PART_EVENTS => last.push(portion),
            _ => {
                (bytes, events) = (portion.bytes, portion.len());
                messages.push(vec![portion]);
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use threat::Timestamp;
    use threat::event::{Body, Endpoint, Host, Origin};

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
                prop_assert_eq!((portion.start(), portion.end()), (5, 1_000));
                let portion = portion.to_batch().into_batch();
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
            let batch = EventBatch::default();
            let of = |(n, size): (usize, &usize)| {
                Portion { batch: &batch, start: n as u64, events: vec![0], bytes: *size }
            };
            let all = messages(sizes.iter().enumerate().map(of).collect());
            let starts: Vec<u64> = all.iter().flatten().map(|b| b.start).collect();
            prop_assert_eq!(starts, (0..sizes.len() as u64).collect::<Vec<_>>());
            for message in all {
                let bytes: usize = message.iter().map(|p| p.bytes).sum();
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
