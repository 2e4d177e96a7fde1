//! What is carried to another engine lets it go on to the very same bits.

use super::*;
use crate::calibration::Budget;
use crate::engine::Engine;
use crate::features::{FeatureBatch, Limits, Surroundings};
use crate::rules::RuleSet;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use threat::event::{
    Authentication, ConnState, Dns, Flow, Http, Origin, Outcome, Protocol, Tls, Value,
};
use threat::{Body, Endpoint, Event, EventBatch, Host, Timestamp, Verdict};

static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| Arc::new(RuleSet::load(true, &[]).0));

/// What an event is made of: class, source, destination, port, seconds since the one before, and
/// what else it says.
type Made = (u8, u8, u8, u8, u16, u8);

fn body(class: u8, to: u8, says: u8) -> Body {
    let failed = says.is_multiple_of(3);
    match class % 5 {
        0 => Body::Flow(Flow {
            protocol: if says % 4 == 1 { Protocol::Udp } else { Protocol::Tcp },
            state: if failed { ConnState::S0 } else { ConnState::SF },
            orig_bytes: Some(u64::from(says) * 900),
            resp_bytes: Some(u64::from(to) * 77),
            ..Flow::default()
        }),
        1 => Body::Dns(Box::new(Dns {
            query: Some(format!("h{says}.zone{}.example", to % 3).into()),
            rcode: Some(if failed { "NXDOMAIN" } else { "NOERROR" }.into()),
            ..Dns::default()
        })),
        2 => Body::Http(Box::new(Http {
            host: Some(format!("www{}.example", to % 4).into()),
            user_agent: Some(format!("agent/{}", says % 2).into()),
            request_bytes: Some(u64::from(says)),
            ..Http::default()
        })),
        3 => Body::Tls(Box::new(Tls { established: Some(!failed), ..Tls::default() })),
        _ => Body::Authentication(Box::new(Authentication {
            outcome: if failed { Outcome::Failure } else { Outcome::Success },
            attempts: 1,
            ..Authentication::default()
        })),
    }
}

fn event((class, from, to, port, _, says): Made, time: Timestamp) -> Event {
    let mut event = Event::new(time, Origin::new("zeek", "x"), body(class, to, says));
    let host = |text: String| Host::parse(&text);
    event.src = Some(Endpoint { host: host(format!("10.0.0.{}", from % 6)), port: None });
    let to = if to % 2 == 0 { format!("10.0.1.{to}") } else { format!("203.0.113.{to}") };
    let ports = [22, 53, 80, 443, 445, 50_000];
    event.dst = Some(Endpoint { host: host(to), port: Some(ports[usize::from(port) % 6]) });
    if class % 5 == 4 {
        event.user = Some(format!("user{}", says % 3).into());
        event.extra.push((
            "src_endpoint.location.coordinates".into(),
            Value::List(vec![Value::Float(f64::from(says)), Value::Float(f64::from(port % 90))]),
        ));
    }
    event
}

/// Batches of a few events each. Their times never go back.
fn batches(made: &[Made]) -> Vec<Arc<EventBatch>> {
    let mut time = Timestamp::from_micros(1_700_000_000_000_000);
    let mut events = made.iter().map(|made| {
        time = time.plus_secs(f64::from(made.4));
        event(*made, time)
    });
    let mut all = Vec::new();
    loop {
        let events: Vec<Event> = events.by_ref().take(4).collect();
        if events.is_empty() {
            return all;
        }
        all.push(Arc::new(EventBatch { events, ..EventBatch::default() }));
    }
}

struct Shell {
    engine: Engine,
    around: Surroundings,
    kept: BTreeMap<(u8, u64), Piece>,
}

impl Shell {
    fn new() -> Self {
        let limits = Limits { hot: 1_000, compact: 1_000 };
        let engine = Engine::new(limits, Arc::clone(&RULES), Budget::PerMillion(10.0));
        let mut shell = Self { engine, around: Surroundings::default(), kept: BTreeMap::new() };
        shell.take();
        shell
    }

    fn process(&mut self, batch: &Arc<EventBatch>) -> (FeatureBatch, Vec<Verdict>) {
        let around = self.around.observe(batch);
        let rows = (0..batch.events.len() as u32).collect();
        let (features, verdicts, _) = self.engine.process(batch, rows, &around, None);
        (features, verdicts)
    }

    /// Takes what changed; how many pieces that were.
    fn take(&mut self) -> usize {
        let taken: Vec<Piece> =
            self.engine.take_changed().into_iter().chain(self.around.take_changed()).collect();
        let count = taken.len();
        self.kept.extend(taken.into_iter().map(|p| ((p.kind, p.key), p)));
        count
    }

    /// Another process that goes on with what was taken.
    fn restored(&self) -> Self {
        let mut other = Self::new();
        for piece in self.kept.values() {
            if piece.kind().unwrap().is_around() {
                other.around.restore(piece).unwrap();
            } else {
                other.engine.restore(piece).unwrap();
            }
        }
        other
    }
}

fn made() -> impl Strategy<Value = Made> {
    // Mostly within the windows, and now and then after them.
    let gap = prop_oneof![8 => 0u16..20, 1 => 0u16..4_000];
    (0u8..5, any::<u8>(), 0u8..12, any::<u8>(), gap, any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_goes_on_with_a_checkpoint_gives_the_same_bits(
        before in prop::collection::vec(made(), 1..120),
        after in prop::collection::vec(made(), 4..40),
        every in 1usize..9,
    ) {
        let all: Vec<Made> = before.iter().chain(&after).copied().collect();
        let (cut, all) = (batches(&before).len(), batches(&all));
        let mut first = Shell::new();
        for (n, batch) in all[..cut].iter().enumerate() {
            first.process(batch);
            if n % every == 0 {
                first.take();
            }
        }
        first.take();
        prop_assert_eq!(first.take(), 0, "nothing changed since");
        let mut second = first.restored();
        let mut fresh = Shell::new();
        let mut differs = false;
        for batch in &all[cut..] {
            let (features, verdicts) = first.process(batch);
            let (again, verdicts_again) = second.process(batch);
            let told = |f: &FeatureBatch| format!("{:?}", (&f.windows, &f.repeats, &f.blocks));
            prop_assert_eq!(told(&features), told(&again));
            prop_assert_eq!(verdicts, verdicts_again);
            differs |= told(&features) != told(&fresh.process(batch).0);
        }
        prop_assert!(differs || before.len() < 60, "or else this would say nothing");
    }

    #[test]
    fn no_bytes_panic_and_none_that_are_taken_break_what_follows(
        made in prop::collection::vec(made(), 1..40),
        at: prop::sample::Index, in_it: prop::sample::Index, to: u8, bytes: Vec<u8>, kind: u8,
    ) {
        let mut first = Shell::new();
        let batches = batches(&made);
        batches.iter().for_each(|b| drop(first.process(b)));
        first.take();
        let mut pieces: Vec<Piece> = first.kept.values().cloned().collect();
        let at = at.index(pieces.len());
        let in_it = in_it.index(pieces[at].bytes.len());
        pieces[at].bytes[in_it] = to;
        pieces.push(Piece { kind, key: 1, owner: 1, bytes });
        let mut other = Shell::new();
        for piece in &pieces {
            let _ = other.around.restore(piece);
            let _ = other.engine.restore(piece);
        }
        batches.iter().for_each(|b| drop(other.process(b)));
    }
}

#[test]
fn a_piece_of_another_version_is_refused() {
    let whole = codec::encode(VERSION + 1, &Repeats(3)).unwrap();
    let mut piece = piece(7, 7, &Repeats(3));
    assert_eq!(state::<Repeats>(&piece).unwrap().0, 3);
    piece.bytes.truncate(2);
    pack(&whole, &mut piece.bytes);
    let refused = state::<Repeats>(&piece);
    assert!(matches!(refused, Err(Error::Codec(codec::Error::Version { .. }))));
    let mut shell = Shell::new();
    piece.kind = Kind::Account as u8;
    assert!(matches!(shell.engine.restore(&piece), Err(Error::Place(Kind::Account))));
    piece.kind = 99;
    assert!(matches!(shell.engine.restore(&piece), Err(Error::Kind(99))));
}

#[test]
fn tokens_of_no_alphabet_are_refused() {
    let mut source = Source::default();
    source.histories[1].push(tokens::DNS_TOKENS - 1);
    assert!(source.sound());
    source.histories[1].push(tokens::DNS_TOKENS);
    assert!(!source.sound());
    source.histories[1] = History { len: 200, ..History::default() };
    assert!(!source.sound());
}

#[test]
fn what_is_known_of_a_destination_is_united_and_of_an_account_the_longer_past_stays() {
    let logon = |from: u8, at: u16| (4, from, 2, 0, at, 1);
    let (mut one, mut two) = (Shell::new(), Shell::new());
    batches(&[logon(0, 0), logon(1, 1), logon(2, 1)]).iter().for_each(|b| drop(one.process(b)));
    batches(&[logon(3, 5)]).iter().for_each(|b| drop(two.process(b)));
    one.take();
    two.take();
    for _ in 0..2 {
        one.kept.values().for_each(|p| drop(two.around.restore(p)));
    }
    two.kept.clear();
    let next = batches(&[logon(3, 6)]);
    let around = two.around.observe(&next[0]);
    use crate::rules::window_fields::WindowField as W;
    assert_eq!(around[0].window.get(W::DstSources10m).round(), 4.0, "each source counts once");
    assert!(two.take() > 0);
    let of = |kind: Kind| two.kept.values().find(|p| p.kind == kind as u8).unwrap();
    let account: Account = state(of(Kind::Account)).unwrap();
    assert_eq!(account.seen().0, 3 + 1, "the one with three logons, and the new one");
    assert_eq!(of(Kind::Account).owner, group(next[0].events[0].entity().id()));
}
