//! The events of a message to their owner, as bytes.
//!
//! Each event costs its sender and its owner processor time, and the bytes are copied, encrypted
//! and decrypted on the way. So what most events have is written by hand, in few bytes: numbers as
//! LEB128, addresses not as texts, the logs of a batch once. The rest is the codec's.

mod field;

use super::limits::PART_EVENTS;
use super::message::{Batch, Error};
use super::split::Portion;
use field::{Field, bytes_of};
use threat::event::{Body, Flow, Origin, RawRef};
use threat::{Event, codec};

/// What stands before the events of a batch; their raw records stand behind them.
struct Head {
    start: u64,
    end: u64,
    /// The logs that the events come from.
    origins: Vec<Origin>,
    events: u32,
    /// Bytes of all raw records.
    length: u32,
}

/// Appends portions.
pub fn write(portions: &[Portion<'_>], out: &mut Vec<u8>) -> Result<(), codec::Error> {
    for portion in portions {
        let mut origins: Vec<&Origin> = Vec::new();
        let places: Vec<u32> = portion.events().map(|e| place(&mut origins, &e.origin)).collect();
        let head = Head {
            start: portion.start(),
            end: portion.end(),
            origins: origins.into_iter().cloned().collect(),
            events: places.len() as u32,
            length: portion.bytes() as u32,
        };
        head.put(out);
        for (event, origin) in portion.events().zip(places) {
            write_one(event, origin, portion.raw(event), out)?;
        }
        portion.events().for_each(|event| out.extend(portion.raw(event)));
    }
    Ok(())
}

/// Where an origin stands among those that were seen: most batches have one.
fn place<'a>(seen: &mut Vec<&'a Origin>, origin: &'a Origin) -> u32 {
    let known = seen.iter().position(|o| *o == origin);
    known.unwrap_or_else(|| {
        seen.push(origin);
        seen.len() - 1
    }) as u32
}

fn write_one(
    event: &Event,
    origin: u32,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), codec::Error> {
    // Its `raw` is another one at its owner.
    let Event { time, origin: _, src, dst, user, uid, label, body, extra, position, raw: _ } =
        event;
    // Records are shorter than a frame.
    origin.put(out);
    (raw.len() as u32).put(out);
    time.put(out);
    position.put(out);
    src.put(out);
    dst.put(out);
    user.put(out);
    uid.put(out);
    label.put(out);
    extra.is_empty().put(out);
    if !extra.is_empty() {
        codec::append(extra, out)?;
    }
    matches!(body, Body::Flow(_)).put(out);
    match body {
        Body::Flow(flow) => flow.put(out),
        other => codec::append(other, out)?,
    }
    Ok(())
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// Bytes that it did not write: more events than a message has, an origin that is not there, other
/// raw records than are told.
pub fn read(mut bytes: &[u8]) -> Result<Vec<Batch>, Error> {
    let all = bytes.len();
    let from = &mut bytes;
    let wrong = || Error::Length(all);
    let (mut batches, mut count) = (Vec::new(), 0);
    while !from.is_empty() {
        let Head { start, end, origins, events, length } = Head::get(from).ok_or_else(wrong)?;
        count += events as usize;
        if count > PART_EVENTS {
            return Err(Error::Events(count));
        }
        let room = Vec::with_capacity(events as usize);
        let mut batch = Batch { start, end, events: room, ..Batch::default() };
        let mut at = 0u32;
        for _ in 0..events {
            let event = read_one(from, &origins, at)?.ok_or_else(wrong)?;
            at = at.checked_add(event.raw.len).ok_or_else(wrong)?;
            batch.events.push(event);
        }
        batch.bytes = bytes_of(from, length as usize).ok_or_else(wrong)?.to_vec();
        if length != at {
            return Err(wrong());
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// An event, if it is one and has one of these origins.
fn read_one(
    from: &mut &[u8],
    origins: &[Origin],
    start: u32,
) -> Result<Option<Event>, codec::Error> {
    let Some(mut event) = read_fields(from, origins, start) else { return Ok(None) };
    match bool::get(from) {
        Some(true) => {}
        Some(false) => event.extra = codec::take(from)?,
        None => return Ok(None),
    }
    event.body = match Option::<Flow>::get(from) {
        Some(Some(flow)) => Body::Flow(flow),
        Some(None) => codec::take(from)?,
        None => return Ok(None),
    };
    Ok(Some(event))
}

#[inline]
fn read_fields(from: &mut &[u8], origins: &[Origin], start: u32) -> Option<Event> {
    let origin = origins.get(u32::get(from)? as usize)?.clone();
    let len = Field::get(from)?;
    Some(Event {
        time: Field::get(from)?,
        origin,
        position: Field::get(from)?,
        src: Field::get(from)?,
        dst: Field::get(from)?,
        user: Field::get(from)?,
        uid: Field::get(from)?,
        label: Field::get(from)?,
        body: Body::Generic,
        extra: Vec::new(),
        raw: RawRef { start, len },
    })
}

field::by_fields!(Head { start, end, origins, events, length });

#[cfg(test)]
mod tests {
    use super::super::split::{Route, split};
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use threat::event::{ConnState, Dns, Endpoint, Host, Position, Value};
    use threat::{EventBatch, Text, Timestamp};

    fn body(seed: u64) -> Body {
        let some = |n: u64| (!seed.is_multiple_of(n)).then_some(seed / n);
        match seed % 4 {
            0 => Body::Generic,
            1 => Body::Dns(Box::new(Dns { query: Some("a.example".into()), ..Dns::default() })),
            _ => Body::Flow(Flow {
                state: ConnState::ALL[seed as usize % 13],
                service: some(3).map(|n| n.to_string().into()),
                duration: some(5).map(|n| n as f64 / 7.0),
                orig_bytes: some(7),
                missed_bytes: some(11),
                local_resp: some(13).map(|n| n.is_multiple_of(2)),
                ..Flow::default()
            }),
        }
    }

    fn event(seed: u64, host: &str, text: Option<String>, raw: &[u8]) -> Event {
        let service = if seed.is_multiple_of(3) { "conn" } else { "dns" };
        let time = Timestamp::from_micros(seed as i64);
        let mut event = Event::new(time, Origin::new("zeek", service), body(seed));
        let port = seed.is_multiple_of(2).then_some(seed as u16);
        event.src = (!seed.is_multiple_of(5)).then(|| Endpoint { host: Host::parse(host), port });
        event.dst =
            Some(Endpoint { host: Host::Ip(Ipv4Addr::from_bits(seed as u32).into()), port });
        event.user = text.clone().map(Text::from);
        event.uid = text.map(Text::from);
        let extra: Vec<(Text, Value)> =
            vec![("a".into(), Value::List(vec![Value::Int(-1), Value::Float(0.5)]))];
        event.extra = if seed.is_multiple_of(7) { Vec::new() } else { extra };
        event.position = Position { offset: seed, line: seed / 7 };
        event.raw.len = raw.len() as u32;
        event
    }

    fn batch(of: &[(u64, String, Option<String>, Vec<u8>)]) -> EventBatch {
        let mut batch = EventBatch { end_offset: 900, ..EventBatch::default() };
        for (seed, host, text, raw) in of {
            let mut event = event(*seed, host, text.clone(), raw);
            event.raw.start = batch.bytes.len() as u32;
            batch.bytes.extend(raw);
            batch.events.push(event);
        }
        batch
    }

    fn bytes_of(batches: &[EventBatch]) -> Vec<u8> {
        let to = |batch| split(batch, 7, &[Route::To(2)]).unwrap();
        let portions: Vec<Portion<'_>> = batches.iter().flat_map(|b| to(b).into_values()).collect();
        let mut bytes = Vec::new();
        write(&portions, &mut bytes).unwrap();
        bytes
    }

    type Any = (u64, String, Option<String>, Vec<u8>);

    proptest! {
        #[test]
        fn events_round_trip_with_their_raw_records(
            of in prop::collection::vec(prop::collection::vec(any::<Any>(), 1..5), 0..4)
        ) {
            let batches: Vec<EventBatch> = of.iter().map(|b| batch(b)).collect();
            let back = read(&bytes_of(&batches)).unwrap();
            prop_assert_eq!(back.len(), batches.len());
            for (back, batch) in back.into_iter().zip(&batches) {
                prop_assert_eq!((back.start, back.end), (7, 900));
                prop_assert_eq!(&back.events, &batch.events);
                prop_assert_eq!(&back.bytes, &batch.bytes);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_change_of_a_byte_panics_or_points_outside(at: prop::sample::Index, to: u8) {
            let event = (5, "10.0.0.1".to_owned(), Some("x".to_owned()), vec![1, 2, 3]);
            let mut bytes = bytes_of(&[batch(&[event.clone(), event])]);
            let at = at.index(bytes.len());
            bytes[at] = to;
            for batch in read(&bytes).into_iter().flatten() {
                let length: u32 = batch.events.iter().map(|e| e.raw.len).sum();
                prop_assert_eq!(length as usize, batch.bytes.len());
            }
        }
    }

    #[test]
    fn an_address_that_is_written_as_a_name_is_read_as_an_address() {
        let mut named = batch(&[(1, String::new(), None, vec![])]);
        let host = Host::Name("10.0.0.1".into());
        named.events[0].src = Some(Endpoint { host, port: None });
        let back = read(&bytes_of(&[named])).unwrap();
        let src = back[0].events[0].src.as_ref().unwrap();
        assert_eq!(src.host, Host::parse("10.0.0.1"));
    }

    #[test]
    fn more_events_than_a_message_has_are_refused() {
        let (mut bytes, origins) = (Vec::new(), Vec::new());
        Head { start: 0, end: 1, origins, events: u32::MAX, length: 0 }.put(&mut bytes);
        assert!(matches!(read(&bytes), Err(Error::Events(_))));
    }
}
