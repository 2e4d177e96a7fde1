//! Whose word is taken: forged ids, names that were removed, names that are barred.

use super::*;
use crate::fabric::{Answer, BoxFuture, Caller, Error as LinkError, Gate, Lane};
use openraft::Vote;
use openraft::raft::VoteRequest;
use std::sync::atomic::AtomicUsize;

const LANES: [Lane; 5] = [Lane::Control, Lane::Raft, Lane::Gossip, Lane::Data, Lane::Bulk];

/// What would change something, on the lanes that are decoded here.
fn harm(lane: Lane) -> Vec<u8> {
    match lane {
        Lane::Control => {
            let client = Client { opened: 0, nonce: 77 };
            let request = Box::new(Request { client, sequence: 1, command: flag("forged") });
            control::encode(&Ask::Propose(request)).unwrap()
        }
        Lane::Raft => {
            let request = VoteRequest::<u64>::new(Vote::new(1_000, 2), None);
            threat::codec::encode(1, &(1u32, request)).unwrap()
        }
        _ => vec![1; 9],
    }
}

/// Asks on each lane. Why each is refused.
async fn refused_on_each(world: &World, identity: &Identity, id: u64, at: &str) -> Vec<String> {
    let fabric = world.fabric(identity);
    fabric.is_node(id);
    let mut reasons = Vec::new();
    for lane in LANES {
        match fabric.ask(at, 0, lane, harm(lane), LONG).await {
            Err(LinkError::Refused(reason)) => reasons.push(reason),
            other => panic!("{identity} as node {id} on {lane:?}: {other:?}"),
        }
    }
    reasons
}

fn node(region: &str, name: &str) -> Identity {
    Identity::node("acme", region, name).unwrap()
}

async fn three(world: &World) -> [Member; 3] {
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    let us = world.join("us-1", "eu-1").await;
    let ap = world.join("ap-1", "eu-1").await;
    until("three vote", || eu.status().voters.len() == 3).await;
    [eu, us, ap]
}

async fn propose(world: &World, to: &str, command: Command) -> Told {
    let request = Request { client: Client { opened: 0, nonce: 5 }, sequence: 0, command };
    let opened = world.ask(&[to], Ask::Status { digest: false }).await;
    let Told::Status(status) = opened else { panic!("{opened:?}") };
    let client = Client { opened: status.applied, ..request.client };
    world.ask(&[to], Ask::Propose(Box::new(Request { client, ..request }))).await
}

fn bar(name: &str, operator: bool) -> Command {
    Command::Bar { name: name.into(), operator }
}

fn unbar(name: &str, operator: bool) -> Command {
    Command::Unbar { name: name.into(), operator }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_id_is_refused_on_each_lane_and_changes_nothing() {
    let world = World::new();
    let [eu, us, _ap] = three(&world).await;
    let before = eu.status();
    // Another name, another region, and the right name under the id of another.
    for (who, id) in [(node("us", "us-9"), 2), (node("eu", "us-1"), 2), (node("us", "us-1"), 1)] {
        let reasons = refused_on_each(&world, &who, id, "eu-1").await;
        let whose = if id == 2 { "us-1 in us" } else { "eu-1 in eu" };
        assert!(reasons.iter().all(|r| r.contains(whose)), "{reasons:?}");
    }
    let after = eu.status();
    assert_eq!(after.connections.refused, before.connections.refused + 15);
    assert_eq!(after.term, before.term);
    assert!(!eu.read(|log| log.settings().flags().contains_key("forged")).1);
    // A member that speaks for another within its own connection.
    let member = world.fabric(&node("us", "us-1"));
    member.is_node(2);
    let arrive = Ask::Arrive { id: 3, address: "x".into(), incarnation: 99, votes: true };
    let told = control::ask(&member, "eu-1", &arrive, LONG).await.unwrap();
    assert!(matches!(&told, Told::Refused(r) if r.contains("cannot arrive as 3")), "{told:?}");
    let other = VoteRequest::<u64>::new(Vote::new(1_000, 3), None);
    let other = threat::codec::encode(1, &(1u32, other)).unwrap();
    assert!(member.ask("eu-1", 1, Lane::Raft, other, LONG).await.unwrap().is_empty());
    assert_eq!(eu.status().term, before.term);
    // A node that nobody has taken in may ask to be, and nothing else.
    let stranger = world.fabric(&node("us", "us-9"));
    let told = stranger.ask("eu-1", 0, Lane::Control, harm(Lane::Control), LONG).await.unwrap();
    let told: Told = control::decode(&told).unwrap();
    assert!(matches!(&told, Told::Refused(r) if r.contains("is no member here")), "{told:?}");
    assert_eq!(us.propose(flag("honest")).await.unwrap(), Reply::Done);
}

/// Counts what it is asked.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Answer for Counting {
    fn answer<'a>(&'a self, _: &'a Caller, _: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Vec::new()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_in_the_place_of_a_member_is_asked_nothing() {
    let world = World::new();
    let [eu, us, _ap] = three(&world).await;
    us.shutdown().await.unwrap();
    let imposter = world.fabric(&node("us", "us-9"));
    imposter.is_node(2);
    let asked = Arc::new(Counting::default());
    let gate = Gate::open(&imposter, Box::new(world.listen("us-1")), asked.clone());
    until("it is found out", || {
        let trouble = eu.status().threats.peers.remove(&2).and_then(|peer| peer.trouble);
        trouble.is_some_and(|t| t.contains("not listened to") && t.contains("us-1 in us"))
    })
    .await;
    assert!(gate.counts().greeted > 0);
    assert_eq!(asked.0.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_removed_is_refused_under_its_former_id() {
    let world = World::new();
    let [eu, us, _ap] = three(&world).await;
    us.shutdown().await.unwrap();
    removed(&world, &eu).await;
    let reasons = refused_on_each(&world, &node("us", "us-1"), 2, "eu-1").await;
    assert!(reasons.iter().all(|r| r.contains("removed for good")), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_barred_gets_nothing_until_that_is_lifted() {
    let world = World::new();
    let [eu, us, _ap] = three(&world).await;
    assert!(matches!(propose(&world, "eu-1", bar("us-1", false)).await, Told::Reply(Reply::Done)));
    // New connections and those that are there.
    let reasons = refused_on_each(&world, &node("us", "us-1"), 2, "eu-1").await;
    assert!(reasons.iter().all(|r| r.contains("cluster unbar us-1")), "{reasons:?}");
    assert!(us.propose(flag("barred")).await.is_err());
    assert!(!eu.read(|log| log.settings().flags().contains_key("barred")).1);
    // Another one of three could agree on nothing alone.
    let told = propose(&world, "eu-1", bar("ap-1", false)).await;
    assert!(matches!(&told, Told::Refused(r) if r.contains("1 of 3 voters")), "{told:?}");
    assert!(matches!(propose(&world, "eu-1", unbar("us-1", false)).await, Told::Reply(_)));
    until("it goes on as who it was", || us.status().digest == eu.status().digest).await;
    // Removed, too: its certificate lets it in only once that is lifted.
    propose(&world, "eu-1", bar("us-1", false)).await;
    removed(&world, &eu).await;
    us.shutdown().await.unwrap();
    std::fs::remove_dir_all(world.path("us-1")).unwrap();
    let again = world.fabric(&node("us", "us-1"));
    let soon = Duration::from_secs(1);
    let refused = ask_for_id(&again, &["eu-1".into()], "us-1", soon).await.unwrap_err();
    assert!(refused.to_string().contains("us-1 is barred"), "{refused}");
    let Told::Barred(nodes, operators) = world.ask(&["eu-1"], Ask::Barred).await else {
        panic!("no list")
    };
    assert_eq!((nodes, operators), (vec!["us-1".to_owned()], vec![]));
    propose(&world, "eu-1", unbar("us-1", false)).await;
    let us = world.join("us-1", "eu-1").await;
    assert_eq!(us.status().id, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_barred_asks_nothing_more() {
    let world = World::new();
    let eu = world.node("eu-1", 1, 1, &[]).await;
    timeout(LONG, eu.admitted()).await.unwrap();
    let ann = world.fabric(&Identity::operator("acme", "ann").unwrap());
    assert!(control::ask(&ann, "eu-1", &Ask::Status { digest: false }, LONG).await.is_ok());
    assert!(matches!(propose(&world, "eu-1", bar("ann", true)).await, Told::Reply(Reply::Done)));
    // On the connection that was there, and on a new one.
    for _ in 0..2 {
        let refused = control::ask(&ann, "eu-1", &Ask::Status { digest: false }, LONG).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let data = ann.ask("eu-1", 0, Lane::Data, vec![1], LONG).await;
    assert!(matches!(&data, Err(LinkError::Refused(r)) if r.contains("--operator")), "{data:?}");
    propose(&world, "eu-1", unbar("ann", true)).await;
    until_async(|| async {
        control::ask(&ann, "eu-1", &Ask::Status { digest: false }, LONG).await.is_ok()
    })
    .await;
}

/// Removes `us-1`: what it owns has to move first, which may take longer than one answer.
async fn removed(world: &World, eu: &Member) {
    until_async(|| async {
        let _ = world.ask(&["eu-1", "ap-1"], Ask::Remove("us-1".into())).await;
        eu.status().members.values().all(|m| m.name != "us-1")
    })
    .await;
}

/// Dialling again has its pauses.
async fn until_async<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < LONG, "it does not come about");
        sleep(Duration::from_millis(10)).await;
    }
}
