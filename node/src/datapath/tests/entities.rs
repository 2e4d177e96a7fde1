//! Entities' state that outlives its owner.

use super::*;
use crate::datapath::carrying::fitting;
use crate::datapath::fetching::ask;
use crate::datapath::limits::{KEEP_TIME, PART_STATE_BYTES};
use crate::datapath::message::{Ask, Told};
use ::detection::features::FeatureBatch;
use ::detection::rules::window_fields::WindowField;
use actors::detection::watch::Watch;
use std::time::Instant;
use store::EntityState;
use threat::Verdict;

/// Often enough for a test.
const OFTEN: Duration = Duration::from_millis(100);

/// Not within a test.
const NEVER: Duration = Duration::from_secs(3_600);

/// Events before the end, of which every third is of the host that guesses.
const BEFORE: usize = 600;

/// What detection saw of the last event: failures of its source within an hour, how often the
/// source did this before, and its tokens; and the verdict.
#[derive(Clone, Debug, Default, PartialEq)]
struct Last {
    failures: f32,
    repeats: u32,
    tokens: usize,
    verdict: Option<Verdict>,
}

#[derive(Default)]
struct Eye(Mutex<Last>);

impl Watch for Eye {
    fn decided(&self, features: &Arc<FeatureBatch>, verdicts: &[Verdict], _: Duration) {
        let (Some(window), Some(repeats)) = (features.windows.last(), features.repeats.last())
        else {
            return;
        };
        *self.0.lock().unwrap() = Last {
            failures: window.get(WindowField::AuthFailuresSrc1h),
            repeats: *repeats,
            tokens: features.blocks[0].1.history.last().unwrap().as_slice().len(),
            verdict: verdicts.last().cloned(),
        };
    }
}

impl World {
    /// Three nodes in two regions, of which the first owns all.
    fn owned_by_one() -> Self {
        let world = Self::new(&[(1, "eu"), (2, "us"), (3, "us")]);
        let mut known = world.log.0.lock().unwrap();
        known.owners.values_mut().for_each(|owner| *owner = 1);
        known.failover = "us".into();
        drop(known);
        world
    }

    /// Waits until what others have of node 1 was taken after this.
    async fn carried_after(&self, at: Instant) {
        for _ in 0..1_000 {
            if self.log.0.lock().unwrap().sent.get(&1).is_some_and(|taken| *taken > at) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no checkpoint comes to the other region");
    }

    async fn told(&self, node: u64, message: Ask) -> Told {
        let fabric = self.fabric(&Identity::node("acme", "eu", "n-9").unwrap());
        let peer = Peer { node, region: String::new(), address: node.to_string() };
        ask(&fabric, &peer, &message, KEEP_TIME).await.unwrap()
    }

    /// Of the nodes of the other region the one that was sent the guessing host's state, or not.
    async fn holds(&self, wanted: bool) -> u64 {
        let host = threat::Host::parse("10.1.0.7");
        let workload = threat::entity::Entity::Host(host).id().shard(SHARDS) as u32 / 4;
        for node in [2, 3] {
            let Told::Held(marks) = self.told(node, Ask::Held).await else { panic!("no marks") };
            if marks.iter().any(|(held, _)| *held == workload) == wanted {
                return node;
            }
        }
        panic!("one of the two is sent it");
    }
}

/// What becomes of the owner before the last event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    GoesOn,
    Restarts,
    /// It ends, and one of the other region takes over; which was sent the state, or was not.
    Ends {
        sent: bool,
    },
}

async fn last_event(every: Duration, then: Then) -> Last {
    let world = World::owned_by_one();
    let eye = Arc::new(Eye::default());
    let mut nodes = BTreeMap::new();
    for node in 1..=3 {
        nodes.insert(node, world.start_with(node, eye.clone(), every).await);
    }
    let mut sent = Sent::default();
    assert!(world.send(&log(BEFORE), &[1], Durability::Global, &mut sent).await);
    let mut owner = 1;
    if then != Then::GoesOn {
        if every == OFTEN {
            world.carried_after(Instant::now()).await;
        }
        if let Then::Ends { sent } = then {
            owner = if every == OFTEN { world.holds(sent).await } else { 2 };
        }
        nodes.remove(&1).unwrap().kill().await;
    }
    match then {
        Then::GoesOn => {}
        Then::Restarts => {
            nodes.insert(1, world.start_with(1, eye.clone(), every).await);
        }
        Then::Ends { .. } => {
            let mut known = world.log.0.lock().unwrap();
            known.nodes.remove(&1);
            known.owners.values_mut().for_each(|of| *of = owner);
            known.epoch += 1;
        }
    }
    *eye.0.lock().unwrap() = Last::default();
    assert!(world.send(&log(BEFORE + 1), &[owner], Durability::Local, &mut sent).await);
    assert_eq!(sent.counts.events, BEFORE as u64 + 1);
    for (_, node) in nodes {
        node.kill().await;
    }
    let last = eye.0.lock().unwrap().clone();
    assert!(last.verdict.is_some());
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_with_entities_judges_as_the_former_owner_would_have() {
    let usual = last_event(OFTEN, Then::GoesOn).await;
    // sshd's lines of one second are one attempt.
    assert!(usual.failures > 50.0 && usual.repeats >= 200 && usual.tokens > 0, "{usual:?}");
    for then in [Then::Restarts, Then::Ends { sent: true }, Then::Ends { sent: false }] {
        assert_eq!(last_event(OFTEN, then).await, usual, "{then:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checkpoints_entities_are_forgotten() {
    // Or else the test above would say nothing.
    for then in [Then::Restarts, Then::Ends { sent: true }] {
        let last = last_event(NEVER, then).await;
        assert_eq!((last.failures, last.repeats, last.tokens), (1.0, 0, 0), "{then:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_told_nothing_of_entities() {
    let world = World::owned_by_one();
    let node = world.start(1).await;
    // It answers from then on.
    assert!(world.send(&log(3), &[1], Durability::Local, &mut Sent::default()).await);
    let fabric = world.fabric(&Identity::operator("acme", "me").unwrap());
    let peer = Peer { node: 1, region: String::new(), address: "1".into() };
    for message in [Ask::Held, Ask::Fetch { workload: 0, after: None }] {
        let told = ask(&fabric, &peer, &message, KEEP_TIME).await.unwrap();
        assert!(matches!(told, Told::Refused(_)), "{told:?}");
    }
    node.kill().await;
}

#[test]
fn parts_of_a_checkpoint_have_their_size_and_at_least_one_entry() {
    let state = |bytes: usize| EntityState {
        workload: 0,
        kind: 0,
        key: 0,
        epoch: 1,
        sequence: 1,
        owner: 0,
        bytes: vec![0; bytes],
    };
    assert_eq!(fitting(&[]), 0);
    assert_eq!(fitting(&[state(PART_STATE_BYTES + 1), state(1)]), 1);
    let many = vec![state(1_000); 1_000];
    assert!((200..=PART_STATE_BYTES / 1_000).contains(&fitting(&many)));
}
